//! What an earlier life of the run has left: its state, and what is bound since.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use tracing::{info, warn};

use super::checkpointer::Checkpointer;
use super::{LiveError, Settings, nodes};
use crate::connect::kafka;
use crate::dataflow::{Restored, Tick, Undelivered};
use crate::model::Secret;
use crate::plan::Plan;
use crate::store::{Node, Offsets, Store};

/// How many lives a state remembers.
const LIVES: usize = 100;

/// A name for this start of the run that no other has.
fn new_life() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(
        &std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos()
            .to_le_bytes(),
    );
    hasher.finalize().to_hex()[..16].to_owned()
}

/// What an earlier life has left.
pub struct Left {
    frontier: Tick,
    pub restored: Option<Restored>,
    pub bindings: Option<crate::store::Bindings>,
    /// Bound moments since the checkpoint.
    bound: BTreeMap<u64, Offsets>,
    /// Where partitions go on.
    pub resume: Offsets,
    /// How far they were read.
    pub reached: Offsets,
    /// Views that were published.
    views: HashSet<String>,
    /// The starts of the run that this state has seen, this one the last.
    pub lives: Vec<String>,
    /// What its digests are made with.
    pub secret: Secret,
}

impl Left {
    fn nothing() -> Left {
        Left {
            frontier: Tick(0),
            restored: None,
            bindings: None,
            bound: BTreeMap::new(),
            resume: Offsets::new(),
            reached: Offsets::new(),
            views: HashSet::new(),
            lives: vec![new_life()],
            secret: Secret::random(),
        }
    }

    pub fn latest_ms(&self) -> u64 {
        self.bound.keys().next_back().map_or(0, |tick| Tick(*tick).ms()).max(self.frontier.ms())
    }

    /// Follows the partitions through what is bound. One that no checkpoint knows began where it was bound first. One that went back was made anew and began there: moments before that have nothing more of it.
    fn follow(&mut self) {
        self.reached.clone_from(&self.resume);
        let mut anew: BTreeMap<(String, i32), (u64, i64)> = BTreeMap::new();
        for (tick, offsets) in &self.bound {
            for (topic, partitions) in offsets {
                for (&partition, &next) in partitions {
                    self.resume.entry(topic.clone()).or_default().entry(partition).or_insert(next);
                    let before =
                        self.reached.entry(topic.clone()).or_default().insert(partition, next);
                    if before.is_some_and(|before| next < before) {
                        anew.insert((topic.clone(), partition), (*tick, next));
                    }
                }
            }
        }
        for ((topic, partition), (tick, start)) in anew {
            self.resume.entry(topic.clone()).or_default().insert(partition, start);
            let before = self
                .bound
                .range_mut(..tick)
                .filter_map(|(_, offsets)| offsets.get_mut(&topic)?.remove(&partition))
                .count();
            if before > 0 {
                warn!(
                    "{topic}/{partition} was made anew: what was read of it before, in {before} moments after the last checkpoint, cannot be read again"
                );
            }
        }
    }

    /// From which tick on views are published that were published before.
    pub fn begin(
        &self,
        settings: &Settings,
        progress: Option<&kafka::Progress>,
    ) -> Result<Tick, LiveError> {
        let Some(progress) = progress.filter(|_| !settings.reset) else { return Ok(self.frontier) };
        let published = Tick(progress.tick);
        // the last tick that was published is one that was bound, and in a life that this state has seen
        let is_known = self.lives.contains(&progress.life);
        if !is_known || published > self.frontier && published.before().ms() > self.latest_ms() {
            let dir = settings.state_dir.clone().unwrap_or_default();
            return Err(LiveError::Foreign { service: settings.service_id.clone(), dir });
        }
        Ok(self.frontier.max(published))
    }

    /// What of a view is to be published, if not all: a view that is new begins with the content of what it reads.
    pub fn undelivered(&self, view: &str, begin: &Arc<OnceLock<Tick>>) -> Option<Undelivered> {
        let is_new = self.restored.is_some() && !self.views.contains(view);
        (!is_new).then(|| Undelivered::new(self.frontier, Arc::clone(begin)))
    }

    /// The moments that a worker is to make again.
    pub fn again(
        &self,
        names: &[Arc<str>],
        worker: usize,
        workers: usize,
    ) -> VecDeque<kafka::Bound> {
        let mine = |(tick, offsets): (&u64, &Offsets)| {
            let mut bound = BTreeMap::new();
            for (topic, partitions) in offsets {
                let Some(number) = names.iter().position(|name| **name == **topic) else {
                    continue;
                };
                let own = partitions
                    .iter()
                    .filter(|(partition, _)| kafka::owner(topic, **partition, workers) == worker);
                bound.extend(own.map(|(partition, next)| ((number, *partition), *next)));
            }
            (!bound.is_empty()).then_some((Tick(*tick).ms(), bound))
        };
        self.bound.iter().filter_map(mine).collect()
    }
}

