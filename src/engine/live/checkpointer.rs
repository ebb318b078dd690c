//! Makes the state durable, checkpoint after checkpoint, of ticks that are published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::lead::Lead;
use super::status::StatusSource;
use crate::connect::kafka::End;
use crate::dataflow::Tick;
use crate::model::Secret;
use crate::store::{Changes, Manifest, NodeName, Offsets, Store, StoreError};

/// Bytes of changes after which a checkpoint is made at once.
const JOURNAL: usize = 64 << 20;
/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_millis(20);

/// Makes checkpoints, in a thread of its own.
pub struct Checkpointer {
    store: Store,
    manifest: Manifest,
    lead: Arc<Lead>,
    interval: Duration,
    status: StatusSource,
}

impl Checkpointer {
    /// Checkpoints of this store at least so often while something changes. `manifest` is what the first of them changes.
    pub fn new(
        store: Store,
        manifest: Manifest,
        lead: Arc<Lead>,
        interval: Duration,
        status: StatusSource,
    ) -> Checkpointer {
        status.state(store.stats());
        Checkpointer { store, manifest, lead, interval, status }
    }

    /// The manifest that a run begins with, which knows where partitions go on that no worker has taken yet.
    pub fn manifest(
        nodes: Vec<NodeName>,
        views: &[String],
        lives: &[String],
        offsets: Offsets,
        secret: Secret,
    ) -> Manifest {
        let extra = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "views": views, "lives": lives });
        Manifest { offsets, nodes, secret, extra, ..Manifest::default() }
    }

    /// The views that a manifest's run has published.
    pub fn views(manifest: &Manifest) -> Vec<String> {
        texts(&manifest.extra["views"])
    }

    /// The lives of the run that its state has seen, the latest last.
    pub fn lives(manifest: &Manifest) -> Vec<String> {
        texts(&manifest.extra["lives"])
    }

    /// Goes on until the run has ended; the last checkpoint is of everything.
    pub fn run(mut self) -> Result<(), StoreError> {
        let mut last =
            (Instant::now(), self.store.manifest().map_or(0, |manifest| manifest.frontier));
        loop {
            let done = self.lead.is_publisher_done();
            // What an earlier life has published may not have been made again yet, and what is made may not be published.
            let made = self.lead.published_at().min(self.lead.closed_at());
            // What ends the run has no place in the middle of a moment, and neither has a checkpoint.
            let frontier = Tick::moment(made.ms(), 0);
            let end = self.lead.pace().end();
            if end == Some(End::Abandoned) {
                return Ok(());
            }
            let is_due =
                last.0.elapsed() >= self.interval || self.lead.journal_size() >= JOURNAL || done;
            if is_due && frontier.0 > last.1 {
                self.lead.want(frontier);
                let parts = loop {
                    match self.lead.take_parts() {
                        Some(parts) => break parts,
                        None => std::thread::sleep(Duration::from_millis(1)),
                    }
                };
                let mut changes: Vec<Changes> = Vec::new();
                for part in parts {
                    changes.push(part.changes);
                    for (topic, partitions) in part.offsets {
                        self.manifest.offsets.entry(topic).or_default().extend(partitions);
                    }
                }
                self.manifest.frontier = frontier.0;
                let info = self.store.checkpoint(self.manifest.clone(), &changes)?;
                self.store.bindings().forget(self.store.bindings_from())?;
                debug!(
                    "checkpoint {} of {}: {} entries, {} bytes",
                    info.sequence,
                    frontier.ms(),
                    info.entries,
                    info.bytes
                );
                self.status.state(self.store.stats());
                last = (Instant::now(), frontier.0);
            }
            if done && frontier.0 <= last.1 {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn texts(list: &serde_json::Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str())
        .map(str::to_owned)
        .collect()
}
