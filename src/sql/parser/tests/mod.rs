mod generate;
mod yardstick;

pub(in crate::sql) use generate::expr as generated_expr;

use proptest::prelude::*;

use super::{parse, parse_one};
use crate::sql::ast::MAX_HEIGHT;

/// What the text means, printed.
fn prints(text: &str) -> String {
    let statement = parse_one(text).unwrap_or_else(|error| panic!("{error}"));
    let printed = statement.to_string();
    assert_eq!(
        parse_one(&printed).unwrap_or_else(|error| panic!("{error}")),
        statement,
        "{printed}"
    );
    printed
}

fn error(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

proptest! {
    #[test]
    fn every_statement_prints_and_reads_back(statement in generate::statement()) {
        let printed = statement.to_string();
        match parse_one(&printed) {
            Ok(read) => prop_assert_eq!(read, statement, "{}", printed),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn every_expression_prints_and_reads_back(expr in generate::expr()) {
        let printed = format!("SELECT {expr} FROM s");
        match parse_one(&printed) {
            Ok(read) => prop_assert_eq!(read.to_string(), format!("SELECT {expr} FROM S")),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_tokens_are_read_or_refused(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..30), verb in 0..4usize) {
        let text = format!("{}{}", ["", "SELECT ", "CREATE ", "SELECT * FROM a "][verb], words.join(" "));
        match parse(&text) {
            Ok(statements) => {
                for (statement, span) in statements {
                    prop_assert_eq!(parse_one(&text[span.start..span.end]).unwrap(), statement);
                }
            }
            Err(error) => prop_assert!(error.position().is_some()),
        }
    }
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "JOIN",
    "LEFT",
    "ON",
    "WITHIN",
    "RETROACTIVE",
    "WITH",
    "RECURSIVE",
    "AS",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    ";",
    "*",
    "-",
    "->",
    "=>",
    ":=",
    "=",
    "<",
    ">",
    "||",
    "a",
    "b",
    "`c`",
    "'d'",
    "1",
    "2.5",
    "1e3",
    "NOT",
    "AND",
    "OR",
    "IN",
    "IS",
    "NULL",
    "LIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "CAST",
    "ARRAY",
    "MAP",
    "STRUCT",
    "STREAM",
    "TABLE",
    "EMIT",
    "CHANGES",
    "PARTITION",
    "HAVING",
    "UNION",
    "ALL",
    "DISTINCT",
    "WINDOW",
    "TUMBLING",
    "SIZE",
    "DAYS",
    "LIMIT",
    "KEY",
    "PRIMARY",
    "INT",
    "DROP",
    "INSERT",
    "INTO",
    "VALUES",
];

#[test]
fn clauses() {
    let text = "select distinct on (host, t.guid) t.*, s->a b, count(*), x->* from a as t \
        left outer join b retroactive within 7 days on t.k = b.k inner join (select * from c) d within (1 hour, 2 hours) grace period 5 minutes on true \
        window tumbling (size 1 minute, retention 2 days, grace period 0 seconds) \
        where not a is null and (b or c) group by (a, b) partition by c having count(*) > 1 emit changes limit 3";
    assert_eq!(
        prints(text),
        "SELECT DISTINCT ON (HOST, T.GUID) T.*, S->A AS B, COUNT(*), X->* FROM A AS T LEFT JOIN B RETROACTIVE WITHIN 7 DAYS ON T.K = B.K \
         JOIN (SELECT * FROM C) AS D WITHIN (1 HOURS, 2 HOURS) GRACE PERIOD 5 MINUTES ON TRUE \
         WINDOW TUMBLING (SIZE 1 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 0 SECONDS) \
         WHERE NOT A IS NULL AND (B OR C) GROUP BY A, B PARTITION BY C HAVING COUNT(*) > 1 EMIT CHANGES LIMIT 3"
    );
    assert_eq!(
        prints("select * from a group by (a + b) * c, (d)"),
        "SELECT * FROM A GROUP BY (A + B) * C, D"
    );
    assert_eq!(
        prints(
            "with recursive up (g, n) as (select g, 0 from p union all select p.g, up.n + 1 from up join p on up.parent = p.g) select * from up"
        ),
        "WITH RECURSIVE UP (G, N) AS (SELECT G, 0 FROM P UNION ALL SELECT P.G, UP.N + 1 FROM UP JOIN P ON UP.PARENT = P.G) SELECT * FROM UP"
    );
}

#[test]
fn precedence() {
    for (text, means) in [
        ("a or b and not c = d + e * -f", "A OR B AND NOT C = D + E * -F"),
        ("(a or b) and c", "(A OR B) AND C"),
        ("a and (b and c)", "A AND (B AND C)"),
        ("a - (b - c) - d", "A - (B - C) - D"),
        ("a || b + c", "A || B + C"),
        ("(a || b) + c", "(A || B) + C"),
        ("- -1", "-(-1)"),
        ("-(1)", "-(1)"),
        ("-2147483648", "-2147483648"),
        ("a not between 1 and 2 and b", "A NOT BETWEEN 1 AND 2 AND B"),
        ("a->b[1]->c", "A->B[1]->C"),
        ("(a = b) = c", "(A = B) = C"),
        ("f(x => x + 1, (a, b) => a || b)", "F(X => X + 1, (A, B) => A || B)"),
        ("a at time zone 'UTC' + b", "A AT TIME ZONE 'UTC' + B"),
        ("`array`[1] + array[1]", "`array`[1] + ARRAY[1]"),
        ("case a when 1 then 2 end", "CASE A WHEN 1 THEN 2 END"),
        ("cast(a as decimal(4,2) array)", "CAST(A AS ARRAY<DECIMAL(4, 2)>)"),
        (
            "\"a b\" is not distinct from date '2020-01-01'",
            "`a b` IS NOT DISTINCT FROM DATE '2020-01-01'",
        ),
    ] {
        assert_eq!(
            prints(&format!("SELECT * FROM S WHERE {text}")),
            format!("SELECT * FROM S WHERE {means}")
        );
    }
}

#[test]
fn semicolons_and_comments() {
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(parse(" ; -- nothing\n /* at all */ ;").unwrap(), []);
    assert_eq!(parse("select * from a; select * from b -- the last").unwrap().len(), 2);
    assert!(error("select * from a select * from b").contains("unexpected `select`"));
}

#[test]
fn the_older_dialect() {
    let text = "CREATE STREAM s2 WITH (PARTITIONS=1, KEY='process_guid', kafka_topic='T') AS SELECT a process_guid FROM s PARTITION BY process_guid;";
    assert_eq!(
        prints(text),
        "CREATE STREAM S2 WITH (PARTITIONS = 1, `KEY` = 'process_guid', KAFKA_TOPIC = 'T') AS SELECT A AS PROCESS_GUID FROM S PARTITION BY PROCESS_GUID"
            .replace("`KEY`", "KEY")
    );
}

#[test]
fn errors_name_place_and_alternatives() {
    assert_eq!(
        error("SELECT *\nFRM s"),
        "line 2, column 1: unexpected `FRM`\n  |\n2 | FRM s\n  | ^^^\n  = expected `,` or FROM\n  = did you mean FROM?"
    );
    assert!(error("SELECT a FROM s WHERE").contains("the text ends too early"));
    assert!(error("SELECT a FROM s WHERE").contains("expected an expression"));
    assert!(error("SELECT 'a FROM s").contains("this string is not closed"));
    assert!(error("SELECT a /* FROM s").contains("this comment is not closed"));
    assert!(error("SELECT 1.5a FROM s").contains("neither a number nor a name"));
    assert!(error("SELECT ${x} FROM s").contains("variable ${x} is not defined"));
    assert!(error("SELECT a AS from FROM s").contains("FROM is a reserved word"));
    assert!(error("SELECT a = b = c FROM s").contains("unexpected `=`"));
    assert!(error("SELECT SUM(*) FROM s").contains("only COUNT takes `*`"));
    assert!(error("SELECT 1e999 FROM s").contains("out of the range"));
    assert!(error("SELECT * FROM a JOIN b WITHIN 7 DAS ON c").contains("did you mean DAYS?"));
    assert!(error("CREATE STRAEM s WITH (a=1)").contains("did you mean STREAM?"));
}

#[test]
fn nesting_is_bounded() {
    let deep = 10_000;
    let nested = |open: &str, inner: &str, close: &str| {
        format!("SELECT {}{inner}{} FROM s", open.repeat(deep), close.repeat(deep))
    };
    for text in [
        nested("(", "1", ")"),
        nested("f(", "1", ")"),
        nested("- ", "1", ""),
        nested("NOT ", "a", ""),
        nested("CASE WHEN a THEN ", "1", " END"),
        nested("ARRAY[", "1", "]"),
        nested("", "a", "[1]"),
        nested("", "a", "->b"),
        nested("", "a", " + 1"),
        nested("", "a", " AT TIME ZONE 'UTC'"),
        nested("a || (", "1", ")"),
        format!("SELECT CAST(a AS {}INT{}) FROM s", "ARRAY<".repeat(deep), ">".repeat(deep)),
        format!("SELECT CAST(a AS INT{}) FROM s", " ARRAY".repeat(deep)),
        format!("SELECT * FROM {}s{}", "(SELECT * FROM ".repeat(deep), ")".repeat(deep)),
        format!("{}SELECT * FROM s", "EXPLAIN ".repeat(deep)),
    ] {
        assert!(error(&text).contains("levels"), "{}", &text[..60]);
    }
    let long = vec!["a = 1"; deep].join(" OR ");
    assert!(parse(&format!("SELECT * FROM s WHERE {long}")).is_ok());
    let high = vec!["a"; MAX_HEIGHT as usize].join(" || ");
    prints(&format!("SELECT {high} FROM s"));
    prints(&format!("SELECT {}1{} FROM s", "f(".repeat(90), ")".repeat(90)));
}
