//! `helkflow inspect` through the built binary: what it tells is what a replay reads, and why
//! nothing comes out where nothing does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";

fn helkflow(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helkflow"));
    command.args(args).stdin(Stdio::null()).env("COLUMNS", "100").output().unwrap()
}

fn succeeded(args: &[&str]) -> String {
    let out = helkflow(args);
    let text = String::from_utf8(out.stdout).unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{args:?}: {err}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with files of these contents.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        Folder(folder)
    }

    fn of(name: &str, content: &str) -> Folder {
        Folder::new(&[(name, content.as_bytes())])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn json(&self) -> Value {
        let out = succeeded(&["inspect", "--format", "json", text(self.0.path())]);
        serde_json::from_str(&out).unwrap()
    }

    fn text(&self) -> String {
        succeeded(&["inspect", text(self.0.path())])
    }
}

fn generate(path: &Path, options: &str) {
    let options = ["generate", "-o", text(path)].into_iter().chain(options.split(' '));
    succeeded(&options.collect::<Vec<_>>());
}

/// A sum of `count` by the name in `key`.
fn counts(list: &Value, key: &str, count: &str) -> BTreeMap<String, u64> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| {
        let name = item[key].as_str().map_or_else(|| item[key].to_string(), str::to_lowercase);
        (name, item[count].as_u64().unwrap())
    })
    .collect()
}

/// What SQL counts over the same input.
#[test]
fn the_figures_are_those_of_a_replay() {
    let folder = Folder::new(&[]);
    let day = folder.path("day.ndjson");
    generate(&day, "--events 2000 --hosts 5 --shape winlogbeat6,nxlog,evtx-dump,azure,winlogbeat7");
    let mut bytes = fs::read(&day).unwrap();
    bytes.extend_from_slice(b"{\"torn\":\n{\"a\":1}\n");
    fs::write(&day, bytes).unwrap();
    let sql = folder.path("count.sql");
    fs::write(
        &sql,
        "CREATE STREAM events WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON');
         CREATE TABLE counted AS
         SELECT shape, event_id, host, COUNT(*) AS n, MIN(event_time) AS first,
                MAX(event_time) AS last
         FROM events GROUP BY shape, event_id, host;",
    )
    .unwrap();
    let rows: Vec<Value> = succeeded(&["replay", text(&day), "-q", "-d", text(&sql)])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let by = |key: &str| {
        let mut sums = BTreeMap::new();
        for row in &rows {
            let name = row[key].as_str().map_or_else(|| row[key].to_string(), str::to_lowercase);
            *sums.entry(name).or_insert(0) += row["N"].as_u64().unwrap();
        }
        sums
    };
    let all = &folder_json(&day)["all"];
    assert!(by("SHAPE").len() == 5 && by("HOST").len() == 5 && by("EVENT_ID").len() > 10);
    assert_eq!(counts(&all["shapes"], "shape", "events"), by("SHAPE"));
    assert_eq!(counts(&all["events"], "event_id", "count"), by("EVENT_ID"));
    assert_eq!(counts(&all["hosts"], "name", "events"), by("HOST"));
    assert_eq!(all["sysmon"], by("HOST").values().sum::<u64>());
    let times =
        |key: &'static str| rows.iter().map(move |row| row[key].as_str().unwrap().to_owned());
    assert_eq!(all["from"], times("FIRST").min().unwrap());
    assert_eq!(all["to"], times("LAST").max().unwrap());
    assert_eq!(all["not_understood"], 2);
    assert_eq!(all["records"], 2002);
    let channels = counts(&all["channels"], "name", "events");
    assert_eq!(channels[&CHANNEL.to_lowercase()], all["sysmon"].as_u64().unwrap());
    assert_eq!(channels.values().sum::<u64>(), 2000);
}

fn folder_json(path: &Path) -> Value {
    serde_json::from_str(&succeeded(&["inspect", "--format", "json", text(path)])).unwrap()
}

