//! Runs on a real broker: the same content as a replay, exactly once, whatever happens.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::kafka::{Kafka, Live, broker, free_port, send, unique, wait_for};
use helkflow::connect::files::{DeadLetters, Dispenser, Kind, Options, discover};
use helkflow::format::split::Expect;
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// The records of a capture as a shipper would send them.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let inputs = discover(&[path], Expect::Events).unwrap();
    let letters = Arc::new(DeadLetters::new(None));
    let dispenser =
        Dispenser::new(inputs, Options::default(), letters, Arc::new(AtomicBool::new(false)))
            .unwrap();
    let mut records = Vec::new();
    while let Some(chunk) = dispenser.next(Vec::new()) {
        // Kafka has no EVTX in it
        if !matches!(chunk.kind, Kind::Evtx) {
            records.extend(chunk.records().map(|record| record.bytes.to_vec()));
        }
        dispenser.finish(chunk, 0, Vec::new());
    }
    records
}

/// The shipped dataflow, reading one topic and writing its last view to another.
fn process_network(input: &str, output: &str) -> String {
    let text = |name: &str| {
        std::fs::read_to_string(format!("{}/dataflows/{name}.sql", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    let processes = text("processes").replace("'winlogbeat'", &format!("'{input}'"));
    text("process_network").replace("RUN SCRIPT 'processes.sql';", &processes).replace(
        "CREATE TABLE process_network AS",
        &format!("CREATE TABLE process_network WITH (KAFKA_TOPIC = '{output}') AS"),
    )
}

#[test]
fn a_topic_has_the_content_of_a_replay() {
    let Some(address) = broker() else { return };
    let Some(folder) = common::shared("HELKFLOW_CAPTURES", "captures") else { return };
    let kafka = Kafka::new(&address);
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("truth.json")).unwrap()).unwrap();
    for name in truth["captures"].as_object().unwrap().keys() {
        let records = records(&folder.join(name));
        if records.is_empty() {
            continue;
        }
        let work = tempfile::tempdir().unwrap();
        let file = work.path().join("records.json");
        std::fs::write(&file, records.join(&b'\n')).unwrap();
        let shipped = process_network("winlogbeat", "PROCESS_NETWORK");
        let expected = common::Run::new(&shipped, &[file]).lines();
        for (partitions, keyed) in [(1, false), (8, true), (8, false)] {
            let (input, output) = (unique("in"), unique("out"));
            kafka.create(&input, partitions);
            // the host stands in for a key; which one it is does not matter, only that it is the same
            let key = |record: &[u8]| {
                keyed.then(|| {
                    crc32fast::hash(&record[..record.len().min(40)]).to_be_bytes().to_vec()
                })
            };
            let keys: Vec<Option<Vec<u8>>> = records.iter().map(|record| key(record)).collect();
            kafka.produce(
                &input,
                records.iter().zip(&keys).map(|(record, key)| (key.as_deref(), Some(&record[..]))),
            );
            let state = tempfile::tempdir().unwrap();
            let workers = if keyed { "2" } else { "1" };
            let options = [
                "--view",
                "process_network",
                "--state-dir",
                state.path().to_str().unwrap(),
                "-w",
                workers,
            ];
            let mut live = Live::start(
                &address,
                work.path(),
                &process_network(&input, &output),
                &unique("content"),
                &options,
            );
            live.has_published(&input, records.len() as u64);
            let (status, log) = live.stop();
            assert!(status.success(), "{name}: {status}\n{log}");
            kafka.settle(&output);
            let found = kafka.content(&output);
            assert_eq!(
                found.len(),
                expected.len(),
                "{name}, {partitions} partitions, keyed: {keyed}"
            );
            assert_eq!(found, expected, "{name}, {partitions} partitions, keyed: {keyed}");
            kafka.delete(&[&input, &output]);
        }
    }
}

/// A stream that is copied, so that every record of the input is one of the output.
fn copy(input: &str, output: &str) -> String {
    format!(
        "CREATE STREAM events (id INT, host VARCHAR) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON');
         CREATE STREAM copies WITH (KAFKA_TOPIC = '{output}') AS SELECT * FROM events;"
    )
}

fn numbers(kafka: &Kafka, topic: &str) -> Vec<i64> {
    let number = |record: &common::kafka::Record| {
        serde_json::from_str::<serde_json::Value>(&record.text()).unwrap()["ID"].as_i64().unwrap()
    };
    kafka.read(topic).iter().map(number).collect()
}

fn produce_numbers(kafka: &Kafka, topic: &str, numbers: std::ops::Range<i64>) {
    let values: Vec<Vec<u8>> =
        numbers.map(|i| format!("{{\"ID\":{i},\"HOST\":\"h{}\"}}", i % 7).into_bytes()).collect();
    kafka.produce(topic, values.iter().map(|value| (None, Some(&value[..]))));
}

#[test]
fn every_record_is_published_once_over_kills_at_every_step() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("kills"));
    kafka.create(&input, 2);
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let table = unique("counts");
    let sql = copy(&input, &output)
        + &format!(
            "CREATE TABLE counts WITH (KAFKA_TOPIC = '{table}', RETENTION = '7 DAYS') AS SELECT host, COUNT(*) AS n FROM events GROUP BY host;"
        );
    let steps = [
        "bindings-written",
        "bindings-synced",
        "publisher-records-sent",
        "publisher-progress-sent",
        "publisher-committed",
        "store-run-written",
        "store-run-synced",
        "store-manifest-written",
        "store-manifest-renamed",
        "store-old-deleted",
    ];
    let mut produced = 0;
    for (i, step) in steps.iter().enumerate() {
        produce_numbers(&kafka, &input, produced..produced + 100);
        produced += 100;
        let workers = (1 + i % 2).to_string();
        let options = [
            "--state-dir",
            state.to_str().unwrap(),
            "-w",
            &workers,
            "--checkpoint-interval",
            "50ms",
        ];
        // passes once, so that there is something before the end; and checkpoints are due before partitions are there
        let points = format!("keeper-assigns=sleep(200);{step}=1*off->panic");
        let mut live = Live::start_with(
            &address,
            work.path(),
            &sql,
            &service,
            &options,
            &[("FAILPOINTS", &points)],
        );
        produce_numbers(&kafka, &input, produced..produced + 100);
        produced += 100;
        let ended = wait_for(step, || {
            produce_numbers(&kafka, &input, produced..produced + 1);
            produced += 1;
            live.log().contains("panicked").then(|| live.wait())
        });
        assert!(!ended.success(), "{step}");
    }
    let mut live = Live::start(
        &address,
        work.path(),
        &sql,
        &service,
        &["--state-dir", state.to_str().unwrap()],
    );
    wait_for("all records", || (kafka.read(&output).len() as i64 >= produced).then_some(()));
    live.has_published(&input, 0);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let mut found = numbers(&kafka, &output);
    found.sort_unstable();
    assert_eq!(found, (0..produced).collect::<Vec<_>>());
    assert_eq!(counted(&kafka, &table), produced);
    kafka.delete(&[&input, &output, &table]);
}

