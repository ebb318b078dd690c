//! Clocks: how far the times that a record holds are apart, and what that shows.
//!
//! An event has up to three times. Sysmon's `UtcTime` is of the machine's clock; so is the event
//! log's time, some milliseconds later for the start of a process. The time of *arrival* is of the
//! collector's clock and comes after any delay on the way.
//!
//! # A local time and its arrival
//! NXLog writes the log's time as `EventTime`: local time without a zone, in whole seconds. The
//! difference to the arrival, which has a zone, is the zone's offset plus the delay. Offsets are
//! whole quarters of an hour from UTC−12 to UTC+14; a delay of one minute less than nothing (clocks
//! differ) to seven minutes leaves room for one of them or none. Each record is looked at alone, so
//! the result depends on nothing else. Where no offset fits, the arrival is all that is known.
//!
//! An arrival within the second that the local time names is the finer of the two, and is taken.
//!
//! # By host
//! [`Clocks`] keeps what the differences were on each host, for people to see. A host of which
//! records show several zones has changed between daylight saving and standard time, or two
//! machines have one name.
//!
//! *Bounds.* [`Clocks::HOSTS`] hosts, the first by name, of fixed size each; all others are counted
//! together. Which hosts are kept does not depend on the order in which they come.

use std::sync::Arc;

use crate::model::{Guid, Timestamp};

/// A quarter of an hour, in ms.
const QUARTER: i64 = 900_000;
/// UTC−12 to UTC+14, in quarters of an hour.
const OFFSETS: std::ops::RangeInclusive<i64> = -48..=56;
/// How much later than its event an arrival may be, in ms.
const DELAY: std::ops::RangeInclusive<i64> = -60_000..=420_000;
/// Differences up to this, in ms, say nothing.
const NOTABLE: i64 = 10_000;

/// An offset from UTC that a zone may have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Offset {
    quarters: i8,
}

impl Offset {
    /// Minutes ahead of UTC.
    pub fn minutes(self) -> i64 {
        i64::from(self.quarters) * 15
    }
}

impl std::fmt::Display for Offset {
    /// `UTC`, `UTC+1`, `UTC-3:30`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = self.minutes().abs();
        match minutes {
            0 => return f.write_str("UTC"),
            _ => write!(f, "UTC{}{}", if self.quarters < 0 { '-' } else { '+' }, minutes / 60)?,
        }
        if minutes % 60 == 0 { Ok(()) } else { write!(f, ":{:02}", minutes % 60) }
    }
}

/// What a local time and its arrival show together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Local {
    /// When the event happened.
    pub at: Timestamp,
    /// In which zone the local time is.
    pub offset: Offset,
    /// How much later it arrived, in ms.
    pub delay: i64,
}

/// No offset brings a local time and its arrival together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Apart;

impl Local {
    /// Looks for the offset; `local` is the local time read as UTC.
    pub fn find(local: Timestamp, arrival: Timestamp) -> Result<Local, Apart> {
        Self::fitting(local, arrival).ok_or(Apart)
    }

    fn fitting(local: Timestamp, arrival: Timestamp) -> Option<Local> {
        let ahead = local.0.checked_sub(arrival.0)?;
        // the least offset that leaves enough of a delay
        let least = ahead.checked_add(*DELAY.start())?.checked_neg()?;
        let quarters = -least.div_euclid(QUARTER);
        if !OFFSETS.contains(&quarters) {
            return None;
        }
        let delay = quarters * QUARTER - ahead;
        if !DELAY.contains(&delay) {
            return None;
        }
        let whole_second = local.0 % 1000 == 0 && (0..1000).contains(&delay);
        let at = if whole_second { arrival } else { Timestamp(arrival.0 - delay) };
        Some(Local { at, offset: Offset { quarters: quarters as i8 }, delay })
    }
}

/// How the times of a process's start differ, where it is more than usual, in ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Start {
    /// How much later than its `UtcTime` it was logged.
    late: Option<i64>,
    /// How much later its `UtcTime` is than the time in its GUID.
    off: Option<i64>,
}

