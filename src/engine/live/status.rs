//! How a run is doing, for those who watch it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::lead::Lead;
use crate::connect::kafka::{Dead, Partitions, Seen, Shared, now};
use crate::dataflow::{Counter, Counters, Sizes};
use crate::store::{self, Node};
use crate::sysmon;

/// A look at a run.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// By topic and partition: what was read, and the offset after its last record.
    pub partitions: BTreeMap<(Arc<str>, i32), (Seen, i64)>,
    /// Records written, by topic.
    pub written: BTreeMap<Arc<str>, u64>,
    /// What operators have dropped or nulled, and late facts, by reason.
    pub counters: BTreeMap<Counter, u64>,
    /// Records that could not be decoded.
    pub dead: Dead,
    /// What decoders have seen.
    pub stats: sysmon::Stats,
    /// Rows that operators keep, by what they are and their identity.
    pub kept: BTreeMap<(String, Node), usize>,
    /// How often the dataflow was through with a tick.
    pub ticks: u64,
    /// How many milliseconds the dataflow is behind the clock.
    pub frontier_lag_ms: u64,
    /// How many milliseconds what is published is behind the clock.
    pub published_lag_ms: u64,
    /// Bytes of records read and not published.
    pub in_flight: usize,
    /// Bytes of state that no checkpoint has.
    pub journal: usize,
    /// What is on disk, where anything is.
    pub state: Option<store::Stats>,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Resident memory in bytes.
    pub resident: u64,
}

/// Gives looks at a run.
#[derive(Clone)]
pub struct StatusSource {
    shared: Arc<Shared>,
    ends: Partitions,
    lead: Arc<Lead>,
    counters: Counters,
    sizes: Sizes,
    names: Arc<BTreeMap<u64, String>>,
    own: Arc<Own>,
}

#[derive(Default)]
struct Own {
    written: Mutex<BTreeMap<Arc<str>, u64>>,
    state: Mutex<Option<store::Stats>>,
    checkpoints: AtomicU64,
    resident: AtomicU64,
}

impl StatusSource {
    /// `names` are those of the operators that keep something.
    pub(super) fn new(
        shared: Arc<Shared>,
        ends: Partitions,
        lead: Arc<Lead>,
        counters: Counters,
        sizes: Sizes,
        names: BTreeMap<u64, String>,
    ) -> StatusSource {
        StatusSource {
            shared,
            ends,
            lead,
            counters,
            sizes,
            names: Arc::new(names),
            own: Arc::default(),
        }
    }

    pub(super) fn published(&self, counts: &BTreeMap<Arc<str>, u64>) {
        let mut written = self.own.written.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, count) in counts {
            *written.entry(Arc::clone(topic)).or_default() += count;
        }
    }

    pub(super) fn state(&self, stats: store::Stats) {
        let mut state = self.own.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.replace(stats).is_some() {
            self.own.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn resident(&self, bytes: u64) {
        self.own.resident.store(bytes, Ordering::Relaxed);
    }

    fn kept(&self) -> BTreeMap<(String, Node), usize> {
        let named =
            |(identity, size)| Some(((self.names.get(&identity)?.clone(), Node(identity)), size));
        self.sizes.snapshot().into_iter().filter_map(named).collect()
    }

    /// How it is now.
    pub fn look(&self) -> Status {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut partitions: BTreeMap<(Arc<str>, i32), (Seen, i64)> =
            ends.into_iter().map(|(partition, end)| (partition, (Seen::default(), end))).collect();
        for (partition, seen) in seen {
            let entry = partitions.entry(partition).or_default();
            *entry = (seen, entry.1.max(seen.next));
        }
        let mut stats = sysmon::Stats::default();
        self.shared
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .for_each(|own| stats.add(own));
        let (now, behind) =
            (now(), |ms: u64, now: u64| if ms == 0 { 0 } else { now.saturating_sub(ms) });
        Status {
            partitions,
            written: self.own.written.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            counters: self.counters.snapshot(),
            dead: self.shared.dead.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            stats,
            kept: self.kept(),
            ticks: self.lead.ticks(),
            frontier_lag_ms: behind(self.lead.closed_at().ms(), now),
            published_lag_ms: behind(self.lead.published_at().ms(), now),
            in_flight: self.shared.pace.in_flight(),
            journal: self.lead.journal_size(),
            state: *self.own.state.lock().unwrap_or_else(PoisonError::into_inner),
            checkpoints: self.own.checkpoints.load(Ordering::Relaxed),
            resident: self.own.resident.load(Ordering::Relaxed),
        }
    }
}

/// Resident memory of this process in bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