#[test]
fn bad_records_are_dead_letters_and_aborted_ones_never_seen() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("poison"));
    kafka.create(&input, 1);
    let sql = format!(
        "CREATE STREAM sysmon WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'SYSMON');
         CREATE STREAM images WITH (KAFKA_TOPIC = '{output}') AS SELECT image, event_id FROM sysmon;"
    );
    let event = |image: &str| {
        serde_json::json!({"@timestamp": "2026-01-15T09:00:00.000Z", "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "event_id": 1,
            "computer_name": "ws01", "record_id": 1, "event_data": {"Image": image, "ProcessGuid": "{A98268C1-9C2E-5ACD-0000-0010396CAB00}"}}})
        .to_string()
    };
    let big = event(&"x".repeat(1 << 20));
    let huge = event(&"y".repeat(10 << 20));
    let good = [event("a.exe"), big, huge, event("b.exe")];
    let bad: [&[u8]; 5] = [b"{\"a\":", b"\xff\xfe\x00", b"{}", b"<Event>", b"[1,2"];
    let mut all = Vec::new();
    all.push((None::<&[u8]>, Some(good[0].as_bytes())));
    all.extend(bad.iter().map(|bad| (Some(&b"k"[..]), Some(*bad))));
    all.extend([(None, None), (Some(&b"key"[..]), None), (None, Some(&b""[..]))]);
    all.extend(good[1..].iter().map(|good| (None, Some(good.as_bytes()))));
    kafka.produce(&input, all.iter().copied());
    let transactional = kafka.producer(&[("transactional.id", &unique("aborting"))]);
    transactional.init_transactions(common::kafka::PATIENCE).unwrap();
    transactional.begin_transaction().unwrap();
    send(&transactional, &input, None, Some(event("aborted.exe").as_bytes()));
    transactional.flush(common::kafka::PATIENCE).unwrap();
    transactional.abort_transaction(common::kafka::PATIENCE).unwrap();
    kafka.produce(&input, [(None, Some(event("last.exe").as_bytes()))]);

    let work = tempfile::tempdir().unwrap();
    let mut live = Live::start(&address, work.path(), &sql, &service, &[]);
    wait_for("the last record", || (kafka.read(&output).len() == good.len() + 1).then_some(()));
    live.has_published(&input, all.len() as u64 + 1);
    assert_eq!(live.metric("helkflow_dead_letters_total", &input), Some(bad.len() as u64));
    assert_eq!(live.metric("helkflow_dead_letters_total", "reason=\"invalid_json\""), Some(2));
    assert_eq!(live.metric("helkflow_records_empty_total", &input), Some(3));
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let image = |record: &common::kafka::Record| {
        serde_json::from_str::<serde_json::Value>(&record.text()).unwrap()["IMAGE"]
            .as_str()
            .unwrap()
            .len()
    };
    let lengths: Vec<usize> = kafka.read(&output).iter().map(image).collect();
    assert_eq!(lengths, [5, 1 << 20, 10 << 20, 5, 8]);
    let letters = kafka.read(&format!("{service}_dead_letters"));
    let values: Vec<&[u8]> =
        letters.iter().map(|letter| letter.value.as_deref().unwrap()).collect();
    assert_eq!(values, bad);
    for (i, letter) in letters.iter().enumerate() {
        assert_eq!(letter.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(letter.headers["helkflow.topic"], input);
        assert_eq!(letter.headers["helkflow.partition"], "0");
        assert_eq!(letter.headers["helkflow.offset"], (i + 1).to_string());
    }
    let reasons: Vec<&str> =
        letters.iter().map(|letter| &letter.headers["helkflow.reason"][..]).collect();
    assert_eq!(
        reasons,
        ["invalid_json", "unknown_shape", "unknown_shape", "invalid_xml", "invalid_json"]
    );
    kafka.delete(&[&input, &output]);
}

