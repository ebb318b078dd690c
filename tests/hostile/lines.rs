//! Damaged lines among sound ones.

use std::collections::BTreeSet;

use crate::driver::{all_came_out, event, numbers};
use crate::random::{Random, rounds};

/// Damages a line and leaves it one.
fn damage(line: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(line.len());
    match random.below(7) {
        0 => line.truncate(at),
        1 => _ = line.drain(..at),
        2 => line[at] = random.bytes(1).first().copied().unwrap_or(b'x'),
        3 => {
            let end = at + random.below(line.len() - at);
            line.drain(at..end);
        }
        4 => _ = line.splice(at..at, random.bytes(9)),
        5 => *line = random.bytes(300),
        // a bracket or a quote that is never closed
        _ => {
            _ = line.splice(
                ..0,
                random
                    .choose::<[u8]>(&[
                        b"[",
                        b"{",
                        b"\"",
                        b"[\"",
                        b"{\"a\":[",
                        b"<Event>",
                        b"<!--",
                        b"\xef\xbb\xbf[",
                    ])
                    .to_vec(),
            )
        }
    }
}

#[test]
fn damaged_lines_take_no_others_with_them() {
    rounds(|seed| {
        let mut random = Random::new(seed);
        let mut untouched = BTreeSet::new();
        let mut file = Vec::new();
        let rate = 2 + random.below(30);
        for number in 0..20 + random.below(200) {
            let mut line = event(number);
            // sound lines of one kind or of several
            if seed % 2 == 0 {
                line = event(number * 3);
            }
            // what a file begins with still decides how it is read, so that line is sound
            if random.one_in(rate) {
                damage(&mut line, &mut random);
            } else {
                untouched.insert(if seed % 2 == 0 { number * 3 } else { number });
            }
            file.extend_from_slice(&line);
            file.extend_from_slice(if random.one_in(3) { b"\r\n" } else { b"\n" });
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("events.json"), &file).unwrap();
        let chunk = ["4096", "65536", "1048576"][random.below(3)];
        let options = ["-w", ["1", "2"][random.below(2)], "--chunk-bytes", chunk];
        let found = numbers(folder.path(), &["events.json"], &options);
        all_came_out(&untouched, &found, folder.path());
    });
}
