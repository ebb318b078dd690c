//! `helkflow generate`, read back by a reader that shares no code with it: one small function per shape turns a line into a
//! `Record`, and everything in the expected result is counted again from those.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use clap::Parser;
use helkflow::cli::generate::{GenerateArgs, Shape, run};
use proptest::prelude::*;
use serde_json::Value;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

/// Runs the generator with options; gives what it wrote and the expected result.
fn generate(options: &str) -> (Vec<u8>, Value) {
    generate_to("out", options)
}

fn generate_to(name: &str, options: &str) -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let args =
        ["generate", "-o", path.to_str().unwrap()].into_iter().chain(options.split_whitespace());
    run(&Cli::try_parse_from(args).unwrap().generate).unwrap();
    let expected = fs::read_to_string(format!("{}.expected.json", path.display())).unwrap();
    (fs::read(&path).unwrap(), serde_json::from_str(&expected).unwrap())
}

/// An event as the test reads it.
#[derive(Debug, Clone)]
struct Record {
    host: String,
    channel: String,
    number: Option<u64>,
    id: u64,
    /// Log time to the ms.
    time: String,
    fields: BTreeMap<String, String>,
}

const GUIDS: [&str; 6] = [
    "ProcessGuid",
    "ParentProcessGuid",
    "SourceProcessGuid",
    "TargetProcessGuid",
    "SourceProcessGUID",
    "TargetProcessGUID",
];

impl Record {
    fn sysmon(&self) -> bool {
        self.channel.contains("Sysmon")
    }

    fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A process's GUID in one spelling; none if absent or zero.
    fn guid(&self, name: &str) -> Option<String> {
        let bare = self.fields.get(name)?.trim_matches(['{', '}']).to_uppercase();
        (bare.len() == 36 && bare.bytes().any(|byte| !matches!(byte, b'0' | b'-')))
            .then(|| format!("{{{bare}}}"))
    }

    fn utc(&self) -> String {
        self.get("UtcTime").replace('T', " ").chars().take(23).collect()
    }

