//! What the byte search rejects gives no row, however hostile the record.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use super::normalise::{Naming, enveloped, proven, tool};
use super::properties::event;
use super::render::{Dice, Event, SHAPES, render};
use super::*;
use crate::sysmon::reject::Search;

const KEYS: [&str; 3] = ["event_id", "EventID", "EventId"];

/// Other spellings of the keys, some of which mean the same.
const SPELLINGS: [&str; 12] = [
    r"event\u005fid",
    r"event\u005Fid",
    r"\u0065vent_id",
    r"\u0045ventID",
    r"Event\u0049D",
    r"Event\u0049\u0064",
    r"event_i\u0064",
    "EVENT_ID",
    "eventid",
    "EventIDs",
    r"x\u0022event_id",
    r#"x\"event_id"#,
];

/// A number in a manner that is or is not its own.
fn number(id: u8, dice: &mut Dice) -> String {
    let first = id.to_string().as_bytes()[0];
    match dice.roll(20) {
        0 => format!("{id}.0"),
        1 => format!("\"{id}.0\""),
        2 => format!("\"0x{id:x}\""),
        3 => format!("\"0{id}\""),
        4 => format!("0{id}"),
        5 => format!("\" {id}\""),
        6 => format!("\"{id} \""),
        7 => format!("\"\\u00{first:x}{}\"", &id.to_string()[1..]),
        8 => format!("{{\"#text\":{id}}}"),
        9 => format!("[{id}]"),
        10 => "null".to_owned(),
        11 => format!("{id}e0"),
        12 => format!("-{id}"),
        13 => format!("{}", u64::from(id) + (1 << 32)),
        14 => format!("+{id}"),
        15 => format!("\"{id}"),
        16..=17 => format!("\"{id}\""),
        _ => id.to_string(),
    }
}

fn space(dice: &mut Dice) -> &'static str {
    ["", "", "", "", " ", "\t \r\n", "\u{c}", "\u{a0}"][dice.roll(8)]
}

/// Changes the record somewhere, mostly at its event numbers.
fn mutate(record: &mut String, other: u8, dice: &mut Dice) {
    let places =
        |record: &str, what: &str| record.match_indices(what).map(|(at, _)| at).collect::<Vec<_>>();
    let some = |places: &[usize], dice: &mut Dice| {
        (!places.is_empty()).then(|| places[dice.roll(places.len())])
    };
    let key = KEYS[dice.roll(3)];
    let spelling = if dice.roll(2) == 0 { key } else { SPELLINGS[dice.roll(SPELLINGS.len())] };
    match dice.roll(7) {
        // spell a key differently
        0 => {
            if let Some(at) = some(&places(record, &format!("\"{key}\"")), dice) {
                record.replace_range(
                    at..at + key.len() + 2,
                    &format!("\"{spelling}\"{}", space(dice)),
                );
            }
        }
        // write a number differently: the same one, or another
        1 => {
            if let Some(at) = some(&places(record, &format!("\"{key}\":")), dice) {
                let from = at + key.len() + 3;
                let len = record[from..].find([',', '}']).unwrap_or(0);
                let same =
                    record[from..from + len].trim_matches(['"', ' ']).parse().unwrap_or(other);
                let id = if dice.roll(4) == 0 { other } else { same };
                record.replace_range(
                    from..from + len,
                    &format!("{}{}{}", space(dice), number(id, dice), space(dice)),
                );
            }
        }
        // one more key after some bracket or before some other
        2 | 3 => {
            let member = format!("\"{spelling}\"{}:{}", space(dice), number(other, dice));
            if dice.roll(2) == 0 {
                if let Some(at) = some(&places(record, "{"), dice) {
                    record.insert_str(at + 1, &format!("{member},"));
                }
            } else if let Some(at) = some(&places(record, "}"), dice) {
                record.insert_str(at, &format!(",{member}"));
            }
        }
        // text that looks like a key
        4 => {
            if let Some(at) = some(&places(record, "\""), dice) {
                record.insert_str(at + 1, &format!("\\\"{key}\\\":{other},\\u003c"));
            }
        }
        5 => {
            let at = (0..=record.len())
                .rev()
                .filter(|at| record.is_char_boundary(*at))
                .nth(dice.roll(9))
                .unwrap_or(0);
            record.truncate(at);
        }
        _ => record.push_str(["x", "}", "{}", " ", "\"event_id\":1}"][dice.roll(5)]),
    }
}

/// The record with no escape that need not be.
pub fn plain(record: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(record) {
        Ok(value) => value.to_string(),
        Err(_) => record.to_owned(),
    }
}

fn taps(events: EventSet) -> Vec<Tap> {
    vec![
        Tap { columns: vec![catalogue::EVENT_ID], events: Some(events) },
        Tap { columns: vec![], events: Some(EventSet::default()) },
    ]
}

fn rejected(record: &str, events: EventSet) -> bool {
    Decoder::new(&taps(events)).passes_over(record.as_bytes())
}

/// Whether the record was rejected, which must not have lost a row.
fn check(record: &str, events: EventSet) -> Result<bool, TestCaseError> {
    let taps = taps(events);
    let Some(search) = Search::new(&taps) else { return Ok(false) };
    let rejects = search.rejects(record.as_bytes());
    if rejects {
        let mut rows = Rows::default();
        let outcome = Decoder::new(&taps).decode(record.as_bytes(), &META, &mut rows);
        prop_assert!(rows.rows.is_empty(), "{:?}: {}", outcome, record);
    }
    Ok(rejects)
}

