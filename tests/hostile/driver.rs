//! Runs the binary within bounds, and events that can be told apart.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// After this a run hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Address space in KiB: of a run of a debug build, and what it may take for an input of less than a mebibyte.
const MEMORY: &str = "3000000";

/// How a run ended.
pub struct Ended {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs the binary in a folder. It must end by itself, and not by a panic or a signal.
#[track_caller]
pub fn helkflow(folder: &Path, args: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_helkflow"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let reader = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            from.read_to_end(&mut all).unwrap();
            all
        })
    };
    let stdout = reader(Box::new(child.stdout.take().unwrap()));
    let stderr = reader(Box::new(child.stderr.take().unwrap()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{args:?} hangs; its folder is {}", keep(folder));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    let sound = matches!(status.code(), Some(0..=2)) && !stderr.contains("panicked");
    assert!(sound, "{args:?}: {status}; its folder is {}\n{stderr}", keep(folder));
    Ended { code: status.code().unwrap(), stdout: stdout.join().unwrap(), stderr }
}

/// Copies a folder to where it stays, for whoever looks into a failure.
pub fn keep(folder: &Path) -> String {
    let kept = tempfile::tempdir().unwrap().keep();
    Command::new("cp").arg("-r").arg(folder.join(".")).arg(&kept).status().unwrap();
    kept.display().to_string()
}

/// A connection whose program is `number`, in one of the shapes that shippers have.
pub fn event(number: usize) -> Vec<u8> {
    let image = format!("C:\\m\\{number}.exe");
    let guid = format!("{{9716E074-B8CF-694E-1400-{number:012}}}");
    match number % 3 {
        0 => serde_json::json!({
            "@timestamp": "2026-01-15T08:00:00.100Z",
            "winlog": {
                "channel": "Microsoft-Windows-Sysmon/Operational",
                "computer_name": "ws01.northlight.example",
                "record_id": number,
                "event_id": 3,
                "event_data": { "UtcTime": "2026-01-15 08:00:00.000", "ProcessGuid": guid, "Image": image, "DestinationPort": "443" },
            },
        })
        .to_string(),
        1 => format!(
            "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System><Provider Name=\"Microsoft-Windows-Sysmon\"/><EventID>3</EventID><TimeCreated SystemTime=\"2026-01-15T08:00:00.1000000Z\"/><EventRecordID>{number}</EventRecordID><Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>ws01.northlight.example</Computer></System><EventData><Data Name=\"UtcTime\">2026-01-15 08:00:00.000</Data><Data Name=\"ProcessGuid\">{guid}</Data><Data Name=\"Image\">{image}</Data></EventData></Event>"
        ),
        _ => serde_json::json!({
            "EventTime": "2026-01-15 08:00:00", "Hostname": "ws01.northlight.example", "EventID": 3, "RecordNumber": number,
            "SourceName": "Microsoft-Windows-Sysmon", "Channel": "Microsoft-Windows-Sysmon/Operational",
            "UtcTime": "2026-01-15 08:00:00.000", "ProcessGuid": guid, "Image": image,
        })
        .to_string(),
    }
    .into_bytes()
}

/// The numbers of the events that come out of inputs, whatever else does.
#[track_caller]
pub fn numbers(folder: &Path, inputs: &[&str], options: &[&str]) -> BTreeSet<usize> {
    const SQL: &str = "CREATE STREAM events WITH (KAFKA_TOPIC = 'events', VALUE_FORMAT = 'SYSMON'); SELECT image FROM events;";
    std::fs::write(folder.join("images.sql"), SQL).unwrap();
    let args: Vec<&str> = [&["replay", "-d", "images.sql", "-q"], options, inputs].concat();
    let ended = helkflow(folder, &args);
    let number = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["IMAGE"].as_str()?.strip_prefix("C:\\m\\")?.strip_suffix(".exe")?.parse().ok()
    };
    String::from_utf8(ended.stdout).unwrap().lines().filter_map(number).collect()
}

/// Asserts that the untouched events are among those that came out.
#[track_caller]
pub fn all_came_out(untouched: &BTreeSet<usize>, found: &BTreeSet<usize>, folder: &Path) {
    let missing: Vec<_> = untouched.difference(found).collect();
    assert!(
        missing.is_empty(),
        "{} of {} untouched events are missing, the first {:?}; the folder is {}",
        missing.len(),
        untouched.len(),
        &missing[..missing.len().min(5)],
        keep(folder)
    );
}
