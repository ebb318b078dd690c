//! The time that a statement gives to the rows of a source is the time by which state ends.

mod common;

use std::time::Duration;

use common::kafka::{Kafka, Live, broker, unique};

/// Uses of keys with the name that each key has, for an hour.
fn named(input: &str, output: &str) -> String {
    format!(
        "CREATE STREAM events (id INT, k INT, name VARCHAR, at VARCHAR)
            WITH (KAFKA_TOPIC='{input}', VALUE_FORMAT='JSON', TIMESTAMP='at', TIMESTAMP_FORMAT='yyyy-MM-dd HH:mm');
         CREATE TABLE names AS SELECT k, MAX(name) AS name FROM events WHERE id IS NULL GROUP BY k;
         CREATE TABLE named WITH (KAFKA_TOPIC='{output}') AS
            SELECT e.id AS id, n.name AS name FROM (SELECT DISTINCT ON (id) id, k FROM events WHERE id IS NOT NULL) e
            LEFT JOIN names n RETROACTIVE WITHIN 1 HOUR ON e.k = n.k;"
    )
}

/// The use of key 1 by `id`.
fn uses(id: i32, at: &str) -> String {
    format!(r#"{{"ID":{id},"K":1,"AT":{at}}}"#)
}

/// The name of key 1.
fn name(name: &str, at: &str) -> String {
    format!(r#"{{"K":1,"NAME":"{name}","AT":{at}}}"#)
}

const MIDNIGHT: &str = r#""2017-05-01 00:00""#;
const MORNING: &str = r#""2017-05-01 05:00""#;

/// What comes one after the other, and what is left of it: the first use has ended when the last name comes.
fn story() -> ([String; 5], [&'static str; 3]) {
    // neither says how far time has come: one has none, the other none that can be read
    let timeless = format!("{}\n{}", uses(9, "null"), uses(8, r#""yesterday""#));
    let story = [
        uses(1, MIDNIGHT),
        timeless,
        name("first", MIDNIGHT),
        uses(2, MORNING),
        name("second", MORNING),
    ];
    (
        story,
        [
            r#"{"ID":1,"NAME":"first"}"#,
            r#"{"ID":2,"NAME":"second"}"#,
            r#"{"ID":9,"NAME":"second"}"#,
        ],
    )
}

#[test]
fn a_replay_ends_state_by_the_time_of_the_statement() {
    let (story, expected) = story();
    let work = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..story.len()).map(|i| work.path().join(format!("{i}.json"))).collect();
    for (file, lines) in files.iter().zip(&story) {
        std::fs::write(file, lines).unwrap();
    }
    let sql = named("t", "named");
    let run = common::Run {
        allowed_lateness: Some(Duration::from_secs(60)),
        ..common::Run::new(&sql, &files)
    };
    let (schema, outcome) = run.run();
    assert_eq!(common::lines(&schema, &outcome), expected);
    let letters: Vec<_> = outcome
        .dead_letters
        .first
        .iter()
        .map(|letter| (letter.reason.code(), &letter.detail[..]))
        .collect();
    assert_eq!(letters, [("misfit", "AT: yesterday is no TIMESTAMP")]);
    // without a lateness everything is joined
    let patient = common::Run { allowed_lateness: None, ..run };
    assert_eq!(patient.lines()[0], r#"{"ID":1,"NAME":"second"}"#);
}

#[test]
fn a_run_ends_state_by_the_time_of_the_statement() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("time"));
    kafka.create(&input, 1);
    let work = tempfile::tempdir().unwrap();
    let mut live = Live::start(
        &address,
        work.path(),
        &named(&input, &output),
        &service,
        // the times are long past
        &["--allowed-lateness", "1m", "--max-event-age", "36500d", "--view", "named"],
    );
    let (story, expected) = story();
    let mut records = 0;
    for lines in &story {
        let values: Vec<&str> = lines.lines().collect();
        records += values.len() as u64;
        kafka.produce(&input, values.iter().map(|value| (None, Some(value.as_bytes()))));
        // what comes later is of a later moment
        live.has_published(&input, records);
    }
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");
    assert_eq!(kafka.content(&output), expected);
    let letters = format!("{service}_dead_letters");
    let reasons: Vec<_> = kafka
        .read(&letters)
        .into_iter()
        .map(|letter| letter.headers["helkflow.reason"].clone())
        .collect();
    assert_eq!(reasons, ["misfit"]);
    kafka.delete(&[&input, &output, &letters]);
}