/// Counts by host, over a topic of JSON.
fn counts(input: &str, output: &str, more: &str) -> String {
    format!(
        "CREATE STREAM events (id INT, host VARCHAR) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON');
         CREATE TABLE counts WITH (KAFKA_TOPIC = '{output}', RETENTION = '7 DAYS') AS SELECT host, COUNT(*) AS n FROM events GROUP BY host;
         {more}"
    )
}

/// The counts in a topic, as they stand.
fn counted(kafka: &Kafka, topic: &str) -> i64 {
    let count = |line: &String| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["N"].as_i64().unwrap()
    };
    kafka.content(topic).iter().map(count).sum()
}

#[test]
fn a_topic_may_come_late_grow_and_lose_what_the_state_still_has() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("late"));
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let options = ["--state-dir", state.to_str().unwrap(), "-w", "2"];
    let sql = counts(&input, &output, "");
    let mut live = Live::start(&address, work.path(), &sql, &service, &options);
    live.says("is not there yet");
    kafka.create(&input, 1);
    produce_numbers(&kafka, &input, 0..100);
    live.has_published(&input, 100);
    kafka.grow(&input, 3);
    produce_numbers(&kafka, &input, 100..400);
    wait_for("all partitions", || (counted(&kafka, &output) == 400).then_some(()));
    live.has_published(&input, 400);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");

    let ends: Vec<(i32, i64)> = {
        let mut ends = std::collections::BTreeMap::new();
        for record in kafka.read(&input) {
            ends.insert(record.partition, record.offset + 1);
        }
        ends.into_iter().collect()
    };
    for (partition, end) in ends {
        kafka.forget(&input, partition, end);
    }
    produce_numbers(&kafka, &input, 400..450);
    let mut live = Live::start(&address, work.path(), &sql, &service, &options);
    wait_for("counts that go on", || (counted(&kafka, &output) == 450).then_some(()));
    live.has_published(&input, 50);
    live.stop();
    kafka.delete(&[&input, &output]);
}

