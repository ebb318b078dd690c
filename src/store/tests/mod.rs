//! The store against a map in memory.

mod bindings;
mod crash;
mod damage;
mod open;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::compaction::{Size, choose};
use super::*;

type Content = BTreeMap<(Node, u128, Vec<u8>), Vec<u8>>;

fn nodes(numbers: impl IntoIterator<Item = u64>) -> Vec<NodeName> {
    numbers
        .into_iter()
        .map(|number| NodeName { node: Node(number), name: format!("node {number}") })
        .collect()
}

fn manifest(frontier: u64, numbers: impl IntoIterator<Item = u64>) -> Manifest {
    let offsets =
        BTreeMap::from([("winlogbeat".to_owned(), BTreeMap::from([(0, frontier as i64)]))]);
    Manifest {
        frontier,
        offsets,
        nodes: nodes(numbers),
        secret: crate::model::Secret::default(),
        extra: serde_json::json!({ "frontier": frontier }),
    }
}

fn content(snapshot: &Snapshot, numbers: std::ops::Range<u64>) -> Result<Content, StoreError> {
    let mut content = Content::new();
    for node in numbers.map(Node) {
        let mut entries = snapshot.load(node)?;
        let mut last = None;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let key = (entry.place, entry.key.to_vec());
            assert!(last.as_ref().is_none_or(|last| *last < key), "loaded in order");
            content.insert((node, key.0, key.1.clone()), entry.value.to_vec());
            last = Some(key);
        }
    }
    Ok(content)
}

/// A place that several keys have.
fn place(key: u8) -> u128 {
    u128::from(key / 4) << 100
}

fn key(key: u8) -> Vec<u8> {
    vec![key; usize::from(key % 4)]
}

fn await_merge(store: &Store) {
    while store.compaction.as_ref().is_some_and(|compaction| !compaction.is_finished()) {
        std::thread::yield_now();
    }
}

/// A store and what it should have.
struct Model {
    dir: TempDir,
    store: Option<Store>,
    tick: u64,
    changes: [Changes; 2],
    /// By tick: what was changed and is not in a checkpoint.
    pending: Vec<(u64, Node, u8, Option<Vec<u8>>)>,
    content: Content,
    listed: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64, u8, Vec<u8>),
    Delete(u64, u8),
    Tick,
    Checkpoint { lag: u64 },
    Merge,
    Reopen,
    List(Vec<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_u64, 0..40_u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(node, key, value)| Step::Put(node, key, value)),
        4 => (0..3_u64, 0..40_u8).prop_map(|(node, key)| Step::Delete(node, key)),
        4 => Just(Step::Tick),
        4 => (0..3_u64).prop_map(|lag| Step::Checkpoint { lag }),
        2 => Just(Step::Merge),
        1 => Just(Step::Reopen),
        1 => prop::sample::subsequence(vec![0, 1, 2], 1..=3).prop_map(Step::List),
    ]
}

impl Model {
    fn new() -> Model {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Store::open(dir.path(), false).unwrap());
        Model {
            dir,
            store,
            tick: 1,
            changes: Default::default(),
            pending: Vec::new(),
            content: Content::new(),
            listed: vec![0, 1, 2],
        }
    }

    fn put(&mut self, node: u64, name: u8, value: Option<Vec<u8>>) {
        if !self.listed.contains(&node) {
            return;
        }
        let worker = usize::from(name / 4 % 2);
        self.changes[worker].put(self.tick, Node(node), place(name), &key(name), value.as_deref());
        self.pending.push((self.tick, Node(node), name, value));
    }

    fn checkpoint(&mut self, frontier: u64) {
        let store = self.store.as_mut().unwrap();
        let frontier = frontier.max(store.manifest().map_or(0, |manifest| manifest.frontier));
        let taken: Vec<Changes> =
            self.changes.iter_mut().map(|changes| changes.take_before(frontier)).collect();
        store.checkpoint(manifest(frontier, self.listed.clone()), &taken).unwrap();
        self.tick = self.tick.max(frontier);
        self.content.retain(|(node, _, _), _| self.listed.contains(&node.0));
        for (_, node, name, value) in self.pending.extract_if(.., |(tick, ..)| *tick < frontier) {
            match value {
                Some(value) => _ = self.content.insert((node, place(name), key(name)), value),
                None => _ = self.content.remove(&(node, place(name), key(name))),
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(node, key, value) => self.put(node, key, Some(value)),
            Step::Delete(node, key) => self.put(node, key, None),
            Step::Tick => self.tick += 1,
            Step::Checkpoint { lag } => self.checkpoint((self.tick + 1).saturating_sub(lag)),
            Step::Merge => await_merge(self.store.as_ref().unwrap()),
            Step::Reopen => {
                self.store = None;
                self.store = Some(Store::open(self.dir.path(), false).unwrap());
                (self.changes, self.pending) = Default::default();
                assert!(self.store.as_ref().unwrap().damage().is_empty());
            }
            Step::List(listed) => {
                // as at a restart with another script
                (self.changes, self.pending) = Default::default();
                self.listed = listed;
                self.checkpoint(0);
            }
        }
        assert_eq!(content(&self.store.as_ref().unwrap().snapshot(), 0..3).unwrap(), self.content);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn copied(from: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    dir
}

/// All files but the lock, relative, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["", "runs", "bindings"] {
        for name in disk::names(&dir.join(folder)).unwrap() {
            let path = Path::new(folder).join(name);
            if dir.join(&path).is_file() && path != Path::new("lock") {
                files.push(path);
            }
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_loaded_is_what_was_put(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        // so much that most merges leave the oldest run alone
        for (node, name) in (0..3).flat_map(|node| (0..=255).map(move |name| (node, name))) {
            model.put(node, name, Some(vec![name]));
        }
        model.step(Step::Checkpoint { lag: 0 });
        for step in steps {
            model.step(step);
        }
        model.step(Step::Checkpoint { lag: 0 });
        model.step(Step::Merge);
        model.step(Step::Checkpoint { lag: 0 });
        model.step(Step::Reopen);
        let inspection = inspect(model.dir.path()).unwrap();
        prop_assert!(inspection.damage.is_empty());
        prop_assert_eq!(inspection.nodes.iter().map(|node| node.keys).sum::<u64>(), model.content.len() as u64);
        prop_assert_eq!(inspection.manifest.as_ref(), model.store.as_ref().unwrap().manifest());
    }

    /// Checkpoints of any sizes: `fresh` of the entries are of new keys, the others supersede or delete.
    #[test]
    fn runs_stay_few_and_small(sizes in prop::collection::vec((1..2000_u64, 0..=100_u64), 1..300)) {
        let size = |entries: u64| Size { entries, retired: 0, bytes: 100 + 40 * entries };
        let (mut runs, mut alive, mut total) = (Vec::<Size>::new(), 0_u64, 0_u64);
        for (entries, fresh) in sizes {
            total += entries;
            alive += entries * fresh / 100;
            runs.push(size(entries));
            while let Some(range) = choose(&runs) {
                let whole = range.start == 0;
                let sum: u64 = runs[range.clone()].iter().map(|run| run.entries).sum();
                // at worst nothing is superseded within a merge that leaves the oldest run alone
                let merged = if whole { alive.min(sum) } else { sum };
                runs.splice(range, [size(merged.max(1))]);
            }
            prop_assert!(runs.len() <= 4 + total.ilog2() as usize, "{runs:?}");
            let newer: u64 = runs.iter().skip(1).map(|run| run.entries).sum();
            prop_assert!(runs.len() < 4 || 2 * newer <= runs[0].entries, "{runs:?}");
        }
    }
}
