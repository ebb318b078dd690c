//! Whatever the container, encoding, chunk size, workers and processes: the records are
//! those of a trivial split.

mod archives;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::format::split::{Expect, Syntax, Trust};
use crate::model::dead_letter::{DeadLetter, Reason};

/// A record as a run hands it out: member, offset, bytes.
type Found = (u32, u64, Vec<u8>);

struct Run {
    records: Vec<Found>,
    members: BTreeMap<u32, Arc<Member>>,
    letters: Vec<DeadLetter>,
    census: Census,
}

fn found<P: AsRef<Path>>(inputs: &[P]) -> Vec<Input> {
    discover(inputs, Expect::Events).unwrap()
}

/// Reads everything with so many workers. Records that are no JSON become dead letters, as a
/// decoder would make them.
fn run<P: AsRef<Path>>(inputs: &[P], options: Options, workers: usize) -> Run {
    let sink = tempfile::NamedTempFile::new().unwrap();
    let letters = Arc::new(DeadLetters::new(Some(Box::new(sink.reopen().unwrap()))));
    let dispenser =
        Dispenser::new(found(inputs), options, Arc::clone(&letters), Arc::default()).unwrap();
    let work = || {
        let mut found = Vec::new();
        let mut members = Vec::new();
        let mut buffer = Vec::new();
        while let Some(chunk) = dispenser.next(std::mem::take(&mut buffer)) {
            let mut bad = Vec::new();
            members.push(Arc::clone(&chunk.member));
            let mut records = chunk.records();
            let is_json = |record: &Record<'_>| {
                serde_json::from_slice::<serde_json::Value>(record.bytes).is_ok()
            };
            for whole in &mut records {
                let sound = whole.trust != Trust::Ends || is_json(&whole);
                let parts = chunk.parts(&whole).take(if sound { 0 } else { usize::MAX });
                for record in sound.then_some(whole).into_iter().chain(parts) {
                    found.push((chunk.member.ordinal, record.offset, record.bytes.to_vec()));
                    if record.syntax != Syntax::Xml && !is_json(&record) {
                        bad.push(record.letter(Reason::InvalidJson, ""));
                    }
                }
            }
            let lines = records.lines();
            buffer = dispenser.finish(chunk, lines, bad);
        }
        (found, members)
    };
    let mut records = Vec::new();
    let mut members = BTreeMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (found, of) = thread.join().unwrap();
            records.extend(found);
            members.extend(of.into_iter().map(|member| (member.ordinal, member)));
        }
    });
    let progress = dispenser.progress();
    assert_eq!(progress.done(), progress.total());
    records.sort();
    letters.close().unwrap();
    let letters = fs::read_to_string(sink.path()).unwrap();
    Run {
        records,
        members,
        letters: letters.lines().map(parse_letter).collect(),
        census: dispenser.census(),
    }
}

fn parse_letter(line: &str) -> DeadLetter {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let reasons = [
        Reason::Unreadable,
        Reason::Binary,
        Reason::TruncatedArchive,
        Reason::DamagedArchive,
        Reason::UnsupportedArchive,
        Reason::UnpackedTooLarge,
        Reason::DamagedEvtxChunk,
        Reason::DamagedEvtxRecord,
        Reason::RecordTooLong,
        Reason::InvalidJson,
        Reason::UnknownShape,
    ];
    DeadLetter {
        origin: crate::model::origin::Origin {
            file: text("file").into(),
            member: value["member"].as_str().map(Into::into),
            line: value["line"].as_u64(),
            record: value["record"].as_u64(),
            offset: value["offset"].as_u64(),
        },
        reason: reasons.into_iter().find(|reason| reason.code() == text("reason")).unwrap(),
        detail: text("detail"),
        excerpt: text("excerpt"),
    }
}

fn small(chunk_bytes: usize) -> Options {
    Options { chunk_bytes, max_record: 1 << 20, ..Options::default() }
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in members {
        let options = zip::write::SimpleFileOptions::default();
        out.start_file(*name, options).unwrap();
        out.write_all(data).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, *data).unwrap();
    }
    out.into_inner().unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Container {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Zip,
    EncryptedZip,
    SevenZ,
    TarGz,
    ZipInZip,
    GzipInTarGz,
    GzipInZip,
}

