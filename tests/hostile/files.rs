//! A damaged file, or member of an archive, among sound ones.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;

use crate::driver::{all_came_out, event, numbers};
use crate::random::{Random, rounds};

fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.map(event).flat_map(|line| [line, b"\n".to_vec()].concat()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (i, member) in members.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, format!("{i}.json"), &member[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An archive, and where the content of each member lies in it.
fn zip(members: &[Vec<u8>]) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (i, member) in members.iter().enumerate() {
        writer.start_file(format!("{i}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(member).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let place = |i: usize| {
        let file = archive.by_index_raw(i).unwrap();
        let start = file.data_start().unwrap() as usize;
        start..start + file.compressed_size() as usize
    };
    let places = (0..members.len()).map(place).collect();
    (bytes, places)
}

fn damage(bytes: &mut [u8], within: std::ops::Range<usize>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = within.start + random.below(within.len());
        bytes[at] = random.next() as u8;
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

#[test]
fn a_damaged_file_takes_no_others_with_it() {
    rounds(|seed| {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut untouched = BTreeSet::new();
        let files = 2 + random.below(5);
        let wrong = random.below(files);
        for file in 0..files {
            let numbers = file * 100..file * 100 + 1 + random.below(60);
            let plain = lines(numbers.clone());
            let mut bytes = match random.below(6) {
                0 => plain,
                1 => gzip(&plain),
                2 => zstd::encode_all(&plain[..], 1).unwrap(),
                3 => tar(&[plain]),
                4 => gzip(&tar(&[plain])),
                _ => zip(&[plain]).0,
            };
            if file == wrong {
                let all = 0..bytes.len();
                match random.below(3) {
                    0 => bytes.truncate(random.below(all.end)),
                    1 => bytes = random.bytes(5000),
                    _ => damage(&mut bytes, all, &mut random),
                }
            } else {
                untouched.extend(numbers);
            }
            write(folder.path(), &format!("{file}.in"), &bytes);
        }
        let names: Vec<String> = (0..files).map(|file| format!("{file}.in")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = numbers(folder.path(), &names, &["-w", ["1", "2"][random.below(2)]]);
        all_came_out(&untouched, &found, folder.path());
    });
}

#[test]
fn a_damaged_member_takes_no_others_with_it() {
    rounds(|seed| {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let count = 2 + random.below(5);
        let members: Vec<Vec<u8>> =
            (0..count).map(|i| lines(i * 100..i * 100 + 1 + random.below(60))).collect();
        let wrong = random.below(count);
        let bytes = if random.one_in(2) {
            let (mut bytes, places) = zip(&members);
            damage(&mut bytes, places[wrong].clone(), &mut random);
            bytes
        } else {
            // the content of a member, and not what says where the next one is
            let mut members = members.clone();
            let all = 0..members[wrong].len();
            damage(&mut members[wrong], all, &mut random);
            let bytes = tar(&members);
            if random.one_in(2) { gzip(&bytes) } else { bytes }
        };
        write(folder.path(), "archive", &bytes);
        let of = |i: usize| i * 100..i * 100 + members[i].split(|byte| *byte == b'\n').count() - 1;
        let untouched = (0..count).filter(|i| *i != wrong).flat_map(of).collect();
        let found = numbers(folder.path(), &["archive"], &[]);
        all_came_out(&untouched, &found, folder.path());
    });
}