    /// What makes it the same event as another record.
    fn identity(&self) -> String {
        match self.number {
            Some(number) => {
                format!("{}|{}|{number}|{}|{}", self.host, self.channel, self.utc(), self.id)
            }
            None => format!("{self:?}"),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn flat(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn read(shape: &str, line: &str) -> Record {
    if matches!(shape, "xml" | "xml-events" | "linux-syslog") {
        return read_xml(line);
    }
    let value: Value = serde_json::from_str(line).unwrap();
    let at = |path: &str| value.pointer(path).cloned().unwrap_or_default();
    let record = |host: &str, channel: &str, number: &str, id: &str, time: &str, fields| Record {
        host: text(&at(host)).to_lowercase(),
        channel: text(&at(channel)),
        number: text(&at(number)).parse().ok(),
        id: text(&at(id)).parse().unwrap(),
        time: text(&at(time)).chars().take(23).collect(),
        fields,
    };
    match shape {
        "winlogbeat6" => {
            assert!(at("/record_number").is_string() && at("/event_id").is_u64());
            assert!(!line.contains('&') && !line.contains('<') && !line.contains('>'));
            let fields = flat(&at("/event_data"));
            record(
                "/computer_name",
                "/log_name",
                "/record_number",
                "/event_id",
                "/@timestamp",
                fields,
            )
        }
        "winlogbeat7" | "winlogbeat8" => {
            assert_eq!(at("/winlog/event_id").is_string(), shape == "winlogbeat8");
            assert_eq!(at("/host/name"), "WEC01");
            let fields = flat(&at("/winlog/event_data"));
            record(
                "/winlog/computer_name",
                "/winlog/channel",
                "/winlog/record_id",
                "/winlog/event_id",
                "/@timestamp",
                fields,
            )
        }
        "winlogbeat7-ecs" => {
            let mut fields = flat(&at("/winlog/event_data"));
            let sysmon = text(&at("/winlog/channel")).contains("Sysmon");
            assert!(!fields.contains_key("ProcessGuid") && !fields.contains_key("UtcTime"));
            let id = at("/winlog/event_id").as_u64().unwrap();
            let subject = if id == 8 { "SourceProcessGuid" } else { "SourceProcessGUID" };
            let guid = if matches!(id, 8 | 10) { subject } else { "ProcessGuid" };
            for (path, name) in [
                ("/process/entity_id", guid),
                ("/process/parent/entity_id", "ParentProcessGuid"),
                ("/process/command_line", "CommandLine"),
                ("/destination/ip", "DestinationIp"),
                ("/destination/port", "DestinationPort"),
                ("/source/port", "SourcePort"),
            ] {
                if sysmon && !at(path).is_null() {
                    fields.insert(name.into(), text(&at(path)));
                }
            }
            if sysmon {
                fields.insert(
                    "UtcTime".into(),
                    text(&at("/@timestamp")).trim_end_matches('Z').into(),
                );
            }
            let time = if sysmon { "/event/created" } else { "/@timestamp" };
            record(
                "/winlog/computer_name",
                "/winlog/channel",
                "/winlog/record_id",
                "/winlog/event_id",
                time,
                fields,
            )
        }
        "nxlog" => record(
            "/Hostname",
            "/Channel",
            "/RecordNumber",
            "/EventID",
            "/@timestamp",
            flat(&value),
        ),
        "evtx-dump" => {
            let fields = flat(&at("/Event/EventData"));
            let path = |name: &str| format!("/Event/System/{name}");
            record(
                &path("Computer"),
                &path("Channel"),
                &path("EventRecordID"),
                &path("EventID"),
                &path("TimeCreated/#attributes/SystemTime"),
                fields,
            )
        }
        "azure" => {
            let fields = flat(&serde_json::from_str(at("/EventData").as_str().unwrap()).unwrap());
            record("/Computer", "/Channel", "/none", "/EventID", "/TimeGenerated", fields)
        }
        other => panic!("no reader for {other}"),
    }
}

fn read_xml(line: &str) -> Record {
    fn between<'a>(text: &'a str, from: &str, to: char) -> &'a str {
        let start = text.find(from).unwrap_or_else(|| panic!("no {from} in {text}")) + from.len();
        &text[start..start + text[start..].find(to).unwrap()]
    }
    let plain = |text: &str| {
        let marks =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
        marks.iter().fold(text.to_owned(), |text, (mark, sign)| text.replace(mark, sign))
    };
    let quote = if line.contains("xmlns='") { '\'' } else { '"' };
    let fields = line.split("<Data Name=").skip(1).map(|part| {
        let name = part[1..].split(quote).next().unwrap();
        (name.to_owned(), plain(between(part, ">", '<')))
    });
    assert!(line.ends_with("</Event>"));
    Record {
        host: between(line, "<Computer>", '<').to_lowercase(),
        channel: between(line, "<Channel>", '<').to_owned(),
        number: Some(between(line, "<EventRecordID>", '<').parse().unwrap()),
        id: between(line, "<EventID>", '<').parse().unwrap(),
        time: between(line, &format!("SystemTime={quote}"), quote).chars().take(23).collect(),
        fields: fields.collect(),
    }
}

/// Reads all lines; the shapes of a mixed file are told by their looks.
fn read_all(output: &[u8]) -> Vec<Record> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines()
        .filter(|line| !matches!(*line, "<Events>" | "</Events>"))
        .map(|line| read(shape_of(line), line))
        .collect()
}

fn shape_of(line: &str) -> &'static str {
    match line {
        _ if !line.starts_with('{') => "xml",
        _ if line.contains("\"log_name\":") => "winlogbeat6",
        _ if line.contains("\"module\":\"sysmon\"") => "winlogbeat7-ecs",
        _ if line.contains("\"version\":\"8.") => "winlogbeat8",
        _ if line.contains("\"winlog\":") => "winlogbeat7",
        _ if line.contains("\"SourceModuleName\":") => "nxlog",
        _ if line.contains("\"EventRecordID\":") => "evtx-dump",
        _ => "azure",
    }
}

