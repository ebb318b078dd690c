//! Clocks of events, through the built binary: which time counts, and what the summary says of the others.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What a replay of records came to: the rows of a dataflow, and the summary.
fn replay(dataflow: &str, records: &[Value]) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    fs::write(folder.path().join("events.json"), lines.join("\n")).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_helkflow"))
        .args(["replay", "events.json", "-w", "2", "-d", dataflow])
        .current_dir(folder.path())
        .env("COLUMNS", "200")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let summary = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{summary}");
    let rows = std::str::from_utf8(&out.stdout).unwrap().lines();
    (rows.map(|row| serde_json::from_str(row).unwrap()).collect(), summary)
}

/// A connection as Winlogbeat ships it, logged at a time in some form.
fn shipped(record: u64, time: &Value) -> Value {
    json!({
        "@timestamp": time,
        "winlog": {
            "channel": "Microsoft-Windows-Sysmon/Operational",
            "computer_name": "ws01.northlight.example",
            "record_id": record,
            "event_id": 3,
            "event_data": {
                "UtcTime": "2026-01-15 07:59:59.000",
                "ProcessGuid": "{9716E074-B8CF-6968-1400-000000000A01}",
            },
        },
    })
}

#[test]
fn a_time_that_cannot_be_read_is_told_of_with_an_example() {
    let records = [
        shipped(1, &json!("2026-01-15T08:00:00Z")),
        shipped(2, &json!("15 Jan 2026 09:00:00 CET")),
        shipped(3, &json!(1_768_464_000)),
        shipped(4, &json!("soon")),
        shipped(5, &json!("-")),
    ];
    let (rows, summary) = replay("process_network", &records);
    let mut times: Vec<&str> = rows.iter().map(|row| row["EVENT_TIME"].as_str().unwrap()).collect();
    times.sort_unstable();
    let (utc, log) = ("2026-01-15T07:59:59.000Z", "2026-01-15T08:00:00.000Z");
    assert_eq!(times, [utc, utc, utc, log, log]);
    let told = "so that another is the event's: 2, as \"15 Jan 2026 09:00:00 CET\"";
    assert!(summary.contains(told), "{summary}");
    let (_, summary) = replay("process_network", &records[..1]);
    assert!(!summary.contains("cannot be read"), "{summary}");
}