#[test]
fn what_is_rejected_has_no_row() {
    let (cases, rejections, decoded) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let input = (
        event(),
        any::<u64>(),
        proptest::collection::vec(any::<u8>(), 0..3),
        proptest::bool::weighted(0.3),
        0..3usize,
    );
    let property = |(event, seed, ids, wanted, mutations): (Event, u64, Vec<u8>, bool, usize)| -> TestCaseResult {
        let dice = &mut Dice(seed);
        let mut events: EventSet = ids.iter().copied().collect();
        if wanted {
            events.insert(event.id);
        }
        for shape in SHAPES {
            let mut record = render(&event, shape, dice);
            if dice.roll(4) > 0 {
                record = plain(&record);
            }
            for _ in 0..mutations {
                let other = if wanted { ids.first().copied().unwrap_or(77) } else { event.id.wrapping_add(1) };
                let other = if dice.roll(2) == 0 { other } else { event.id };
                mutate(&mut record, other, dice);
            }
            cases.set(cases.get() + 1);
            rejections.set(rejections.get() + u64::from(check(&record, events)?));
            decoded
                .set(decoded.get() + u64::from(Decoder::new(&taps(events)).decode(record.as_bytes(), &META, &mut Rows::default()).is_ok()));
        }
        Ok(())
    };
    let enveloped = |(event, seed, manner, wanted): (Event, u64, usize, bool)| -> TestCaseResult {
        let dice = &mut Dice(seed);
        let id = if wanted { event.id } else { event.id.wrapping_add(1) };
        let record = enveloped(tool(&event, manner, Naming::Own).to_string(), dice);
        check(&record, EventSet::of(id))?;
        Ok(())
    };
    TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() })
        .run(&(proven(), any::<u64>(), 0..7usize, any::<bool>()), enveloped)
        .unwrap();
    TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() })
        .run(&input, property)
        .unwrap();
    // else it would say nothing; it is a fifth, give or take a hundredth
    assert!(8 * rejections.get() > cases.get(), "{} of {}", rejections.get(), cases.get());
    assert!(2 * decoded.get() > cases.get(), "{} of {}", decoded.get(), cases.get());
}

proptest! {
    #[test]
    fn plain_records_of_other_events_are_rejected(event in event(), seed: u64) {
        let none = EventSet::of(event.id.wrapping_add(1));
        for shape in SHAPES {
            let record = plain(&render(&event, shape, &mut Dice(seed)));
            let json = !matches!(shape, Shape::Xml | Shape::Linux);
            // the number may be in an object there, and text may look like an escaped letter
            if shape != Shape::EvtxDump && !record.contains("u00") {
                prop_assert_eq!(rejected(&record, none), json, "{}", record);
            }
            prop_assert!(!rejected(&record, EventSet::of(event.id)), "{}", record);
        }
    }
}

#[test]
fn only_plain_numbers_are_evidence() {
    let one = EventSet::of(1);
    let yes = [
        r#"{"event_id":10}"#,
        r#"{"EventID" : "10" }"#,
        r#"{"EventId":0,"event_id":99999,"a":"\u003cb\u0026\u003e\u0027"}"#,
        r#"{"x\"event_id":10}"#,
        r#"{"winlog.event_id":10,"winlogbeat_event_id":"10","eventID":"10"}"#,
        r#"{"EventID":10,"original":"<EventID>10</EventID>"}"#,
        r#"{"EventID":10,"original":"<EventID>10<\/EventID>"}"#,
    ];
    for record in yes {
        assert!(rejected(record, one), "{record}");
    }
    let no = [
        "{}",
        r#"{"a":10}"#,
        r#"{"event_id":1}"#,
        r#"{"event_id":10,"EventID":1}"#,
        r#"{"event_id":10,"eventID":1}"#,
        r#"{"event_id":10,"winlog.event_id":1}"#,
        r#"{"EventID":10,"EventIDs":1,"event_ids":1}"#,
        r#"{"EventID":10,"original":"<EventID>1</EventID>"}"#,
        r#"{"EventID":10,"original":"<EventID> 1 </EventID>"}"#,
        r#"{"EventID":10,"original":"{\"EventID\":1}"}"#,
        r#"{"original":"<EventID>10</EventID>"}"#,
        r#"{"event_id":10,"event_id":"1"}"#,
        r#"{"event_id":010}"#,
        r#"{"event_id":10.0}"#,
        r#"{"event_id":10e0}"#,
        r#"{"event_id":"1\u0030"}"#,
        r#"{"event_id":100000}"#,
        r#"{"event_id":10"}"#,
        r#"{"event_id":"10}"#,
        r#"{"event_id":""}"#,
        r##"{"event_id":{"#text":10}}"##,
        r#"{"event_id":10,"event\u005fid":1}"#,
        r#"{"event_id":10,"a":["event_id"]}"#,
        r#"{"event_id":10}x"#,
        r#" {"event_id":10}"#,
        r#"{"event_id":10"#,
        r#"[{"event_id":10}]"#,
        "<Event><System><EventID>10</EventID></System></Event>",
    ];
    for record in no {
        assert!(!rejected(record, one), "{record}");
    }
}

#[test]
fn there_is_a_search_where_it_pays() {
    let search = |taps: &[Option<EventSet>]| {
        let taps: Vec<Tap> =
            taps.iter().map(|events| Tap { columns: vec![], events: *events }).collect();
        Search::new(&taps).is_some()
    };
    assert!(search(&[Some(EventSet::of(1)), Some(EventSet::of(3))]));
    assert!(!search(&[Some(EventSet::of(1)), None]));
    assert!(!search(&[
        Some([7, 10, 11].into_iter().collect()),
        Some([12, 13].into_iter().collect())
    ]));
}
