//! Makes the state durable, checkpoint after checkpoint, of ticks that are published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::lead::Lead;
use super::status::StatusSource;
use crate::connect::kafka::End;
use crate::dataflow::Tick;
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
    /// Checkpoints of this store at least so often while something changes. `manifest` has what is the same in all of them.
    pub fn new(store: Store, manifest: Manifest, lead: Arc<Lead>, interval: Duration, status: StatusSource) -> Checkpointer {
        status.state(store.stats());
        Checkpointer { store, manifest, lead, interval, status }
    }

    /// What is the same in all manifests of a run.
    pub fn manifest(nodes: Vec<NodeName>, views: &[String], lives: &[String]) -> Manifest {
        let extra = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "views": views, "lives": lives });
        Manifest { nodes, extra, ..Manifest::default() }
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
        let mut last = (Instant::now(), self.store.manifest().map_or(0, |manifest| manifest.frontier));
        loop {
            // What ends the run has no place in the middle of a moment, and neither has a checkpoint.
            let done = self.lead.is_publisher_done();
            let frontier = Tick::moment(self.lead.published_at().ms(), 0);
            let end = self.lead.pace().end();
            if end == Some(End::Abandoned) {
                return Ok(());
            }
            let is_due = last.0.elapsed() >= self.interval || self.lead.journal_size() >= JOURNAL || done;
            if is_due && frontier.0 > last.1 {
                self.lead.want(frontier);
                let parts = loop {
                    match self.lead.take_parts() {
                        Some(parts) => break parts,
                        None => std::thread::sleep(Duration::from_millis(1)),
                    }
                };
                let mut offsets = Offsets::new();
                let mut changes: Vec<Changes> = Vec::new();
                for part in parts {
                    changes.push(part.changes);
                    for (topic, partitions) in part.offsets {
                        offsets.entry(topic).or_default().extend(partitions);
                    }
                }
                let manifest = Manifest { frontier: frontier.0, offsets, ..self.manifest.clone() };
                let info = self.store.checkpoint(manifest, &changes)?;
                self.store.bindings().forget(self.store.bindings_from())?;
                debug!("checkpoint {} of {}: {} entries, {} bytes", info.sequence, frontier.ms(), info.entries, info.bytes);
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
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str()).map(str::to_owned).collect()
}
