//! Damaged chunks of an EVTX file among sound ones. A chunk of 64 KiB is what has a checksum, so what is touched is a chunk.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common;
use crate::driver::{helkflow, keep};
use crate::random::{Random, rounds};

const HEADER: usize = 4096;
const CHUNK: usize = 65_536;
const SQL: &str = "CREATE STREAM events WITH (KAFKA_TOPIC = 'events', VALUE_FORMAT = 'SYSMON'); SELECT event_key FROM events;";

/// The keys of the events in a file, each with how often it is there.
fn keys(folder: &Path, bytes: &[u8]) -> BTreeMap<String, usize> {
    std::fs::write(folder.join("keys.sql"), SQL).unwrap();
    std::fs::write(folder.join("log.evtx"), bytes).unwrap();
    let ended = helkflow(folder, &["replay", "-d", "keys.sql", "-q", "log.evtx"]);
    let mut keys = BTreeMap::new();
    for line in String::from_utf8(ended.stdout).unwrap().lines() {
        *keys.entry(line.to_owned()).or_default() += 1;
    }
    keys
}

#[test]
fn a_damaged_chunk_takes_no_others_with_it() {
    let Some(captures) = common::shared("HELKFLOW_CAPTURES", "captures") else { return };
    let whole = std::fs::read(captures.join("sysmon.evtx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let chunks: Vec<&[u8]> = whole[HEADER..]
        .chunks_exact(CHUNK)
        .filter(|chunk| chunk.starts_with(b"ElfChnk"))
        .take(6)
        .collect();
    let file = |chunks: &[&[u8]]| [&whole[..HEADER], &chunks.concat()].concat();
    let alone: Vec<_> = chunks.iter().map(|chunk| keys(folder.path(), &file(&[chunk]))).collect();
    assert!(chunks.len() > 2 && alone.iter().all(|keys| !keys.is_empty()));
    rounds(|seed| {
        let mut random = Random::new(seed);
        let wrong = random.below(chunks.len());
        let mut bytes = file(&chunks);
        // chunks are found by their magic, so what is touched may be any byte of one
        let start = HEADER + wrong * CHUNK;
        for _ in 0..=random.below(8) {
            let at = start + if random.one_in(2) { random.below(600) } else { random.below(CHUNK) };
            bytes[at] = random.next() as u8;
        }
        let found = keys(folder.path(), &bytes);
        for (i, keys) in alone.iter().enumerate().filter(|(i, _)| *i != wrong) {
            for (key, count) in keys {
                assert!(
                    found.get(key) >= Some(count),
                    "{key} of chunk {i} is missing where chunk {wrong} is damaged; the folder is {}",
                    keep(folder.path())
                );
            }
        }
    });
}
