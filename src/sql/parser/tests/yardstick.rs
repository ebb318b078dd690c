//! Every statement of ksqlDB's own test cases that is meant to work must parse, print and read back.

use std::path::PathBuf;

use crate::sql::parse_one;

#[test]
fn statements_of_ksqldbs_own_tests() {
    let folder = std::env::var_os("HELKFLOW_QTT")
        .map_or_else(|| PathBuf::from("../shared/ksql/qtt"), PathBuf::from);
    let Ok(files) = std::fs::read_dir(&folder) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no test cases in {}",
            folder.display()
        );
        println!("SKIPPED: no test cases in {}: set HELKFLOW_QTT", folder.display());
        return;
    };
    let (mut total, mut failures) = (0, Vec::new());
    for file in files {
        let path = file.expect("a directory that opened lists").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a test file is text");
        let text: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let cases: serde_json::Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases["tests"].as_array().into_iter().flatten() {
            if case.get("expectedException").is_some() {
                continue;
            }
            for statement in case["statements"].as_array().into_iter().flatten() {
                let sql = statement
                    .as_str()
                    .expect("a statement is a string")
                    .replace("{FORMAT}", "JSON");
                total += 1;
                let round_trip =
                    parse_one(&sql).and_then(|first| Ok((parse_one(&first.to_string())?, first)));
                match round_trip {
                    Ok((again, first)) if again == first => {}
                    Ok((again, first)) => {
                        failures.push(format!("{sql}\n  printed {first}\n  read as {again}"))
                    }
                    Err(error) => failures.push(format!("{sql}\n{error}")),
                }
            }
        }
    }
    println!("{} of {total} statements parse and round-trip", total - failures.len());
    assert!(failures.is_empty(), "{} of {total} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(total > 0, "no statements in {}", folder.display());
}
