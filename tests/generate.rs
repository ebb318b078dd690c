//! `helkflow generate`, read back by a reader that shares no code with it (`oracle/export.rs`):
//! everything in the expected result is counted again from its records.

mod oracle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use clap::Parser;
use helkflow::cli::generate::{GenerateArgs, Shape, run};
use oracle::export::{GUIDS, Record, is_field, known, read_all};
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
        let options = format!("--events 600 --shape {shape} --shuffle-keys {FAULTS}");
        assert_eq!(generate(&options), generate(&options), "{shape}");
    }
    assert_ne!(generate("--events 500 --seed 1").0, generate("--events 500 --seed 2").0);
}

/// A seed gives these bytes on every platform. A change of the tables or the simulation changes
/// them, and then this digest: on purpose, never by accident.
#[test]
fn the_bytes_are_pinned() {
    let options = format!("--events 5000 --hosts 60 --shape mixed --shuffle-keys {FAULTS}");
    let (output, _) = generate(&options);
    assert_eq!(
        blake3::hash(&output).to_hex().as_str(),
        "0d77b356a3e9d8b44fea2498bd88516772703c8f528be7711a60caed4a6c2bc6"
    );
}

#[test]
fn every_shape_holds_what_is_expected() {
    for shape in Shape::ALL.map(Shape::name) {
        for faults in ["", FAULTS] {
            let (output, expected) = generate(&format!("--events 1500 --shape {shape} {faults}"));
            assert_eq!(expected["shapes"], serde_json::json!({ shape: 1500 }));
            check(&read_all(&output), &expected);
        }
    }
}

#[test]
fn mixed_shapes_are_one_per_host() {
    let (output, expected) = generate("--events 6000 --hosts 60 --shape mixed");
    assert_eq!(expected["shapes"].as_object().unwrap().len(), Shape::ALL.len() - ALONE.len());
    check(&read_all(&output), &expected);
}

/// Shapes that have a file for themselves.
const ALONE: [&str; 7] = [
    "xml-events",
    "xml-joined",
    "elastic-response",
    "splunk-csv",
    "splunk-text",
    "sentinel-csv",
    "kibana-csv",
];

/// Shapes that print the log's time in whole seconds.
const WHOLE_SECONDS: [&str; 4] = ["nxlog", "syslog-json", "splunk-text", "fluentbit"];

/// Shapes differ in how they say it, not in what they say, but for what their tools lose.
#[test]
fn every_shape_carries_the_same_facts() {
    let facts = |shape: &str, options: &str| {
        let (output, _) = generate(&format!("--events 2000 --shape {shape} {options}"));
        let mut records = read_all(&output);
        for record in &mut records {
            record.fields = kept(shape, record);
            if record.sysmon() {
                // Sysmon for Linux has a channel of another name
                record.channel = "Sysmon".to_owned();
            }
        }
        records.sort_by_cached_key(Record::identity);
        records
    };
    let reference = facts("xml", "--duplicates 3 --mixed-guid-case");
    for shape in Shape::ALL.map(Shape::name) {
        let mut wanted = reference.clone();
        for record in &mut wanted {
            if WHOLE_SECONDS.contains(&shape) {
                record.time.replace_range(20.., "000");
            }
            record.fields = kept(shape, record);
        }
        let found = facts(shape, "--duplicates 3 --shuffle-keys --mixed-guid-case");
        let numbered = found.iter().all(|record| record.number.is_some());
        assert_eq!(
            numbered,
            !matches!(shape, "azure" | "osquery" | "sentinel-event" | "sentinel-csv"),
            "{shape}"
        );
        if !numbered {
            for record in &mut wanted {
                record.number = None;
            }
        }
        wanted.sort_by_cached_key(Record::identity);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{shape}");
        }
        assert_eq!(found.len(), wanted.len(), "{shape}");
    }
}

/// What a shape keeps of the fields of Sysmon's events, GUIDs in one spelling, without what says
/// nothing.
fn kept(shape: &str, record: &Record) -> BTreeMap<String, String> {
    // NXLog has these names itself
    let overwritten = matches!(shape, "nxlog" | "syslog-json");
    let known = known(shape);
    let fields = record.fields.iter().filter(|_| record.sysmon());
    let fields = fields.filter_map(|(name, value)| {
        let value = match name.as_str() {
            name if GUIDS.contains(&name) || name == "LogonGuid" => {
                value.trim_matches(['{', '}']).to_uppercase()
            }
            "UtcTime" => record.utc(),
            "LogonId" => match value.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).unwrap().to_string(),
                None => value.clone(),
            },
            _ if shape == "helk" => value.to_lowercase(),
            _ if shape == "wazuh" => value.trim().to_owned(),
            _ => value.clone(),
        };
        let lost = value.is_empty()
            || value == "-"
            || known.as_ref().is_some_and(|known| !known.contains(&name.as_str()))
            || (overwritten && !is_field(name))
            || (overwritten && matches!(name.as_str(), "EventType" | "Version" | "ProcessId"));
        (!lost).then(|| (name.clone(), value))
    });
    fields.collect()
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
    for alone in ALONE {
        let shapes = format!("xml,{alone}");
        let mixed = Cli::try_parse_from(["generate", "--shape", &shapes]).unwrap().generate;
        assert!(run(&mixed).unwrap_err().to_string().contains(alone));
    }
    let nowhere = GenerateArgs {
        output: Some(Path::new("no such folder/out").into()),
        ..GenerateArgs::default()
    };
    assert!(run(&nowhere).unwrap_err().to_string().contains("no such folder"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// Whatever is asked for, exactly that many records are written and the expected result is
    /// true.
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
