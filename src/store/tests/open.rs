//! Opening: locks, versions, fallbacks, several readers, long entries.

use super::*;

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), false).unwrap();
    let error = Store::open(dir.path(), true).err().unwrap().to_string();
    assert!(error.ends_with(&format!("is in use by process {}", std::process::id())), "{error}");
    drop(store);
    Store::open(dir.path(), false).unwrap();
}

/// Whatever the state consists of, and also where its directory was there before.
#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    fn look(path: &Path, modes: &mut Vec<(PathBuf, u32)>) {
        let metadata = fs::metadata(path).unwrap();
        modes.push((path.to_owned(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                look(&entry.unwrap().path(), modes);
            }
        }
    }
    let mut model = Model::new();
    fs::set_permissions(model.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    model.step(Step::Reopen);
    for name in 0..10 {
        model.put(0, name, Some(vec![name]));
        model.step(Step::Tick);
        model.step(Step::Checkpoint { lag: 0 });
    }
    let mut modes = Vec::new();
    look(model.dir.path(), &mut modes);
    assert!(modes.len() > 6, "{modes:?}");
    for (path, mode) in modes {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn other_versions_are_refused() {
    let mut model = Model::new();
    for name in 0..10 {
        model.put(0, name, Some(vec![name]));
        model.step(Step::Tick);
        model.step(Step::Checkpoint { lag: 0 });
    }
    model.store = None;
    let bindings = model.dir.path().join("bindings/0-1.open");
    let paths = [(PathBuf::from("manifest-10"), "version 9"), (bindings, "version 7")];
    for (path, version) in paths {
        let dir = copied(model.dir.path());
        if path.starts_with("manifest-10") {
            let text = fs::read_to_string(dir.path().join(&path)).unwrap();
            let (_, body) = text.split_once('\n').unwrap();
            let sum = crc32fast::hash(&[&9_u32.to_le_bytes(), body.as_bytes()].concat());
            fs::write(dir.path().join(&path), format!("helkflow-state 9 {sum:08x}\n{body}"))
                .unwrap();
        } else {
            let mut header = [&b"helkbind"[..], &7_u32.to_le_bytes()].concat();
            header.extend(crc32fast::hash(&header).to_le_bytes());
            fs::write(dir.path().join("bindings/0-1.open"), header).unwrap();
        }
        let error = Store::open(dir.path(), false).err().unwrap().to_string();
        assert!(
            error.contains(version)
                && error.ends_with(&format!("this program knows version {VERSION}")),
            "{error}"
        );
        assert!(inspect(dir.path()).is_err() || version == "version 7");
    }
}

/// Bindings are needed from the checkpoint on that a damaged one falls back to.
#[test]
fn bindings_are_kept_for_the_fallback() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), false).unwrap();
    assert_eq!(store.bindings_from(), 0);
    let mut needed = Vec::new();
    for frontier in [10, 20, 20, 30] {
        store.checkpoint(manifest(frontier, [0]), &[]).unwrap();
        needed.push(store.bindings_from());
    }
    assert_eq!(needed, [10, 10, 20, 20]);
    drop(store);
    fs::write(dir.path().join("manifest-4"), "").unwrap();
    let mut store = Store::open(dir.path(), false).unwrap();
    assert_eq!(
        (store.damage().len(), store.manifest().unwrap().frontier, store.bindings_from()),
        (1, 20, 20)
    );
    assert_eq!(store.checkpoint(manifest(30, [0]), &[]).unwrap().sequence, 5);
    assert_eq!(store.bindings_from(), 20);
    store.checkpoint(manifest(40, [0]), &[]).unwrap();
    drop(store);
    Store::open(dir.path(), false).unwrap();
    assert_eq!(files(dir.path()), ["manifest-5", "manifest-6"].map(PathBuf::from));
}

/// A reset that was cut off goes on at the next start, asked for or not.
#[test]
fn a_reset_is_whole() {
    let mut model = Model::new();
    for name in 0..10 {
        model.put(0, name, Some(vec![name]));
        model.step(Step::Checkpoint { lag: 0 });
    }
    let bindings = model.store.as_ref().unwrap().bindings();
    let mut writer = bindings.writer("0").unwrap();
    writer.append(1, [("winlogbeat", 0, 1)]);
    writer.write().unwrap();
    model.store = None;
    for gone in files(model.dir.path()) {
        let dir = copied(model.dir.path());
        fs::write(dir.path().join("reset"), "").unwrap();
        fs::remove_file(dir.path().join(gone)).unwrap();
        let store = Store::open(dir.path(), false).unwrap();
        assert!(store.manifest().is_none() && store.bindings().read().unwrap().is_empty());
        assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
    }
}

/// A snapshot outlives the files that it reads.
#[test]
fn snapshots_stay_while_checkpoints_go_on() {
    let mut model = Model::new();
    let mut earlier = Vec::new();
    for round in 0..12 {
        for name in 0..40_u8 {
            model.put(0, name, (name % 3 != round % 3).then(|| vec![round; 100]));
        }
        model.step(Step::Checkpoint { lag: 0 });
        model.step(Step::Merge);
        earlier.push((model.store.as_ref().unwrap().snapshot(), model.content.clone()));
    }
    assert!(model.store.as_ref().unwrap().stats().runs < 6);
    std::thread::scope(|scope| {
        for (snapshot, expected) in &earlier {
            scope.spawn(move || assert_eq!(content(snapshot, 0..3).unwrap(), *expected));
        }
    });
}

#[test]
fn entries_may_be_empty_or_longer_than_what_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), false).unwrap();
    let lengths = [0, 1, 3 << 20, 5, 70_000, 64 << 10, 2 << 20, 0, 1 << 20];
    let mut expected = Content::new();
    for round in 0..2_u8 {
        let mut changes = Changes::default();
        for (place, length) in lengths.iter().enumerate().skip(usize::from(round)) {
            let (key, value) = (vec![7; length / 2], vec![round + place as u8; *length]);
            changes.put(1, Node(0), place as u128, &key, Some(&value));
            expected.insert((Node(0), place as u128, key), value);
        }
        store.checkpoint(manifest(2, [0]), &[changes]).unwrap();
    }
    drop(store);
    let store = Store::open(dir.path(), false).unwrap();
    assert_eq!(content(&store.snapshot(), 0..1).unwrap(), expected);
}

/// The last change of a key is the one that counts, wherever checkpoints divide the changes.
#[test]
fn taking_changes_in_parts_makes_no_difference() {
    let put = |changes: &mut Changes| {
        for (tick, value) in
            [(4, Some(b"e")), (1, Some(b"a")), (3, Some(b"c")), (2, None), (3, Some(b"d"))]
        {
            changes.put(tick, Node(0), 0, b"key", value.map(|value| &value[..]));
        }
    };
    for cut in 0..6 {
        let mut changes = Changes::default();
        put(&mut changes);
        let first = changes.take_before(cut);
        assert_eq!(first.len() + changes.len(), 5);
        assert!(first.last_tick().is_none_or(|tick| tick < cut));
        let last = |part: Changes| {
            changes::sorted(&[part]).map(|put| put.value.map(<[u8]>::to_vec)).last()
        };
        let (first, rest) = (last(first), last(changes));
        assert_eq!(rest, (cut <= 4).then(|| Some(b"e".to_vec())));
        assert_eq!(
            first,
            [
                None,
                None,
                Some(Some(b"a".to_vec())),
                Some(None),
                Some(Some(b"d".to_vec())),
                Some(Some(b"e".to_vec()))
            ][cut as usize]
        );
    }
}