#[test]
fn nothing_depends_on_workers_and_chunks() {
    let folder = Folder::new(&[]);
    let [day, more] = ["day.ndjson", "more.xml"].map(|name| folder.path(name));
    generate(&day, "--events 1500 --hosts 3 --shape winlogbeat6,nxlog,xml");
    generate(&more, "--events 300 --shape xml-events --seed 9");
    let mut bytes = fs::read(&day).unwrap();
    for n in 0..40 {
        writeln!(bytes, "{{\"n\":{n}}}").unwrap();
    }
    fs::write(&day, bytes).unwrap();
    let inspect = |options: &[&str]| {
        succeeded(&[&["inspect", "--format", "json", text(folder.0.path())], options].concat())
    };
    let one = inspect(&["-w", "1"]);
    for options in [&["-w", "4", "--chunk-bytes", "5000"][..], &["-w", "3"]] {
        assert!(inspect(options) == one, "{options:?}");
    }
}

#[test]
fn what_a_file_is() {
    let line = r#"{"winlog":{"channel":"Security","event_id":4624}}"#;
    let xml = "<Events>\n<Event>\n<System><Channel>Security</Channel><EventID>1</EventID></System>\n</Event>\n</Events>";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(line.as_bytes()).unwrap();
    let utf16: Vec<u8> =
        format!("\u{feff}{line}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = Folder::new(&[
        ("a.json.gz", &gzip.finish().unwrap()),
        ("b.json", &utf16),
        ("c.xml", xml.as_bytes()),
        ("d.json", b""),
        ("e.json", &[0x89, 1, 2, 0, 3, 0, 7, 0]),
        ("f.log", &[0x89, 1, 2, 0, 3, 0, 7, 0]),
    ]);
    let json = folder.json();
    let file = |at: usize| &json["files"][at];
    assert_eq!(file(0)["container"], "gzip");
    assert_eq!(file(0)["forms"][0]["form"], "json_lines");
    assert_eq!(file(1)["encoding"], "UTF-16LE");
    assert_eq!(file(2)["forms"][0]["form"], "xml");
    assert_eq!(file(3)["verdict"], "Nothing would be read: the file is empty.");
    assert_eq!(file(3)["status"], "empty");
    assert_eq!(file(4)["reasons"][0]["reason"], "binary");
    assert_eq!(file(5)["status"], "left_out");
    let verdict = file(5)["verdict"].as_str().unwrap();
    assert!(verdict.contains("binary data"), "{verdict}");
    assert_eq!(json["all"]["sysmon"], 0);
    let told = folder.text();
    assert!(told.contains("JSON lines, UTF-16LE") && told.contains("in gzip"), "{told}");
}

