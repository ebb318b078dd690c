//! A script in the manner of KSQL 5.x, as hunters wrote it in 2018: nested JSON of Winlogbeat 6, a topic keyed anew by an alias, a table over it by `KEY`, a join as of arrival.
//!
//! What must come out is found once more from the lines themselves: a connection has the last create of its process that stands before it, and no other.

mod common;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use common::Run;
use helkflow::cli::generate::{GenerateArgs, run};
use serde_json::{Value, json};

const SCRIPT: &str = "
    SET 'auto.offset.reset' = 'earliest';

    CREATE STREAM beats (source_name VARCHAR, computer_name VARCHAR, event_id INTEGER,
        event_data STRUCT<UtcTime VARCHAR, ProcessGuid VARCHAR, Image VARCHAR, CommandLine VARCHAR, ParentImage VARCHAR>)
        WITH (KAFKA_TOPIC='winlogbeat', VALUE_FORMAT='JSON');
    CREATE STREAM beats_by_name (source_name VARCHAR, event_id INTEGER, event_data MAP<VARCHAR, VARCHAR>)
        WITH (KAFKA_TOPIC='winlogbeat', VALUE_FORMAT='JSON');

    CREATE STREAM creates_rekeyed WITH (VALUE_FORMAT='JSON', PARTITIONS=1, TIMESTAMP='created') AS
        SELECT STRINGTOTIMESTAMP(event_data->UtcTime, 'yyyy-MM-dd HH:mm:ss.SSS') AS created, computer_name AS host_name,
               event_data->ProcessGuid AS process_guid, event_data->CommandLine AS process_command_line,
               event_data->ParentImage AS process_parent_path
        FROM beats WHERE source_name = 'Microsoft-Windows-Sysmon' AND event_id = 1
        PARTITION BY process_guid;
    CREATE TABLE creates (created BIGINT, process_guid VARCHAR, process_command_line VARCHAR, process_parent_path VARCHAR)
        WITH (KAFKA_TOPIC='CREATES_REKEYED', VALUE_FORMAT='JSON', KEY='process_guid');

    CREATE STREAM connections_rekeyed WITH (VALUE_FORMAT='JSON', PARTITIONS=1) AS
        SELECT event_data['UtcTime'] AS connected, event_data['ProcessGuid'] AS process_guid, event_data['Image'] AS process_path,
               event_data['DestinationIp'] AS dst_ip_addr, event_data['DestinationPort'] AS dst_port
        FROM beats_by_name WHERE source_name = 'Microsoft-Windows-Sysmon' AND event_id = 3
        PARTITION BY process_guid;
    CREATE STREAM connections (connected VARCHAR, process_guid VARCHAR, process_path VARCHAR, dst_ip_addr VARCHAR, dst_port INTEGER, never VARCHAR)
        WITH (KAFKA_TOPIC='CONNECTIONS_REKEYED', VALUE_FORMAT='JSON', KEY='process_guid');

    CREATE STREAM sysmon_join WITH (PARTITIONS=1) AS
        SELECT N.connected, N.process_guid AS n_process_guid, N.process_path, N.dst_ip_addr, N.dst_port, N.never,
               P.process_command_line, P.process_parent_path, TIMESTAMPTOSTRING(P.created, 'yyyy-MM-dd HH:mm:ss.SSS') AS created
        FROM connections N INNER JOIN creates P ON N.process_guid = P.process_guid;
    ";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

fn generate(path: &Path, options: &str) -> Vec<String> {
    let args = ["generate", "--shape", "winlogbeat6", "-o", path.to_str().unwrap()]
        .into_iter()
        .chain(options.split_whitespace());
    run(&Cli::try_parse_from(args).unwrap().generate).unwrap();
    std::fs::read_to_string(path).unwrap().lines().map(String::from).collect()
}

