//! Archives: other kinds, passwords, folders, limits.

use std::io::Read;

use sevenz_rust2::encoder_options::{AesEncoderOptions, Lzma2Options};
use sevenz_rust2::{ArchiveEntry, ArchiveWriter};

use super::*;

pub(super) fn bz2(data: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

pub(super) fn xz(data: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

pub(super) fn encrypted_zip(data: &[u8], password: &str) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .with_aes_encryption(zip::AesMode::Aes256, password);
    out.start_file("m.json", options).unwrap();
    out.write_all(data).unwrap();
    out.finish().unwrap().into_inner()
}

pub(super) fn seven_z(members: &[(&str, &[u8])], password: Option<&str>) -> Vec<u8> {
    let mut out = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    let compressed = Lzma2Options::from_level(1).into();
    out.set_content_methods(match password {
        Some(password) => vec![AesEncoderOptions::new(password.into()).into(), compressed],
        None => vec![compressed],
    });
    out.set_encrypt_header(false);
    for (name, data) in members {
        out.push_archive_entry(ArchiveEntry::new_file(name), Some(*data)).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn passwords_are_tried() {
    use zip::unstable::write::FileOptionsExt;
    let data = lines(100);
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().with_deprecated_encryption(b"s3cret").unwrap();
    out.start_file("m.json", options).unwrap();
    out.write_all(&data).unwrap();
    let old = out.finish().unwrap().into_inner();
    let archives = [
        old,
        encrypted_zip(&data, "s3cret"),
        seven_z(&[("m.json", &data)], Some("s3cret")),
        gz(&tar_of(&[("in.7z", &seven_z(&[("m.json", &data)], Some("s3cret")))])),
    ];
    for (n, archive) in archives.iter().enumerate() {
        let (_dir, path) = written("a", archive);
        let with = |password: Option<&str>| {
            let password = password.map(str::to_owned);
            run(&[&path], Options { password, ..Options::default() }, 1)
        };
        let opened = with(Some("s3cret"));
        assert_eq!((opened.records.len(), opened.letters.len()), (100, 0), "{n}");
        for password in [None, Some("wrong")] {
            let refused = with(password);
            assert!(refused.records.is_empty(), "{n}");
            let [letter] = &refused.letters[..] else { panic!("{n}: {:?}", refused.letters) };
            assert_eq!(letter.reason, Reason::UnsupportedArchive, "{n}: {letter}");
            assert!(letter.detail.contains("--password"), "{n}: {letter}");
        }
    }
    // the usual password needs no option
    let (_dir, path) = written("a.7z", &seven_z(&[("m.json", &data)], Some("infected")));
    assert_eq!(run(&[&path], Options::default(), 1).records.len(), 100);
}

#[test]
fn a_damaged_7z_is_told() {
    let data = lines(20_000);
    let whole = seven_z(&[("a.json", &data), ("b.json", &data)], None);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    for (name, bytes) in [("flip", &damaged[..]), ("cut", &whole[..whole.len() / 2])] {
        let (_dir, path) = written("a.7z", bytes);
        let run = run(&[&path], Options::default(), 1);
        let damage = |l: &&DeadLetter| l.reason != Reason::InvalidJson;
        assert!(run.letters.iter().any(|l| damage(&l)), "{name}: {:?}", run.letters);
    }
}

#[test]
fn what_unpacks_to_too_much_is_stopped() {
    let blanks = vec![b'['; 4 << 20];
    let text = [&lines(10)[..], &blanks].concat();
    // much smaller than what is in them
    let archives = [
        ("a.xz", xz(&text)),
        ("a.zip", zip_of(&[("m.json", &text)])),
        ("a.7z", seven_z(&[("m.json", &text)], None)),
        ("a.txz", xz(&tar_of(&[("m.json", &text)]))),
        ("a.gz", gz(&xz(&text))),
    ];
    for (name, archive) in archives {
        let (_dir, path) = written(name, &archive);
        let limited = |max_unpacked| {
            run(&[&path], Options { max_unpacked, chunk_bytes: 1 << 16, ..Options::default() }, 1)
        };
        let stopped = limited(1 << 20);
        assert_eq!(stopped.records.len(), 10, "{name}");
        let [letter] = &stopped.letters[..] else { panic!("{name}: {:?}", stopped.letters) };
        assert_eq!(letter.reason, Reason::UnpackedTooLarge, "{name}");
        assert!(letter.detail.contains("--max-unpacked"), "{name}: {letter}");
        let read = limited(1 << 30);
        assert_eq!((read.records.len(), read.letters.len()), (10, 0), "{name}");
    }
}

#[test]
fn names_in_tar_archives_are_bounded() {
    let long = |length: usize| {
        let mut out = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(length as u64);
        header.set_cksum();
        out.append(&header, &vec![b'n'; length][..]).unwrap();
        let data = lines(3);
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        out.append_data(&mut header, "m.json", &data[..]).unwrap();
        out.into_inner().unwrap()
    };
    let (_dir, path) = written("a.tar", &long(5000));
    assert_eq!(run(&[&path], Options::default(), 1).records.len(), 3);
    let (_dir, path) = written("a.tar", &long(8 << 20));
    let refused = run(&[&path], Options::default(), 1);
    assert!(refused.records.is_empty());
    assert_eq!(refused.letters.len(), 1);
    assert_eq!(refused.letters[0].reason, Reason::DamagedArchive);
}

#[test]
fn a_folder_is_read_by_what_its_files_hold() {
    let dir = tempfile::tempdir().unwrap();
    let data = lines(3);
    let garbage = [0x89, 1, 2, 0, 0, 7, 0, 255].repeat(100);
    let files: [(&str, Vec<u8>); 12] = [
        ("winlogbeat", data.clone()),
        ("winlogbeat.ndjson.1", data.clone()),
        ("old.evtx_old", gz(&data)),
        ("x.bak", xz(&data)),
        ("sub/x.out", bz2(&data)),
        ("sub/x.dat", seven_z(&[("in.1", &data), ("notes", b"words\n")], None)),
        ("syslog", b"Jan 1 h s: <Event>1</Event>\n".to_vec()),
        (".hidden", data.clone()),
        ("README", b"some words\nabout it\n".to_vec()),
        ("tool.exe", garbage.clone()),
        ("broken.evtx", garbage),
        ("none", Vec::new()),
    ];
    for (name, content) in &files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let run = run(&[dir.path()], Options::default(), 2);
    assert_eq!(run.records.len(), 6 * 3 + 1);
    let skipped: Vec<(&str, usize)> =
        run.census.skipped.iter().map(|(why, members)| (*why, members.len())).collect();
    let expected = [("binary data of no known format", 1), ("text without events", 2)];
    assert_eq!((skipped, run.census.empty.len()), (expected.to_vec(), 1));
    // a name that promises events is held to it
    let [letter] = &run.letters[..] else { panic!("{:?}", run.letters) };
    assert_eq!(letter.reason, Reason::Binary);
    assert!(letter.origin.file.ends_with("broken.evtx"));
}

#[test]
fn readers_of_streams_agree_with_their_writers() {
    let data = lines(5000);
    for packed in [bz2(&data), xz(&data)] {
        let content = crate::format::container::Content::identify(&packed, Expect::Events);
        let twice = [&packed[..], &packed].concat();
        let mut read = Vec::new();
        crate::format::container::decompress(&content, &twice[..])
            .unwrap()
            .read_to_end(&mut read)
            .unwrap();
        assert!(read == data.repeat(2), "{content:?}");
    }
}
