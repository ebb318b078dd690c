//! What statements mean, over files and topics: rows and deletions, keys, order.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use common::Run;
use common::kafka::{Kafka, Live, broker, unique};
use helkflow::sql::Script;

/// Files with these contents, in a folder that lives as long as the value.
struct Files {
    _folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    fn new(contents: &[&str]) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let paths = contents.iter().enumerate().map(|(i, content)| {
            let path = folder.path().join(format!("{i}.json"));
            std::fs::write(&path, content).unwrap();
            path
        });
        let paths = paths.collect();
        Files { _folder: folder, paths }
    }

    fn lines(&self, sql: &str) -> Vec<String> {
        Run::new(sql, &self.paths).lines()
    }
}

const TABLE: &str = "CREATE TABLE t (k VARCHAR PRIMARY KEY, v INT, w INT)
    WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');";

#[test]
fn only_a_missing_value_deletes_a_row() {
    let files = Files::new(&[r#"{"k":"a","v":1,"w":2}
{"k":"b","v":null,"w":null}
{"k":"c"}
{"k":"d","v":4}
{"k":"e","v":5}
{"k":"f","v":6}
{"k":"g, \"","v":7}
d:null
e:
f:NULL
g, ":null
{"k":"a","v":null}
{"k":"f","w":9}
"#]);
    let expected = [
        r#"{"K":"a","V":null,"W":null}"#,
        r#"{"K":"b","V":null,"W":null}"#,
        r#"{"K":"c","V":null,"W":null}"#,
        r#"{"K":"f","V":null,"W":9}"#,
    ];
    assert_eq!(files.lines(&format!("{TABLE} SELECT * FROM t;")), expected);
    let keys = "CREATE TABLE t (k VARCHAR PRIMARY KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
        SELECT * FROM t;";
    assert_eq!(files.lines(keys), ["a", "b", "c", "f"].map(|k| format!("{{\"K\":\"{k}\"}}")));
}

#[test]
fn keys_of_deletions_are_as_declared() {
    let files = Files::new(&["{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n2:null\nx:null\n"]);
    let sql = "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON'); SELECT a FROM t;";
    let (schema, outcome) = Run::new(sql, &files.paths).run();
    assert_eq!(common::lines(&schema, &outcome), [r#"{"A":1}"#]);
    // what is no key of that type is told
    assert_eq!(outcome.dead_letters.counts.values().sum::<u64>(), 1);
    // without a key there is nothing to delete, and the lines are no records
    let none = "CREATE STREAM s (a INT, b VARCHAR) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON'); SELECT a FROM s;";
    let (schema, outcome) = Run::new(none, &files.paths).run();
    assert_eq!(common::lines(&schema, &outcome).len(), 2);
    assert_eq!(outcome.dead_letters.counts.values().sum::<u64>(), 2);
}

const STREAM: &str =
    "CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";

#[test]
fn a_record_without_value_goes_through_projections_and_no_further() {
    let files = Files::new(&["{\"k\":\"a\",\"v\":1}\na:null\n{\"k\":\"b\",\"v\":null}\n"]);
    let run = |query: &str| files.lines(&format!("{STREAM} {query}"));
    let null = r#"{"K":"a","V":null}"#;
    assert_eq!(run("SELECT k, v FROM s;"), [r#"{"K":"a","V":1}"#, null, r#"{"K":"b","V":null}"#]);
    // such a record has nothing that could be computed but of its key
    assert_eq!(
        run("SELECT UCASE(k) AS u, COALESCE(v, 0) AS v, 'x' AS x FROM s WHERE TRUE;").len(),
        2
    );
    assert_eq!(
        run("SELECT UCASE(k) AS u, COALESCE(v, 0) AS v, 'x' AS x FROM s;"),
        [
            r#"{"U":"A","V":1,"X":"x"}"#,
            r#"{"U":"A","V":null,"X":null}"#,
            r#"{"U":"B","V":0,"X":"x"}"#
        ]
    );
    assert_eq!(run("SELECT k, v FROM s WHERE v IS NULL;"), [r#"{"K":"b","V":null}"#]);
    assert_eq!(
        run("SELECT k, COUNT(*) AS n FROM s GROUP BY k;"),
        [r#"{"K":"a","N":1}"#, r#"{"K":"b","N":1}"#]
    );
    assert_eq!(run("SELECT DISTINCT ON (k) k, v FROM s;").len(), 2);
    // also where it has gone through a projection or a union before
    let copied = "CREATE STREAM c AS SELECT k, v FROM s UNION ALL SELECT k, v FROM s;";
    assert_eq!(run(&format!("{copied} SELECT k FROM c WHERE TRUE;")).len(), 4);
    assert_eq!(run(&format!("{copied} SELECT k FROM c;")).len(), 6);
    // and deletes from a table that is read from what was written
    let table = "CREATE STREAM c AS SELECT k, v FROM s;
        CREATE TABLE t (k VARCHAR PRIMARY KEY, v INT) WITH (KAFKA_TOPIC='C', VALUE_FORMAT='JSON');";
    assert_eq!(run(&format!("{table} SELECT k, v FROM t;")), [r#"{"K":"b","V":null}"#]);
}

const GROUPED: &str = "CREATE STREAM s (g VARCHAR, v INT, ts BIGINT)
        WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', TIMESTAMP='ts');
    SELECT g, LATEST_BY_OFFSET(v) AS l, EARLIEST_BY_OFFSET(v) AS e, LATEST_BY_OFFSET(v, 2) AS l2, COLLECT_LIST(v) AS list
    FROM s GROUP BY g;";

#[test]
fn files_are_in_the_order_of_their_times_and_lines_in_their_own() {
    // the second line of each file is later, whatever its time says
    let parts = [
        "{\"g\":\"x\",\"v\":5,\"ts\":5000}\n{\"g\":\"x\",\"v\":6,\"ts\":100}\n",
        "{\"g\":\"x\",\"v\":1,\"ts\":1000}\n{\"g\":\"x\",\"v\":2}\n",
        "{\"g\":\"x\",\"v\":3,\"ts\":3000}\n",
    ];
    let expected = r#"{"G":"x","L":6,"E":1,"L2":[5,6],"LIST":[1,2,3,5,6]}"#;
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let files = Files::new(&order.map(|i| parts[i]));
        for (workers, chunk_bytes) in [(1, 1 << 20), (3, 1 << 20), (2, 16)] {
            let run = Run { workers, chunk_bytes, ..Run::new(GROUPED, &files.paths) };
            assert_eq!(run.lines(), [expected], "{order:?}, {workers} workers, {chunk_bytes}");
        }
    }
}

#[test]
fn groups_over_partitions_are_in_the_order_of_processing_also_after_a_restart() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let (input, output, service) = (unique("in"), unique("out"), unique("order"));
    kafka.create(&input, 2);
    let sql = format!(
        "CREATE STREAM s (g VARCHAR, v INT) WITH (KAFKA_TOPIC='{input}', VALUE_FORMAT='JSON');
         CREATE TABLE t WITH (KAFKA_TOPIC='{output}') AS
            SELECT g, LATEST_BY_OFFSET(v) AS l, EARLIEST_BY_OFFSET(v) AS e, COLLECT_LIST(v) AS list FROM s GROUP BY g;"
    );
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let options = ["--state-dir", state.to_str().unwrap(), "--allowed-lateness", "1m"];
    let mut sent = 0;
    // each life reads some of the higher partition, then some of the lower one
    for life in 0..2 {
        let mut live = Live::start(&address, work.path(), &sql, &service, &options);
        for partition in [1, 0] {
            sent += 1;
            kafka.produce_to(&input, partition, &format!("{{\"G\":\"x\",\"V\":{sent}}}"));
            // the metric counts what this life has read
            live.has_published(&input, sent - 2 * life);
        }
        let (status, log) = live.stop();
        assert!(status.success(), "{log}");
        let list: Vec<String> = (1..=sent).map(|v| v.to_string()).collect();
        let expected =
            format!("{{\"G\":\"x\",\"L\":{sent},\"E\":1,\"LIST\":[{}]}}", list.join(","));
        assert_eq!(kafka.content(&output), [expected]);
    }
    kafka.delete(&[&input, &output]);
}

#[test]
fn a_stream_finds_the_rows_that_were_there_at_its_time() {
    let sql = |time: &str| {
        format!(
            "CREATE STREAM o (oid INT, cust INT, ts BIGINT) WITH (KAFKA_TOPIC='o', VALUE_FORMAT='JSON'{time});
             CREATE TABLE c (id INT PRIMARY KEY, name VARCHAR, ts BIGINT) WITH (KAFKA_TOPIC='c', VALUE_FORMAT='JSON'{time});
             SELECT o.oid, c.name FROM o LEFT JOIN c ON o.cust = c.id WHERE o.oid IS NOT NULL;"
        )
    };
    let order = |id: i64, at: i64| format!("{{\"oid\":{id},\"cust\":1,\"ts\":{at}}}\n");
    let name = |name: &str, at: &str, pad: usize| {
        format!("{{\"id\":1,\"name\":\"{name}\",\"pad\":\"{}\",\"ts\":{at}}}\n", "x".repeat(pad))
    };
    let orders: String = [(1, 1000), (2, 2000), (3, 3000)].map(|(id, at)| order(id, at)).concat();
    let found = |names: [&str; 3]| {
        let row = |(i, name): (usize, &str)| format!(r#"{{"OID":{},"NAME":{name}}}"#, i + 1);
        names.into_iter().enumerate().map(row).collect::<Vec<String>>()
    };
    let by_time = sql(", TIMESTAMP='ts'");
    for pad in [0, 100] {
        // a line's time is no earlier than that of the lines before it
        let names =
            [name("a", "1500", pad), name("b", "100", pad), name("c", "2500", pad)].concat();
        for files in [[&orders[..], &names], [&names, &orders]] {
            let files = Files::new(&files);
            for (workers, chunk_bytes) in [(1, 1 << 20), (3, 16)] {
                let run = Run { workers, chunk_bytes, ..Run::new(&by_time, &files.paths) };
                assert_eq!(run.lines(), found(["null", "\"b\"", "\"c\""]), "{pad}");
            }
        }
        // what has no time is the earliest
        let files = Files::new(&[&orders, &name("a", "null", pad)]);
        assert_eq!(files.lines(&by_time), found(["\"a\""; 3]));
        // without times the position decides
        let mixed = format!("{}{}{}", order(1, 9), name("a", "0", pad), order(2, 8));
        let expected = [r#"{"OID":1,"NAME":null}"#, r#"{"OID":2,"NAME":"a"}"#];
        assert_eq!(Files::new(&[&mixed]).lines(&sql("")), expected);
    }
}

#[test]
fn state_ends_by_time_however_the_input_is_cut() {
    // a change log shows when a row was joined no more
    let line = |id: i64, k: i64, at: i64| format!("{{\"id\":{id},\"k\":{k},\"at\":{at}}}\n");
    let name =
        |k: i64, name: &str, at: i64| format!("{{\"k\":{k},\"name\":\"{name}\",\"at\":{at}}}\n");
    let mut text = String::new();
    for i in 0..40 {
        text += &line(i, i % 3, i * 60_000);
        text += &name(i % 3, &format!("n{i}"), i * 60_000);
    }
    let sql = "CREATE STREAM e (id INT, k INT, name VARCHAR, at BIGINT) WITH (KAFKA_TOPIC='e', VALUE_FORMAT='JSON', TIMESTAMP='at');
        CREATE TABLE names AS SELECT k, MAX(name) AS name FROM e WHERE id IS NULL GROUP BY k;
        SELECT e.id AS id, n.name AS name FROM (SELECT DISTINCT ON (id) id, k FROM e WHERE id IS NOT NULL) e
        LEFT JOIN names n RETROACTIVE WITHIN 5 MINUTES ON e.k = n.k;";
    let files = Files::new(&[&text]);
    let run = |workers, chunk_bytes| {
        let lateness = Some(Duration::from_secs(60));
        Run { workers, chunk_bytes, allowed_lateness: lateness, ..Run::new(sql, &files.paths) }
    };
    let (expected, _) = run(1, 1 << 20).changes();
    assert!(expected.iter().any(|(_, _, count)| *count < 0));
    for (workers, chunk_bytes) in [(1, 16), (1, 300), (2, 1000), (3, 64)] {
        assert_eq!(run(workers, chunk_bytes).changes().0, expected, "{workers}, {chunk_bytes}");
    }
}

#[test]
fn a_sum_that_does_not_fit_is_counted() {
    let files = Files::new(&["{\"g\":1,\"i\":2147483647}\n{\"g\":1,\"i\":1}\n{\"g\":2,\"i\":1}\n"]);
    let sql = "CREATE STREAM s (g INT, i INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        SELECT g, SUM(i) AS n FROM s GROUP BY g HAVING SUM(i) > 0;";
    let (schema, outcome) = Run::new(sql, &files.paths).run();
    assert_eq!(common::lines(&schema, &outcome), [r#"{"G":2,"N":1}"#]);
    assert_eq!(outcome.counters.values().sum::<u64>(), 1);
    let counter = outcome.counters.keys().next().unwrap().to_string();
    assert!(counter.contains("out_of_range"), "{counter}");
}

/// Walks along edges for ever, unless they end.
fn walk(more: &str) -> String {
    format!(
        "{more} CREATE TABLE e (src INT PRIMARY KEY, dst INT) WITH (KAFKA_TOPIC='e', VALUE_FORMAT='JSON');
         CREATE TABLE walked AS WITH RECURSIVE steps AS (
            SELECT src AS start, dst AS at, 1 AS n FROM e
            UNION ALL SELECT s.start, e.dst, s.n + 1 FROM steps s JOIN e ON s.at = e.src)
         SELECT start, at, n FROM steps;"
    )
}

#[test]
fn a_recursion_without_end_is_given_up_by_name() {
    let cycle = Files::new(&["{\"src\":1,\"dst\":2}\n{\"src\":2,\"dst\":1}\n"]);
    let error = Run::new(&walk(""), &cycle.paths).fails();
    assert!(error.contains("recursion STEPS has not ended after 1000 rounds"), "{error}");
    // one that ends, within its rounds and beyond them
    let edge = |i: i32| format!("{{\"src\":{i},\"dst\":{}}}\n", i + 1);
    let chain = (0..20).map(edge).collect::<Vec<_>>().concat();
    let chain = Files::new(&[&chain]);
    assert_eq!(chain.lines(&walk("SET 'helkflow.recursion.rounds' = '19';")).len(), 210);
    let error = Run::new(&walk("SET 'helkflow.recursion.rounds' = '18';"), &chain.paths).fails();
    assert!(error.contains("after 18 rounds"), "{error}");
    let wrong = helkflow::sql::bind_script(&walk("SET 'helkflow.recursion.rounds' = 'many';"));
    assert!(wrong.unwrap_err().to_string().contains("no number above zero"));
}

/// The last value of each key of a topic; the keys as text, those without any as nothing.
fn last(kafka: &Kafka, topic: &str) -> BTreeMap<Option<String>, Option<String>> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let records = kafka.read(topic).into_iter();
    records.map(|record| (record.key.map(text), record.value.map(text))).collect()
}

/// The rows that a compacted topic holds.
fn rows(kafka: &Kafka, topic: &str) -> Vec<String> {
    let last = last(kafka, topic);
    assert!(!last.contains_key(&None), "{topic} has records without key");
    let mut rows: Vec<String> = last.into_values().flatten().collect();
    rows.sort_unstable();
    rows
}

#[test]
fn topics_of_tables_have_keys_and_deletions() {
    let Some(address) = broker() else { return };
    let kafka = Kafka::new(&address);
    let names = ["users", "clicks", "joined", "counts", "copied", "united", "ids", "known"];
    let topic: BTreeMap<&str, String> = names.iter().map(|name| (*name, unique(name))).collect();
    let with = |name: &str| format!("WITH (KAFKA_TOPIC='{}')", topic[name]);
    let reads = |name: &str| format!("WITH (KAFKA_TOPIC='{}', VALUE_FORMAT='JSON')", topic[name]);
    let sql = format!(
        "CREATE TABLE users (id VARCHAR PRIMARY KEY, name VARCHAR) {users};
         CREATE TABLE bare (id VARCHAR PRIMARY KEY) {users};
         CREATE STREAM clicks (id VARCHAR KEY, url VARCHAR) {clicks};
         CREATE TABLE joined {joined} AS SELECT c.url, u.name FROM clicks c LEFT JOIN users u RETROACTIVE WITHIN 1 DAY ON c.id = u.id;
         CREATE TABLE counts {counts} AS SELECT id, COUNT(*) AS n FROM clicks GROUP BY id;
         CREATE STREAM copied {copied} AS SELECT id, url FROM clicks;
         CREATE TABLE united {united} AS SELECT id, name FROM users UNION ALL SELECT id, 'none' AS name FROM users WHERE name IS NULL;
         CREATE TABLE ids {ids} AS SELECT id FROM bare;
         CREATE STREAM known {known} AS SELECT c.id AS id, u.name FROM clicks c JOIN users u ON c.id = u.id;",
        users = reads("users"),
        clicks = reads("clicks"),
        joined = with("joined"),
        counts = with("counts"),
        copied = with("copied"),
        united = with("united"),
        ids = with("ids"),
        known = with("known"),
    );
    kafka.create(&topic["users"], 1);
    kafka.create(&topic["clicks"], 2);
    let work = tempfile::tempdir().unwrap();
    let mut live =
        Live::start(&address, work.path(), &sql, &unique("keys"), &["--allowed-lateness", "1m"]);
    let produce = |name: &str, records: &[(&str, Option<&str>)]| {
        let records =
            records.iter().map(|(key, value)| (Some(key.as_bytes()), value.map(str::as_bytes)));
        kafka.produce(&topic[name], records);
    };
    produce(
        "users",
        &[("a", Some(r#"{"NAME":"A"}"#)), ("b", Some(r#"{"NAME":null}"#)), ("d", Some("{}"))],
    );
    live.has_published(&topic["users"], 3);
    let click = |url: &str| format!(r#"{{"URL":"{url}"}}"#);
    let (one, two, three) = (click("1"), click("2"), click("3"));
    produce(
        "clicks",
        &[
            ("a", Some(&one)),
            ("a", None),
            ("b", Some(&two)),
            ("c", Some(&three)),
            ("c", Some("{}")),
        ],
    );
    live.has_published(&topic["clicks"], 5);
    produce("users", &[("c", Some(r#"{"NAME":"C"}"#)), ("d", None)]);
    live.has_published(&topic["users"], 5);
    let (status, log) = live.stop();
    assert!(status.success(), "{log}");

    let joined = [("1", "\"A\""), ("2", "null"), ("3", "\"C\"")];
    let mut expected =
        joined.map(|(url, name)| format!(r#"{{"URL":"{url}","NAME":{name}}}"#)).to_vec();
    expected.push(r#"{"URL":null,"NAME":"C"}"#.into());
    expected.sort_unstable();
    assert_eq!(rows(&kafka, &topic["joined"]), expected);
    let counts =
        [("a", 1), ("b", 1), ("c", 2)].map(|(id, n)| format!(r#"{{"ID":"{id}","N":{n}}}"#));
    assert_eq!(rows(&kafka, &topic["counts"]), counts);
    let nulls = kafka.read(&topic["copied"]).into_iter().filter(|record| record.value.is_none());
    assert_eq!(nulls.map(|record| record.key).collect::<Vec<_>>(), [Some(b"a".to_vec())]);
    let united = [("a", "\"A\""), ("b", "\"none\""), ("b", "null"), ("c", "\"C\"")];
    let united = united.map(|(id, name)| format!(r#"{{"ID":"{id}","NAME":{name}}}"#));
    assert_eq!(rows(&kafka, &topic["united"]), united);
    let ids = ["a", "b", "c"].map(|id| format!(r#"{{"ID":"{id}"}}"#));
    assert_eq!(rows(&kafka, &topic["ids"]), ids);
    let known = [("a", "\"A\""), ("b", "null")]
        .map(|(id, name)| format!(r#"{{"ID":"{id}","NAME":{name}}}"#));
    assert_eq!(kafka.content(&topic["known"]), known);
    let topics: Vec<&str> = topic.values().map(String::as_str).collect();
    kafka.delete(&topics);
}

#[test]
fn a_table_that_has_no_key_is_not_published() {
    let sql =
        "CREATE TABLE e (src INT PRIMARY KEY, dst INT) WITH (KAFKA_TOPIC='e', VALUE_FORMAT='JSON');
        CREATE TABLE r AS WITH RECURSIVE c AS (
            SELECT src AS start, dst AS at, 1 AS n FROM e
            UNION ALL SELECT c.start, e.dst, c.n + 1 FROM c JOIN e ON c.at = e.src WHERE c.n < 3)
        SELECT start, at FROM c;";
    let library = |_: &str| None;
    Script::default().extend(sql, &library).unwrap();
    let error = Script::to_publish().extend(sql, &library).unwrap_err();
    assert!(error.to_string().contains("have no key"), "{error}");
}