/// Opens the state, if there is to be any, and checks that it is of this plan.
pub fn open_store(settings: &Settings, plan: &Plan) -> Result<(Option<Store>, Left), LiveError> {
    let Some(dir) = &settings.state_dir else {
        warn!("no --state-dir: nothing is remembered over restarts");
        return Ok((None, Left::nothing()));
    };
    let wrong = |source| LiveError::Store { dir: dir.clone(), source };
    let mut store = Store::open(dir, settings.reset).map_err(wrong)?;
    for damage in store.damage() {
        warn!("{damage}; going on from the checkpoint before");
    }
    let bindings = store.bindings();
    let mut left = Left { bindings: Some(bindings.clone()), ..Left::nothing() };
    if let Some(manifest) = store.manifest() {
        let known: HashSet<u64> = manifest.nodes.iter().map(|node| node.node.0).collect();
        let own: HashSet<Node> = nodes(plan).into_iter().map(|node| node.node).collect();
        let foreign: Vec<String> = manifest
            .nodes
            .iter()
            .filter(|node| !own.contains(&node.node))
            .map(|node| node.name.clone())
            .collect();
        if !foreign.is_empty() {
            return Err(LiveError::OtherPlan { dir: dir.clone(), nodes: foreign });
        }
        left.frontier = Tick(manifest.frontier);
        left.restored = Some(Restored {
            snapshot: store.snapshot(),
            frontier: left.frontier,
            known: Arc::new(known),
        });
        left.resume.clone_from(&manifest.offsets);
        left.secret = manifest.secret;
        left.views = Checkpointer::views(manifest).into_iter().collect();
        info!("state as of {} in {}", left.frontier.ms(), dir.display());
        left.lives.splice(0..0, Checkpointer::lives(manifest));
        left.lives.drain(..left.lives.len().saturating_sub(LIVES));
    }
    // What is bound and published from here on is of these statements and of this life, also before there is more to say of them.
    let views: Vec<String> = plan.views.iter().map(|view| view.name.clone()).collect();
    let mut manifest = store.manifest().cloned().unwrap_or_else(|| {
        Checkpointer::manifest(nodes(plan), &views, &[], Offsets::new(), left.secret)
    });
    manifest.extra["lives"] = left.lives.clone().into();
    store.checkpoint(manifest, &[]).map_err(wrong)?;
    left.bound = bindings.read().map_err(wrong)?;
    left.bound = left.bound.split_off(&left.frontier.0);
    left.follow();
    Ok((Some(store), left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(resume: &[(i32, i64)], bound: &[(u64, i32, i64)]) -> Left {
        let offsets =
            |of: &[(i32, i64)]| Offsets::from([("t".to_owned(), of.iter().copied().collect())]);
        let mut left = Left { resume: offsets(resume), ..Left::nothing() };
        for (tick, partition, next) in bound {
            left.bound
                .entry(*tick)
                .or_default()
                .entry("t".into())
                .or_default()
                .insert(*partition, *next);
        }
        left.follow();
        left
    }

    fn again(left: &Left) -> Vec<(u64, i64)> {
        let moments = left.again(&["t".into()], 0, 1);
        moments.into_iter().map(|(ms, bound)| (ms, bound[&(0, 0)])).collect()
    }

    #[test]
    fn a_partition_begins_again_where_it_was_bound_to_go_back() {
        let at = |ms: u64| Tick::moment(ms, 0).0;
        let same = left(&[(0, 90)], &[(at(1), 0, 100), (at(2), 0, 130)]);
        assert_eq!(
            (same.resume["t"][&0], same.reached["t"][&0], again(&same)),
            (90, 130, vec![(1, 100), (2, 130)])
        );
        // as the first thing that is bound, twice, and to the same offset as before
        let anew =
            left(&[(0, 90)], &[(at(1), 0, 100), (at(2), 0, 0), (at(3), 0, 30), (at(4), 0, 60)]);
        assert_eq!(
            (anew.resume["t"][&0], anew.reached["t"][&0], again(&anew)),
            (0, 60, vec![(2, 0), (3, 30), (4, 60)])
        );
        assert_eq!(anew.latest_ms(), 4);
        let twice =
            left(&[(0, 90)], &[(at(1), 0, 0), (at(2), 0, 30), (at(3), 0, 5), (at(4), 0, 30)]);
        assert_eq!((twice.resume["t"][&0], again(&twice)), (5, vec![(3, 5), (4, 30)]));
        let fresh = left(&[], &[(at(1), 0, 7), (at(2), 0, 9)]);
        assert_eq!((fresh.resume["t"][&0], again(&fresh)), (7, vec![(1, 7), (2, 9)]));
        let empty = left(&[(0, 0)], &[(at(1), 0, 0), (at(2), 0, 4)]);
        assert_eq!((empty.resume["t"][&0], again(&empty)), (0, vec![(1, 0), (2, 4)]));
    }
}