impl Container {
    fn wrap(self, data: &[u8]) -> (&'static str, Vec<u8>) {
        let readme: (&str, &[u8]) = ("README.md", b"about");
        match self {
            Self::Plain => ("m.json", data.to_vec()),
            Self::Gzip => ("m.json.gz", gz(data)),
            Self::Zstd => ("m.zst", zstd::encode_all(data, 1).unwrap()),
            Self::Bzip2 => ("m.bz2", archives::bz2(data)),
            Self::Xz => ("m", archives::xz(data)),
            Self::Zip => ("m.zip", zip_of(&[("m.json", data)])),
            Self::EncryptedZip => ("m", archives::encrypted_zip(data, "infected")),
            Self::SevenZ => ("m.old", archives::seven_z(&[("m.json.1", data)], None)),
            Self::TarGz => ("m.tgz", gz(&tar_of(&[("./m.json", data)]))),
            Self::ZipInZip => {
                let inner = zip_of(&[("m.json", data), readme]);
                ("m.zip", zip_of(&[("inner.zip", &inner), readme]))
            }
            Self::GzipInTarGz => {
                let inner = gz(data);
                ("m.tar.gz", gz(&tar_of(&[("a/m.json.gz", &inner), readme])))
            }
            Self::GzipInZip => ("m.zip", zip_of(&[("m.gz", &gz(data))])),
        }
    }
}

fn container() -> impl Strategy<Value = Container> {
    prop::sample::select(vec![
        Container::Plain,
        Container::Gzip,
        Container::Zstd,
        Container::Bzip2,
        Container::Xz,
        Container::Zip,
        Container::EncryptedZip,
        Container::SevenZ,
        Container::TarGz,
        Container::ZipInZip,
        Container::GzipInTarGz,
        Container::GzipInZip,
    ])
}

#[derive(Clone, Copy, Debug)]
enum Storage {
    Utf8,
    Utf8Mark,
    Utf16Le,
    Utf16Be,
}

impl Storage {
    fn store(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Utf8Mark => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            Self::Utf16Le => {
                format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
            Self::Utf16Be => {
                format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect()
            }
        }
    }

    /// The offset, in the stored member, of a place in the text.
    fn offset(self, before: &str) -> u64 {
        self.store(before).len() as u64
    }
}

fn storage() -> impl Strategy<Value = Storage> {
    prop::sample::select(vec![Storage::Utf8, Storage::Utf8Mark, Storage::Utf16Le, Storage::Utf16Be])
}