#[test]
fn only_other_channels() {
    let folder = Folder::of(
        "a.json",
        "{\"winlog\":{\"channel\":\"Security\",\"event_id\":4624}}\n\
         {\"winlog\":{\"channel\":\"\\u001b[2JSystem\",\"event_id\":7}}\n\
         {\"winlog\":{\"channel\":\"Security\",\"event_id\":4688}}\n",
    );
    let json = folder.json();
    let channels = counts(&json["all"]["channels"], "name", "events");
    assert_eq!(channels["security"], 2);
    let verdict = json["all"]["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("Nothing would be read: 3 events of other channels"), "{verdict}");
    assert!(json["all"]["missing"].as_array().unwrap().is_empty(), "no channel, no advice");
    let told = folder.text();
    assert!(told.contains("\\u{1b}[2JSystem") && !told.contains('\u{1b}'), "{told}");
}

#[test]
fn only_events_without_fields() {
    let line = format!(
        r#"{{"channel":"{CHANNEL}","event_id":1,"the_image":"a","cmd_line":"b","host":"h"}}"#
    );
    let folder = Folder::of("a.json", &line);
    let reason = &folder.json()["files"][0]["reasons"][0];
    assert_eq!((&reason["reason"], &reason["count"]), (&"no_fields".into(), &1.into()));
    let nearest = &reason["examples"][0]["advice"][0]["nearest"];
    let nearest: BTreeMap<_, _> = nearest.as_array().unwrap().iter().map(pair).collect();
    assert_eq!(nearest["cmd_line"], "CommandLine");
    assert_eq!(nearest["the_image"], "Image");
}

fn pair(near: &Value) -> (&str, &str) {
    (near["key"].as_str().unwrap(), near["name"].as_str().unwrap())
}

#[test]
fn records_that_were_not_understood_have_a_place_and_advice() {
    let lines = (0..5).map(|n| format!("{{\"channel\":\"{CHANNEL}\",\"evt_id\":3,\"n\":{n}}}\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    let folder = Folder::of("a.json", &format!("{lines}{{\"torn\":\n"));
    let json = folder.json();
    let reasons = json["files"][0]["reasons"].as_array().unwrap();
    let reason = reasons.iter().find(|reason| reason["reason"] == "unknown_shape").unwrap();
    assert_eq!(reason["count"], 5);
    let examples = reason["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3);
    for (at, example) in examples.iter().enumerate() {
        let place = example["place"].as_str().unwrap();
        assert!(place.contains(&format!("a.json:{} (byte ", at + 1)), "{place}");
        assert_eq!(example["advice"][0]["missing"], "event_number");
        assert_eq!(pair(&example["advice"][0]["nearest"][0]), ("evt_id", "event_id"));
    }
    let told = folder.text();
    assert!(told.contains("line 1 (byte 0)") && told.contains("rename \"evt_id\""), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
}

#[test]
fn what_is_absent_is_said_with_what_it_means() {
    let folder = Folder::new(&[]);
    let day = folder.path("day.ndjson");
    generate(&day, "--events 1500");
    let day = fs::read_to_string(&day).unwrap();
    let dns: Vec<&str> = day.lines().filter(|line| line.contains("QueryName")).collect();
    let dns = Folder::of("dns.json", &(dns.join("\n") + "\n"));
    let missing: Vec<i64> = dns.json()["all"]["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|missing| missing["event_id"].as_i64().unwrap())
        .collect();
    assert_eq!(missing, [1, 3, 5]);
    assert!(dns.text().contains("there are no network connections"), "{}", dns.text());
}

#[test]
fn damage_is_told_and_what_precedes_it_counts() {
    let folder = Folder::new(&[]);
    let day = folder.path("day.ndjson");
    generate(&day, "--events 1500");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&fs::read(&day).unwrap()).unwrap();
    let bytes = gzip.finish().unwrap();
    let torn = Folder::new(&[("day.json.gz", &bytes[..bytes.len() / 2])]);
    let all = &torn.json()["all"];
    assert!(all["sysmon"].as_u64().unwrap() > 100);
    let reasons: Vec<&str> =
        all["reasons"].as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"truncated_archive"), "{reasons:?}");
}

#[test]
fn mistakes_are_usage() {
    let folder = Folder::new(&[]);
    for input in [text(folder.0.path()), "/no/such/file"] {
        let out = helkflow(&["inspect", input]);
        assert_eq!(out.status.code(), Some(2), "{input}");
        assert!(out.stdout.is_empty() && !out.stderr.is_empty(), "{input}");
    }
}

#[test]
fn a_replay_points_to_it_with_its_arguments() {
    let folder = Folder::of("two words.json", "{\"a\":1}\n");
    let out = helkflow(&["replay", text(&folder.path("two words.json"))]);
    let err = String::from_utf8(out.stderr).unwrap().replace('\n', " ");
    let told: Vec<&str> = err.split_whitespace().collect();
    assert!(told.join(" ").contains("helkflow inspect '"), "{err}");
    let quiet = folder.path("day.ndjson");
    generate(&quiet, "--events 500");
    let out = helkflow(&["replay", text(&quiet)]);
    assert!(!String::from_utf8(out.stderr).unwrap().contains("helkflow inspect"));
}
