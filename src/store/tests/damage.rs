//! Damage of every kind at any byte of any file.

use std::cell::Cell;

use super::*;

/// A directory with several checkpoints and bindings, and what its last two checkpoints hold.
struct Written {
    dir: TempDir,
    /// By frontier.
    contents: BTreeMap<u64, Content>,
    bindings: BTreeMap<u64, Offsets>,
}

fn written() -> Written {
    let mut model = Model::new();
    let mut contents = BTreeMap::new();
    let bindings = model.store.as_ref().unwrap().bindings();
    let mut writer = bindings.writer("0").unwrap();
    for round in 0..12_u8 {
        for name in 0..40_u8 {
            let value = vec![round ^ name; 50 * usize::from(name % 7)];
            model.put(
                u64::from(name % 3),
                name.wrapping_mul(round) % 40,
                (name != round).then_some(value),
            );
        }
        for _ in 0..3 {
            writer.append(
                model.tick,
                [
                    ("winlogbeat", 0, model.tick as i64 * 10),
                    ("winlogbeat", 1, model.tick as i64 * 11),
                ],
            );
            writer.write().unwrap();
            model.step(Step::Tick);
        }
        model.step(Step::Checkpoint { lag: 1 });
        model.step(Step::Merge);
        contents.insert(
            model.store.as_ref().unwrap().manifest().unwrap().frontier,
            model.content.clone(),
        );
        if round == 6 {
            drop(writer);
            model.step(Step::Reopen);
            writer = model.store.as_ref().unwrap().bindings().writer("0").unwrap();
        }
    }
    let store = model.store.take().unwrap();
    assert!(store.snapshot.runs.len() > 1 && store.stats().entries > 0);
    drop((store, writer));
    let dir = copied(model.dir.path());
    let store = Store::open(model.dir.path(), false).unwrap();
    Written { dir, contents, bindings: store.bindings().read().unwrap() }
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Truncate,
    Zero(usize),
    Append(u8),
    Delete,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (0..8_u8).prop_map(|bit| Damage::Flip(1 << bit)),
        4 => Just(Damage::Truncate),
        2 => (1..300_usize).prop_map(Damage::Zero),
        1 => any::<u8>().prop_map(Damage::Append),
        1 => Just(Damage::Delete),
    ]
}

impl Damage {
    /// Whether the file is another one now.
    fn apply(&self, path: &Path, at: f64) -> bool {
        let before = fs::read(path).unwrap();
        let (mut bytes, at) = (before.clone(), (before.len() as f64 * at) as usize);
        match self {
            Damage::Flip(mask) => bytes[at] ^= mask,
            Damage::Truncate => bytes.truncate(at),
            Damage::Zero(length) => bytes[at..].iter_mut().take(*length).for_each(|byte| *byte = 0),
            Damage::Append(byte) => bytes.push(*byte),
            Damage::Delete => {
                fs::remove_file(path).unwrap();
                return true;
            }
        }
        fs::write(path, &bytes).unwrap();
        bytes != before
    }
}

/// What is opened is one of the last two checkpoints as it was, with all bindings that it needs; or the error names the file.
#[test]
fn damage_is_never_taken_for_state() {
    let written = written();
    let frontiers: Vec<u64> = written.contents.keys().rev().take(2).copied().collect();
    let paths = files(written.dir.path());
    let (recovered, lost) = (Cell::new(0), Cell::new(0));
    let config =
        ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(path in prop::sample::select(paths), damage in damage(), at in 0.0..1.0)| {
        let dir = copied(written.dir.path());
        let is_damaged = damage.apply(&dir.path().join(&path), at);
        let shown = path.display().to_string();
        let inspection = inspect(dir.path()).unwrap();
        match Store::open(dir.path(), false) {
            Ok(store) => {
                let frontier = store.manifest().unwrap().frontier;
                prop_assert!(frontiers.contains(&frontier));
                prop_assert_eq!(&content(&store.snapshot(), 0..3).unwrap(), &written.contents[&frontier]);
                for damage in store.damage() {
                    prop_assert!(damage.to_string().contains(&shown), "{damage}");
                }
                prop_assert!(store.damage().is_empty() || !inspection.damage.is_empty());
                prop_assert!(frontier == frontiers[0] || !store.damage().is_empty() || matches!(damage, Damage::Delete));
                recovered.update(|count| count + usize::from(!store.damage().is_empty()));
                let found = store.bindings().read().unwrap();
                let extension = path.extension().and_then(|extension| extension.to_str());
                if extension == Some("open") {
                    let known: BTreeMap<_, _> = written.bindings.clone().into_iter().take(found.len()).collect();
                    prop_assert_eq!(found, known);
                } else if extension != Some("sealed") {
                    prop_assert_eq!(&found, &written.bindings);
                } else {
                    prop_assert!(!is_damaged || matches!(damage, Damage::Delete));
                }
                // and it goes on from here
                drop(store);
                let mut store = Store::open(dir.path(), false).unwrap();
                store.checkpoint(manifest(frontier + 100, 0..3), &[]).unwrap();
                drop(store);
                let store = Store::open(dir.path(), false).unwrap();
                prop_assert_eq!(store.manifest().unwrap().frontier, frontier + 100);
                prop_assert_eq!(&content(&store.snapshot(), 0..3).unwrap(), &written.contents[&frontier]);
            }
            Err(error) => {
                prop_assert!(is_damaged);
                let error = error.to_string();
                prop_assert!(error.contains(&shown) && error.contains("--reset"), "{error}");
                prop_assert!(!inspection.damage.is_empty());
                lost.update(|count| count + 1);
                let store = Store::open(dir.path(), true).unwrap();
                prop_assert!(store.manifest().is_none() && store.bindings().read().unwrap().is_empty());
                prop_assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
            }
        }
    });
    assert!(recovered.get() > 0 && lost.get() > 0, "{recovered:?} {lost:?}");
}