/// How records are laid out in a text.
#[derive(Clone, Copy, Debug)]
enum Arrangement {
    Lines(&'static str),
    Keyed,
    Array,
    PrettyArray,
    Pretty,
    Joined,
}

fn arrangement() -> impl Strategy<Value = Arrangement> {
    prop::sample::select(vec![
        Arrangement::Lines("\n"),
        Arrangement::Lines("\r\n"),
        Arrangement::Lines("\n\n \r\n"),
        Arrangement::Keyed,
        Arrangement::Array,
        Arrangement::PrettyArray,
        Arrangement::Pretty,
        Arrangement::Joined,
    ])
}

/// A record in its two forms: on a line, and over several.
#[derive(Clone, Debug)]
enum Entry {
    Json(serde_json::Value),
    Xml(String),
    /// A line that is nothing.
    Junk(String),
}

fn entry() -> impl Strategy<Value = Entry> {
    let text = || "[a-z{}\\[\\]<>:,\"\\\\\n é😀]{0,20}";
    let json = (text(), any::<i32>(), text()).prop_map(|(a, b, c)| {
        Entry::Json(serde_json::json!({"a": a, "b": {"c": [b, {}]}, "d": c}))
    });
    let xml = text().prop_map(|text| {
        let text = text.replace(['<', '>', '&', '\n'], "");
        Entry::Xml(format!("<Event xmlns='e'><System>{text}</System></Event>"))
    });
    let junk = "[a-z]{1,9}( [a-z\"]{1,5}){0,3}".prop_map(Entry::Junk);
    prop_oneof![6 => json, 2 => xml, 1 => junk]
}

/// The text, and of each record its place, line and bytes.
fn lay_out(entries: &[Entry], how: Arrangement) -> (String, Vec<(usize, u64, String)>) {
    let mut text = String::new();
    let mut expected = Vec::new();
    let pretty = matches!(how, Arrangement::Pretty | Arrangement::PrettyArray);
    let array = matches!(how, Arrangement::Array | Arrangement::PrettyArray);
    if array {
        text.push('[');
    }
    for (n, entry) in entries.iter().enumerate() {
        if n > 0 {
            text.push_str(match how {
                Arrangement::Lines(end) => end,
                Arrangement::Keyed | Arrangement::Pretty => "\n",
                Arrangement::Array => ",",
                Arrangement::PrettyArray => ",\n",
                Arrangement::Joined => "",
            });
        }
        let record = match entry {
            Entry::Json(value) if pretty => serde_json::to_string_pretty(value).unwrap(),
            Entry::Json(value) => value.to_string(),
            Entry::Xml(xml) => {
                text.push_str(match how {
                    Arrangement::Keyed => "Jan  1 00:00:00 host sysmon[1]: ",
                    _ => "",
                });
                if pretty { xml.replace("><System", ">\n  <System") } else { xml.clone() }
            }
            Entry::Junk(junk) => junk.clone(),
        };
        if matches!((entry, how), (Entry::Json(_), Arrangement::Keyed)) {
            text.push_str(["", ":", "some key: ", ": "][n % 4]);
        }
        let line = text.matches('\n').count() as u64 + 1;
        expected.push((text.len(), line, record.clone()));
        text.push_str(&record);
    }
    if array {
        text.push(']');
    }
    (text, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn records_are_those_of_a_trivial_split(
        files in prop::collection::vec(
            (prop::collection::vec(entry(), 1..12), arrangement(), storage(), container(), any::<bool>()),
            1..4,
        ),
        chunk_bytes in prop_oneof![1usize..40, 40usize..2000],
        workers in 1usize..4,
        processes in 1usize..4,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        let mut expected = Vec::new();
        let mut expected_letters = Vec::new();
        let mut ordinal = 0;
        for (n, (entries, how, storage, container, last_newline)) in files.iter().enumerate() {
            let (how, entries) = readable(*how, entries);
            let (mut text, records) = lay_out(&entries, how);
            if *last_newline {
                text.push('\n');
            }
            let (name, bytes) = container.wrap(&storage.store(&text));
            let path = dir.path().join(format!("{n}-{name}"));
            fs::write(&path, bytes).unwrap();
            paths.push(path);
            for (at, line, record) in records {
                let offset = storage.offset(&text[..at]);
                if !record.starts_with(['{', '<']) {
                    expected_letters.push((n, line, offset));
                }
                expected.push((ordinal, offset, record.into_bytes()));
            }
            ordinal += match container {
                Container::ZipInZip => 3,
                Container::GzipInTarGz => 2,
                _ => 1,
            };
        }
        expected.sort();
        let mut records = Vec::new();
        let mut letters = Vec::new();
        for process in 0..processes {
            let options = Options { process, processes, ..small(chunk_bytes) };
            let run = run(&paths, options, workers);
            records.extend(run.records);
            for letter in run.letters {
                prop_assert_eq!(letter.reason, Reason::InvalidJson);
                let file = paths.iter().position(|p| p.to_str() == Some(&letter.origin.file));
                letters.push((file.unwrap(), letter.origin.line, letter.origin.offset.unwrap()));
            }
        }
        records.sort();
        prop_assert_eq!(show(&records), show(&expected));
        if processes == 1 {
            // in the order of the input
            let expected: Vec<_> = expected_letters
                .iter()
                .map(|&(file, line, offset)| (file, Some(line), offset))
                .collect();
            prop_assert_eq!(letters, expected);
        } else {
            letters.sort_unstable();
            prop_assert_eq!(letters.len(), expected_letters.len());
            for (found, expected) in letters.iter().zip(&expected_letters) {
                prop_assert_eq!((found.0, found.2), (expected.0, expected.2));
                prop_assert!(found.1.is_none_or(|line| line == expected.1));
            }
        }
    }
}

/// Makes a layout that can be told from the first bytes, as it can in captures.
fn readable(how: Arrangement, entries: &[Entry]) -> (Arrangement, Vec<Entry>) {
    let mut entries = entries.to_vec();
    let junk = |entry: &Entry| matches!(entry, Entry::Junk(_));
    match how {
        Arrangement::Lines(_) | Arrangement::Keyed => {}
        _ => entries.retain(|entry| !junk(entry)),
    }
    if entries.iter().all(junk) {
        entries.insert(0, Entry::Json(serde_json::json!({"a": "é"})));
    }
    // the first bytes tell UTF-16 and binary data from text
    if junk(&entries[0]) {
        let first = entries.iter().position(|entry| !junk(entry));
        entries.rotate_left(first.unwrap_or(0));
    }
    (how, entries)
}

fn show(records: &[Found]) -> Vec<(u32, u64, String)> {
    records
        .iter()
        .map(|(member, offset, bytes)| {
            (*member, *offset, String::from_utf8_lossy(bytes).into_owned())
        })
        .collect()
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn lines(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|n| format!("{{\"n\":{n},\"pad\":\"{:x}\"}}\n", n * 0x9e37_79b9).into_bytes())
        .collect()
}

#[test]
fn an_empty_file_has_no_records() {
    let (_dir, path) = written("e.json", b"");
    let run = run(&[&path], Options::default(), 2);
    assert!(run.records.is_empty() && run.letters.is_empty());
    assert_eq!(run.census.read, 1);
    assert_eq!(run.census.empty.len(), 1);
}

#[test]
fn an_unreadable_file_is_one_letter_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (bad, good) = (dir.path().join("a.json"), dir.path().join("b.json"));
    fs::write(&bad, lines(3)).unwrap();
    fs::write(&good, lines(2)).unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&bad).is_ok() {
        eprintln!("SKIPPED: root can read any file");
        return;
    }
    let run = run(&[dir.path()], Options::default(), 2);
    assert_eq!(run.records.len(), 2);
    assert_eq!(run.letters.len(), 1);
    assert_eq!(run.letters[0].reason, Reason::Unreadable);
}