/// The joined rows by the lines, and how many connections have none.
fn expected(lines: &[String]) -> (Vec<Value>, usize) {
    let (mut creates, mut rows, mut alone) = (HashMap::new(), Vec::new(), 0);
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["source_name"] != "Microsoft-Windows-Sysmon" {
            continue;
        }
        let data = event["event_data"].clone();
        let guid = data["ProcessGuid"].as_str().unwrap_or_default().to_string();
        if event["event_id"] == 1 {
            creates.insert(guid, data);
        } else if event["event_id"] == 3 {
            let Some(create) = creates.get(&guid) else {
                alone += 1;
                continue;
            };
            rows.push(json!({
                "CONNECTED": data["UtcTime"],
                "N_PROCESS_GUID": guid,
                "PROCESS_PATH": data["Image"],
                "DST_IP_ADDR": data["DestinationIp"],
                "DST_PORT": data["DestinationPort"].as_str().unwrap().parse::<i32>().unwrap(),
                "NEVER": null,
                "PROCESS_COMMAND_LINE": create["CommandLine"],
                "PROCESS_PARENT_PATH": create["ParentImage"],
                "CREATED": create["UtcTime"],
            }));
        }
    }
    rows.sort_by_cached_key(Value::to_string);
    (rows, alone)
}

fn joined(inputs: &[PathBuf], workers: usize, chunk_bytes: usize) -> Vec<Value> {
    let run = Run { workers, chunk_bytes, ..Run::new(SCRIPT, inputs) };
    let mut rows: Vec<Value> =
        run.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_cached_key(Value::to_string);
    rows
}

#[test]
fn a_connection_has_the_last_create_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = (0, 0);
    for (seed, faults) in [
        (1, ""),
        (2, "--late-creates 40 --missing-creates 10"),
        (3, "--shuffle 300 --duplicates 10 --mixed-guid-case"),
    ] {
        let path = folder.path().join(format!("{seed}.ndjson"));
        let lines = generate(&path, &format!("--events 900 --seed {seed} {faults}"));
        let (rows, alone) = expected(&lines);
        seen = (seen.0 + rows.len(), seen.1 + alone);
        // the same records as two files: a process may connect in another than it is created in
        let halves = lines.split_at(lines.len() / 2);
        let halves = [(1, halves.0), (2, halves.1)].map(|(half, lines)| {
            let path = folder.path().join(format!("{seed}-{half}.ndjson"));
            std::fs::write(&path, lines.join("\n")).unwrap();
            path
        });
        for workers in [1, 3] {
            for chunk_bytes in [4096, 1 << 20] {
                assert_eq!(
                    joined(std::slice::from_ref(&path), workers, chunk_bytes),
                    rows,
                    "{seed}, {workers} workers, chunks of {chunk_bytes}"
                );
            }
            assert_eq!(
                joined(&halves, workers, 4096),
                rows,
                "{seed}, {workers} workers, two files"
            );
        }
    }
    assert!(seen.0 > 50 && seen.1 > 50, "both kinds of connections are there: {seen:?}");
}

#[test]
fn the_order_of_records_decides() {
    let event = |id: u8, guid: &str, text: &str| {
        json!({
            "source_name": "Microsoft-Windows-Sysmon", "computer_name": "PC", "event_id": id,
            "event_data": { "ProcessGuid": guid, "UtcTime": "2026-01-15 08:00:00.000", "CommandLine": text, "DestinationIp": text, "DestinationPort": "443" },
        })
    };
    let mut empty = event(1, "{E}", "");
    empty["event_data"] = json!({ "ProcessGuid": "{E}" });
    let events = [
        event(3, "{A}", "before"),
        event(1, "{A}", "first"),
        event(3, "{A}", "between"),
        event(1, "{A}", "second"),
        event(3, "{A}", "after"),
        // a create that says nothing is a create
        empty,
        event(3, "{E}", "of nothing"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    std::fs::write(&path, events.map(|event| event.to_string() + "\n").concat()).unwrap();
    for workers in [1, 3] {
        for chunk_bytes in [1, 1 << 20] {
            let rows = joined(std::slice::from_ref(&path), workers, chunk_bytes);
            let mut pairs: Vec<_> = rows
                .iter()
                .map(|row| (&row["DST_IP_ADDR"], &row["PROCESS_COMMAND_LINE"]))
                .collect();
            pairs.sort_by_key(|pair| pair.0.to_string());
            let wanted = [
                (json!("after"), json!("second")),
                (json!("between"), json!("first")),
                (json!("of nothing"), Value::Null),
            ];
            assert_eq!(
                pairs,
                wanted.each_ref().map(|(a, b)| (a, b)),
                "{workers} workers, chunks of {chunk_bytes}"
            );
        }
    }
}
