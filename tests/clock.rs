//! Clocks of events, through the built binary: which time counts, and what the summary says of the
//! others.

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

/// An event as NXLog ships it from a host four hours behind UTC.
fn flat(id: u32, record: u64, local: &str, arrival: &str, utc: &str, guid: &str) -> Value {
    json!({
        "@timestamp": format!("2026-01-15T{arrival}Z"),
        "EventTime": format!("2026-01-15 {local}"),
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Hostname": "ws02.northlight.example",
        "EventID": id,
        "RecordNumber": record,
        "UtcTime": format!("2026-01-15 {utc}"),
        "ProcessGuid": guid,
    })
}

/// 2026-01-15 08:00:08
const GUID: &str = "{9716E074-9E88-6968-1400-000000000A01}";

#[test]
fn a_process_starts_before_its_connection_whatever_the_time_of_arrival() {
    let records = [
        flat(1, 1, "04:00:08", "08:00:51", "08:00:08.250", GUID),
        flat(3, 2, "04:00:10", "08:00:30", "08:00:09.000", GUID),
    ];
    let (rows, summary) = replay("process_network", &records);
    assert_eq!(rows[0]["STARTED"], "2026-01-15T08:00:08.250Z");
    assert_eq!(rows[0]["EVENT_TIME"], "2026-01-15T08:00:10.000Z");
    let told = "ws02.northlight.example: its local times are UTC-4, going by arrivals 20s to 43s";
    assert!(summary.contains(told), "{summary}");
}

#[test]
fn a_process_starts_by_its_guid_where_utc_time_is_another() {
    let started = |local: &str, arrival: &str, utc: &str, guid: &str| {
        let (rows, summary) = replay("processes", &[flat(1, 1, local, arrival, utc, guid)]);
        let told = summary.contains("a UtcTime") && summary.contains("the time in their GUID");
        (rows[0]["STARTED"].as_str().unwrap()[11..23].to_owned(), told)
    };
    let near = ("08:00:17.500".to_owned(), false);
    assert_eq!(started("04:00:08", "08:00:09", "08:00:17.500", GUID), near);
    // the log agrees with the GUID, with neither, and there is no UtcTime
    let by_guid = ("08:00:08.000".to_owned(), true);
    assert_eq!(started("04:00:08", "08:00:09", "09:00:00.500", GUID), by_guid);
    let by_utc = ("09:00:00.500".to_owned(), true);
    assert_eq!(started("10:00:08", "14:00:09", "09:00:00.500", GUID), by_utc);
    let unread = ("08:00:08.000".to_owned(), false);
    assert_eq!(started("04:00:09", "08:00:10", "soon", GUID), unread);
    // a GUID that says no time
    let zero = GUID.replace("9E88-6968", "0000-0000");
    let by_log = ("08:00:09.000".to_owned(), false);
    assert_eq!(started("04:00:09", "08:00:12", "soon", &zero), by_log);
}