#[test]
fn a_topic_made_anew_is_read_from_its_beginning() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, table, service) =
        (unique("in"), unique("out"), unique("counts"), unique("anew"));
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let sql = copy(&input, &output)
        + &format!(
            "CREATE TABLE counts WITH (KAFKA_TOPIC = '{table}', RETENTION = '7 DAYS') AS SELECT host, COUNT(*) AS n FROM events GROUP BY host;"
        );
    let options = ["--state-dir", state.to_str().unwrap(), "-w", "2", "--checkpoint-interval"];
    let start = |interval| {
        Live::start(&address, work.path(), &sql, &service, &[&options[..], &[interval]].concat())
    };
    // some for each partition
    let produce = |numbers: std::ops::Range<i64>| {
        let records: Vec<(String, String)> = numbers
            .map(|i| (i.to_string(), format!("{{\"ID\":{i},\"HOST\":\"h{}\"}}", i % 7)))
            .collect();
        kafka.produce(
            &input,
            records.iter().map(|(key, value)| (Some(key.as_bytes()), Some(value.as_bytes()))),
        );
    };
    kafka.create(&input, 2);
    produce(0..100);
    let mut live = start("50ms");
    live.has_published(&input, 100);
    // with less in it than was read
    kafka.delete(&[&input]);
    kafka.create_again(&input, 2);
    produce(100..130);
    live.has_published(&input, 130);
    // with more; the one before may have been missed as well
    let gone = |live: &Live| live.log().matches("is gone").count();
    let before = gone(&live);
    kafka.delete(&[&input]);
    wait_for("it is missed", || (gone(&live) > before).then_some(()));
    kafka.create_again(&input, 3);
    produce(130..230);
    live.has_published(&input, 230);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    assert_eq!(log.matches("was made anew").count(), 4, "{log}");

    // no checkpoint knows of the next one
    let mut live = start("1h");
    live.says(&format!("reading {input}/2"));
    kafka.delete(&[&input]);
    kafka.create_again(&input, 3);
    produce(230..240);
    live.has_published(&input, 10);
    drop(live);
    produce(240..300);
    let mut live = start("50ms");
    wait_for("all records", || (kafka.read(&output).len() >= 300).then_some(()));
    live.has_published(&input, 0);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let mut found = numbers(&kafka, &output);
    found.sort_unstable();
    assert_eq!(found, (0..300).collect::<Vec<_>>());
    assert_eq!(counted(&kafka, &table), 300);
    kafka.delete(&[&input, &output, &table]);
}

/// While a topic is missing the others are looked at twice a second; reading goes on between a look at what was read and one at what is there.
#[test]
fn a_topic_that_grows_while_it_is_looked_at_is_the_same() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("grows"));
    kafka.create(&input, 1);
    let work = tempfile::tempdir().unwrap();
    let sql = copy(&input, &output)
        + &format!(
            "CREATE STREAM others (id INT) WITH (KAFKA_TOPIC = '{service}-missing', VALUE_FORMAT = 'JSON');
             CREATE STREAM none WITH (KAFKA_TOPIC = '{service}-none') AS SELECT * FROM others;"
        );
    let mut live = Live::start_with(
        &address,
        work.path(),
        &sql,
        &service,
        &[],
        &[("FAILPOINTS", "keeper-looks=sleep(300)")],
    );
    live.says(&format!("reading {input}/0"));
    for i in 0..100 {
        produce_numbers(&kafka, &input, i..i + 1);
    }
    live.has_published(&input, 100);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("made anew"), "{log}");
    assert_eq!(numbers(&kafka, &output).len(), 100);
    kafka.delete(&[&input, &output, &format!("{service}-none")]);
}

