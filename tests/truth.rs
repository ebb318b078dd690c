//! The captures' independent ground truth, recomputed by SQL through a replay.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Run, shared};

const CREATES: &str = "
    CREATE STREAM sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');
    -- of several creates of one process the first counts, with all that it says and does not say
    CREATE TABLE creates AS
    SELECT process_guid,
           EARLIEST_BY_OFFSET(STRUCT(image := image, command_line := command_line, parent_image := parent_image, parent := parent_process_guid)) AS c
    FROM sysmon WHERE event_id = 1 GROUP BY process_guid;
";

const NETWORK: &str = "
    CREATE STREAM network AS
    SELECT process_guid,
           COALESCE(utc_time, '') + '|' + COALESCE(CAST(process_guid AS VARCHAR), '') + '|' + COALESCE(image, '') + '|' + COALESCE(destination_ip, '') + '|'
               + COALESCE(CAST(destination_port AS VARCHAR), '') + '|' + COALESCE(source_ip, '') + '|' + COALESCE(CAST(source_port AS VARCHAR), '') AS line
    FROM sysmon WHERE event_id = 3;
";

/// Lines of connections joined with creates: of everything known, or (`within` empty) as of the arrival of the connection.
fn join(result: &str, kind: &str, within: &str) -> String {
    format!(
        "{CREATES} {NETWORK}
        CREATE {result} result AS
        SELECT n.line + '|' + COALESCE(p.c->command_line, '') + '|' + COALESCE(p.c->parent_image, '') AS line
        FROM network n {kind} JOIN creates p {within} ON n.process_guid = p.process_guid;"
    )
}

/// Chains of the images of captured ancestors, oldest first, of processes with at least two of them.
fn chains() -> String {
    format!(
        "{CREATES}
        CREATE TABLE result AS
        WITH RECURSIVE up AS (
            SELECT process_guid, process_guid AS seen, c->parent AS next, 0 AS depth, '' AS chain FROM creates
            UNION ALL
            SELECT u.process_guid, u.seen, p.c->parent, u.depth + 1,
                   COALESCE(p.c->image, '') + CASE WHEN u.depth = 0 THEN '' ELSE '>' END + u.chain
            FROM up u JOIN creates p ON u.next = p.process_guid
            WHERE u.depth < 64 AND u.next <> u.process_guid
        ),
        longest AS (
            SELECT process_guid, MAX(depth) AS depth, FIRST_KNOWN(chain, 0 - depth) AS chain FROM up GROUP BY process_guid
        )
        SELECT process_guid, CAST(process_guid AS VARCHAR) + '|' + chain AS line FROM longest WHERE depth >= 2;"
    )
}

fn expected(folder: &Path, capture: &str, kind: &str) -> Vec<String> {
    use std::io::Read;
    let Ok(file) =
        std::fs::File::open(folder.join("truth").join(format!("{capture}.{kind}.txt.gz")))
    else {
        return Vec::new();
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("it is text");
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    lines.sort_unstable();
    lines
}

/// sha256 by the system's tool: the hash is the truth's, the project itself has no use for one.
fn sha256(lines: &[String]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum is part of every Debian");
    let mut input = child.stdin.take().expect("it is piped");
    let text: String = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_string()
}

/// The lines that two processes with a worker each give together: the first of them writes.
fn by_two_processes(sql: &str, capture: &Path) -> Vec<String> {
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (script, hosts) = (folder.path().join("script.sql"), folder.path().join("hosts"));
    std::fs::write(&script, sql).expect("it is ours");
    // Both ports are free until both are known.
    let listeners =
        [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    let addresses =
        listeners.map(|listener| listener.local_addr().expect("it listens").to_string());
    std::fs::write(&hosts, addresses.join("\n")).expect("it is ours");
    let start = |process: usize| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helkflow"));
        command
            .args(["replay", "--quiet", "-w", "1", "-n", "2", "-p", &process.to_string(), "-H"])
            .arg(&hosts)
            .arg("-d")
            .arg(&script)
            .arg(capture);
        command.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let processes = [start(0), start(1)];
    let outputs = processes.map(|process| process.wait_with_output().expect("it ends"));
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert!(outputs[1].stdout.is_empty(), "the first process alone writes");
    let line = |line: &str| -> String {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row is a JSON object");
        row["LINE"].as_str().expect("a text").to_string()
    };
    let mut lines: Vec<String> = String::from_utf8(outputs[0].stdout.clone())
        .expect("rows are UTF-8")
        .lines()
        .map(line)
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_capture_has_its_true_lines() {
    let Some(folder) = shared("HELKFLOW_CAPTURES", "captures") else { return };
    let truth: serde_json::Value = serde_json::from_slice(
        &std::fs::read(folder.join("truth.json")).expect("the captures come with their truth"),
    )
    .expect("it is JSON");
    let captures: BTreeMap<&String, &serde_json::Value> =
        truth["captures"].as_object().expect("by capture").iter().collect();
    let queries = [
        ("inner", join("TABLE", "INNER", "RETROACTIVE WITHIN 1 DAY")),
        ("left", join("TABLE", "LEFT", "RETROACTIVE WITHIN 1 DAY")),
        ("causal", join("STREAM", "INNER", "")),
        ("chains", chains()),
    ];
    for (name, truth) in captures {
        for workers in ["1", "2", "4", "2 processes"] {
            for (kind, sql) in &queries {
                let capture = folder.join(name);
                let lines = match workers.parse() {
                    Ok(workers) => Run { workers, ..Run::new(sql, &[capture]) }.texts(),
                    Err(_) => by_two_processes(sql, &capture),
                };
                let wanted = truth[*kind]["sha256"].as_str().expect("a hash");
                if sha256(&lines) != wanted {
                    let expected = expected(&folder, name, kind);
                    let missing: Vec<_> =
                        expected.iter().filter(|line| !lines.contains(line)).take(3).collect();
                    let extra: Vec<_> =
                        lines.iter().filter(|line| !expected.contains(line)).take(3).collect();
                    panic!(
                        "{name} {kind} with {workers} workers: {} of {} lines; missing {missing:#?}, extra {extra:#?}",
                        lines.len(),
                        expected.len()
                    );
                }
            }
        }
    }
}
