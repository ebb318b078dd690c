//! Input that is damaged or hostile, through the built binary: what comes out, what is told about the rest, and with which exit code.
//!
//! Files that are empty, missing, unreadable or cut off are in `cli.rs`.

mod common;

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const FIRST: &str = "{9716E074-B8CF-694E-1400-000000000A01}";
const SECOND: &str = "{9716E074-B8CF-694E-1400-000000000A02}";
const THIRD: &str = "{9716E074-B8CF-694E-1400-000000000A03}";
const ZERO: &str = "{00000000-0000-0000-0000-000000000000}";

/// An event as Winlogbeat 7 ships it.
fn event(id: u32, record: u64, fields: Value) -> String {
    let mut data =
        json!({"UtcTime": "2026-01-15 08:00:00.000", "ProcessId": "1200", "Image": "C:\\a.exe"});
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    data.as_object_mut().unwrap().extend(fields);
    let event = json!({
        "@timestamp": "2026-01-15T08:00:00.100Z",
        "winlog": {
            "channel": "Microsoft-Windows-Sysmon/Operational",
            "provider_name": "Microsoft-Windows-Sysmon",
            "computer_name": "ws01.northlight.example",
            "record_id": record,
            "event_id": id,
            "event_data": data,
        },
    });
    event.to_string()
}

fn connection(record: u64, guid: &str) -> String {
    event(
        3,
        record,
        json!({"ProcessGuid": guid, "DestinationIp": "192.0.2.1", "DestinationPort": "443"}),
    )
}

fn create(record: u64, guid: &str, parent: &str) -> String {
    event(
        1,
        record,
        json!({"ProcessGuid": guid, "ParentProcessGuid": parent, "ParentImage": "C:\\parent.exe"}),
    )
}

/// What became of a file.
struct Ran {
    out: Output,
    rows: Vec<Value>,
    letters: Vec<Value>,
}

impl Ran {
    fn summary(&self) -> String {
        String::from_utf8(self.out.stderr.clone()).unwrap()
    }

    fn column(&self, name: &str) -> Vec<&Value> {
        self.rows.iter().map(|row| &row[name]).collect()
    }
}

