//! What is found in text, whole and damaged, whatever the buffer.

use proptest::prelude::*;

use super::*;

/// The records of a text, lines that were taken by their ends looked into.
fn records(text: &[u8], expect: Expect) -> Vec<Span> {
    let spans = Records::new(text, expect, None);
    let within = |span: Span| {
        if span.trust != Trust::Ends {
            return vec![span];
        }
        let shift = |part: Span| Span {
            range: span.range.start + part.range.start..span.range.start + part.range.end,
            line: span.line,
            ..part
        };
        parts(&text[span.range.clone()], expect).map(shift).collect()
    };
    spans.flat_map(within).collect()
}

/// The same, from a buffer that grows by steps, and with the settled part dropped after each.
fn in_steps(text: &[u8], expect: Expect, step: usize) -> Vec<Span> {
    let mut scanner = Scanner::new(expect, None);
    let (mut base, mut end, mut lines) = (0, 0, 0);
    let mut found = Vec::new();
    loop {
        end = text.len().min(end + step);
        let eof = end == text.len();
        let buf = &text[base..end];
        while let Some(span) = scanner.next(buf, eof) {
            let line = lines + span.line;
            let place = base + span.range.start;
            let whole = Span { range: place..base + span.range.end, line, ..span };
            if whole.trust == Trust::Ends {
                found.extend(parts(&text[whole.range.clone()], expect).map(|part| Span {
                    range: place + part.range.start..place + part.range.end,
                    line,
                    ..part
                }));
            } else {
                found.push(whole);
            }
        }
        let settled = scanner.settled();
        lines += scanner.lines_to(buf, settled);
        scanner.rebase(settled);
        base += settled;
        if eof {
            assert_eq!(base, end, "at the end all is settled");
            return found;
        }
    }
}

/// Text of what splitters stumble over.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 44] = [
        b"{",
        b"}",
        b"\"",
        b"\\",
        b"\n",
        b"\r\n",
        b" ",
        b",",
        b"[",
        b"]",
        b":",
        b"key:",
        b"<Event>",
        b"<Event",
        b"</Event>",
        b"<n:Event>",
        b"</n:Event>",
        b"<Events>",
        b"</Events>",
        b"<?xml?>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"Z",
        b"\xc3\xa9",
        b"\xff",
        b"{\"a\":1}",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\x0c",
        b"\x0b",
        b"\0",
        b"\x1e",
        b"LogName=x\n",
        b"01/15/2024 12:36:32 AM\n",
        b"Event[0]:\n",
        b"Name  : x\n",
        b"\n\n",
        b"\"<Event a=\"\"1\"\">",
        b"\"{\"\"a\"\":1}\"",
        b"<14>Jan  1 h ",
        b"1",
        b"null",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        soup(),
        prop::collection::vec(any::<u8>(), 0..40),
        (soup(), any::<u8>(), any::<prop::sample::Index>()).prop_map(|(mut text, byte, at)| {
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
            text
        }),
    ]
}

fn expects() -> impl Strategy<Value = Expect> {
    prop::sample::select(vec![Expect::Events, Expect::Json, Expect::Lines])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Spans are not empty and follow each other, for any bytes: the scanner cannot stand still.
    #[test]
    fn progress(text in bytes(), expect in expects(), separator in prop::option::of(Just(b','))) {
        let mut at = 0;
        let mut lines = 0;
        for span in Records::new(&text, expect, separator) {
            prop_assert!(at <= span.range.start && span.range.start < span.range.end);
            prop_assert!(span.range.end <= text.len());
            lines += memchr_iter(b'\n', &text[at..span.range.start]).count() as u32;
            prop_assert_eq!(span.line, lines);
            lines += memchr_iter(b'\n', &text[span.range.clone()]).count() as u32;
            at = span.range.end;
        }
    }

    /// A buffer that grows finds the same.
    #[test]
    fn steps_change_nothing(text in bytes(), expect in expects(), step in 1usize..30) {
        prop_assert_eq!(in_steps(&text, expect, step), records(&text, expect));
    }

    /// Words are in some record, unless markup, a header before a record, or other cells of its
    /// CSV line have them.
    #[test]
    fn nothing_vanishes(text in soup()) {
        let (mut at, mut cell) = (0, false);
        for span in records(&text, Expect::Events) {
            let between = &text[at..span.range.start];
            prop_assert!(
                !between.contains(&b'Z')
                    || between.contains(&b'<')
                    || matches!(span.syntax, Syntax::Json | Syntax::Xml)
                    || cell
            );
            (at, cell) = (span.range.end, span.doubled);
        }
        let rest = &text[at..];
        prop_assert!(!rest.contains(&b'Z') || rest.contains(&b'<') || cell);
    }
}