/// Counts again what the expected result says.
fn check(records: &[Record], expected: &Value) {
    #[derive(Default)]
    struct Known {
        created: bool,
        named: bool,
        command_line: String,
    }
    let mut events: BTreeMap<String, u64> = BTreeMap::new();
    let mut processes: HashMap<(String, String), Known> = HashMap::new();
    let mut connections = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut copies, mut others) = (0_u64, 0);
    for record in records {
        if record.sysmon() {
            *events.entry(record.id.to_string()).or_default() += 1;
        } else {
            others += 1;
        }
        if !seen.insert(record.identity()) {
            copies += 1;
        } else if record.sysmon() {
            for name in GUIDS {
                let Some(guid) = record.guid(name) else { continue };
                let known = processes.entry((record.host.clone(), guid)).or_default();
                known.named |= record.id != 3;
                if record.id == 1 && name == "ProcessGuid" {
                    known.created = true;
                    record.get("CommandLine").clone_into(&mut known.command_line);
                }
            }
            if record.id == 3 {
                connections.push(record);
            }
        }
    }
    let state = |known: &Known| {
        if known.created {
            "complete"
        } else if known.named {
            "partial"
        } else {
            "orphan"
        }
    };
    let mut by_process: BTreeMap<&str, u64> = BTreeMap::new();
    for known in processes.values() {
        *by_process.entry(state(known)).or_default() += 1;
    }
    let mut by_connection: BTreeMap<&str, u64> = BTreeMap::new();
    let mut lines = Vec::new();
    for connection in &connections {
        let guid = connection.guid("ProcessGuid");
        let known = guid.clone().and_then(|guid| processes.get(&(connection.host.clone(), guid)));
        *by_connection.entry(known.map_or("zero_guid", state)).or_default() += 1;
        if let (Some(guid), Some(known)) = (guid, known.filter(|known| known.created)) {
            let [ip, to, from] =
                ["DestinationIp", "DestinationPort", "SourcePort"].map(|name| connection.get(name));
            lines.push(format!(
                "{}|{guid}|{ip}|{to}|{from}|{}\n",
                connection.host, known.command_line
            ));
        }
    }
    lines.sort();
    let count = |map: &BTreeMap<&str, u64>, name: &str| map.get(name).copied().unwrap_or(0);
    assert_eq!(expected["records"], records.len());
    assert_eq!(expected["events"], serde_json::to_value(&events).unwrap());
    assert_eq!(expected["other_channels"], others);
    // without a record number, two events that agree in every field cannot be told apart
    if records.iter().all(|record| record.number.is_some()) {
        assert_eq!(expected["duplicates"], copies);
    } else {
        assert!(expected["duplicates"].as_u64().unwrap() <= copies);
    }
    assert_eq!(expected["processes"]["total"], processes.len());
    assert_eq!(expected["connections"]["total"], connections.len());
    assert_eq!(expected["connections"]["zero_guid"], count(&by_connection, "zero_guid"));
    for name in ["complete", "partial", "orphan"] {
        assert_eq!(expected["processes"][name], count(&by_process, name), "processes {name}");
        assert_eq!(
            expected["connections"][name],
            count(&by_connection, name),
            "connections {name}"
        );
    }
    assert_eq!(expected["inner_join"]["rows"], lines.len());
    let digest = blake3::hash(lines.concat().as_bytes()).to_hex().to_string();
    assert_eq!(expected["inner_join"]["blake3"], digest);
}

/// Every fault at once.
const FAULTS: &str = "--shuffle 300 --duplicates 5 --late-creates 20 --missing-creates 10 --zero-guids 2 \
                      --mixed-guid-case --clock-skew 90000";

#[test]
fn the_same_options_give_the_same_bytes() {
    for shape in Shape::ALL.map(Shape::name) {
        let options = format!("--events 1500 --shape {shape} --shuffle-keys {FAULTS}");
        assert_eq!(generate(&options), generate(&options), "{shape}");
    }
    assert_ne!(generate("--events 500 --seed 1").0, generate("--events 500 --seed 2").0);
}

/// A seed gives these bytes on every platform. A change of the tables or the simulation changes them, and then this digest: on
/// purpose, never by accident.
#[test]
fn the_bytes_are_pinned() {
    let (output, _) = generate(&format!("--events 5000 --shape mixed --shuffle-keys {FAULTS}"));
    assert_eq!(
        blake3::hash(&output).to_hex().as_str(),
        "e52e14a601a948bf5d347c32edf23ecdc9eec7e65d6f81ba2ab6a8501ca103c0"
    );
}

#[test]
fn every_shape_holds_what_is_expected() {
    for shape in Shape::ALL.map(Shape::name) {
        for faults in ["", FAULTS] {
            let (output, expected) = generate(&format!("--events 4000 --shape {shape} {faults}"));
            assert_eq!(expected["shapes"], serde_json::json!({ shape: 4000 }));
            check(&read_all(&output), &expected);
        }
    }
}

#[test]
fn mixed_shapes_are_one_per_host() {
    let (output, expected) = generate("--events 6000 --shape mixed");
    assert_eq!(expected["shapes"].as_object().unwrap().len(), 9);
    check(&read_all(&output), &expected);
}