#[test]
fn a_file_that_vanishes_is_one_letter() {
    let (_dir, path) = written("v.json", &lines(3));
    let inputs = found(&[&path]);
    fs::remove_file(&path).unwrap();
    let letters = Arc::new(DeadLetters::new(None));
    let dispenser =
        Dispenser::new(inputs, Options::default(), Arc::clone(&letters), Arc::default()).unwrap();
    assert!(dispenser.next(Vec::new()).is_none());
    let summary = letters.close().unwrap();
    assert_eq!(summary.counts[&Reason::Unreadable], 1);
}

#[test]
fn a_truncated_zip_is_read_up_to_the_damage() {
    let data = lines(20_000);
    let whole = zip_of(&[("a.json", &data[..]), ("b.json", &data[..])]);
    for cut in [whole.len() / 4, whole.len() * 3 / 4, whole.len() - 30] {
        let (_dir, path) = written("t.zip", &whole[..cut]);
        let run = run(&[&path], small(10_000), 2);
        let read = run.records.len();
        let least = 40_000 * cut / whole.len() * 8 / 10;
        assert!(read >= least && read <= 40_000, "{cut}: {read} of {least}");
        let archive: Vec<_> =
            run.letters.iter().filter(|letter| letter.reason != Reason::InvalidJson).collect();
        assert_eq!(archive.len(), 1, "{archive:?}");
        // the torn line at the damage
        assert!(run.letters.len() <= 2, "{:?}", run.letters);
    }
}

#[test]
fn a_truncated_zip_with_lengths_behind_the_members_is_salvaged() {
    let data = lines(20_000);
    let mut out = zip::ZipWriter::new_stream(Vec::new());
    let options = zip::write::SimpleFileOptions::default();
    out.start_file("a.json", options).unwrap();
    out.write_all(&data).unwrap();
    let whole = out.finish().unwrap().into_inner();
    let (_dir, path) = written("t.zip", &whole[..whole.len() / 2]);
    let run = run(&[&path], Options::default(), 1);
    assert!(run.records.len() > 8_000, "{}", run.records.len());
    let damage = |l: &&DeadLetter| l.reason != Reason::InvalidJson;
    assert_eq!(run.letters.iter().filter(damage).count(), 1);
}

#[test]
fn a_damaged_gzip_is_read_up_to_the_damage() {
    let data = lines(20_000);
    let mut wrong_sum = gz(&data);
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let (_dir, path) = written("c.json.gz", &wrong_sum);
    let all = run(&[&path], Options::default(), 2);
    assert_eq!(all.records.len(), 20_000);
    assert_eq!(all.letters.len(), 1);
    assert_eq!(all.letters[0].reason, Reason::DamagedArchive);

    let archive = gz(&tar_of(&[("a.json", &data[..]), ("b.json", &data[..])]));
    let (_dir, path) = written("c.tar.gz", &archive[..archive.len() / 2]);
    let half = run(&[&path], Options::default(), 2);
    assert!(half.records.len() > 15_000, "{}", half.records.len());
    let damage: Vec<_> =
        half.letters.iter().filter(|letter| letter.reason != Reason::InvalidJson).collect();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!(damage[0].reason, Reason::TruncatedArchive);
}