/// Replays a file with this content; with `--strict` the exit code must tell of what could not be read.
#[track_caller]
fn replay(name: &str, content: &[u8], options: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let run = |strict: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helkflow"));
        command.current_dir(folder.path()).env("COLUMNS", "200").stdin(Stdio::null());
        command
            .args(["replay", name, "--dead-letters", "letters", "-w", "2"])
            .args(options)
            .args(strict)
            .output()
            .unwrap()
    };
    let lines = |text: &[u8]| -> Vec<Value> {
        std::str::from_utf8(text)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let out = run(&[]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let letters = lines(&fs::read(folder.path().join("letters")).unwrap());
    let strict = run(&["--strict"]);
    assert_eq!(strict.status.code(), Some(i32::from(!letters.is_empty())));
    assert!(strict.stdout == out.stdout);
    Ran { rows: lines(&out.stdout), letters, out }
}

/// A dead letter must be about this place.
#[track_caller]
fn is_about(letter: &Value, line: u64, offset: usize, reason: &str, detail: &str) {
    assert_eq!(letter["file"], "a.json");
    assert_eq!(
        (&letter["line"], &letter["offset"], &letter["reason"]),
        (&json!(line), &json!(offset), &json!(reason)),
        "{letter}"
    );
    assert!(letter["detail"].as_str().unwrap().contains(detail), "{letter}");
}

/// The bytes of a text in which U+0001 stands for this byte.
fn with_byte(text: &str, byte: u8) -> Vec<u8> {
    text.bytes().map(|b| if b == 1 { byte } else { b }).collect()
}

#[test]
fn text_that_is_not_utf8_is_of_a_code_page() {
    let good = connection(1, FIRST);
    let bad = with_byte(&connection(2, THIRD).replace("a.exe", "\u{1}.exe"), 0xae);
    let escaped = connection(3, SECOND).replace("C:\\\\a.exe", "C:\\\\\\ud800.exe");
    let text = [good.as_bytes(), &bad, escaped.as_bytes(), good.as_bytes()].join(&b'\n');
    let ran = replay("a.json", &text, &[]);
    // An unpaired surrogate in an escape is JSON all the same.
    let mut images = ran.column("IMAGE");
    images.sort_unstable_by_key(|image| image.as_str());
    assert_eq!(images, ["C:\\a.exe", "C:\\®.exe", "C:\\\u{fffd}.exe"]);
    assert_eq!(ran.letters, [json!(null); 0]);
    let told = "records that are not UTF-8, read as windows-1252: 1 (a.json)";
    assert!(ran.summary().contains(told), "{}", ran.summary());

    let system = "<System><Provider Name='Microsoft-Windows-Sysmon'/><EventID>3</EventID>\
                  <TimeCreated SystemTime='2026-01-15T08:00:00Z'/><Computer>h</Computer></System>";
    let image = "<EventData><Data Name='Image'>\u{1}</Data></EventData>";
    let events = format!("<Events>\n<Event>{system}{image}</Event>\n</Events>\n");
    for (declared, image) in [("iso-8859-5", "Ў"), ("utf-16", "®"), ("utf-8", "®"), ("?", "®")]
    {
        let text = format!("<?xml version='1.0' encoding='{declared}'?>\n{events}");
        let ran = replay("a.xml", &with_byte(&text, 0xae), &[]);
        assert_eq!(ran.column("IMAGE"), [image], "{declared}");
    }
}

#[test]
fn values_beside_each_other_and_damage_between_them() {
    let connections: Vec<String> = (1..=6).map(|n| connection(n, FIRST)).collect();
    let [a, b, c, d, e, f] = &connections[..] else { unreachable!() };
    let (cut, _) = c.split_at(c.len() / 2);
    let text = format!("[2026] started\n{a}{b}\n{{\"x\":\n{cut}\n{d}\n[{e},\n{f}\n{a}");
    let ran = replay("a.json", text.as_bytes(), &[]);
    assert_eq!(ran.rows.len(), 5, "a, b, d, e and f; a is there twice");
    let reasons: Vec<&Value> = ran.letters.iter().map(|letter| &letter["reason"]).collect();
    assert_eq!(reasons, ["unknown_shape", "invalid_json", "invalid_json"]);
    let lost = format!("{} bytes are left out", cut.len());
    assert!(ran.letters[2]["detail"].as_str().unwrap().ends_with(&lost), "{}", ran.letters[2]);
}

#[test]
fn tables_of_events() {
    let head = "EventID\tComputer\tChannel\tTimeGenerated [UTC]\tProcessGuid\tDestinationIp";
    let row = |ip: &str| {
        let channel = "Microsoft-Windows-Sysmon/Operational";
        format!("3\tws01\t{channel}\t2026-01-15T08:00:00Z\t{FIRST}\t{ip}")
    };
    let text = [head, &row("\"192.0.2.1\""), "3\tws01", &row("192.0.2.2"), ""].join("\r\n");
    let stored: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let ran = replay("a.txt", &stored, &[]);
    assert_eq!(ran.column("DESTINATION_IP"), ["192.0.2.1", "192.0.2.2"]);
    let [letter] = &ran.letters[..] else { panic!("{:?}", ran.letters) };
    assert_eq!((&letter["line"], &letter["reason"]), (&json!(3), &json!("column_count")));
    assert!(letter["detail"].as_str().unwrap().contains("2 cells for 6 columns"), "{letter}");
}

#[test]
fn brackets_without_end() {
    let mut text = connection(1, FIRST).into_bytes();
    text.push(b'\n');
    text.extend(b"[\x0c".repeat(1 << 20));
    let ran = replay("a.json", &text, &["--max-record", "64K", "--chunk-bytes", "4096"]);
    assert_eq!((ran.rows.len(), ran.letters.len()), (1, 0));
    let ran = replay("a.json", b"[\x0c", &[]);
    assert_eq!((ran.rows.len(), ran.letters.len()), (0, 1));
}

#[test]
fn duplicate_keys() {
    let twice = connection(1, FIRST).replace(r#""Image":"#, r#""Image":"C:\\before.exe","Image":"#);
    let id_twice = connection(2, FIRST).replace(r#""event_id":3"#, r#""event_id":1,"event_id":3"#);
    let ran = replay("a.json", [twice, id_twice].join("\n").as_bytes(), &[]);
    assert_eq!(ran.column("IMAGE"), ["C:\\a.exe"; 2], "the last one counts");
    assert_eq!(ran.letters, [json!(null); 0]);
}

#[test]
fn nesting_10_000_deep() {
    let good = connection(1, FIRST);
    let nested = |open: &str, close: &str| open.repeat(10_000) + "1" + &close.repeat(10_000);
    let alone = nested(r#"{"a":"#, "}");
    let inside = connection(2, FIRST)
        .replace(r#""event_data":{"#, &format!(r#""event_data":{{"Deep":{},"#, nested("[", "]")));
    let ran = replay("a.json", [&*good, &alone, &inside, &good].join("\n").as_bytes(), &[]);
    assert_eq!(ran.rows.len(), 1);
    assert_eq!(ran.letters.len(), 2);
    is_about(&ran.letters[0], 2, good.len() + 1, "nested_too_deep", "levels");
    is_about(&ran.letters[1], 3, good.len() + alone.len() + 2, "nested_too_deep", "levels");
    for letter in &ran.letters {
        assert!(letter["excerpt"].as_str().unwrap().len() < 1000, "an excerpt is short");
    }

    let elements = format!("<Event>{}</Event>", nested("<a>", "</a>"));
    let ran = replay("a.xml", elements.as_bytes(), &[]);
    assert_eq!(ran.letters.len(), 1, "{:?}", ran.letters);
}

#[test]
fn a_line_of_20_mb() {
    let good = connection(1, FIRST);
    let long = "x".repeat(20_000_000);
    let event = connection(2, SECOND).replace("a.exe", &long);
    let junk = format!(r#"{{"long":"{long}"}}"#);
    let text = [&*good, &event, &junk, &connection(3, FIRST)].join("\n");
    let ran = replay("a.json", text.as_bytes(), &[]);
    let mut lengths: Vec<usize> =
        ran.rows.iter().map(|row| row["IMAGE"].as_str().unwrap().len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [8, 8, 20_000_003]);
    let [letter] = &ran.letters[..] else { panic!("{} letters", ran.letters.len()) };
    is_about(letter, 3, good.len() + event.len() + 2, "unknown_shape", "");
    assert!(letter["excerpt"].as_str().unwrap().len() < 1000, "an excerpt is short");
}

#[test]
fn values_out_of_range() {
    let folder = tempfile::tempdir().unwrap();
    let sql = folder.path().join("x.sql");
    let columns = "record_id, process_id, destination_port, initiated, fields";
    fs::write(&sql, format!("CREATE STREAM e WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON'); SELECT {columns} FROM e;")).unwrap();
    let fits =
        event(3, 1, json!({"ProcessId": "2147483647", "DestinationPort": -1, "Initiated": "true"}));
    let not = event(
        3,
        2,
        json!({"ProcessId": "2147483648", "DestinationPort": 1.5, "Initiated": "perhaps"}),
    );
    let record =
        event(3, 3, json!({})).replace(r#""record_id":3"#, r#""record_id":9223372036854775808"#);
    let id = event(99_999, 4, json!({})).replace("99999", "99999999999");
    let before = fits.len() + not.len() + record.len() + 3;
    let ran = replay(
        "a.json",
        [fits, not, record, id].join("\n").as_bytes(),
        &["-d", sql.to_str().unwrap()],
    );
    let row = |record: Value, pid: Value, port: Value, initiated: Value, fields: Value| json!({"RECORD_ID": record, "PROCESS_ID": pid, "DESTINATION_PORT": port, "INITIATED": initiated, "FIELDS": fields});
    let misfits =
        json!({"ProcessId": "2147483648", "DestinationPort": "1.5", "Initiated": "perhaps"});
    let mut rows = ran.rows.clone();
    rows.sort_by_key(|row| row["RECORD_ID"].as_u64().unwrap_or(u64::MAX));
    assert_eq!(rows[0], row(json!(1), json!(i32::MAX), json!(-1), json!(true), json!({})));
    assert_eq!(rows[1], row(json!(2), Value::Null, Value::Null, Value::Null, misfits));
    assert_eq!(rows[2]["RECORD_ID"], Value::Null);
    assert!(rows[2]["FIELDS"].to_string().contains("9223372036854775808"), "{}", rows[2]);
    assert_eq!(rows.len(), 3);
    for counted in ["1 RECORD_ID", "1 PROCESS_ID", "1 DESTINATION_PORT", "1 INITIATED"] {
        assert!(ran.summary().contains(counted), "{counted}: {}", ran.summary());
    }
    let [letter] = &ran.letters[..] else { panic!("{:?}", ran.letters) };
    is_about(letter, 4, before, "unknown_shape", "no event number");
}

#[test]
fn zero_and_garbage_guids() {
    let connections =
        [connection(1, ZERO), connection(2, "garbage"), connection(3, ""), connection(4, FIRST)];
    let creates =
        [create(5, ZERO, FIRST), create(6, FIRST, ZERO), create(7, "garbage", "{too-short}")];
    let ran = replay("a.json", [&connections[..], &creates].concat().join("\n").as_bytes(), &[]);
    assert_eq!(ran.letters, [json!(null); 0]);
    let mut seen: Vec<(Option<&str>, &str)> = ran
        .rows
        .iter()
        .map(|row| (row["PROCESS_GUID"].as_str(), row["KNOWLEDGE"].as_str().unwrap()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [(None, "orphan"), (None, "orphan"), (Some(ZERO), "orphan"), (Some(FIRST), "complete")]
    );
    assert!(ran.rows.iter().all(|row| row["DEPTH"] == 0), "a zero GUID is nobody's parent");
    assert!(
        ran.summary().contains("3 without a process: its GUID is zero or missing"),
        "{}",
        ran.summary()
    );
    let text = [&connections[..], &creates].concat().join("\n");
    let processes = replay("a.json", text.as_bytes(), &["-d", "processes"]);
    assert_eq!(processes.column("PROCESS_GUID"), [FIRST]);
}

#[test]
fn a_parent_of_itself_and_parents_in_a_circle() {
    let own = [create(1, FIRST, FIRST), connection(2, FIRST)];
    let ran = replay("a.json", own.join("\n").as_bytes(), &[]);
    assert_eq!(ran.column("KNOWLEDGE"), ["complete"]);
    assert_eq!(
        (ran.column("DEPTH"), ran.column("TRUNCATED")),
        (vec![&json!(0)], vec![&json!(false)])
    );

    let circle = [
        create(1, FIRST, SECOND),
        create(2, SECOND, THIRD),
        create(3, THIRD, FIRST),
        connection(4, FIRST),
    ];
    let ran = replay("a.json", circle.join("\n").as_bytes(), &[]);
    let ancestors: Vec<&Value> = ran.rows[0]["ANCESTORS"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ancestor| &ancestor["PROCESS_GUID"])
        .collect();
    assert_eq!(ancestors, [SECOND, THIRD]);
    assert_eq!(
        (ran.column("DEPTH"), ran.column("TRUNCATED")),
        (vec![&json!(2)], vec![&json!(false)])
    );
    let tree = replay("a.json", circle.join("\n").as_bytes(), &["-d", "process_tree"]);
    assert_eq!(tree.column("DEPTH"), [2, 2, 2]);
}

#[test]
fn a_damaged_evtx_chunk() {
    let Some(captures) = common::shared("HELKFLOW_CAPTURES", "captures") else { return };
    let whole = fs::read(captures.join("sysmon.evtx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sql = folder.path().join("x.sql");
    fs::write(
        &sql,
        "CREATE STREAM e WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON'); SELECT record_id FROM e;",
    )
    .unwrap();
    let options = ["-d", sql.to_str().unwrap()];
    let all = replay("a.evtx", &whole, &options);
    assert!(all.letters.is_empty());

    // The second chunk loses its header.
    let second = 4096 + 65_536;
    let mut damaged = whole.clone();
    damaged[second..second + 512].fill(0);
    let ran = replay("a.evtx", &damaged, &options);
    let [letter] = &ran.letters[..] else { panic!("{:?}", ran.letters) };
    assert_eq!(
        (&letter["file"], &letter["offset"]),
        (&json!("a.evtx"), &json!(second)),
        "{letter}"
    );
    assert_eq!(letter["reason"], "damaged_evtx_chunk");
    assert!(
        ran.rows.len() < all.rows.len() && ran.rows.len() > all.rows.len() / 2,
        "{} of {}",
        ran.rows.len(),
        all.rows.len()
    );
    assert!(ran.rows.iter().all(|row| all.rows.contains(row)));

    // Not even the header of the file is there.
    let ran = replay("a.evtx", &whole[..1000], &options);
    let [letter] = &ran.letters[..] else { panic!("{:?}", ran.letters) };
    assert_eq!((&letter["offset"], &letter["reason"]), (&json!(0), &json!("damaged_evtx_chunk")));
}