#[test]
fn what_operators_keep_is_told_and_ends() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, service) = (unique("in"), unique("sizes"));
    kafka.create(&input, 1);
    let sql = format!(
        "CREATE STREAM sysmon WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'SYSMON');
         CREATE TABLE processes WITH (KAFKA_TOPIC = '{service}-processes', RETENTION = '1 HOUR') AS
             SELECT process_guid, LATEST_BY_OFFSET(image) AS image FROM sysmon GROUP BY process_guid;
         CREATE TABLE named WITH (KAFKA_TOPIC = '{service}-named') AS
             SELECT s.image AS own, p.image FROM sysmon s JOIN processes p RETROACTIVE WITHIN 1 HOUR ON s.process_guid = p.process_guid;"
    );
    let produce = |numbers: std::ops::Range<i64>, time: &str| {
        let event = |i: i64| {
            serde_json::json!({"@timestamp": format!("2026-01-15T{time}.000Z"), "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "event_id": 1,
                "computer_name": "ws01", "record_id": i, "event_data": {"Image": format!("{i}.exe"), "ProcessGuid": format!("{{A98268C1-9C2E-5ACD-0000-00103{i:07}}}")}}})
            .to_string()
        };
        let values: Vec<String> = numbers.map(event).collect();
        kafka.produce(&input, values.iter().map(|value| (None, Some(value.as_bytes()))));
    };
    let work = tempfile::tempdir().unwrap();
    let mut live = Live::start(
        &address,
        work.path(),
        &sql,
        &service,
        &["--allowed-lateness", "1s", "-w", "2"],
    );
    let kept = |live: &Live| {
        let operators = [
            "operator=\"groups by PROCESS_GUID\"",
            "operator=\"rows of 3600 s of",
            "operator=\"index by PROCESS_GUID\"",
        ];
        operators.map(|operator| live.metric("helkflow_rows_kept", operator).unwrap_or(0))
    };
    produce(0..100, "09:00:00");
    live.has_published(&input, 100);
    wait_for("all rows", || (kept(&live) == [100, 100, 200]).then_some(()));
    // a table without a key has all its rows in its topic
    assert_eq!(kafka.read(&format!("{service}-named")).len(), 100);
    // what is older than an hour ends, and leaves the indexes as they merge with what comes
    let mut produced = 100;
    wait_for("only new rows", || {
        produce(produced..produced + 1, "12:00:00");
        produced += 1;
        let [groups, rows, indexed] = kept(&live);
        (groups < 100 && rows < 100 && indexed < 2 * (produced as u64 - 100) + 100).then_some(())
    });
    live.has_published(&input, produced as u64);
    let new = produced as u64 - 100;
    wait_for("their number", || (kept(&live)[..2] == [new, new]).then_some(()));
    assert!(live.metric("helkflow_ticks_total", "").unwrap() > 0);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    kafka.delete(&[&input, &format!("{service}-processes"), &format!("{service}-named")]);
}

#[test]
fn state_belongs_to_its_statements_and_to_one_run() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, beside, service) =
        (unique("in"), unique("out"), unique("beside"), unique("plan"));
    kafka.create(&input, 2);
    produce_numbers(&kafka, &input, 0..100);
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    let mut live =
        Live::start(&address, work.path(), &counts(&input, &output, ""), &service, &options);
    live.has_published(&input, 100);

    // a second one on the same directory
    let mut second =
        Live::start(&address, work.path(), &counts(&input, &output, ""), &service, &options);
    assert_eq!(second.wait().code(), Some(1));
    assert!(
        second.log().contains(&live.pid().to_string()),
        "it does not say who has it:\n{}",
        second.log()
    );

    // one of the same name with a directory of its own would publish everything again
    let other = work.path().join("other");
    let mut third = Live::start(
        &address,
        work.path(),
        &counts(&input, &output, ""),
        &service,
        &["--state-dir", other.to_str().unwrap()],
    );
    assert_eq!(third.wait().code(), Some(1));
    assert!(third.log().contains("has published more than the state"), "{}", third.log());
    produce_numbers(&kafka, &input, 100..120);
    live.has_published(&input, 120);
    assert!(!live.log().contains("records cannot be written"), "it was disturbed:\n{}", live.log());
    drop(live);

    // other statements
    let changed = counts(&input, &output, "").replace("COUNT(*)", "SUM(id)");
    let mut refused = Live::start(&address, work.path(), &changed, &service, &options);
    assert_eq!(refused.wait().code(), Some(1));
    assert!(refused.log().contains("is of other statements"), "{}", refused.log());

    // a query beside the old one begins with what is known
    let more = format!(
        "CREATE TABLE large WITH (KAFKA_TOPIC = '{beside}') AS SELECT host, n FROM counts WHERE n > 1;"
    );
    let mut live =
        Live::start(&address, work.path(), &counts(&input, &output, &more), &service, &options);
    wait_for("the content of the new table", || (counted(&kafka, &beside) == 120).then_some(()));
    produce_numbers(&kafka, &input, 120..170);
    wait_for("both tables", || {
        (counted(&kafka, &beside) == 170 && counted(&kafka, &output) == 170).then_some(())
    });
    let records = kafka.read(&output).len();
    live.says("state as of");
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let values: Vec<String> = kafka.read(&output).iter().map(common::kafka::Record::text).collect();
    let distinct: std::collections::BTreeSet<&String> = values.iter().collect();
    assert_eq!(distinct.len(), records, "a row was published twice");
    kafka.delete(&[&input, &output, &beside]);
}