/// Shapes differ in how they say it, not in what they say.
#[test]
fn every_shape_carries_the_same_facts() {
    let facts = |shape: &str, options: &str| {
        let (output, _) = generate(&format!("--events 3000 --shape {shape} {options}"));
        let facts = read_all(&output).into_iter().map(|record| {
            let guids = GUIDS.map(|name| record.guid(name));
            (record.host.clone(), guids, record.id, record.utc(), record.time.replace('T', " "))
        });
        let mut facts: Vec<_> = facts.collect();
        facts.sort();
        facts
    };
    let reference = facts("winlogbeat7", "--duplicates 3");
    for shape in Shape::ALL.map(Shape::name) {
        assert!(
            facts(shape, "--duplicates 3 --shuffle-keys --mixed-guid-case") == reference,
            "{shape} differs"
        );
    }
}

/// Without faults, the scenario is what a healthy domain logs.
#[test]
fn the_scenario_is_consistent() {
    let (output, expected) = generate("--events 20000 --clock-skew 60000");
    let records = read_all(&output);
    let mut last: HashMap<(String, String), (u64, String)> = HashMap::new();
    let mut created: HashMap<(String, String), String> = HashMap::new();
    for record in &records {
        let log = (record.host.clone(), record.channel.clone());
        let now = (record.number.unwrap(), record.time.clone());
        if let Some(before) = last.insert(log, now.clone()) {
            assert_eq!(now.0, before.0 + 1, "record numbers count up");
            assert!(!record.sysmon() || now.1 >= before.1, "the log's time never goes back");
        }
        let Some(guid) = record.guid("ProcessGuid").filter(|_| record.sysmon()) else { continue };
        let process = (record.host.clone(), guid.clone());
        if record.id == 1 {
            let seconds =
                u32::from_str_radix(&format!("{}{}", &guid[15..19], &guid[10..14]), 16).unwrap();
            let start = jiff::Timestamp::from_second(i64::from(seconds)).unwrap().to_string();
            assert_eq!(
                record.utc()[..19],
                start[..19].replace('T', " "),
                "the GUID holds the start"
            );
            assert!(record.guid("ParentProcessGuid").is_none_or(|parent| parent != guid));
            assert!(
                created.insert(process, record.time.clone()).is_none(),
                "a process is created once"
            );
        } else if let Some(start) = created.get(&process) {
            assert!(record.time > *start, "what a process does comes after its create");
        }
    }
    let usual: u64 = ["7", "10", "11", "12", "13"]
        .iter()
        .map(|id| expected["events"][id].as_u64().unwrap())
        .sum();
    let sysmon = 20_000 - expected["other_channels"].as_u64().unwrap();
    assert!((70..=80).contains(&(usual * 100 / sysmon)), "{usual} of {sysmon}");
    for state in ["complete", "partial", "orphan"] {
        assert!(expected["connections"][state].as_u64().unwrap() > 0, "{state}");
    }
    assert_eq!(expected["late_creates"], 0);
}

/// Two cloned machines share GUIDs, and what they name are different processes.
#[test]
fn clones_share_guids() {
    let (output, _) = generate("--events 8000");
    let mut hosts: HashMap<String, BTreeSet<String>> = HashMap::new();
    for record in read_all(&output).iter().filter(|record| record.sysmon()) {
        if let Some(guid) = record.guid("ProcessGuid") {
            hosts.entry(guid).or_default().insert(record.host.clone());
        }
    }
    assert!(hosts.values().any(|hosts| hosts.len() == 2));
}

#[test]
fn late_creates_follow_a_connection_of_their_process() {
    let (output, expected) = generate("--events 20000 --late-creates 100");
    let mut connected = BTreeSet::new();
    let mut late = 0;
    for record in read_all(&output) {
        let process = (record.host.clone(), record.guid("ProcessGuid"));
        match record.id {
            3 => _ = connected.insert(process),
            1 => late += u64::from(connected.contains(&process)),
            _ => {}
        }
    }
    assert!(late > 50, "{late}");
    assert_eq!(expected["late_creates"], late);
}

#[test]
fn no_record_moves_further_than_the_shuffle_window() {
    let order = |options: &str| {
        let (output, _) = generate(&format!("--events 3000 --other-channels 0 {options}"));
        read_all(&output).into_iter().map(|record| record.identity()).collect::<Vec<_>>()
    };
    let (straight, shuffled) = (order(""), order("--shuffle 50"));
    assert_ne!(straight, shuffled);
    let place: HashMap<_, _> =
        straight.iter().enumerate().map(|(place, record)| (record, place)).collect();
    assert!(shuffled.iter().enumerate().all(|(now, record)| place[record].abs_diff(now) < 50));
}