impl Start {
    /// Compares the times that are known; `None` where they agree, as nearly always.
    pub fn compare(utc: Timestamp, logged: Option<Timestamp>, guid: Option<Guid>) -> Option<Start> {
        let notable = |other: Timestamp| {
            Some(utc.0 - other.0).filter(|difference| difference.abs() > NOTABLE)
        };
        let late = logged.and_then(notable).map(|late| -late);
        let off = guid.and_then(Guid::time).and_then(notable);
        (late.is_some() || off.is_some()).then_some(Start { late, off })
    }
}

/// Differences beyond what is usual, in ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// The least.
    pub least: i64,
    /// The greatest.
    pub greatest: i64,
}

impl Spread {
    fn see(&mut self, difference: i64) {
        self.add(Spread { count: 1, least: difference, greatest: difference });
    }

    fn add(&mut self, other: Spread) {
        if other.count == 0 {
            return;
        }
        let first = self.count == 0;
        self.count += other.count;
        self.least = if first { other.least } else { self.least.min(other.least) };
        self.greatest = if first { other.greatest } else { self.greatest.max(other.greatest) };
    }
}

/// The clocks of one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    events: u64,
    /// Starts of processes that were logged more than ten seconds after or before their `UtcTime`.
    pub logged: Spread,
    /// Starts of processes whose `UtcTime` is more than ten seconds after or before the time in
    /// their GUID.
    pub guid: Spread,
    /// How much later than their local time events arrived, where an offset was found.
    pub arrival: Spread,
    /// Events of which no offset brings local time and arrival together.
    pub apart: u64,
    /// The offsets that were found, as bits.
    offsets: u128,
}

impl Clock {
    /// The offsets from UTC that its local times had.
    pub fn offsets(&self) -> impl Iterator<Item = Offset> {
        let bits = self.offsets;
        OFFSETS
            .filter(move |quarters| bits >> (quarters - OFFSETS.start()) & 1 == 1)
            .map(|quarters| Offset { quarters: quarters as i8 })
    }

    /// True if there is something to tell.
    pub fn is_notable(&self) -> bool {
        let late = self.arrival.greatest > NOTABLE || self.arrival.least < -NOTABLE;
        let local = self.offsets().any(|offset| offset.minutes() != 0);
        self.logged.count > 0 || self.guid.count > 0 || self.apart > 0 || late || local
    }

    fn add(&mut self, other: &Clock) {
        self.events += other.events;
        self.logged.add(other.logged);
        self.guid.add(other.guid);
        self.arrival.add(other.arrival);
        self.apart += other.apart;
        self.offsets |= other.offsets;
    }

    /// Notes the start of a process.
    pub(super) fn start(&mut self, start: Start) {
        if let Some(late) = start.late {
            self.logged.see(late);
        }
        if let Some(off) = start.off {
            self.guid.see(off);
        }
    }

    /// Notes what a local time and its arrival have shown.
    pub(super) fn local(&mut self, local: Result<Local, Apart>) {
        match local {
            Err(Apart) => self.apart += 1,
            Ok(Local { offset, delay, .. }) => {
                self.arrival.see(delay);
                self.offsets |= 1 << (i64::from(offset.quarters) - OFFSETS.start());
            }
        }
    }
}

/// The clocks of all hosts.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// By name in lower case, sorted.
    hosts: Vec<(Arc<str>, Clock)>,
    /// Events of hosts beyond these.
    others: u64,
    /// The host of the event before, which is most likely that of the next.
    last: usize,
}

impl Clocks {
    /// So many hosts are kept.
    pub const HOSTS: usize = 64;

