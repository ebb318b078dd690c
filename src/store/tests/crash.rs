//! A crash at every step of a checkpoint.

use super::*;

/// Fills a model's store and leaves changes for another checkpoint.
fn filled(model: &mut Model, rounds: u8) {
    for round in 0..=rounds {
        for name in 0..40_u8 {
            model.put(
                u64::from(name % 3),
                name.wrapping_mul(round + 1) % 40,
                (name % 5 != round % 5).then(|| vec![round; 30]),
            );
        }
        if round < rounds {
            model.step(Step::Checkpoint { lag: 0 });
            model.step(Step::Merge);
        }
    }
}

/// What a directory has after a crash: state and frontier.
fn recovered(dir: &Path) -> (u64, Content) {
    let inspected = inspect(dir).unwrap();
    let store = Store::open(dir, false).unwrap();
    assert!(store.damage().is_empty(), "a crash does no damage: {:?}", store.damage());
    assert!(inspected.damage.is_empty(), "{:?}", inspected.damage);
    assert_eq!(inspected.manifest.as_ref(), store.manifest());
    let named = store
        .current
        .iter()
        .chain(&store.previous)
        .flat_map(Checkpoint::numbers)
        .map(|number| run::path(Path::new(""), number));
    let mut expected: Vec<PathBuf> = named.collect();
    expected.extend(
        store
            .current
            .iter()
            .chain(&store.previous)
            .map(|checkpoint| Checkpoint::path(Path::new(""), checkpoint.sequence)),
    );
    let (expected, found): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        (expected.into_iter().collect(), files(dir).into_iter().collect());
    assert_eq!(found, expected, "nothing else is left");
    (
        store.manifest().map_or(0, |manifest| manifest.frontier),
        content(&store.snapshot(), 0..3).unwrap(),
    )
}

/// What there is after any prefix of the writes and deletions of a checkpoint, the last write torn.
#[test]
fn a_checkpoint_is_there_as_a_whole_or_not_at_all() {
    for rounds in 1..10 {
        let mut model = Model::new();
        filled(&mut model, rounds);
        let before = copied(model.dir.path());
        let old = recovered(copied(before.path()).path());
        model.step(Step::Checkpoint { lag: 0 });
        model.step(Step::Merge);
        let after = copied(model.dir.path());
        let new = (model.tick, model.content.clone());
        assert_ne!(old, new);

        let (was, is) = (files(before.path()), files(after.path()));
        let (mut written, deleted): (Vec<_>, Vec<_>) = (
            is.iter().filter(|path| !was.contains(path)).collect(),
            was.iter().filter(|path| !is.contains(path)).collect(),
        );
        written.sort_by_key(|path| !path.starts_with("runs"));
        for torn in 0..written.len() {
            for share in [0, 1, 2, 3] {
                let state = copied(before.path());
                for path in &written[..torn] {
                    fs::copy(after.path().join(path), state.path().join(path)).unwrap();
                }
                let bytes = fs::read(after.path().join(written[torn])).unwrap();
                let path = state.path().join(written[torn]);
                let path = if written[torn].starts_with("runs") {
                    path
                } else {
                    path.with_extension(manifest::NEW)
                };
                fs::write(path, &bytes[..bytes.len() * share / 3]).unwrap();
                assert_eq!(recovered(state.path()), old);
            }
        }
        for gone in 0..=deleted.len() {
            let state = copied(before.path());
            copy(after.path(), state.path());
            for path in &deleted[..gone] {
                disk::remove(&state.path().join(path)).unwrap();
            }
            assert_eq!(recovered(state.path()), new);
        }
    }
}

/// The directory as it is at each step, as the step itself sees it.
#[cfg(feature = "failpoints")]
#[test]
fn any_step_of_a_checkpoint_may_be_the_last() {
    use std::cell::RefCell;

    thread_local! {
        /// Other tests of this process pass these places too, on other threads.
        static WATCHED: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
        static SEEN: RefCell<Vec<(&'static str, TempDir)>> = const { RefCell::new(Vec::new()) };
    }
    let steps = [
        "store-run-written",
        "store-run-synced",
        "store-manifest-written",
        "store-manifest-renamed",
        "store-old-deleted",
    ];
    let scenario = fail::FailScenario::setup();
    for step in steps {
        let look = move || {
            if let Some(dir) = WATCHED.with_borrow(Clone::clone) {
                SEEN.with_borrow_mut(|seen| seen.push((step, copied(&dir))));
            }
        };
        fail::cfg_callback(step, look).unwrap();
    }
    for rounds in 0..10 {
        let mut model = Model::new();
        filled(&mut model, rounds);
        let old = (
            model.store.as_ref().unwrap().manifest().map_or(0, |manifest| manifest.frontier),
            model.content.clone(),
        );
        WATCHED.set(Some(model.dir.path().to_owned()));
        model.step(Step::Checkpoint { lag: 0 });
        WATCHED.set(None);
        let new = (model.tick, model.content.clone());
        let seen = SEEN.take();
        assert_eq!(seen.iter().map(|(step, _)| *step).collect::<Vec<_>>(), steps);
        for (at, (_, dir)) in seen.iter().enumerate() {
            assert_eq!(recovered(dir.path()), if at < 3 { old.clone() } else { new.clone() });
        }
    }
    scenario.teardown();
}
