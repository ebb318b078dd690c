//! Counts over public captures, which are not in the repository.
//!
//! `HELKFLOW_CAPTURES` names their folder, by default `../shared/captures`. Without it the test says so and passes, unless `CI=true`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use helkflow::sysmon::{Decoder, RecordMeta, RowSink, Shape, Tap, catalogue};

#[derive(Default)]
struct Rows {
    arena: Vec<u8>,
    count: u64,
}

impl RowSink for Rows {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }
    fn row(&mut self, _: usize, _: std::ops::Range<usize>) {
        self.count += 1;
        self.arena.clear();
    }
}

fn captures() -> Option<PathBuf> {
    let folder = std::env::var_os("HELKFLOW_CAPTURES")
        .map_or_else(|| PathBuf::from("../shared/captures"), PathBuf::from);
    if folder.join("truth.json").exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no captures in {}", folder.display());
    eprintln!("SKIPPED: no captures in {}", folder.display());
    None
}

/// All members of a capture, in order.
fn members(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::File::open(path).unwrap();
    let ours = |name: &str| {
        !name.contains("__MACOSX") && !name.rsplit('/').next().unwrap().starts_with("._")
    };
    let mut all = Vec::new();
    let is = |extension: &str| path.extension().is_some_and(|e| e == extension);
    if is("zip") {
        let mut archive = zip::ZipArchive::new(file).unwrap();
        for i in 0..archive.len() {
            let mut member = archive.by_index(i).unwrap();
            if member.is_file() && ours(&member.name().unwrap()) {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).unwrap();
                all.push(bytes);
            }
        }
    } else if is("gz") {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        for member in archive.entries().unwrap() {
            let mut member = member.unwrap();
            if member.header().entry_type().is_file()
                && ours(&member.path().unwrap().to_string_lossy())
            {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).unwrap();
                all.push(bytes);
            }
        }
    } else {
        all.push(std::fs::read(path).unwrap());
    }
    all
}

/// The records of an EVTX file, chunk by chunk, since a header may claim too few chunks.
fn evtx_records(file: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for chunk in file[4096..].chunks_exact(65536).filter(|chunk| chunk.starts_with(b"ElfChnk\0")) {
        let Ok(mut data) = evtx::EvtxChunkData::new(chunk.to_vec(), false) else { continue };
        let settings = evtx::ParserSettings::default().indent(false).validate_checksums(false);
        let Ok(mut chunk) = data.parse(std::sync::Arc::new(settings)) else { continue };
        records.extend(
            chunk
                .iter()
                .filter_map(|record| Some(record.ok()?.into_json().ok()?.data.into_bytes())),
        );
    }
    records
}

#[test]
fn counts_agree_with_the_truth() {
    let Some(folder) = captures() else { return };
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("truth.json")).unwrap()).unwrap();
    for (name, truth) in truth["captures"].as_object().unwrap() {
        let all = Tap { columns: (0..catalogue::WIDTH + 3).collect(), events: None };
        let mut decoder = Decoder::new(&[all]);
        let mut rows = Rows::default();
        let mut refused = 0;
        let mut decode = |decoder: &mut Decoder, record: &[u8], evtx: bool| {
            if let Err(error) =
                decoder.decode(record, &RecordMeta { evtx, ..RecordMeta::default() }, &mut rows)
            {
                refused += 1;
                eprintln!("{name}: {error}");
            }
        };
        for member in members(&folder.join(name)) {
            if member.starts_with(b"ElfFile\0") {
                for record in evtx_records(&member) {
                    decode(&mut decoder, &record, true);
                }
                continue;
            }
            for line in member
                .split(|b| *b == b'\n')
                .map(<[u8]>::trim_ascii)
                .filter(|line| !line.is_empty())
            {
                let key = if line.starts_with(b"{") {
                    0
                } else {
                    line.windows(2).position(|w| w == b":{").map_or(0, |at| at + 1)
                };
                decode(&mut decoder, &line[key..], false);
            }
        }
        let stats = decoder.stats();
        assert_eq!(refused, 0, "{name}");
        let events: BTreeMap<String, u64> =
            stats.events.iter().map(|(id, count)| (id.to_string(), *count)).collect();
        let expected: BTreeMap<String, u64> =
            serde_json::from_value(truth["sysmon"]["per_eid"].clone()).unwrap();
        assert_eq!(events, expected, "{name}");
        assert_eq!(rows.count, stats.sysmon(), "{name}");
        assert_eq!(
            stats.sysmon() + stats.other_channels,
            truth["records"].as_u64().unwrap(),
            "{name}"
        );
        let shapes: Vec<Shape> = stats.by_shape().map(|(shape, _)| shape).collect();
        let expected = match truth["shape"].as_object().unwrap().keys().next().unwrap().as_str() {
            "flat" => Shape::Flat,
            "wlb6" => Shape::Winlogbeat6,
            "wlb7" => Shape::Winlogbeat7,
            "azure" => Shape::Azure,
            "evtx" => Shape::Evtx,
            other => panic!("{other}"),
        };
        assert_eq!(shapes, [expected], "{name}");
        eprintln!(
            "{name}: {:?}, without zone {}, without time {}",
            stats.by_column().collect::<Vec<_>>(),
            stats.without_zone,
            stats.without_time
        );
    }
}