    /// Hosts with their clocks, by name in lower case.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Clock)> {
        self.hosts.iter().map(|(host, clock)| (&**host, clock))
    }

    /// How many events are of hosts that are not kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Counts an event of a host and gives its clock, if it is kept.
    pub(super) fn of(&mut self, host: &str) -> Option<&mut Clock> {
        let last = self.hosts.get(self.last);
        if !last.is_some_and(|(name, _)| name.eq_ignore_ascii_case(host)) {
            let Some(at) = self.place(&host.to_lowercase()) else {
                self.others += 1;
                return None;
            };
            self.last = at;
        }
        let clock = &mut self.hosts[self.last].1;
        clock.events += 1;
        Some(clock)
    }

    /// Where a host is, or its new place, if it has one.
    fn place(&mut self, host: &str) -> Option<usize> {
        let found = self.hosts.binary_search_by(|(name, _)| (**name).cmp(host));
        let at = match found {
            Ok(at) => return Some(at),
            Err(Self::HOSTS) => return None,
            Err(at) => at,
        };
        if self.hosts.len() == Self::HOSTS
            && let Some((_, clock)) = self.hosts.pop()
        {
            self.others += clock.events;
        }
        self.hosts.insert(at, (host.into(), Clock::default()));
        Some(at)
    }

    /// Adds the clocks of another decoder.
    pub(super) fn add(&mut self, other: &Clocks) {
        self.others += other.others;
        for (host, clock) in &other.hosts {
            match self.place(host) {
                Some(at) => self.hosts[at].1.add(clock),
                None => self.others += clock.events,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_offset_is_found_again(
            ms in 0..4_102_444_800_000_i64, quarters in OFFSETS, delay in DELAY, cut: bool,
        ) {
            let event = if cut { ms - ms % 1000 } else { ms };
            let local = Timestamp(event + quarters * QUARTER);
            let found = Local::find(local, Timestamp(event + delay)).unwrap();
            prop_assert_eq!((found.offset.minutes(), found.delay), (quarters * 15, delay));
            let fine = event % 1000 == 0 && (0..1000).contains(&delay);
            prop_assert_eq!(found.at.0, if fine { event + delay } else { event });
        }

        #[test]
        fn an_offset_is_found_only_where_there_is_one(
            local: i64, difference in -60_000_000..60_000_000_i64,
        ) {
            let arrival = local.saturating_add(difference);
            let ahead = i128::from(local) - i128::from(arrival);
            let fits = OFFSETS.into_iter().any(|quarters| {
                (-60_000..=420_000).contains(&(i128::from(quarters * QUARTER) - ahead))
            });
            let found = Local::find(Timestamp(local), Timestamp(arrival));
            prop_assert_eq!(found.is_ok(), fits);
        }

        #[test]
        fn the_hosts_that_are_kept_do_not_depend_on_who_saw_them(
            events in proptest::collection::vec((0..200_u8, any::<bool>()), 0..600),
            workers in 1..4_usize,
        ) {
            let see = |clocks: &mut Clocks, (host, apart): (u8, bool)| {
                if let Some(clock) = clocks.of(&format!("Host{host:03}")) && apart {
                    clock.local(Err(Apart));
                }
            };
            let (mut alone, mut parts) = (Clocks::default(), vec![Clocks::default(); workers]);
            for (i, event) in events.iter().enumerate() {
                see(&mut alone, *event);
                see(&mut parts[i % workers], *event);
            }
            let mut total = Clocks::default();
            for part in &parts {
                total.add(part);
            }
            prop_assert_eq!(&alone.hosts, &total.hosts);
            prop_assert_eq!(alone.others, total.others);
            let mut hosts: Vec<u8> = events.iter().map(|(host, _)| *host).collect();
            hosts.sort_unstable();
            hosts.dedup();
            hosts.truncate(Clocks::HOSTS);
            let names: Vec<String> = hosts.iter().map(|host| format!("host{host:03}")).collect();
            prop_assert!(alone.hosts().map(|(name, _)| name).eq(names.iter().map(String::as_str)));
            let kept: u64 = alone.hosts.iter().map(|(_, clock)| clock.events).sum();
            prop_assert_eq!(kept + alone.others, events.len() as u64);
        }
    }

    #[test]
    fn offsets_print_as_people_write_them() {
        let texts = [-48, -14, 0, 4, 23].map(|quarters| Offset { quarters }.to_string());
        assert_eq!(texts, ["UTC-12", "UTC-3:30", "UTC", "UTC+1", "UTC+5:45"]);
    }
}
