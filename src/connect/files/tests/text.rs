//! Text as files hold it: mixed, damaged, of code pages, without end.

use super::*;

/// The bytes of all records, with those of lines that were taken by their ends.
fn texts(run: &Run) -> Vec<String> {
    run.records.iter().map(|record| String::from_utf8_lossy(&record.2).into_owned()).collect()
}

/// Complete records on lines of their own, and what damage leaves of them.
fn parts() -> impl Strategy<Value = Vec<Result<(String, String), String>>> {
    let json = (any::<u32>(), 0usize..5).prop_map(|(id, form)| {
        let value = serde_json::json!({"id": id, "b": {"c": [{}, id]}});
        let record = match form {
            0 => serde_json::to_string_pretty(&value).unwrap(),
            _ => value.to_string(),
        };
        let before = ["", "", "<14>Jan 15 00:36:42 WS07 ", "key:", ""][form];
        (record.clone(), format!("{before}{record}\n"))
    });
    let xml = (any::<u32>(), 0usize..3).prop_map(|(id, form)| {
        let break_ = ["", "\n  ", ""][form];
        let record = format!("<Event>{break_}<System>{id}</System>{break_}</Event>");
        let before = ["", "", "Jan 15 00:36:32 ws07 sysmon: "][form];
        (record.clone(), format!("{before}{record}\n"))
    });
    let whole = prop_oneof![3 => json, 1 => xml];
    let damaged =
        (whole.clone(), any::<prop::sample::Index>(), 0..3).prop_map(|((record, _), at, how)| {
            let mut text = record.into_bytes();
            let at = at.index(text.len());
            match how {
                0 => text.truncate(at),
                1 => text[at] = b'{',
                _ => text.insert(at, b'"'),
            }
            format!("{}\n", String::from_utf8(text).unwrap())
        });
    prop::collection::vec(prop_oneof![4 => whole.prop_map(Ok), 1 => damaged.prop_map(Err)], 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every record that was not touched comes out, by ranges or from the beginning, whatever the
    /// chunks and the workers; and of each only one.
    #[test]
    fn damage_costs_what_is_damaged(
        parts in parts(),
        // so much that the mixture is not seen when the file is opened
        ahead in prop::sample::select(vec![0, 10_000]),
        chunk_bytes in prop::sample::select(vec![64usize, 1000, 40_000]),
        packed in any::<bool>(),
        workers in 1usize..3,
    ) {
        let expected = parts.iter().filter_map(|part| part.as_ref().ok()).map(|(record, _)| record);
        let mut text = String::from_utf8(lines(ahead)).unwrap();
        for part in &parts {
            text.push_str(match part {
                Ok((_, written)) => written,
                Err(damaged) => damaged,
            });
        }
        let bytes = if packed { gz(text.as_bytes()) } else { text.clone().into_bytes() };
        let (_dir, path) = written("m", &bytes);
        let run = run(&[&path], small(chunk_bytes), workers);
        let found = texts(&run);
        let mut rest = found.iter().skip(ahead);
        for record in expected {
            prop_assert!(rest.any(|found| found == record), "{record}");
        }
        prop_assert!(run.records.windows(2).all(|pair| {
            pair[0].1 + pair[0].2.len() as u64 <= pair[1].1
        }), "records overlap");
    }
}

#[test]
fn a_text_without_records_is_one_letter() {
    let words = "some words\n".repeat(44_000);
    let (_dir, path) = written("notes", words.as_bytes());
    let run = run(&[&path], Options::default(), 2);
    assert!(run.records.is_empty());
    let [letter] = &run.letters[..] else { panic!("{} letters", run.letters.len()) };
    assert_eq!((letter.reason, letter.origin.line), (Reason::UnknownShape, None));
    assert!(letter.detail.contains("first 1000 lines"), "{letter}");
}

#[test]
fn separators_without_end_are_read_in_little_memory() {
    // more than a record may have
    let blanks = b"[ ,\x0c]\n".repeat(1 << 17);
    let text = [b"[\n{\"a\":1},", &blanks[..], b"{\"b\":2}]"].concat();
    let options = Options { max_record: 1 << 16, ..small(1 << 14) };
    for (name, bytes) in [("m.json", text.clone()), ("m.gz", gz(&text))] {
        let (_dir, path) = written(name, &bytes);
        let run = run(&[&path], options.clone(), 2);
        assert_eq!(texts(&run), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(run.letters, []);
    }
}

#[test]
fn what_is_too_long_is_told_with_its_length_and_what_follows_is_read() {
    let long = format!("{{\"x\":\"{}", "y".repeat(200_000));
    let head = String::from_utf8(lines(100)).unwrap();
    let text = format!("{head}{long}\n{{\"b\":2}}\n");
    let options = Options { max_record: 1 << 16, ..small(1 << 14) };
    for (name, bytes) in [("m.json", text.clone().into_bytes()), ("m.gz", gz(text.as_bytes()))] {
        let (_dir, path) = written(name, &bytes);
        let run = run(&[&path], options.clone(), 2);
        assert_eq!(run.records.len(), 101, "{name}");
        let [letter] = &run.letters[..] else { panic!("{name}: {:?}", run.letters) };
        assert_eq!(letter.reason, Reason::RecordTooLong);
        assert_eq!(
            (letter.origin.line, letter.origin.offset),
            (Some(101), Some(head.len() as u64))
        );
        let lost = format!("{} bytes are left out", long.len() + 1);
        assert!(letter.detail.ends_with(&lost), "{name}: {letter}");
    }
}

#[test]
fn rows_of_a_table_span_lines_and_a_broken_one_costs_its_line() {
    let text = "EventID,Text\n1,\"a\nb\"\n,x\n2,\"open\n3,\"c\"\n";
    let (_dir, path) = written("t.csv", text.as_bytes());
    let dispenser =
        Dispenser::new(found(&[&path]), small(7), Arc::new(DeadLetters::new(None)), Arc::default())
            .unwrap();
    let mut rows = Vec::new();
    let mut line = 0;
    while let Some(chunk) = dispenser.next(Vec::new()) {
        let mut records = chunk.records();
        for record in &mut records {
            assert_eq!(record.syntax, Syntax::Row);
            let text = String::from_utf8(record.bytes.to_vec()).unwrap();
            rows.push((line + u64::from(record.line), text, record.trust));
        }
        let lines = records.lines();
        line += lines;
        dispenser.finish(chunk, lines, Vec::new());
    }
    let rows: Vec<_> = rows.iter().map(|(line, text, trust)| (*line, &text[..], *trust)).collect();
    let expected = [
        (0, "EventID,Text", Trust::Whole),
        (1, "1,\"a\nb\"", Trust::Whole),
        (3, ",x", Trust::Whole),
        (4, "2,\"open", Trust::Damaged),
        (5, "3,\"c\"", Trust::Whole),
    ];
    assert_eq!(rows, expected);
}