#[test]
fn the_attack_is_complete_even_in_a_small_scenario() {
    for options in ["--events 1000 --hosts 3", "--events 1000 --hosts 40", "--events 20000"] {
        let (output, expected) = generate(options);
        let attack = expected["attack"].as_array().unwrap();
        assert!(attack.last().unwrap()["technique"] == "T1070.004", "{options}");
        let records = read_all(&output);
        let creates: HashMap<_, _> = records
            .iter()
            .filter(|record| record.id == 1)
            .map(|record| (record.guid("ProcessGuid").unwrap(), record))
            .collect();
        let chain = |leaf: &str| {
            let first =
                attack.iter().find(|deed| deed["image"].as_str().unwrap().ends_with(leaf)).unwrap();
            let mut next = first["process_guid"].as_str().unwrap().to_owned();
            let mut images = Vec::new();
            while let Some(create) = creates.get(&next) {
                images.push(create.get("Image").rsplit('\\').next().unwrap());
                next = create.guid("ParentProcessGuid").unwrap();
            }
            images.join(" < ")
        };
        assert_eq!(
            chain("net1.exe"),
            "net1.exe < net.exe < powershell.exe < cmd.exe < WINWORD.EXE < OUTLOOK.EXE"
        );
        assert_eq!(chain("rclone.exe"), "rclone.exe < powershell.exe < WmiPrvSE.exe");
        assert!(
            attack.iter().all(|deed| creates.contains_key(deed["process_guid"].as_str().unwrap()))
        );
    }
}

#[test]
fn compressed_output_holds_the_same_bytes() {
    use std::io::Read;
    let options = "--events 700";
    let (plain, expected) = generate(options);
    let (gzip, same) = generate_to("out.ndjson.gz", options);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain && same == expected);
    let (zstd, same) = generate_to("out.ndjson.zst", options);
    assert!(zstd::decode_all(&zstd[..]).unwrap() == plain && same == expected);
}

#[test]
fn the_default_is_the_command_line_without_options() {
    let parsed = Cli::try_parse_from(["generate"]).unwrap().generate;
    assert_eq!(format!("{parsed:?}"), format!("{:?}", GenerateArgs::default()));
}

#[test]
fn bad_options_are_refused() {
    for options in [
        "--shape evtx",
        "--hosts 2",
        "--duplicates 101",
        "--zero-guids=-1",
        "--start yesterday",
        "--start 1601-01-01T00:00:00Z",
    ] {
        let args = ["generate"].into_iter().chain(options.split_whitespace());
        assert!(Cli::try_parse_from(args).is_err(), "{options}");
    }
    let mixed = Cli::try_parse_from(["generate", "--shape", "xml,xml-events"]).unwrap().generate;
    assert!(run(&mixed).unwrap_err().to_string().contains("xml-events"));
    let nowhere = GenerateArgs {
        output: Some(Path::new("no such folder/out").into()),
        ..GenerateArgs::default()
    };
    assert!(run(&nowhere).unwrap_err().to_string().contains("no such folder"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// Whatever is asked for, exactly that many records are written and the expected result is true.
    #[test]
    fn any_options_hold_what_is_expected(
        seed: u64,
        events in 0_u64..2500,
        hosts in 3_usize..30,
        shape in prop::sample::select(Shape::ALL.map(Shape::name).into_iter().chain(["mixed"]).collect::<Vec<_>>()),
        shuffle in 0_u64..2000,
        rates in prop::array::uniform5(prop_oneof![Just(0_u32), 0_u32..=100]),
        skew in 0_u64..10_000_000,
        flags: (bool, bool),
    ) {
        let [other, duplicates, late, missing, zero] = rates;
        let mut options = format!(
            "--seed {seed} --events {events} --hosts {hosts} --shape {shape} --shuffle {shuffle} --clock-skew {skew} \
             --other-channels {} --duplicates {duplicates} --late-creates {late} --missing-creates {missing} \
             --zero-guids {zero}", other / 2,
        );
        if flags.0 {
            options.push_str(" --mixed-guid-case");
        }
        if flags.1 {
            options.push_str(" --shuffle-keys");
        }
        let (output, expected) = generate(&options);
        let records = read_all(&output);
        prop_assert_eq!(records.len() as u64, events);
        check(&records, &expected);
    }
}