/// A record, and the text that it is written as.
#[derive(Clone, Debug)]
struct Whole {
    record: String,
    text: String,
}

fn whole(record: impl Into<String>, before: &str, after: &str) -> Whole {
    let record = record.into();
    Whole { text: format!("{before}{record}{after}"), record }
}

/// Complete records in every syntax, each on lines of its own.
fn complete() -> impl Strategy<Value = Whole> {
    let text = || "[a-z{}\\[\\]:,\" é]{0,12}";
    let json = (any::<u32>(), text(), 0..6).prop_map(|(id, text, form)| {
        let value = serde_json::json!({"id": id, "b": {"t": text, "c": [{}, id]}});
        let line = value.to_string();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        match form {
            0 => whole(pretty, "", "\n"),
            1 => whole(line, "<14>Jan 15 00:36:42 WS07 ", "\n"),
            2 => whole(line, "CreateTime:17\tnull\t", "\n"),
            3 => whole(line, "some key:", "\n"),
            4 => whole(line, "Jan 15 00:36:42 ws07 app[28]: ", "\r\n"),
            _ => whole(line, "", "\n"),
        }
    });
    let xml = (any::<u32>(), text(), 0..5).prop_map(|(id, text, form)| {
        let text = text.replace('<', "");
        let data =
            format!("<System><EventID>{id}</EventID></System><Data>{text}\n{{\"x\":1}}\n</Data>");
        let event = format!("<Event xmlns='u'>{data}</Event>");
        match form {
            0 => whole(event.replace("><", ">\n  <"), "", "\n"),
            1 => whole(event, "Jan 15 00:36:32 ws07 sysmon: ", "\n"),
            2 => whole(format!("<e:Event>{data}</e:Event>"), "<?xml version=\"1.0\"?>\n", "\n"),
            3 => whole(event, "<Events>", "</Events>\n"),
            _ => whole(event.replace('\n', " "), "", "\n"),
        }
    });
    prop_oneof![2 => json, 1 => xml]
}

