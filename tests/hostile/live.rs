//! Attacks on a run that is live.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use helkflow::model::Timestamp;
use rdkafka::producer::{BaseRecord, Producer};

use crate::common::kafka::{Kafka, Live, PATIENCE, broker, free_port, unique, wait_for};

/// Text that does not compress to less than half.
fn noise(bytes: usize, mut seed: u64) -> String {
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        text.push(char::from(b'0' + (seed >> 33) as u8 % 64));
    }
    text
}

fn last_texts(input: &str, output: &str) -> String {
    format!(
        "CREATE STREAM events (id VARCHAR, text VARCHAR) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON');
         CREATE TABLE last WITH (KAFKA_TOPIC = '{output}') AS SELECT id, FIRST_KNOWN(text, 0) AS text FROM events GROUP BY id;"
    )
}

#[test]
fn rows_that_kafka_does_not_take_block_nobody() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    for exactly_once in [true, false] {
        let (input, output, service) = (unique("in"), unique("out"), unique("large"));
        kafka.create(&input, 1);
        kafka.create_with(&output, 1, &[("max.message.bytes", "1000000")]);
        let long = noise(3_000_000, 1);
        let key = noise(2_000_000, 2);
        let rows = [("before", "a"), ("long", &long), (&key, "b"), ("after", "c")];
        let values: Vec<String> = rows
            .iter()
            .map(|(id, text)| serde_json::json!({ "id": id, "text": text }).to_string())
            .collect();
        kafka.produce(&input, values.iter().map(|value| (None, Some(value.as_bytes()))));
        let work = tempfile::tempdir().unwrap();
        let state = work.path().join("state");
        let options = ["--state-dir", state.to_str().unwrap(), "-w", "1"];
        let options = if exactly_once { &options[..] } else { &options[2..] };
        let mut live =
            Live::start(&address, work.path(), &last_texts(&input, &output), &service, options);
        live.has_published(&input, 4);
        for (reason, count) in [("rows cut down", 1), ("rows that no topic takes", 1)] {
            assert_eq!(live.metric("helkflow_rows_noted_total", reason), Some(count), "{reason}");
        }
        let (status, log) = live.stop();
        assert!(status.success(), "{log}");
        kafka.settle(&output);
        let records = kafka.read(&output);
        let texts: BTreeMap<String, String> = records
            .iter()
            .map(|record| {
                let value: serde_json::Value = serde_json::from_str(&record.text()).unwrap();
                let text = |name: &str| value[name].as_str().unwrap().to_owned();
                (text("ID"), text("TEXT"))
            })
            .collect();
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["after", "before", "long"]);
        assert_eq!((&texts["before"][..], &texts["after"][..]), ("a", "c"));
        let (kept, told) = texts["long"].rsplit_once("…[").unwrap();
        assert!(kept.len() > 8000 && long.starts_with(kept) && told.starts_with("3000000 bytes"));
        let cut = records.iter().find(|record| record.text().contains('…')).unwrap();
        assert!(cut.headers["helkflow.uncut"].parse::<usize>().unwrap() > 3_000_000);
        let letters = kafka.read(&format!("{service}_dead_letters"));
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].headers["helkflow.reason"], "row_too_large");
        assert_eq!(letters[0].headers["helkflow.topic"], output);
        assert!(key.as_bytes().starts_with(letters[0].key.as_deref().unwrap()));
        kafka.delete(&[&input, &output]);
    }
}

/// A topic that takes less than a batch of the producer refuses small records with large ones.
#[test]
fn small_rows_come_through_whatever_is_refused_with_them() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("batch"));
    kafka.create(&input, 1);
    kafka.create_with(&output, 1, &[("max.message.bytes", "20000")]);
    let values: Vec<String> = (0..200)
        .map(|i| serde_json::json!({ "id": i.to_string(), "text": noise(1000, i) }).to_string())
        .collect();
    kafka.produce(&input, values.iter().map(|value| (None, Some(value.as_bytes()))));
    let work = tempfile::tempdir().unwrap();
    let mut live =
        Live::start(&address, work.path(), &last_texts(&input, &output), &service, &["-w", "1"]);
    live.has_published(&input, 200);
    assert!(live.stop().0.success());
    let content = kafka.content(&output);
    assert_eq!(content.len(), 200);
    assert!(content.iter().all(|line| !line.contains('…')));
    kafka.delete(&[&input, &output]);
}

