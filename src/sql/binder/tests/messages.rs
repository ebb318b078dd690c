//! What the binder says to those who write statements: notices, suggestions, errors at constants.

use super::*;

#[test]
fn suggestions_are_written_as_they_must_be_typed() {
    let source = "CREATE STREAM s (`camelCase` INT, `select` INT, plain INT)
        WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
    for (column, hint) in [
        ("camelCase", "did you mean `camelCase`?"),
        ("selectt", "did you mean `select`?"),
        ("plian", "did you mean PLAIN?"),
    ] {
        let error = bind_script(&format!("{source} SELECT {column} FROM s;")).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(hint));
        // and what is suggested is taken
        let typed = hint.trim_start_matches("did you mean ").trim_end_matches('?');
        bind_script(&format!("{source} SELECT {typed} FROM s;")).unwrap();
    }
}

#[test]
fn constants_that_can_never_work_are_errors_at_their_place() {
    for (call, caret) in [
        ("REGEXP_EXTRACT('[', text)", "'['"),
        ("REGEXP_EXTRACT('(?<=a)b', text)", "'(?<=a)b'"),
        ("REGEXP_REPLACE(text, '(a)\\1', text)", "'(a)\\1'"),
        ("PARSE_TIMESTAMP(text, 'yyyy-bb')", "'yyyy-bb'"),
        ("PARSE_TIMESTAMP(text, 'yyyy', 'Mars/Base')", "'Mars/Base'"),
        ("TIMESTAMPTOSTRING(n, 'yyyy-MM-dd', 'nowhere')", "'nowhere'"),
        ("FORMAT_TIMESTAMP(at, 'yyyy{')", "'yyyy{'"),
        ("CONVERT_TZ(at, 'UTC', 'X/Y')", "'X/Y'"),
        ("EXTRACTJSONFIELD(text, 'no path')", "'no path'"),
        ("TIMESTAMPADD('FORTNIGHTS', id, at)", "'FORTNIGHTS'"),
        ("ENCODE(text, 'hex', 'rot13')", "'rot13'"),
    ] {
        let sql = format!("SELECT {call} AS x FROM logs;");
        let error = bind_script(&format!("{SOURCES}{sql}")).expect_err(call);
        assert!(error.message.contains("fails on every row"), "{call}: {error}");
        let text = format!("{SOURCES}{sql}");
        assert_eq!(&text[error.span.start..error.span.end], caret, "{call}");
    }
    // what depends on the data is left to it
    for call in [
        "REGEXP_EXTRACT(text, 'a')",
        "REGEXP_EXTRACT('a+', text)",
        "REGEXP_EXTRACT('a', text, 7)",
        "PARSE_TIMESTAMP(text, 'yyyy-MM-dd')",
        "PARSE_TIMESTAMP('2020', text)",
        "PARSE_TIMESTAMP(text, text, 'Europe/Berlin')",
        "CONVERT_TZ(at, text, '+02:00')",
        "EXTRACTJSONFIELD(text, '$.a[0]')",
        "TIMESTAMPADD(HOURS, id, at)",
        "TIMESTAMPADD(text, 1, at)",
        "ENCODE(text, 'hex', 'utf8')",
    ] {
        bind(&format!("SELECT {call} AS x FROM logs;"));
    }
}

#[test]
fn a_plain_within_on_a_table_means_the_same_and_is_noticed() {
    let join = |within: &str| {
        let sql = format!(
            "{SOURCES} SELECT e.event_key, p.image FROM sysmon e LEFT JOIN processes p {within} 1 DAY
             ON e.process_guid = p.process_guid"
        );
        bind_script(&sql).unwrap()
    };
    let (plain, spelled) = (join("WITHIN"), join("RETROACTIVE WITHIN"));
    assert_eq!(plain.plan.identities(), spelled.plan.identities());
    assert_eq!(spelled.notices.len(), 0);
    let notices: Vec<String> = plain.notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("does not bound how far"), "{}", notices[0]);
    assert!(notices[0].contains("RETROACTIVE WITHIN 1 DAYS"), "{}", notices[0]);
    assert!(
        spelled.plan.explain().to_string().contains("retroactive: a row at the left waits 1 d")
    );
}
