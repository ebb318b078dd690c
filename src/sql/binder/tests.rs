use std::fmt::Write as _;

use proptest::prelude::*;

mod messages;

use super::*;
use crate::plan::{NodeId, Operator, optimize};

const SOURCES: &str = "
    CREATE STREAM sysmon WITH (KAFKA_TOPIC='winlogbeat', VALUE_FORMAT='SYSMON');
    CREATE STREAM logs (id INT KEY, text VARCHAR, n BIGINT, at TIMESTAMP, s STRUCT<a INT, b VARCHAR>, m MAP<VARCHAR, INT>, l ARRAY<INT>, g VARCHAR)
        WITH (KAFKA_TOPIC='logs', VALUE_FORMAT='JSON');
    CREATE TABLE hosts (host VARCHAR PRIMARY KEY, site VARCHAR, size INT) WITH (KAFKA_TOPIC='hosts', VALUE_FORMAT='DELIMITED');
    CREATE TABLE processes WITH (RETENTION='7 DAYS') AS
        SELECT host, process_guid, FIRST_KNOWN(image, 0) AS image, FIRST_KNOWN(parent_process_guid, 0) AS parent FROM sysmon WHERE event_id = 1
        GROUP BY host, process_guid;
    ";

fn bind(text: &str) -> Script {
    bind_script(&format!("{SOURCES}{text}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The columns of the last view.
fn columns(text: &str) -> String {
    bind(text).views.last().expect("the text makes a view").schema.to_string()
}

fn error(text: &str) -> String {
    bind_script(&format!("{SOURCES}{text}"))
        .map(|script| script.views.last().map(|view| view.schema.to_string()))
        .expect_err(text)
        .to_string()
}

/// The operators of the last view, once optimised.
fn operators(text: &str) -> Vec<Operator> {
    let script = bind(text);
    let plan = optimize(&script.plan, &[script.plan.views.len() - 1], true);
    plan.nodes().map(|(_, node)| node.operator.clone()).collect()
}

#[test]
fn the_shipped_dataflows_bind() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows");
    // the engine puts numbers for variables
    let read = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.replace("${COMMAND_LINE_BYTES}", "9").replace("${ANCESTOR_BYTES}", "9")
    };
    let library = |name: &str| Some(read(&folder.join(name)));
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let text = read(&path);
        let script = bind_script_with(&text, &library)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(script.topics_read(), ["winlogbeat"]);
        let main = script.main_view().unwrap();
        assert_eq!(script.plan.views[main].kind, ViewKind::Table);
        assert!(!script.views[main].schema.key().is_empty(), "{}", path.display());
        for expiry in [true, false] {
            optimize(&script.plan, &[main], expiry);
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn names_of_columns() {
    assert_eq!(
        columns("SELECT id, text AS t, n + 1, n * 2, s->b FROM logs"),
        "ID INTEGER KEY, T STRING, KSQL_COL_0 BIGINT, KSQL_COL_1 BIGINT, B STRING"
    );
    assert_eq!(columns("SELECT s->* FROM logs"), "A INTEGER, B STRING");
    assert_eq!(columns("SELECT `id x` FROM (SELECT id AS `id x` FROM logs)"), "`id x` INTEGER KEY");
    assert_eq!(
        columns("SELECT * FROM hosts a JOIN hosts b ON a.site = b.host"),
        "A_HOST STRING KEY, A_SITE STRING, A_SIZE INTEGER, B_HOST STRING, B_SITE STRING, B_SIZE INTEGER"
    );
    assert_eq!(
        columns("SELECT a.host, b.image, a.site FROM hosts a JOIN processes b ON a.host = b.host"),
        "A_HOST STRING, IMAGE STRING, SITE STRING"
    );
    assert_eq!(
        columns("SELECT rowtime AS t, rowpartition AS p, rowoffset AS o FROM logs"),
        "T TIMESTAMP, P INTEGER, O BIGINT"
    );
    assert_eq!(
        columns("SELECT l.rowtime FROM logs l JOIN processes p ON l.text = p.host"),
        "L_ROWTIME TIMESTAMP"
    );
    assert_eq!(
        columns("WITH c (x, y) AS (SELECT id, n FROM logs) SELECT y, x FROM c"),
        "Y BIGINT, X INTEGER KEY"
    );
}

#[test]
fn keys() {
    assert_eq!(
        columns("CREATE TABLE t AS SELECT n, COUNT(*) AS c, id FROM logs GROUP BY id, n"),
        "N BIGINT KEY, C BIGINT, ID INTEGER KEY"
    );
    assert_eq!(
        columns("CREATE STREAM t AS SELECT text, id FROM logs PARTITION BY text"),
        "TEXT STRING KEY, ID INTEGER"
    );
    assert_eq!(
        columns("CREATE STREAM t AS SELECT text AS x, id FROM logs PARTITION BY x"),
        "X STRING KEY, ID INTEGER"
    );
    assert_eq!(
        columns("CREATE STREAM t AS SELECT text, id FROM logs PARTITION BY NULL"),
        "TEXT STRING, ID INTEGER"
    );
    assert_eq!(
        columns("CREATE TABLE t AS SELECT DISTINCT ON (text, id) id, text, n FROM logs"),
        "ID INTEGER KEY, TEXT STRING KEY, N BIGINT"
    );
    let joined = "SELECT e.event_key, p.image, e.process_guid FROM sysmon e LEFT JOIN processes p RETROACTIVE WITHIN 1 DAY \
        ON e.host = p.host AND e.process_guid = p.process_guid";
    let script = bind(&format!("CREATE TABLE t AS {joined} PARTITION BY e.process_guid"));
    assert!(script.views[1].schema.columns[0].key);
    assert_eq!(script.views[1].partition_by, [2]);
    assert_eq!(bind(&format!("CREATE TABLE t AS {joined}")).views[1].partition_by, [0]);
    // several matches for one event: the process is part of the identity
    let schema = columns(
        "CREATE TABLE t AS SELECT e.event_key, p.process_guid, p.host FROM sysmon e JOIN processes p RETROACTIVE WITHIN 1 DAY ON e.process_guid = p.process_guid",
    );
    assert_eq!(schema, "EVENT_KEY STRING KEY, P_PROCESS_GUID GUID KEY, P_HOST STRING KEY");
    assert!(
        error("CREATE TABLE t AS SELECT COUNT(*) AS c FROM logs GROUP BY id")
            .contains("leaves out ID")
    );
}

#[test]
fn kinds_of_joins() {
    let on = "ON e.host = p.host AND e.process_guid = p.process_guid";
    let kind = |text: &str| {
        operators(text)
            .into_iter()
            .find(|o| matches!(o, Operator::AsOf { .. } | Operator::Join { .. }))
            .unwrap()
    };
    assert!(matches!(
        kind(&format!("SELECT e.event_key, p.image FROM sysmon e JOIN processes p {on}")),
        Operator::AsOf { .. }
    ));
    let retroactive = operators(&format!(
        "SELECT e.event_key, p.image FROM sysmon e LEFT JOIN processes p RETROACTIVE WITHIN 1 HOUR {on}"
    ));
    let expire = retroactive.iter().find_map(|o| {
        if let Operator::Expire { after, .. } = o { Some(after.as_secs()) } else { None }
    });
    assert_eq!(expire, Some(3600));
    assert!(retroactive.iter().any(|o| matches!(o, Operator::Join { unkeyed: Some(_), .. })));
    assert!(matches!(
        kind(
            "SELECT a.image FROM processes a JOIN processes b ON a.host = b.host AND a.parent = b.process_guid"
        ),
        Operator::Join { .. }
    ));

    assert!(
        error(&format!(
            "CREATE STREAM t AS SELECT e.event_key FROM sysmon e JOIN processes p RETROACTIVE WITHIN 1 DAY {on}"
        ))
        .contains("write CREATE TABLE")
    );
    assert!(
        error(&format!("CREATE TABLE t AS SELECT e.event_key FROM sysmon e JOIN processes p {on}"))
            .contains("write CREATE STREAM")
    );
    assert!(
        error("SELECT a.id FROM logs a JOIN logs b WITHIN 1 DAY ON a.id = b.id")
            .contains("joining two streams is not supported yet")
    );
    assert!(
        error("SELECT a.host FROM hosts a JOIN sysmon b ON a.host = b.host")
            .contains("exchange the two sides")
    );
    let distinct = "SELECT DISTINCT ON (event_key) event_key, host, process_guid FROM sysmon";
    for once in [
        format!("CREATE STREAM o AS {distinct}"),
        format!("CREATE TABLE o WITH (RETENTION='1 DAY') AS {distinct}"),
    ] {
        let join = format!(
            "{once}; CREATE TABLE t AS SELECT e.event_key, p.image FROM o e JOIN processes p RETROACTIVE WITHIN 1 HOUR {on}"
        );
        assert!(
            operators(&join)
                .iter()
                .any(|o| matches!(o, Operator::Expire { after, .. } if after.as_secs() == 3600)),
            "{join}"
        );
    }
    assert!(
        error(
            "SELECT a.host FROM hosts a JOIN hosts b RETROACTIVE WITHIN 1 DAY ON a.host = b.host"
        )
        .contains("the left side is a table")
    );
    assert!(
        error("SELECT a.host FROM hosts a JOIN hosts b ON a.size > b.size").contains("no equality")
    );
    assert!(
        error("SELECT a.host FROM hosts a JOIN hosts a ON a.size > 1")
            .contains("two relations called A")
    );
    assert!(
        error("SELECT a.host FROM hosts a RIGHT JOIN hosts b ON a.host = b.host")
            .contains("RIGHT JOIN is not supported yet")
    );
}

#[test]
fn an_expiry_and_the_index_behind_it_have_the_same_rows() {
    let on = "ON e.host = p.host AND e.process_guid = p.process_guid";
    for query in
        ["e.event_key, p.image FROM sysmon e", "e.event_key, e.rowtime, p.image FROM sysmon e"]
    {
        for kind in ["JOIN", "LEFT JOIN"] {
            let operators = operators(&format!(
                "SELECT {query} {kind} processes p RETROACTIVE WITHIN 1 HOUR {on}"
            ));
            let expires = |id: &NodeId| matches!(operators[id.0], Operator::Expire { .. });
            assert!(
                operators
                    .iter()
                    .any(|o| matches!(o, Operator::Arrange { input, .. } if expires(input))),
                "{kind} {query}"
            );
            assert!(
                !operators
                    .iter()
                    .any(|o| matches!(o, Operator::Transform { input, .. } if expires(input))),
                "{kind} {query}"
            );
        }
    }
}

#[test]
fn two_readers_of_one_relation_share_its_index() {
    let join = |name: &str, event: u8| {
        format!(
            "CREATE TABLE {name} AS SELECT e.event_key, p.image FROM sysmon e JOIN processes p RETROACTIVE WITHIN 1 DAY \
             ON e.host = p.host AND e.process_guid = p.process_guid WHERE e.event_id = {event};"
        )
    };
    let script = bind(&format!("{}{}", join("a", 3), join("b", 11)));
    let plan = optimize(&script.plan, &[1, 2], true);
    let mut rights: Vec<_> = plan
        .nodes()
        .filter_map(|(_, node)| {
            if let Operator::Join { right, .. } = node.operator { Some(right) } else { None }
        })
        .collect();
    rights.dedup();
    assert_eq!(rights.len(), 1);
}

#[test]
fn conditions_beside_the_key() {
    columns(
        "SELECT a.host FROM hosts a JOIN hosts b ON a.host = b.host AND a.size > b.size AND a.site = 'x' AND b.site LIKE 'y%'",
    );
    columns("SELECT a.host FROM hosts a LEFT JOIN hosts b ON a.host = b.host AND b.site LIKE 'y%'");
    assert!(
        error(
            "SELECT a.host FROM hosts a LEFT JOIN hosts b ON a.host = b.host AND a.size > b.size"
        )
        .contains("not supported yet")
    );
    // a key of different types, and one that is computed
    columns(
        "SELECT e.event_key FROM logs l LEFT JOIN (SELECT DISTINCT ON (event_key) * FROM sysmon) e ON TRUE AND 1 = 1 AND l.g = e.event_key"
            .replace(
                "logs l LEFT JOIN (SELECT DISTINCT ON (event_key) * FROM sysmon) e",
                "hosts l JOIN (SELECT event_key, COUNT(*) AS g FROM sysmon GROUP BY event_key) e",
            )
            .replace("l.g", "UCASE(l.site)")
            .as_str(),
    );
    columns("SELECT l.id FROM logs l JOIN processes p ON l.g = p.process_guid AND l.text = p.host");
}

#[test]
fn hosts_compare_without_regard_to_case() {
    let script = bind("SELECT event_id FROM sysmon WHERE host = 'PC1'");
    assert!(script.plan.explain().to_string().contains("LCASE"), "{}", script.plan.explain());
    let keyed = |text: &str| {
        operators(text).iter().any(|o| matches!(o, Operator::Aggregate { key, .. } if format!("{key:?}").contains("IgnoreCase")))
    };
    assert!(keyed("SELECT host, COUNT(*) AS n FROM sysmon GROUP BY host"));
    assert!(!keyed("SELECT image, COUNT(*) AS n FROM sysmon GROUP BY image"));
    // a declared column beside a host compares as the host does
    let joined = bind("SELECT e.event_key FROM sysmon e JOIN hosts h ON e.host = h.host");
    assert!(joined.plan.explain().to_string().contains("KEY_1"), "{}", joined.plan.explain());
}

#[test]
fn groups() {
    assert_eq!(
        columns(
            "SELECT id, COUNT(*) + 1 AS c, MAX(n) AS m FROM logs WHERE n > 0 GROUP BY id HAVING COUNT(*) > 2 AND MAX(n) < 9"
        ),
        "ID INTEGER KEY, C BIGINT, M BIGINT"
    );
    assert_eq!(
        columns("SELECT n % 2, SUM(n) AS s FROM logs GROUP BY n % 2"),
        "KSQL_COL_0 BIGINT KEY, S BIGINT"
    );
    assert_eq!(
        columns("SELECT n % 2 AS odd, SUM(n) AS s FROM logs GROUP BY odd"),
        "ODD BIGINT KEY, S BIGINT"
    );
    assert_eq!(
        columns("SELECT s->a, LATEST_BY_OFFSET(text) AS t FROM logs GROUP BY s->a"),
        "A INTEGER KEY, T STRING"
    );
    assert!(
        error("SELECT id, n FROM logs GROUP BY id")
            .contains("N is neither in GROUP BY nor in an aggregate")
    );
    assert!(error("SELECT COUNT(*) FROM logs").contains("needs a GROUP BY"));
    assert!(error("SELECT id FROM logs WHERE COUNT(*) > 1").contains("no meaning in WHERE"));
    assert!(error("SELECT id, SUM(COUNT(*)) FROM logs GROUP BY id").contains("no meaning in"));
    assert!(error("SELECT id FROM logs HAVING id > 1").contains("HAVING needs a GROUP BY"));
    assert!(
        error(
            "SELECT site, LATEST_BY_OFFSET(size) FROM (SELECT site, host, COUNT(*) AS size FROM hosts GROUP BY site, host) GROUP BY site"
        )
        .contains("ROWOFFSET")
    );
}

#[test]
fn unions() {
    assert_eq!(
        columns("SELECT id AS k, NULL AS v FROM logs UNION ALL SELECT n, 1.5 FROM logs"),
        "K BIGINT, V DECIMAL(2, 1)"
    );
    assert!(error("SELECT id FROM logs UNION ALL SELECT id, n FROM logs").contains("2 columns"));
    assert!(
        error("SELECT id FROM logs UNION ALL SELECT text FROM logs")
            .contains("STRING here and INTEGER before")
    );
}

#[test]
fn recursion() {
    let up = |step: &str| {
        format!(
            "WITH RECURSIVE up (guid, host, next, depth) AS (SELECT process_guid, host, parent, 0 FROM processes UNION ALL {step}) \
             SELECT guid, MAX(depth) AS depth FROM up GROUP BY guid"
        )
    };
    let step = "SELECT up.guid, up.host, p.parent, up.depth + 1 FROM up JOIN processes p ON up.host = p.host AND up.next = p.process_guid WHERE depth < 9";
    assert_eq!(columns(&up(step)), "GUID GUID KEY, DEPTH INTEGER");
    assert!(operators(&up(step)).iter().any(|o| matches!(o, Operator::Recursive { .. })));
    assert!(error(&up(&step.replace("JOIN", "LEFT JOIN"))).contains("only have inner joins"));
    assert!(
        error(&up("SELECT guid, host, guid, MAX(depth) FROM up GROUP BY guid, host"))
            .contains("cannot have GROUP BY")
    );
    assert!(
        error(&up("SELECT a.guid, a.host, b.next, 1 FROM up a JOIN up b ON a.guid = b.guid"))
            .contains("read a second time")
    );
    assert!(
        error(&up("SELECT guid, host, next, CAST(1 AS BIGINT) FROM up"))
            .contains("BIGINT in its step")
    );
    assert!(
        error("WITH RECURSIVE up AS (SELECT * FROM up) SELECT * FROM up")
            .contains("nowhere to start")
    );
    assert!(
        error("WITH up AS (SELECT * FROM up) SELECT * FROM up").contains("no stream or table UP")
    );
}

#[test]
fn sources() {
    assert!(
        error("CREATE STREAM x (a INT) WITH (VALUE_FORMAT='SYSMON')")
            .contains("gives the columns itself")
    );
    assert!(error("CREATE TABLE x WITH (VALUE_FORMAT='SYSMON')").contains("are a stream"));
    assert!(error("CREATE TABLE x (a INT) WITH (VALUE_FORMAT='JSON')").contains("PRIMARY KEY"));
    assert!(
        error("CREATE STREAM x (a INT) WITH (KAFKA_TOPIC='t')").contains("VALUE_FORMAT is missing")
    );
    assert!(
        error("CREATE STREAM x (a INT) WITH (VALUE_FORMAT='JSN')").contains("did you mean JSON?")
    );
    assert!(
        error("CREATE STREAM x (a INT) WITH (VALUE_FORMAT='AVRO')").contains("not supported yet")
    );
    assert!(
        error("CREATE STREAM x (a INT) WITH (VALUE_FROMAT='JSON')")
            .contains("did you mean VALUE_FORMAT?")
    );
    assert!(
        error("CREATE STREAM x (a INTT) WITH (VALUE_FORMAT='JSON')").contains("did you mean INT?")
    );
    assert!(error("CREATE STREAM logs (a INT) WITH (VALUE_FORMAT='JSON')").contains("already"));
    assert!(
        error("CREATE STREAM x (a INT) WITH (VALUE_FORMAT='JSON', RETENTION='1 DAY')")
            .contains("no RETENTION")
    );
    assert!(
        error("CREATE TABLE x (a INT PRIMARY KEY) WITH (VALUE_FORMAT='JSON', RETENTION='1 DAI')")
            .contains("unit of time")
    );
    bind("CREATE STREAM IF NOT EXISTS logs (a INT) WITH (VALUE_FORMAT='JSON')");
    bind(
        "CREATE STREAM x (a VARCHAR) WITH (VALUE_FORMAT='JSON', TIMESTAMP='a', TIMESTAMP_FORMAT='yyyy-MM-dd')",
    );
    let pattern = error(
        "CREATE STREAM x (a VARCHAR) WITH (VALUE_FORMAT='JSON', TIMESTAMP='a', TIMESTAMP_FORMAT='b')",
    );
    assert!(pattern.contains("not a date and time pattern"), "{pattern}");
    let older = bind(
        "CREATE STREAM x (process_guid VARCHAR) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON', KEY='process_guid'); SELECT * FROM x",
    );
    assert_eq!(older.views.last().unwrap().schema.to_string(), "PROCESS_GUID STRING KEY");
    assert_eq!(bind("").topics_read(), ["winlogbeat", "logs", "hosts"]);
}

#[test]
fn columns_of_headers() {
    const ALL: &str = "ARRAY<STRUCT<key STRING, value BYTES>>";
    let json = |list: &str| {
        format!(
            "CREATE STREAM x (id INT KEY, {list}, v INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON')"
        )
    };
    assert_eq!(
        columns(&format!("{}; SELECT * FROM x", json(&format!("h {ALL} HEADERS")))),
        "ID INTEGER KEY, H ARRAY<STRUCT<KEY STRING, VALUE BYTES>>, V INTEGER"
    );
    assert_eq!(
        columns(&format!(
            "{}; SELECT LEN(b) AS l, v, a FROM x WHERE id > 1",
            json("a BYTES HEADER('a'), b BYTES HEADER('b')")
        )),
        "L INTEGER, V INTEGER, A BYTES"
    );
    assert_eq!(
        columns(&format!("{}; SELECT h[1]->key AS k FROM x", json(&format!("h {ALL} HEADERS")))),
        "K STRING"
    );
    bind(&format!(
        "CREATE TABLE x (id INT PRIMARY KEY, h {ALL} HEADERS, v INT) WITH (VALUE_FORMAT='KAFKA')"
    ));
    bind("CREATE STREAM x (h BYTES HEADER('h'), v INT) WITH (VALUE_FORMAT='DELIMITED')");

    // events bring their own columns, and their rows stay what they are
    let sysmon = "CREATE STREAM x (shipper BYTES HEADER('shipper')) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON')";
    assert_eq!(
        columns(&format!("{sysmon}; SELECT host, shipper, rowtime AS t FROM x WHERE event_id = 1")),
        "HOST STRING, SHIPPER BYTES, T TIMESTAMP"
    );
    assert!(columns(&format!("{sysmon}; SELECT * FROM x")).ends_with(", SHIPPER BYTES"));

    let place = |list: &str, v: &str| {
        let error = error(&json(list));
        let lines: Vec<&str> = error.lines().collect();
        let under = lines.iter().position(|line| line.contains('^')).unwrap();
        let (at, width) = (lines[under].find('^').unwrap(), lines[under].matches('^').count());
        let line = lines[under - 1];
        assert_eq!(&line[at..at + width], v, "{error}");
        error
    };
    assert!(place("h1 INT HEADER('k')", "h1").contains("H1 is of type INTEGER"));
    assert!(
        place("h2 ARRAY<BYTES> HEADERS", "h2").contains("ARRAY<STRUCT<KEY STRING, VALUE BYTES>>")
    );
    assert!(place(&format!("h {ALL} HEADER('k')"), "h").contains("BYTES"));
    assert!(
        place(&format!("h {ALL} HEADERS, i BYTES HEADER('k')"), "i")
            .contains("either one column of all HEADERS")
    );
    assert!(
        place(&format!("i BYTES HEADER('k'), h {ALL} HEADERS"), "h")
            .contains("either one column of all HEADERS")
    );
    assert!(
        place(&format!("h {ALL} HEADERS, i {ALL} HEADERS"), "i")
            .contains("H is all headers already")
    );
    assert!(
        place("h BYTES HEADER('k'), i BYTES HEADER('k')", "i")
            .contains("H is the header 'k' already")
    );
    assert!(place("h BYTES HEADER('k'), h BYTES HEADER('l')", "h").contains("two columns H"));
    assert!(
        error("CREATE STREAM x (host BYTES HEADER('h')) WITH (VALUE_FORMAT='SYSMON')")
            .contains("two columns HOST")
    );
    assert!(
        error("CREATE STREAM x (h BYTES HEADER('h'), a INT) WITH (VALUE_FORMAT='SYSMON')")
            .contains("gives the columns itself")
    );
    assert!(
        error("CREATE STREAM x (h BYTES HEADER('h')) WITH (VALUE_FORMAT='JSON')")
            .contains("beside those of headers")
    );
    assert!(
        error(
            "CREATE STREAM x (h BYTES HEADER('h'), v INT) WITH (VALUE_FORMAT='JSON', TIMESTAMP='h')"
        )
        .contains("h is of type BYTES")
    );
    let own = "CREATE STREAM rows AS SELECT id, n FROM logs; CREATE STREAM x (n BIGINT, h BYTES HEADER('h')) WITH (KAFKA_TOPIC='ROWS')";
    assert!(error(own).contains("ROWS writes no headers"));
}

#[test]
fn sources_over_topics_of_the_script() {
    let rows = "CREATE STREAM rows AS SELECT text AS k, id, n, s, at FROM logs PARTITION BY k;
                CREATE TABLE sums WITH (KAFKA_TOPIC='sums') AS SELECT text, g, SUM(n) AS n FROM logs GROUP BY text, g;";
    let of = |text: &str| columns(&format!("{rows} {text}; SELECT * FROM x"));
    let wrong = |text: &str| error(&format!("{rows} {text}; SELECT * FROM x"));
    let script = bind(&format!(
        "{rows} CREATE STREAM x WITH (KAFKA_TOPIC='ROWS'); SELECT n FROM x WHERE id = 1"
    ));
    assert_eq!(script.topics_read(), ["winlogbeat", "logs", "hosts"]);
    let plan = optimize(&script.plan, &[script.plan.views.len() - 1], true);
    assert!(plan.nodes().all(
        |(_, node)| !matches!(&node.operator, Operator::Source(source) if source.topic != "logs")
    ));

    // by name, exactly or not; the sole key needs no name, and what is not there is NULL
    assert_eq!(
        of(
            "CREATE STREAM x (key VARCHAR KEY, n VARCHAR, `id` BIGINT, more INT) WITH (KAFKA_TOPIC='ROWS', VALUE_FORMAT='JSON')"
        ),
        "KEY STRING KEY, N STRING, `id` BIGINT, MORE INTEGER"
    );
    assert_eq!(
        of(
            "CREATE TABLE x (key VARCHAR PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='ROWS', RETENTION='1 DAY')"
        ),
        "KEY STRING KEY, N INTEGER"
    );
    assert_eq!(
        of("CREATE TABLE x (id INT, n INT) WITH (KAFKA_TOPIC='ROWS', KEY='id')"),
        "ID INTEGER KEY, N INTEGER"
    );
    assert_eq!(
        of("CREATE TABLE x WITH (KAFKA_TOPIC='ROWS', KEY='n', TIMESTAMP='at')")
            .matches("KEY")
            .count(),
        1
    );
    assert_eq!(
        of("CREATE TABLE x WITH (KAFKA_TOPIC='sums', VALUE_FORMAT='JSON')"),
        "TEXT STRING KEY, G STRING KEY, N BIGINT"
    );
    assert_eq!(
        of(
            "CREATE TABLE x (g VARCHAR PRIMARY KEY, text VARCHAR PRIMARY KEY) WITH (KAFKA_TOPIC='sums')"
        ),
        "G STRING KEY, TEXT STRING KEY"
    );
    let timed = bind(
        "CREATE STREAM rows WITH (TIMESTAMP='at') AS SELECT id, at FROM logs; CREATE STREAM x WITH (KAFKA_TOPIC='ROWS'); SELECT rowtime AS t FROM x",
    );
    assert!(
        timed.plan.explain().to_string().contains("COALESCE(AT, ROWTIME)"),
        "{}",
        timed.plan.explain()
    );
    // one more step away
    columns(&format!(
        "{rows} CREATE STREAM a WITH (KAFKA_TOPIC='ROWS'); CREATE STREAM b AS SELECT k, n FROM a; CREATE TABLE c WITH (KAFKA_TOPIC='B');
         SELECT e.event_key, c.n FROM sysmon e JOIN c ON e.host = c.k"
    ));

    for (text, expected) in [
        ("CREATE STREAM x WITH (KAFKA_TOPIC='sums')", "taken back when they change"),
        (
            "CREATE TABLE x (text VARCHAR PRIMARY KEY) WITH (KAFKA_TOPIC='sums')",
            "the key is (TEXT STRING, G STRING)",
        ),
        ("CREATE TABLE x WITH (KAFKA_TOPIC='sums', RETENTION='1 DAY')", "give RETENTION to SUMS"),
        ("CREATE TABLE x WITH (KAFKA_TOPIC='sums', TIMESTAMP='n')", "do not come from one record"),
        ("CREATE TABLE x (k VARCHAR, n INT) WITH (KAFKA_TOPIC='ROWS')", "needs a PRIMARY KEY"),
        (
            "CREATE TABLE x (a INT PRIMARY KEY, b INT PRIMARY KEY) WITH (KAFKA_TOPIC='ROWS')",
            "ROWS has no column A",
        ),
        ("CREATE TABLE x WITH (KAFKA_TOPIC='ROWS', KEY='idd')", "did you mean ID?"),
        ("CREATE STREAM x (s INT) WITH (KAFKA_TOPIC='ROWS')", "cannot be read as INT"),
        ("CREATE STREAM x WITH (KAFKA_TOPIC='ROWS', VALUE_FORMAT='SYSMON')", "not Sysmon events"),
        (
            "CREATE STREAM x WITH (KAFKA_TOPIC='ROWS', VALUE_FORMAT='DELIMITED')",
            "writes this topic as JSON",
        ),
        ("CREATE STREAM x WITH (KAFKA_TOPIC='ROWS', RETENTION='1 DAY')", "no RETENTION"),
        (
            "CREATE STREAM y WITH (KAFKA_TOPIC='ROWS') AS SELECT id FROM logs; CREATE STREAM x WITH (KAFKA_TOPIC='ROWS')",
            "both ROWS and Y",
        ),
        (
            "CREATE STREAM x WITH (KAFKA_TOPIC='logs') AS SELECT * FROM sysmon",
            "is read by LOGS already",
        ),
        (
            "CREATE STREAM y AS SELECT DISTINCT ON (id) id FROM logs; CREATE TABLE x (id INT PRIMARY KEY) WITH (KAFKA_TOPIC='Y')",
            "not supported yet",
        ),
    ] {
        let error = wrong(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn the_older_dialect_binds() {
    let script = bind_script(
        "SET 'auto.offset.reset' = 'earliest';
         CREATE STREAM beats (source_name VARCHAR, event_id INTEGER, event_data STRUCT<ProcessGuid VARCHAR, Image VARCHAR, CommandLine VARCHAR>)
            WITH (KAFKA_TOPIC='beats', VALUE_FORMAT='JSON');
         CREATE STREAM creates_rekeyed WITH (VALUE_FORMAT='JSON', PARTITIONS=1) AS
            SELECT event_data->ProcessGuid AS process_guid, event_data->CommandLine AS process_command_line FROM beats
            WHERE source_name = 'Microsoft-Windows-Sysmon' AND event_id = 1 PARTITION BY process_guid;
         CREATE TABLE creates (process_guid VARCHAR, process_command_line VARCHAR)
            WITH (KAFKA_TOPIC='CREATES_REKEYED', VALUE_FORMAT='JSON', KEY='process_guid');
         CREATE STREAM joined AS
            SELECT N.process_guid AS n_process_guid, N.image, P.process_command_line
            FROM (SELECT event_data->ProcessGuid AS process_guid, event_data->Image FROM beats WHERE event_id = 3) N
            INNER JOIN creates P ON N.process_guid = P.process_guid;",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        script.views[0].schema.to_string(),
        "PROCESS_GUID STRING KEY, PROCESS_COMMAND_LINE STRING"
    );
    assert_eq!(
        script.views[1].schema.to_string(),
        "N_PROCESS_GUID STRING KEY, IMAGE STRING, PROCESS_COMMAND_LINE STRING"
    );
    assert_eq!(script.topics_read(), ["beats"]);
}

#[test]
fn errors_point_at_their_place() {
    let text = "CREATE STREAM s WITH (VALUE_FORMAT='SYSMON');\nSELECT imgae\nFROM s";
    assert_eq!(
        bind_script(text).unwrap_err().to_string(),
        "line 2, column 8: there is no column IMGAE\n  |\n2 | SELECT imgae\n  |        ^^^^^\n  = did you mean IMAGE?"
    );
    for (text, expected) in [
        ("SELECT host FROM hosts a JOIN processes b ON a.host = b.host", "write A.HOST or B.HOST"),
        ("SELECT x.host FROM hosts a", "no relation in FROM is called X"),
        ("SELECT * FROM hostss", "did you mean HOSTS?"),
        ("SELECT SUBSTRNG(text, 1) FROM logs", "there is no function SUBSTRNG"),
        ("SELECT UCASE(id) FROM logs", "UCASE does not take (INTEGER)"),
        ("SELECT id + text FROM logs", "+ is not defined on INTEGER and STRING"),
        ("SELECT id FROM logs WHERE text", "the condition of WHERE is of type STRING"),
        ("SELECT id FROM logs WHERE id = 'x'", "= is not defined on INTEGER and STRING"),
        ("SELECT id, n AS id FROM logs", "there are two columns ID"),
        ("SELECT s->c FROM logs", "no field C"),
        ("SELECT DATE 'x' FROM logs", "'x' is not a DATE"),
        (
            "SELECT id FROM logs WINDOW TUMBLING (SIZE 1 DAY) WHERE TRUE",
            "WINDOW is not supported yet",
        ),
        ("SELECT TRANSFORM(l, x => x + 1) FROM logs", "not supported yet"),
        ("INSERT INTO logs SELECT * FROM logs", "INSERT is not supported yet"),
        ("DROP STREAM logs", "DROP is not supported yet"),
        ("EXPLAIN SHOW STREAMS", "no plan to explain"),
        ("RUN SCRIPT 'x'", "there is no script 'x'"),
        ("SELECT ROWTIME AS t FROM processes", "ROWTIME is not known here"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn the_highest_expressions_bind() {
    let high = vec!["text"; 250].join(" || ");
    operators(&format!(
        "SELECT {high} AS x FROM logs WHERE NOT ({}) = 'x'",
        vec!["text"; 240].join(" || ")
    ));
    columns(&format!("SELECT {high} AS x, COUNT(*) AS n FROM logs GROUP BY {high}"));
    let deep = format!("{}text{}", "UCASE(".repeat(90), ")".repeat(90));
    columns(&format!(
        "SELECT {deep} AS x, MAX({deep}) AS n FROM logs GROUP BY {deep} HAVING MAX({deep}) <> {deep}"
    ));
    let queries = format!("{}logs{}", "(SELECT * FROM ".repeat(90), ")".repeat(90));
    operators(&format!("SELECT * FROM {queries}"));
}

#[test]
fn scripts_run_scripts() {
    let library = |name: &str| match name {
        "a" => Some("RUN SCRIPT 'b'; SELECT id FROM x".to_string()),
        "b" => Some("CREATE STREAM x (id INT) WITH (VALUE_FORMAT='JSON')".to_string()),
        "bad" => Some("SELECT\n1 FROM nowhere".to_string()),
        "loop" => Some("RUN SCRIPT 'b'; RUN SCRIPT 'loop'; RUN SCRIPT 'a'".to_string()),
        _ => None,
    };
    let run = |name: &str| bind_script_with(&format!("RUN SCRIPT '{name}'"), &library);
    assert_eq!(run("a").unwrap().views.len(), 1);
    assert!(
        run("bad")
            .unwrap_err()
            .to_string()
            .starts_with("line 2, column 8: in bad: there is no stream or table NOWHERE")
    );
    assert_eq!(run("loop").unwrap().sources.len(), 1);
}

#[test]
fn a_text_with_an_error_changes_nothing() {
    let mut script = bind("");
    let before = script.views.len();
    assert!(
        script
            .extend("CREATE STREAM a AS SELECT id FROM logs; SELECT nothing FROM a", &|_| None)
            .is_err()
    );
    assert_eq!(script.views.len(), before);
    let outcomes = script
        .extend(
            "CREATE STREAM a AS SELECT id FROM logs; SELECT id FROM a LIMIT 3; SET 'x' = 'y';",
            &|_| None,
        )
        .unwrap();
    assert_eq!(outcomes, [Outcome::View(before), Outcome::View(before + 1), Outcome::Done]);
    assert_eq!(script.views[before + 1].limit, Some(3));
    assert_eq!(script.settings["x"], "y");
    assert_eq!(script.main_view(), Some(before + 1));
    script.extend("EXPLAIN SELECT id FROM a", &|_| None).unwrap();
    assert_eq!(script.main_view(), Some(before + 1));
}

#[test]
fn what_a_run_cannot_show_is_refused() {
    let of = |text: &str| {
        Script::to_publish()
            .extend(&format!("{SOURCES}{text}"), &|_| None)
            .map_err(|error| error.to_string())
    };
    assert!(of("CREATE STREAM a AS SELECT id FROM logs;").is_ok());
    for (text, place) in
        [("SELECT id FROM logs", "SELECT id"), ("EXPLAIN SELECT id FROM logs", "EXPLAIN")]
    {
        let error = of(&format!("CREATE STREAM a AS SELECT id FROM logs;\n{text};")).unwrap_err();
        assert!(error.contains("a run shows nothing"), "{error}");
        assert!(error.lines().any(|line| line.contains(place)), "{error}");
    }
    let library = |_: &str| Some(format!("{SOURCES}SELECT id FROM logs"));
    assert!(
        Script::to_publish()
            .extend("RUN SCRIPT 'x'", &library)
            .unwrap_err()
            .to_string()
            .contains("in x: a run shows nothing")
    );
}

const WORDS: &[&str] = &[
    "SELECT",
    "DISTINCT ON (id)",
    "*",
    "FROM",
    "logs",
    "a",
    "hosts",
    "b",
    "sysmon",
    "processes",
    ",",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "JOIN",
    "LEFT JOIN",
    "WITHIN 1 DAY",
    "RETROACTIVE",
    "ON",
    "a.host = b.host",
    "id",
    "host",
    "n",
    "text",
    "COUNT(*)",
    "MAX(n)",
    "UNION ALL SELECT",
    "(",
    ")",
    "=",
    "+",
    "AND",
    "1",
    "'x'",
    "CASE WHEN",
    "THEN",
    "END",
    "PARTITION BY",
    "AS",
    "NULL",
    "s->a",
    "m['k']",
    "l[1]",
    "rowtime",
    "WITH RECURSIVE c AS (",
    "c",
];

proptest! {
    #[test]
    fn any_statement_is_bound_or_refused(words in proptest::collection::vec(proptest::sample::select(WORDS), 1..20)) {
        let _ = bind_script(&format!("{SOURCES} SELECT {}", words.join(" ")));
    }

    #[test]
    fn any_expression_is_bound_or_refused(expr in crate::sql::parser::generated_expr()) {
        for text in [format!("SELECT {expr} AS x FROM logs"), format!("SELECT {expr} AS x FROM logs GROUP BY id, {expr}")] {
            if let Ok(script) = bind_script(&format!("{SOURCES}{text}")) {
                optimize(&script.plan, &[script.plan.views.len() - 1], true);
            }
        }
    }
}

/// A script of subqueries, each an expression over the column `A` of the one before.
fn doubling(expr: &str, levels: usize) -> String {
    let mut text = "CREATE STREAM s (id INT, a INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON'); CREATE STREAM o AS WITH ".to_owned();
    for level in 0..levels {
        let from = if level == 0 { "s".to_owned() } else { format!("q{}", level - 1) };
        let comma = if level == 0 { "" } else { ", " };
        write!(text, "{comma}q{level} AS (SELECT id, {expr} AS a FROM {from})").unwrap();
    }
    text + &format!(" SELECT id, a FROM q{};", levels - 1)
}

/// What has its operand twice would be 2^60 expressions in the end.
#[test]
fn plans_stay_linear_in_the_script() {
    for expr in [
        "CASE WHEN a = 1 THEN a ELSE a END",
        "CASE a WHEN 1 THEN a WHEN 2 THEN a ELSE a END",
        "CASE WHEN a BETWEEN a AND a THEN a ELSE 1 END",
        "COALESCE(a, a, 1)",
        "IFNULL(NULLIF(a, a), a)",
        "ARRAY[a, a][1]",
        "a + a",
    ] {
        let levels = 60;
        let script = bind(&doubling(expr, levels));
        let plan = optimize(&script.plan, &[script.plan.views.len() - 1], true);
        let size = |mfp: &crate::plan::Mfp| {
            mfp.columns.iter().chain(&mfp.predicates).map(Expr::size).sum::<usize>()
        };
        let sizes = plan.nodes().map(|(_, node)| match &node.operator {
            Operator::Transform { mfp, .. } => size(mfp),
            _ => 1,
        });
        assert!(sizes.sum::<usize>() < 2000 * levels, "{expr}");
    }
}

#[test]
fn types_that_double_are_refused() {
    let message = error(&doubling("STRUCT(x := a, y := a)", 60));
    assert!(message.contains("more than 10000 types"), "{message}");
    let mut types = "CREATE TYPE t0 AS STRUCT<x INT, y INT>;".to_owned();
    for level in 1..60 {
        write!(types, "CREATE TYPE t{level} AS STRUCT<x t{0}, y t{0}>;", level - 1).unwrap();
    }
    let message = error(&types);
    assert!(message.contains("more than 10000 types"), "{message}");
}

#[test]
fn operands_that_double_are_refused() {
    let nested = |wrap: &dyn Fn(String) -> String, first: &str| {
        let expr = (0..40).fold(first.to_owned(), |expr, _| wrap(expr));
        error(&format!(
            "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON'); CREATE STREAM o AS SELECT {expr} AS a FROM s;"
        ))
    };
    let message = nested(&|expr| format!("(({expr}) BETWEEN FALSE AND TRUE)"), "a = 1");
    assert!(message.contains("too large"), "{message}");
    let message = nested(&|expr| format!("(CASE {expr} WHEN 1 THEN 1 WHEN 2 THEN 2 END)"), "a");
    assert!(message.contains("too large"), "{message}");
}