#[test]
fn what_is_wrong_is_said_at_once() {
    let work = tempfile::tempdir().unwrap();
    let sql = copy("a", "b");
    let ends = |options: &[&str], code: i32, words: &str| {
        let mut live = Live::start("127.0.0.1:1", work.path(), &sql, "wrong", options);
        let status = live.wait();
        wait_for(words, || live.log().contains(words).then_some(()));
        assert_eq!(status.code(), Some(code), "{options:?}\n{}", live.log());
    };
    ends(&["--processing-guarantee", "exactly_once_v2"], 2, "needs a --state-dir");
    ends(&["--processing-guarantee", "twice"], 2, "not twice");
    ends(&["--auto-offset-reset", "middle"], 2, "not middle");
    ends(&["--view", "nothing"], 2, "there is no view nothing; there are COPIES");
    ends(&["-X", "no.such.property=1"], 1, "no.such.property");
    let config = work.path().join("config.toml");
    std::fs::write(&config, "state-dri = \"x\"\n").unwrap();
    ends(&["--config", config.to_str().unwrap()], 2, "state-dri");
    std::fs::write(&config, "watchdog = \"soon\"\n").unwrap();
    ends(&["--config", config.to_str().unwrap()], 2, "expected a number with");

    // flags win over the environment, that over the file; secrets are nobody's business; a broker that is away is waited for
    std::fs::write(&config, "service-id = \"of-file\"\nallowed-lateness = \"7m\"\nworkers = 1\n[kafka]\n\"sasl.password\" = \"hunter2\"\n")
        .unwrap();
    let options = ["--config", config.to_str().unwrap()];
    let mut live = Live::start_with(
        "127.0.0.1:1",
        work.path(),
        &sql,
        "of-flag",
        &options,
        &[("HELKFLOW_SERVICE_ID", "of-env"), ("HELKFLOW_WORKERS", "2")],
    );
    live.says("trying again");
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let line = |name: &str| {
        log.lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap_or_else(|| panic!("no {name}:\n{log}"))
            .split_whitespace()
            .last()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        [line("service-id"), line("workers"), line("allowed-lateness"), line("sasl.password")],
        ["of-flag", "2", "420s", "********"]
    );
    assert!(!log.contains("hunter2"));
}

#[test]
fn a_run_begins_at_the_time_that_is_asked_for() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output) = (unique("in"), unique("out"));
    kafka.create(&input, 4);
    // an hour ago, to the second
    let from = (jiff::Timestamp::now().as_second() - 3600) * 1000;
    let producer = kafka.producer(&[]);
    let produce = |records: &[(i64, i32, i64)]| {
        for (id, partition, after) in records {
            let value = format!("{{\"ID\":{id}}}");
            let record = BaseRecord::<(), _>::to(&input)
                .payload(&value)
                .partition(*partition)
                .timestamp(from + after);
            producer.send(record).unwrap();
        }
        producer.flush(common::kafka::PATIENCE).unwrap();
    };
    // (id, partition, ms after that time): from the first of that time or later on in offset order, also of what is earlier and stands behind it; the third partition has nothing so late, the last one nothing at all
    produce(&[
        (1, 0, -2000),
        (2, 0, -1),
        (3, 0, 0),
        (4, 0, 5),
        (5, 1, -1),
        (6, 1, 7),
        (7, 1, -7),
        (8, 2, -9),
        (9, 2, -1),
    ]);
    let work = tempfile::tempdir().unwrap();
    let from = jiff::Timestamp::from_millisecond(from).unwrap().to_string();
    let mut live = Live::start(
        &address,
        work.path(),
        &copy(&input, &output),
        &unique("from"),
        &["--from", &from],
    );
    live.has_published(&input, 4);
    (0..4).for_each(|partition| live.says(&format!("reading {input}/{partition} from")));
    produce(&[(10, 2, -1), (11, 3, -1)]);
    live.has_published(&input, 6);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let mut found = numbers(&kafka, &output);
    found.sort_unstable();
    assert_eq!(found, [3, 4, 6, 7, 10, 11]);
    kafka.delete(&[&input, &output]);
}

