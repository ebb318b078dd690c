//! Statements with tokens that are missing, doubled, in another place or of another script.

use std::path::Path;

use crate::driver::helkflow;
use crate::random::{Random, rounds};

const MORE: &str = "
CREATE STREAM logs (id INT KEY, text VARCHAR, n BIGINT, at TIMESTAMP, s STRUCT<a INT, b VARCHAR>, m MAP<VARCHAR, INT>, l ARRAY<INT>) WITH (KAFKA_TOPIC = 'logs', VALUE_FORMAT = 'JSON', TIMESTAMP = 'at');
CREATE TABLE counts WITH (RETENTION = '7 DAYS') AS SELECT id, COUNT(*) AS n, SUM(n) AS total, COLLECT_LIST(text) AS texts FROM logs WHERE n > 10 AND text LIKE '%x%' GROUP BY id HAVING COUNT(*) > 1;
CREATE STREAM parts AS SELECT id, SUBSTRING(text, 2, 3) AS part, CASE WHEN n BETWEEN 1 AND 5 THEN 'few' ELSE 'many' END AS how, CAST(n AS DOUBLE) / 3 AS third, s->a AS a, m['k'] AS k, l[1] AS first FROM logs WHERE id IN (1, 2, 3) OR text IS NOT NULL;
SELECT p.id AS id, part, total FROM parts p LEFT JOIN counts c ON p.id = c.id;
";

/// Words, numbers, strings and signs, each with the blanks before it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last = ' ';
    let mut quoted = false;
    for char in text.chars() {
        let joins = quoted
            || char.is_alphanumeric() && (last.is_alphanumeric() || last == '_')
            || char == '_'
            || last.is_whitespace() && !tokens.is_empty();
        match tokens.last_mut() {
            Some(token) if joins => token.push(char),
            _ => tokens.push(char.to_string()),
        }
        if char == '\'' {
            quoted = !quoted;
        }
        last = char;
    }
    tokens
}

#[test]
fn any_tokens_are_a_plan_or_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows");
    let mut scripts = vec![tokens(MORE)];
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let sql: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
        scripts.push(tokens(&sql.join("\n")));
    }
    scripts.sort_unstable();
    let work = tempfile::tempdir().unwrap();
    let (mut plans, mut errors) = (0, 0);
    rounds(|seed| {
        let mut random = Random::new(seed);
        let mut script = scripts[random.below(scripts.len())].clone();
        for _ in 0..=random.below(3) {
            let (at, from) = (random.below(script.len()), random.below(script.len()));
            let other = &scripts[random.below(scripts.len())];
            let token = other[random.below(other.len())].clone();
            match random.below(6) {
                0 => _ = script.remove(at),
                1 => script.insert(at, script[from].clone()),
                2 => script.swap(at, from),
                3 => script[at] = token,
                4 => script.insert(at, String::from_utf8_lossy(&random.bytes(4)).into_owned()),
                _ => {
                    let deep = 1 + random.below(200);
                    let (open, close) = [
                        ("(", ")"),
                        ("ARRAY[", "]"),
                        ("STRUCT(x := ", ")"),
                        ("NOT ", ""),
                        ("-", ""),
                    ][random.below(5)];
                    script[at] =
                        format!(" {}{}{}", open.repeat(deep), script[at], close.repeat(deep));
                }
            }
        }
        std::fs::write(work.path().join("mutant.sql"), script.concat()).unwrap();
        match helkflow(work.path(), &["explain", "mutant.sql"]).code {
            0 => plans += 1,
            2 => errors += 1,
            code => panic!("explain ends with {code}"),
        }
    });
    assert!(errors > 0, "{plans} plans and no error");
}