#[test]
fn a_truncated_tar_is_told() {
    let archive = tar_of(&[("a.json", &lines(1000)[..])]);
    let (_dir, path) = written("t.tar", &archive[..archive.len() / 2]);
    let run = run(&[&path], Options::default(), 1);
    assert!(run.records.len() > 400);
    let last = run.letters.last().unwrap();
    assert_eq!(last.reason, Reason::TruncatedArchive);
    assert_eq!(last.origin.member.as_deref(), Some("a.json"));
}

#[test]
fn what_is_no_capture_is_skipped_or_one_letter() {
    let garbage = [0x89, 1, 2, 0, 0, 7, 0, 255].repeat(1000);
    let members: [(&str, &[u8]); 6] = [
        ("README.md", b"# about\nsome\nlines\n"),
        ("picture.png", &garbage),
        ("broken.json", &garbage),
        ("unnamed", b"{\"a\":1}\n"),
        ("__MACOSX/._a.json", &garbage),
        ("a.xz.json", b"\xfd7zXZ\0\0\0"),
    ];
    let (_dir, path) = written("m.zip", &zip_of(&members));
    let run = run(&[&path], Options::default(), 2);
    assert_eq!(show(&run.records), [(3, 0, "{\"a\":1}".to_owned())]);
    let skipped: Vec<_> = run
        .census
        .skipped
        .iter()
        .map(|(why, members)| (*why, members[0].inner.as_deref().unwrap(), members.len()))
        .collect();
    let expected = [
        ("binary data of no known format", "picture.png", 1),
        ("text without events", "README.md", 1),
    ];
    assert_eq!(skipped, expected);
    let letters: Vec<_> = run.letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(letters, [Reason::Binary, Reason::TruncatedArchive]);
}

#[test]
fn too_many_containers_are_a_letter() {
    let deep = (0..5).fold(lines(1), |data, _| gz(&data));
    let (_dir, path) = written("d.gz", &deep);
    let run = run(&[&path], Options::default(), 1);
    assert!(run.records.is_empty());
    assert_eq!(run.letters.len(), 1);
    assert_eq!(run.letters[0].reason, Reason::UnsupportedArchive);
}

#[test]
fn a_long_line_is_read_and_a_longer_one_is_a_letter() {
    let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(20 << 20));
    let text = [b"{\"a\":1}\n", long.as_bytes(), b"{\"b\":2}\n"].concat();
    for (name, bytes) in [("l.json", text.clone()), ("l.json.gz", gz(&text))] {
        let (_dir, path) = written(name, &bytes);
        let all = run(&[&path], Options::default(), 2);
        let lengths: Vec<_> = all.records.iter().map(|r| r.2.len()).collect();
        assert_eq!(lengths, [7, long.len() - 1, 7]);

        let options = Options { max_record: 2 << 20, ..Options::default() };
        let cut = run(&[&path], options, 2);
        let found: Vec<_> = cut.records.iter().map(|r| r.1).collect();
        assert_eq!(found, [0, 8 + long.len() as u64]);
        assert_eq!(cut.letters.len(), 1);
        assert_eq!(cut.letters[0].reason, Reason::RecordTooLong);
        assert_eq!(cut.letters[0].origin.line, Some(2));
        assert_eq!(cut.letters[0].origin.offset, Some(8));
    }
}

#[test]
fn an_array_element_beyond_the_limit_is_a_letter() {
    let long = format!("{{\n\"x\":\n\"{}\\\\\"\n}}", "y\\\"".repeat(1000));
    let text = format!("[{{\"a\":1}},\n{long},\n{{\"b\":\n01}}]\n");
    let (_dir, path) = written("l.json", text.as_bytes());
    for chunk_bytes in [1, 7, 100, 500] {
        let options = Options { max_record: 500, ..small(chunk_bytes) };
        let run = run(&[&path], options, 2);
        let found = show(&run.records);
        let last = text.len() as u64 - 11;
        let expected = [(0, 1, "{\"a\":1}".to_owned()), (0, last, "{\"b\":\n01}".to_owned())];
        assert_eq!(found, expected);
        let letters: Vec<_> =
            run.letters.iter().map(|l| (l.reason, l.origin.line, l.origin.offset)).collect();
        assert_eq!(
            letters,
            [
                (Reason::RecordTooLong, Some(2), Some(10)),
                (Reason::InvalidJson, Some(6), Some(last)),
            ]
        );
    }
}

