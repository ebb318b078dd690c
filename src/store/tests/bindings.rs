//! Bindings against a map in memory.

use super::*;
use crate::store::bindings::{Bindings, Writer};

type Ticks = BTreeMap<u64, Offsets>;

fn bind(ticks: &mut Ticks, tick: u64, partition: i32, next: i64) {
    ticks
        .entry(tick)
        .or_default()
        .entry("winlogbeat".to_owned())
        .or_default()
        .insert(partition, next);
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Sync,
    Forget(u64),
    Reopen(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..3_usize).prop_map(Act::Append),
        4 => Just(Act::Sync),
        1 => (0..20_u64).prop_map(Act::Forget),
        1 => (1..=3_usize).prop_map(Act::Reopen),
    ]
}

fn writers(bindings: &Bindings, workers: usize) -> Vec<Writer> {
    (0..workers).map(|worker| bindings.writer(&worker.to_string()).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_synced_is_read(acts in prop::collection::vec(act(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), false).unwrap();
        let mut open = writers(&store.bindings(), 2);
        let (mut synced, mut appended, mut forgotten) = (Ticks::new(), Vec::new(), 0);
        for (act, tick) in acts.into_iter().chain([Act::Sync, Act::Reopen(1)]).zip(1..) {
            match act {
                Act::Append(worker) => {
                    let worker = worker % open.len();
                    open[worker].append(tick, [("winlogbeat", worker as i32, tick as i64), ("winlogbeat", 7, 7)]);
                    appended.extend([(tick, worker as i32, tick as i64), (tick, 7, 7)]);
                }
                Act::Sync => {
                    for writer in &mut open {
                        writer.write().unwrap();
                    }
                    store.bindings().sync().unwrap();
                    appended.drain(..).for_each(|(tick, partition, next)| bind(&mut synced, tick, partition, next));
                }
                Act::Forget(before) => {
                    store.bindings().forget(before).unwrap();
                    forgotten = forgotten.max(before);
                }
                Act::Reopen(workers) => {
                    drop((store, open));
                    appended.clear();
                    store = Store::open(dir.path(), false).unwrap();
                    let found = store.bindings().read().unwrap();
                    prop_assert_eq!(found.range(forgotten..).collect::<Vec<_>>(), synced.range(forgotten..).collect::<Vec<_>>());
                    prop_assert!(found.iter().all(|(tick, offsets)| synced.get(tick) == Some(offsets)));
                    open = writers(&store.bindings(), workers);
                }
            }
        }
        store.bindings().forget(u64::MAX).unwrap();
        prop_assert!(store.bindings().read().unwrap().is_empty());
    }
}

/// Three groups of two records: the directory, and where in the segment each group ends.
fn groups() -> (TempDir, PathBuf, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), false).unwrap();
    let mut writer = store.bindings().writer("0").unwrap();
    let path = PathBuf::from("bindings/0-1.open");
    let ends = [1, 3, 5].map(|tick| {
        writer.append(tick, [("winlogbeat", 0, 10 * tick as i64)]);
        writer.append(tick + 1, [("winlogbeat", 0, 10 * tick as i64 + 5)]);
        writer.write().unwrap();
        store.bindings().sync().unwrap();
        fs::metadata(dir.path().join(&path)).unwrap().len() as usize
    });
    (dir, path, ends.to_vec())
}

#[test]
fn a_torn_end_is_cut_off_and_damage_before_it_is_reported() {
    let (dir, path, ends) = groups();
    let whole = fs::read(dir.path().join(&path)).unwrap();
    for at in 0..whole.len() {
        for truncate in [true, false] {
            let dir = copied(dir.path());
            let mut bytes = whole.clone();
            if truncate {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x10;
            }
            fs::write(dir.path().join(&path), &bytes).unwrap();
            let ticks = Store::open(dir.path(), false).and_then(|store| store.bindings().read());
            if truncate || at >= ends[1] {
                // what is before is there, and nothing that was not written
                let found: Vec<u64> = ticks.unwrap().keys().copied().collect();
                let least = 2 * ends.iter().filter(|end| **end <= at).count();
                assert!(found.len() >= least, "byte {at}: {found:?}");
                assert!(found.iter().copied().eq(1..=found.len() as u64), "byte {at}: {found:?}");
            } else {
                let error = ticks.unwrap_err().to_string();
                assert!(error.contains("0-1.open, byte ") && error.contains("--reset"), "{error}");
            }
        }
    }
}

#[test]
fn a_sealed_segment_is_whole_or_damaged() {
    let (dir, ..) = groups();
    Store::open(dir.path(), false).unwrap();
    let path = Path::new("bindings/0-1.sealed");
    let whole = fs::read(dir.path().join(path)).unwrap();
    for at in 0..whole.len() {
        let dir = copied(dir.path());
        fs::write(dir.path().join(path), &whole[..at]).unwrap();
        let error = Store::open(dir.path(), false).err().unwrap().to_string();
        assert!(error.contains("0-1.sealed, byte ") && error.contains("--reset"), "{error}");
    }
}

#[test]
fn full_segments_are_sealed_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), false).unwrap();
    let bindings = store.bindings();
    let mut writer = bindings.writer("0").unwrap();
    let topic = "t".repeat(1000);
    let mut tick = 0;
    while disk::names(&dir.path().join("bindings")).unwrap().len() < 4 {
        for _ in 0..500 {
            tick += 1;
            writer.append(tick, [(&topic[..], 0, tick as i64)]);
        }
        writer.write().unwrap();
    }
    assert_eq!(
        disk::names(&dir.path().join("bindings")).unwrap(),
        ["0-1.sealed", "0-2.sealed", "0-3.sealed", "0-4.open"]
    );
    let sealed = bindings.read().unwrap();
    assert!(sealed.keys().copied().eq(1..=tick));
    bindings.forget(tick / 2).unwrap();
    assert_eq!(
        disk::names(&dir.path().join("bindings")).unwrap(),
        ["0-2.sealed", "0-3.sealed", "0-4.open"]
    );
    drop((store, bindings, writer));
    let store = Store::open(dir.path(), false).unwrap();
    assert!(
        store
            .bindings()
            .read()
            .unwrap()
            .range(tick / 2..)
            .map(|(tick, _)| *tick)
            .eq(tick / 2..=tick)
    );
    let inspected = inspect(dir.path()).unwrap().bindings;
    assert_eq!((inspected.segments, inspected.last), (2, Some(tick)));
}
