//! Columns of headers: of records on a real broker, and of files, which have none.

mod common;

use common::kafka::{Kafka, Live, PATIENCE, broker, unique};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};

/// Copies of a topic, one with all headers and one with some.
fn copies(input: &str, [all, some]: [&str; 2]) -> String {
    format!(
        "CREATE STREAM whole (id INT, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS) WITH (KAFKA_TOPIC='{input}', VALUE_FORMAT='JSON');
         CREATE STREAM parts (a BYTES HEADER('a'), id INT, b BYTES HEADER('b')) WITH (KAFKA_TOPIC='{input}', VALUE_FORMAT='JSON');
         CREATE STREAM all_headers WITH (KAFKA_TOPIC='{all}') AS SELECT *, ARRAY_LENGTH(h) AS n FROM whole;
         CREATE STREAM some_headers WITH (KAFKA_TOPIC='{some}') AS SELECT *, FROM_BYTES(a, 'utf8') AS text FROM parts WHERE a IS NOT NULL OR b IS NULL;"
    )
}

#[test]
fn headers_of_records_are_columns() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, all, some) = (unique("in"), unique("all"), unique("some"));
    kafka.create(&input, 1);
    let producer = kafka.producer(&[]);
    let headers: [&[(&str, Option<&str>)]; 4] = [
        &[],
        &[("a", Some("1"))],
        &[("b", Some("2")), ("a", Some("3")), ("a", Some("4"))],
        &[("b", Some("5")), ("a", None)],
    ];
    for (id, headers) in headers.iter().enumerate() {
        let value = format!("{{\"ID\":{id}}}");
        let with = |all: OwnedHeaders, (key, value): &(&str, Option<&str>)| {
            all.insert(Header { key, value: *value })
        };
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&input).payload(value.as_bytes());
        producer
            .send(record.headers(headers.iter().fold(OwnedHeaders::new(), with)))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let work = tempfile::tempdir().unwrap();
    let mut live = Live::start(
        &address,
        work.path(),
        &copies(&input, [&all, &some]),
        &unique("headers"),
        &["-w", "1"],
    );
    live.has_published(&input, 4);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");

    let read = |topic: &str| -> Vec<String> {
        let records = kafka.read(topic);
        assert!(
            records.iter().all(|record| record.headers.is_empty()),
            "they are columns, and no headers of what is written"
        );
        records.iter().map(common::kafka::Record::text).collect()
    };
    assert_eq!(
        read(&all),
        [
            r#"{"ID":0,"H":[],"N":0}"#,
            r#"{"ID":1,"H":[{"KEY":"a","VALUE":"MQ=="}],"N":1}"#,
            r#"{"ID":2,"H":[{"KEY":"b","VALUE":"Mg=="},{"KEY":"a","VALUE":"Mw=="},{"KEY":"a","VALUE":"NA=="}],"N":3}"#,
            r#"{"ID":3,"H":[{"KEY":"b","VALUE":"NQ=="},{"KEY":"a","VALUE":null}],"N":2}"#,
        ]
    );
    assert_eq!(
        read(&some),
        [
            r#"{"A":null,"ID":0,"B":null,"TEXT":null}"#,
            r#"{"A":"MQ==","ID":1,"B":null,"TEXT":"1"}"#,
            r#"{"A":"NA==","ID":2,"B":"Mg==","TEXT":"4"}"#,
        ]
    );
    kafka.delete(&[&input, &all, &some]);
}

#[test]
fn records_of_files_have_no_headers() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("records.json");
    std::fs::write(&file, "{\"ID\":1,\"H\":2,\"A\":\"MQ==\"}\n").unwrap();
    let sql = copies("t", ["all", "some"]);
    let run = common::Run { view: Some("ALL_HEADERS"), ..common::Run::new(&sql, &[file]) };
    assert_eq!(run.lines(), [r#"{"ID":1,"H":[],"N":0}"#]);
    assert_eq!(
        common::Run { view: Some("SOME_HEADERS"), ..run }.lines(),
        [r#"{"A":null,"ID":1,"B":null,"TEXT":null}"#]
    );
}