#[test]
fn invalid_utf8_and_a_torn_last_line_pass_through() {
    let (_dir, path) = written("u.json", b"{\"a\":\"\xff\"}\n{\"a\":1}\n{\"a\":");
    let run = run(&[&path], small(5), 2);
    let bytes: Vec<_> = run.records.iter().map(|r| &r.2[..]).collect();
    assert_eq!(bytes, [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":1}", b"{\"a\":"]);
    let lines: Vec<_> = run.letters.iter().map(|l| l.origin.line).collect();
    assert_eq!(lines, [Some(1), Some(3)]);
}

#[test]
fn the_stop_flag_ends_the_queue() {
    let (_dir, path) = written("s.json.gz", &gz(&lines(10_000)));
    let stop = Arc::new(AtomicBool::new(false));
    let dispenser = Dispenser::new(
        found(&[&path]),
        small(1000),
        Arc::new(DeadLetters::new(None)),
        Arc::clone(&stop),
    )
    .unwrap();
    assert!(dispenser.next(Vec::new()).is_some());
    stop.store(true, Ordering::Relaxed);
    assert!(dispenser.next(Vec::new()).is_none());
}

#[test]
fn pipes_are_for_one_process() {
    let options = Options { processes: 2, ..Options::default() };
    let made =
        Dispenser::new(found(&["-"]), options, Arc::new(DeadLetters::new(None)), Arc::default());
    assert!(matches!(made, Err(DispenserError::PipeShared(_))));
}

/// The folder of public captures, or `None` after saying that a test is skipped.
fn captures() -> Option<PathBuf> {
    let folder = std::env::var_os("HELKFLOW_CAPTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "set HELKFLOW_CAPTURES to the folder of captures"
    );
    eprintln!("SKIPPED: no captures; set HELKFLOW_CAPTURES to their folder");
    None
}

#[test]
fn captures_are_read_completely() {
    let Some(folder) = captures() else { return };
    let truth = fs::read(folder.join("truth.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&truth).unwrap();
    for (name, facts) in truth["captures"].as_object().unwrap() {
        let run = run(&[folder.join(name)], Options::default(), 2);
        assert_eq!(run.records.len() as u64, facts["records"], "{name}");
        assert_eq!(run.members.len(), 1, "{name}");
        assert_eq!(run.letters, [], "{name}");
    }
}

#[test]
fn a_damaged_event_log_is_read_around_the_damage() {
    let Some(folder) = captures() else { return };
    let mut log = fs::read(folder.join("sysmon.evtx")).unwrap();
    // the second chunk loses its magic, a record of the first its header
    log[4096 + 65536] = b'X';
    let record = (4096 + 5000..log.len()).find(|&at| log[at..].starts_with(b"**\0\0")).unwrap();
    log[record] = b'X';
    let (_dir, path) = written("d.evtx", &log);
    let (_zip_dir, zip_path) = written("d.zip", &zip_of(&[("d.evtx", &log)]));
    for path in [path, zip_path] {
        let run = run(&[&path], Options::default(), 2);
        assert_eq!(run.records.len(), 358 - 40 - 1);
        let letters: Vec<_> = run.letters.iter().map(|l| (l.reason, l.origin.offset)).collect();
        assert_eq!(
            letters,
            [
                (Reason::DamagedEvtxRecord, Some(record as u64)),
                (Reason::DamagedEvtxChunk, Some(4096 + 65536)),
            ]
        );
        // offsets are those of the records in the file
        for (_, offset, json) in &run.records {
            let at = *offset as usize;
            assert_eq!(&log[at..at + 4], b"**\0\0");
            let number = u64::from_le_bytes(log[at + 8..at + 16].try_into().unwrap());
            let json: serde_json::Value = serde_json::from_slice(json).unwrap();
            assert_eq!(json["Event"]["System"]["EventRecordID"], number);
        }
    }
}

#[test]
fn a_truncated_event_log_is_read_up_to_its_end() {
    let Some(folder) = captures() else { return };
    let log = fs::read(folder.join("sysmon.evtx")).unwrap();
    let (_dir, path) = written("t.evtx", &log[..4096 + 65536 + 30_000]);
    let run = run(&[&path], Options::default(), 1);
    assert!(run.records.len() > 41 + 10, "{}", run.records.len());
    assert_eq!(run.letters[0].reason, Reason::DamagedEvtxChunk);
}
