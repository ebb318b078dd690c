//! Damaged files of a state directory: the state is sound as it was, or the damage is told.

use std::path::{Path, PathBuf};

use helkflow::model::Secret;
use helkflow::store::{Changes, Manifest, Node, NodeName, Store};

use crate::driver::{helkflow, keep};
use crate::random::{Random, rounds};

/// A state of some checkpoints.
fn state(dir: &Path) {
    let mut store = Store::open(dir, false).unwrap();
    let mut writer = store.bindings().writer("0").unwrap();
    for tick in 0..8_u64 {
        let mut changes = Changes::default();
        for key in 0..200_u64 {
            let name = (key * 7 + tick).to_be_bytes();
            changes.put(tick, Node(key % 2), u128::from(key) << 90, &name, Some(&[tick as u8; 50]));
        }
        writer.append(tick, [("topic", 0, tick as i64)]);
        writer.write().unwrap();
        let nodes = [0, 1].map(|node| NodeName { node: Node(node), name: format!("node {node}") });
        let manifest = Manifest {
            frontier: tick + 1,
            nodes: nodes.into(),
            secret: Secret::random(),
            ..Manifest::default()
        };
        store.checkpoint(manifest, &[changes]).unwrap();
    }
    store.bindings().sync().unwrap();
}

fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if !path.ends_with("lock") {
            all.push(path);
        }
    }
    all.sort_unstable();
}

#[test]
fn damaged_state_is_told_of() {
    let sound = tempfile::tempdir().unwrap();
    let dir = sound.path().join("state");
    state(&dir);
    let inspect = ["state", "inspect", "state", "--json"];
    let as_it_was = helkflow(sound.path(), &inspect);
    assert_eq!(as_it_was.code, 0, "{}", as_it_was.stderr);
    rounds(|seed| {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let copied =
            std::process::Command::new("cp").arg("-r").arg(&dir).arg(folder.path()).status();
        assert!(copied.unwrap().success());
        let mut all = Vec::new();
        files(&folder.path().join("state"), &mut all);
        let path = &all[random.below(all.len())];
        let mut bytes = std::fs::read(path).unwrap();
        let at = random.below(bytes.len().max(1));
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.extend(random.bytes(20)),
            2 => _ = bytes.splice(at..at, random.bytes(5)),
            _ => bytes[at] ^= 1 << random.below(8),
        }
        std::fs::write(path, &bytes).unwrap();
        let ended = helkflow(folder.path(), &inspect);
        // the end of bindings that are open may be missing, as after a crash
        let open = path.extension().is_some_and(|extension| extension == "open");
        let told = ended.code != 0 || open || ended.stdout == as_it_was.stdout;
        assert!(
            told,
            "{} is damaged, and nothing says so; the folder is {}",
            path.display(),
            keep(folder.path())
        );
    });
}