#[test]
fn compressed_records_are_read() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let output = unique("out");
    let codecs = ["gzip", "snappy", "lz4", "zstd"];
    let mut inputs = Vec::new();
    let mut statements = Vec::new();
    for (i, codec) in codecs.iter().enumerate() {
        // the broker compresses with the codecs of Java clients, a producer of librdkafka's with others: their framing of Snappy and LZ4 has differed
        for by_broker in [true, false] {
            let input = unique(codec);
            kafka.create_with(
                &input,
                1,
                &[("compression.type", if by_broker { codec } else { "producer" })],
            );
            let producer = kafka.producer(&[
                ("compression.type", if by_broker { "none" } else { codec }),
                ("linger.ms", "1000"),
            ]);
            let first = (2 * i + usize::from(by_broker)) * 1000;
            for id in first..first + 1000 {
                send(
                    &producer,
                    &input,
                    None,
                    Some(format!("{{\"ID\":{id},\"HOST\":\"{}\"}}", "h".repeat(100)).as_bytes()),
                );
            }
            producer.flush(common::kafka::PATIENCE).unwrap();
            let name = format!("s{}", inputs.len());
            statements.push(format!("CREATE STREAM {name} (id INT, host VARCHAR) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON');"));
            inputs.push(input);
        }
    }
    let all: Vec<String> = (0..inputs.len()).map(|i| format!("SELECT * FROM s{i}")).collect();
    statements.push(format!(
        "CREATE STREAM copies WITH (KAFKA_TOPIC = '{output}') AS {};",
        all.join(" UNION ALL ")
    ));
    let work = tempfile::tempdir().unwrap();
    let mut live =
        Live::start(&address, work.path(), &statements.concat(), &unique("compressed"), &[]);
    for input in &inputs {
        live.has_published(input, 1000);
    }
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    let mut found = numbers(&kafka, &output);
    found.sort_unstable();
    assert_eq!(found, (0..8000).collect::<Vec<_>>());
    kafka.delete(&inputs.iter().map(String::as_str).chain([&output[..]]).collect::<Vec<_>>());
}

#[test]
fn two_processes_have_the_content_of_one() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("events.ndjson");
    let made = [
        "generate",
        "--events",
        "3000",
        "--shape",
        "mixed",
        "--shuffle",
        "200",
        "--late-creates",
        "20",
        "-o",
    ];
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_helkflow"))
        .args(made)
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let records = records(&file);
    let expected =
        common::Run::new(&process_network("winlogbeat", "PROCESS_NETWORK"), &[file]).lines();
    assert!(!expected.is_empty());

    let (input, output, service) = (unique("in"), unique("out"), unique("processes"));
    let partitions = 5;
    kafka.create(&input, partitions);
    // each partition has a record that cannot be read, so each process has some
    let producer = kafka.producer(&[]);
    for partition in 0..partitions {
        producer
            .send(BaseRecord::<(), _>::to(&input).payload("{\"bad\":").partition(partition))
            .unwrap();
    }
    producer.flush(common::kafka::PATIENCE).unwrap();
    // with keys they come to all partitions
    let keys: Vec<[u8; 4]> = (0..records.len() as u32).map(u32::to_be_bytes).collect();
    let keyed =
        || keys.iter().zip(&records).map(|(key, record)| (Some(&key[..]), Some(&record[..])));
    kafka.produce(&input, keyed());
    let hosts = work.path().join("hosts");
    std::fs::write(&hosts, format!("127.0.0.1:{}\n127.0.0.1:{}\n", free_port(), free_port()))
        .unwrap();
    let mut processes = ["0", "1"].map(|process| {
        let options = [
            "--view",
            "process_network",
            "-w",
            "2",
            "-n",
            "2",
            "-p",
            process,
            "-H",
            hosts.to_str().unwrap(),
        ];
        Live::start(&address, work.path(), &process_network(&input, &output), &service, &options)
    });
    let mut all = records.len() as u64 + partitions as u64;
    let label = format!("topic=\"{input}\"");
    let mut has_read = |all: u64| {
        wait_for("all records", || {
            let read: Vec<Option<u64>> = processes
                .iter()
                .map(|process| process.metric("helkflow_records_in_total", &label))
                .collect();
            (read.iter().flatten().sum::<u64>() == all).then_some(read)
        });
        for process in &mut processes {
            process.has_published(&input, 1);
        }
    };
    has_read(all);
    // once more what is there already: it changes nothing
    kafka.produce(&input, keyed().take(100));
    all += 100;
    has_read(all);
    // one is signalled, and both end: it tells the other
    processes[1].signal("TERM");
    for process in &mut processes {
        let status = process.wait();
        assert!(status.success(), "{status}\n{}", process.log());
    }
    assert_eq!(kafka.content(&output), expected);
    let letters = kafka.read(&format!("{service}_dead_letters"));
    let of: std::collections::BTreeSet<&str> =
        letters.iter().map(|letter| &letter.headers["helkflow.partition"][..]).collect();
    assert_eq!((letters.len(), of.len()), (partitions as usize, partitions as usize));
    kafka.delete(&[&input, &output]);
}