/// What damage leaves of a record: cut, a byte flipped or inserted, its line end lost.
fn damaged() -> impl Strategy<Value = String> {
    (complete(), any::<prop::sample::Index>(), 0..3, prop::sample::select(b"{}[]\",:<x".to_vec()))
        .prop_map(|(whole, at, how, byte)| {
            let mut text = whole.record.into_bytes();
            let at = at.index(text.len());
            match how {
                0 => text.truncate(at),
                1 => text[at] = byte,
                _ => text.insert(at, byte),
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            format!("{text}\n")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Every record that was not touched comes out, whatever stands between.
    #[test]
    fn damage_costs_what_is_damaged(
        parts in prop::collection::vec(
            prop_oneof![
                3 => complete().prop_map(Ok),
                1 => damaged().prop_map(Err),
            ],
            1..12,
        ),
        bracket in any::<bool>(),
        step in 1usize..200,
    ) {
        let mut text = if bracket { "[".to_owned() } else { String::new() };
        let mut expected = Vec::new();
        for part in &parts {
            match part {
                Ok(whole) => {
                    text.push_str(&whole.text);
                    expected.push(&whole.record[..]);
                }
                Err(damaged) => text.push_str(damaged),
            }
        }
        let found = in_steps(text.as_bytes(), Expect::Events, step);
        let found: Vec<&str> = found.iter().map(|span| &text[span.range.clone()]).collect();
        let mut rest = found.iter();
        for record in expected {
            prop_assert!(rest.any(|found| *found == record), "{record}\nof\n{text}\nfound {found:#?}");
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &[(&str, Syntax, Trust)]) {
    let found = records(text.as_bytes(), Expect::Events);
    let found: Vec<_> =
        found.into_iter().map(|span| (&text[span.range], span.syntax, span.trust)).collect();
    assert_eq!(found, expected);
}

use Syntax::{Json, Text, Xml};
use Trust::{Damaged, Whole as Sound};

#[test]
fn lines_mix_json_xml_keys_and_headers() {
    check(
        "{\"a\":1}\r\n\n:{\"b\":\"<Event>\"}\nmy key:{\"c\":1}\n\
         <?xml version='1.0'?><Events xmlns='x'>\n<Event>{1}</Event>\n\
         Jan 1 host sysmon[1]: <Event a='1'>2</Event><Event>3</Event>\n</Events>\n\
         <EventData>\n<14>Jan 15 00:36:42 WS07 {\"d\":1}\nP:0\tO:7\tkey\t{\"e\":{}}\n<Event>torn",
        &[
            ("{\"a\":1}", Json, Sound),
            ("{\"b\":\"<Event>\"}", Json, Sound),
            ("{\"c\":1}", Json, Sound),
            ("<Event>{1}</Event>", Xml, Sound),
            ("<Event a='1'>2</Event>", Xml, Sound),
            ("<Event>3</Event>", Xml, Sound),
            ("<EventData>", Text, Sound),
            ("{\"d\":1}", Json, Sound),
            ("{\"e\":{}}", Json, Sound),
            ("<Event>torn", Xml, Damaged),
        ],
    );
}

#[test]
fn an_event_that_is_cut_off_does_not_swallow_the_next() {
    check(
        "h: <Event><a>\n{\"b\":1}\nh: <Event>1</Event>\n<Event>2<Event>3</Event>\n\
         <Event><![CDATA[\n<Event>forged]]></Event>",
        &[
            ("<Event><a>", Xml, Damaged),
            ("{\"b\":1}", Json, Sound),
            ("<Event>1</Event>", Xml, Sound),
            ("<Event>2", Xml, Damaged),
            ("<Event>3</Event>", Xml, Sound),
            ("<Event><![CDATA[\n<Event>forged]]></Event>", Xml, Sound),
        ],
    );
}

#[test]
fn an_open_bracket_costs_its_record() {
    check(
        "[2026] started\n{\"a\":{\"x\":\n{\"b\":1}\n{\"c\":[\n{\"d\":1}\n{\"e\":\"x\n{\n\"f\":{}}",
        &[
            ("2026] started", Text, Sound),
            ("{\"a\":{\"x\":", Json, Damaged),
            ("{\"b\":1}", Json, Sound),
            ("{\"c\":[", Json, Damaged),
            ("{\"d\":1}", Json, Sound),
            ("{\"e\":\"x", Json, Damaged),
            ("{\n\"f\":{}}", Json, Sound),
        ],
    );
}

#[test]
fn an_envelope_is_one_record_and_when_damaged_gives_what_it_holds() {
    let envelope = "{\"took\":1,\n\"hits\":[\n{\"_id\":1},\n{\"_id\":2}\n]}";
    check(envelope, &[(envelope, Json, Sound)]);
    check(
        &envelope[..envelope.len() - 2],
        &[
            ("{\"took\":1,\n\"hits\":[", Json, Damaged),
            ("{\"_id\":1}", Json, Sound),
            ("{\"_id\":2}", Json, Sound),
        ],
    );
}

#[test]
fn text_records_go_to_the_next_first_line() {
    let splunk = "01/15/2024 12:36:32 AM\nLogName=x\nMessage=a:\nCommandLine: p -c {\"a\":1}";
    let bare = "LogName=y\nMessage=b\n\nrest";
    let text = format!("{splunk}\n{splunk}\n{bare}\n{{\"j\":1}}\n");
    check(
        &text,
        &[
            (splunk, Text, Sound),
            (splunk, Text, Sound),
            (bare, Text, Sound),
            ("{\"j\":1}", Json, Sound),
        ],
    );
    let wevtutil = "Event[0]:\n  Log Name: x\n  Description:\nProcess Create:\nImage: y";
    check(&format!("{wevtutil}\n\n{wevtutil}\n"), &[(wevtutil, Text, Sound); 2]);
    let list =
        "TimeCreated  : 1\nMessage      : a\n               UtcTime: 2\n               x : y";
    check(&format!("\n\n{list}\n\n{list}\n\n\n"), &[(list, Text, Sound); 2]);
}

#[test]
fn csv_quoting_is_seen() {
    let event = "<Event><Data Name=\"\"X\"\">1</Data></Event>";
    let text = format!("\"t\",\"h\",\"{event}\",\"x\"\n\"t\",\"{{\"\"a\"\":\"\"b\"\"}}\",7\nend\n");
    let found = records(text.as_bytes(), Expect::Events);
    let found: Vec<_> =
        found.iter().map(|span| (&text[span.range.clone()], span.syntax, span.doubled)).collect();
    let json = "{\"\"a\"\":\"\"b\"\"}";
    assert_eq!(found, [(event, Xml, true), (json, Json, true), ("end", Text, false)]);
    assert_eq!(undouble(json.as_bytes()).unwrap(), b"{\"a\":\"b\"}");
    assert_eq!(undouble(b"<a b=\"1\">"), None);
}

#[test]
fn bytes_are_read_again_only_so_often() {
    // each line opens a value that goes on to the end
    let text = "{\"a\":\n".repeat(200_000);
    let spans = records(text.as_bytes(), Expect::Events);
    assert!(!spans.is_empty());
}

#[test]
fn what_the_beginning_says() {
    let layout = |text: &str| look(text.as_bytes(), true, Expect::Events);
    for text in [
        "{\"a\":1}\n{\"a\":2}\n",
        "{\"a\":1}",
        ":{\"a\":1}\nkey:{\"a\":1}\n",
        "Jan 1 host sysmon: <Event><a/></Event>\n",
        "words\n{\"a\":1}\nwords\n{\"a\":1}\n",
        "{\"torn\":{\"x\n{\"a\":2}\n",
    ] {
        assert_eq!(layout(text), Layout { by_lines: true, ..Layout::default() }, "{text}");
    }
    for text in [
        "[{\"a\":1}]",
        "[\n{\"a\":1},\n{\"a\":2}\n]",
        "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}",
        "{\"a\":1}\n{\"a\":1}{\"a\":2},\n",
        "<Events><Event>1</Event><Event>2</Event></Events>",
        "<Event xmlns='x'>\n <a/>\n</Event>",
        "{\"a\":1}\n<Event xmlns='x'>\n <a/>\n</Event>",
        "LogName=x\nEventCode=1\n",
    ] {
        assert_eq!(layout(text), Layout::default(), "{text}");
    }
    for (text, lines) in [("nothing\nat all", 2), ("\n", 1), (&*"x\n".repeat(3000), 1000)] {
        let vain = Layout { in_vain: Some(lines), ..Layout::default() };
        assert_eq!(layout(text), vain, "{text}");
    }
    assert!(look("x\n".repeat(9).as_bytes(), true, Expect::Lines).by_lines);
}