#[test]
fn idle_http_connections_end_nothing() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("idle"));
    kafka.create(&input, 1);
    let work = tempfile::tempdir().unwrap();
    let sql = last_texts(&input, &output);
    let mut live = Live::start(&address, work.path(), &sql, &service, &["-w", "1"]);
    live.says("serving http://");
    let log = live.log();
    let served = log.split("serving http://").nth(1).unwrap().split('/').next().unwrap();
    let mut idle = Vec::new();
    // more than a process may have open at all
    for _ in 0..1500 {
        if let Ok(mut stream) = TcpStream::connect(served) {
            let _ = stream.write_all(b"GET /metrics HT");
            idle.push(stream);
            if idle.len() > 500 {
                idle.remove(0);
            }
        }
    }
    let value = serde_json::json!({ "id": "x", "text": "y" }).to_string();
    kafka.produce(&input, [(None, Some(value.as_bytes()))]);
    live.has_published(&input, 1);
    wait_for("a healthy answer", || (live.get("/healthz")?.0 == 200).then_some(()));
    assert!(live.stop().0.success());
    kafka.delete(&[&input, &output]);
}

/// Rows that a run keeps, and how many events were late, after events of one host with a wrong clock among others.
fn kept(kafka: &Kafka, wrong: &str, options: &[&str]) -> u64 {
    let (input, output, service) = (unique("in"), unique("out"), unique("times"));
    kafka.create(&input, 4);
    let sql = format!(
        "CREATE STREAM events (id INT KEY, host INT, at TIMESTAMP) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON', TIMESTAMP = 'at');
         CREATE TABLE hosts WITH (KAFKA_TOPIC = '{output}', RETENTION = '2 SECONDS') AS
         SELECT host, COUNT(*) AS n FROM events GROUP BY host;"
    );
    let work = tempfile::tempdir().unwrap();
    let mut more = vec!["-w", "1", "--allowed-lateness", "1s"];
    more.extend(options);
    let mut live = Live::start(&kafka.address, work.path(), &sql, &service, &more);
    let producer = kafka.producer(&[]);
    let mut sent = 0;
    let start = Instant::now();
    // hosts come and go; the wrong one is always there
    while start.elapsed() < Duration::from_secs(9) {
        let now =
            Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64);
        for (partition, at) in [(0, now.to_string()), (1, now.to_string()), (2, wrong.to_owned())] {
            let value = serde_json::json!({ "host": sent, "at": at }).to_string();
            let record = BaseRecord::<(), str>::to(&input).partition(partition).payload(&value);
            producer.send(record).unwrap();
            sent += 1;
        }
        producer.flush(PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    live.has_published(&input, sent);
    let kept = live.metric("helkflow_rows_kept", "groups").unwrap();
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    kafka.delete(&[&input, &output]);
    assert!(sent > 50, "{sent}");
    kept * 100 / sent
}

/// In per cent of all groups: those of the last seconds, and none for ever.
#[test]
fn wrong_clocks_do_not_hold_state() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let ahead = kept(&kafka, "9999-01-01T00:00:00Z", &[]);
    assert!(ahead < 70, "{ahead}");
    let behind = kept(&kafka, "2010-01-01T00:00:00Z", &["--straggler-timeout", "2s"]);
    assert!(behind < 70, "{behind}");
    let old = kept(&kafka, "2010-01-01T00:00:00Z", &["--max-event-age", "3s"]);
    assert!(old < 80, "{old}");
}

/// Two runs without state are not fenced by the broker.
#[test]
fn runs_of_one_name_notice_each_other() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("name"));
    kafka.create(&input, 1);
    let work = tempfile::tempdir().unwrap();
    let start = || {
        let sql = last_texts(&input, &output);
        Live::start(&address, work.path(), &sql, &service, &["-w", "1"])
    };
    let mut runs = [start(), start()];
    for run in &mut runs {
        run.says("another run has the same --service-id");
    }
    for run in runs {
        assert!(run.stop().0.success());
    }
    kafka.delete(&[&input, &output]);
}

/// One of two processes is told to stop; the other hears of it, or, when it cannot, is not waited for.
#[test]
fn one_of_several_processes_ends_when_it_is_told() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    for hangs in [false, true] {
        let (input, output, service) = (unique("in"), unique("out"), unique("stop"));
        kafka.create(&input, 2);
        let work = tempfile::tempdir().unwrap();
        let hosts = work.path().join("hosts");
        let ports = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}\n"));
        std::fs::write(&hosts, ports.concat()).unwrap();
        let [mut told, mut other] = ["1", "0"].map(|process| {
            let sql = last_texts(&input, &output);
            let hosts = hosts.to_str().unwrap();
            let options = ["-w", "1", "-n", "2", "-p", process, "-H", hosts];
            Live::start(&address, work.path(), &sql, &service, &options)
        });
        let value = serde_json::json!({ "id": "x", "text": "y" }).to_string();
        let records = (0..20u8).map(|key| ([key], &value));
        let records: Vec<_> = records.collect();
        kafka.produce(
            &input,
            records.iter().map(|(key, value)| (Some(&key[..]), Some(value.as_bytes()))),
        );
        told.has_published(&input, 1);
        other.has_published(&input, 1);
        if hangs {
            other.signal("STOP");
        }
        told.signal("TERM");
        assert_eq!(told.wait().success(), !hangs, "{}", told.log());
        if !hangs {
            assert!(other.wait().success(), "{}", other.log());
        }
        kafka.delete(&[&input, &output]);
    }
}