/// A broker that errs changes nothing. librdkafka's mock cluster does not hide what was aborted, so the table's last rows are compared, not its log.
#[test]
fn errors_of_the_broker_change_nothing() {
    use RDKafkaRespErr as E;
    let cluster = MockCluster::new(3).unwrap();
    let address = cluster.bootstrap_servers();
    let kafka = Kafka::new(&address);
    let topics = [("in", 4), ("out", 1), ("mock_dead_letters", 1), ("mock_progress", 1)];
    for (topic, partitions) in topics {
        cluster.create_topic(topic, partitions, 3).unwrap();
    }
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let sql = counts("in", "out", "");
    let errors = [
        (
            RDKafkaApiKey::Produce,
            vec![
                E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
            ],
        ),
        (
            RDKafkaApiKey::Fetch,
            vec![
                E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                E::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            ],
        ),
        (
            RDKafkaApiKey::EndTxn,
            vec![
                E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
                E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
            ],
        ),
        (
            RDKafkaApiKey::AddPartitionsToTxn,
            vec![
                E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
                E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
            ],
        ),
        (RDKafkaApiKey::InitProducerId, vec![E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]),
        (RDKafkaApiKey::ListOffsets, vec![E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]),
    ];
    let mut live = Live::start(
        &address,
        work.path(),
        &sql,
        "mock",
        &["--state-dir", state.to_str().unwrap(), "-w", "2"],
    );
    let mut produced = 0;
    // the errors are the run's and not the test's own producer's, so the run stands still meanwhile
    let mut more = |live: &mut Live, trouble: &dyn Fn()| {
        live.signal("STOP");
        produce_numbers(&kafka, "in", produced..produced + 70);
        produced += 70;
        trouble();
        live.signal("CONT");
        live.has_published("in", produced as u64);
        wait_for("all counts", || (counted(&kafka, "out") == produced).then_some(()));
    };
    more(&mut live, &|| ());
    for (request, errors) in errors {
        more(&mut live, &|| cluster.request_errors(request, &errors));
        cluster.clear_request_errors(request);
    }
    more(&mut live, &|| cluster.broker_round_trip_time(1, Duration::from_millis(400)).unwrap());
    more(&mut live, &|| cluster.broker_round_trip_time(1, Duration::ZERO).unwrap());
    for gone in 1..=3 {
        let next = gone % 3 + 1;
        for (topic, partitions) in topics {
            (0..partitions).for_each(|partition| {
                cluster.partition_leader(topic, partition, Some(next)).unwrap()
            });
        }
        cluster.coordinator(MockCoordinator::Transaction("mock".into()), next).unwrap();
        cluster.coordinator(MockCoordinator::Group("mock".into()), next).unwrap();
        cluster.broker_down(gone).unwrap();
        more(&mut live, &|| ());
        cluster.broker_up(gone).unwrap();
    }
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
}
