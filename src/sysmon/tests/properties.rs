//! Properties over generated events.

use super::render::{Dice, Event, SHAPES, Scalar, render};
use super::*;
use crate::sysmon::catalogue::{EVENTS, FIELD, FieldType};
use proptest::prelude::*;

const UTC_TIME: &str = "2018-04-11 05:25:02.955";

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("-".to_owned()),
        "C:\\\\[a-z]{1,8}\\\\[a-z ]{1,8}\\.exe",
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

fn value(ty: FieldType) -> BoxedStrategy<Scalar> {
    let typed = match ty {
        FieldType::Text => text().prop_map(Scalar::Text).boxed(),
        FieldType::Int => prop_oneof![
            any::<i32>().prop_map(|n| Scalar::Literal(n.to_string())),
            any::<i64>().prop_map(|n| Scalar::Text(n.to_string()))
        ]
        .boxed(),
        FieldType::Flag => prop_oneof![
            Just(Scalar::Literal("true".into())),
            "(true|False|1|0)".prop_map(Scalar::Text)
        ]
        .boxed(),
        FieldType::Guid => any::<u128>()
            .prop_flat_map(|bits| {
                let text = crate::model::Guid(bits).to_string();
                let spellings = [text.clone(), text.to_lowercase(), text[1..37].to_owned()];
                proptest::sample::select(spellings.to_vec())
            })
            .prop_map(Scalar::Text)
            .boxed(),
    };
    prop_oneof![8 => typed, 1 => text().prop_map(Scalar::Text), 1 => Just(Scalar::Null)].boxed()
}

/// An event with some of its fields and some that the catalogue does not know.
pub fn event() -> impl Strategy<Value = Event> {
    let own = proptest::sample::select(EVENTS.iter().collect::<Vec<_>>()).prop_flat_map(|event| {
        let fields: Vec<_> = event
            .fields
            .iter()
            .map(|name| {
                let field = FIELD.iter().find(|field| field.names[0] == *name).unwrap();
                // the one name that event 10 spells differently
                let name = if event.id == 10 { *field.names.last().unwrap() } else { name };
                let value = match name {
                    // NXLog's are told from Sysmon's by these properties
                    "EventType" => "[A-Z][a-z]{2,5}Value".prop_map(Scalar::Text).boxed(),
                    "Version" => "[0-9]{2}\\.[0-9]".prop_map(Scalar::Text).boxed(),
                    // an event has one of these, or Winlogbeat's fields were renamed
                    "UtcTime" => Just(Scalar::Text(UTC_TIME.into())).boxed(),
                    _ => value(field.ty),
                };
                (Just(name.to_owned()), value)
            })
            .collect();
        let len = fields.len();
        (Just(event.id), fields, proptest::collection::vec(any::<bool>(), len))
    });
    let unknown =
        proptest::collection::vec(("X_[A-Za-z]{1,5}", text().prop_map(Scalar::Text)), 0..3);
    (own, unknown, "[A-Za-z0-9.]{1,12}", any::<u32>(), 0..9_999_999_999_999i64).prop_map(
        |((id, fields, keep), unknown, host, record, ms)| {
            let mut fields: Vec<_> = fields
                .into_iter()
                .zip(keep)
                .filter(|((name, _), keep)| *keep || name == "UtcTime")
                .map(|(field, _)| field)
                .collect();
            for (name, value) in unknown {
                if !fields.iter().any(|(other, _)| *other == name) {
                    fields.push((name, value));
                }
            }
            Event { id, host, record, time: Timestamp(ms).to_string(), fields }
        },
    )
}

fn text_of(value: &Scalar) -> Option<&str> {
    match value {
        Scalar::Text(text) | Scalar::Literal(text) => Some(text),
        Scalar::Null => None,
    }
}

/// What the row must be, computed the slow way.
fn expected(event: &Event, shape: Shape) -> Vec<Value<'static>> {
    let owned = |text: &str| Value::Varchar(text.to_owned().into());
    let mut row = vec![Value::Null; catalogue::WIDTH + 3];
    let time = time(&event.time);
    let (provider, channel) = super::render::provider(shape);
    row[catalogue::EVENT_ID] = Value::Int(event.id.into());
    row[catalogue::EVENT_TIME] = Value::Timestamp(time);
    row[catalogue::HOST] = owned(&event.host);
    row[catalogue::CHANNEL] = owned(channel);
    row[catalogue::PROVIDER] = owned(provider);
    row[catalogue::RECORD_ID] = Value::BigInt(event.record.into());
    row[catalogue::SHAPE] = owned(shape.name());
    row[catalogue::UTC_TIMESTAMP] = Value::Timestamp(super::time(UTC_TIME));
    row[catalogue::ROWTIME] = Value::Timestamp(time);
    row[catalogue::ROWPARTITION] = Value::Int(3);
    row[catalogue::ROWOFFSET] = Value::BigInt(4711);
    let mut kept = std::collections::BTreeMap::new();
    for (name, value) in &event.fields {
        let Some(text) = text_of(value) else { continue };
        let Some(i) = FIELD.iter().position(|field| field.names.contains(&name.as_str())) else {
            kept.insert(owned(name), owned(text));
            continue;
        };
        let value = match FIELD[i].ty {
            FieldType::Text => Some(owned(text)),
            FieldType::Int => text.trim().parse().ok().map(Value::Int),
            FieldType::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(Value::Boolean(true)),
                "false" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
            FieldType::Guid => crate::model::Guid::parse(text.as_bytes()).map(Value::Guid),
        };
        match value {
            Some(value) => row[catalogue::ENVELOPE + i] = value,
            None => drop(kept.insert(owned(name), owned(text))),
        }
    }
    row[catalogue::FIELDS] = Value::Map(kept.into_iter().collect());
    row
}

fn shape() -> impl Strategy<Value = Shape> {
    proptest::sample::select(SHAPES.to_vec())
}

proptest! {
    #[test]
    fn every_shape_gives_the_same_row(event in event(), seed: u64) {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            let record = render(&event, shape, &mut Dice(seed.wrapping_add(i as u64)));
            let mut row = row(record.as_bytes(), &META).map_err(|e| TestCaseError::fail(format!("{shape}: {e}: {record}")))?;
            row[catalogue::EVENT_KEY] = Value::Null;
            let expected = expected(&event, shape);
            for column in 0..row.len() {
                prop_assert_eq!(&row[column], &expected[column], "{} column {}: {}", shape, column, record);
            }
        }
    }

    #[test]
    fn a_time_is_read_or_said_to_be_unreadable(
        event in event(),
        time in prop_oneof![
            // what XML need not escape
            "[ !#-%'-;=-~]{1,40}",
            "[0-9]{1,20}",
            "[0-9/:. APM-]{1,30}",
            "/Date\\([0-9]{1,15}\\)/",
        ],
        seed: u64,
    ) {
        let event = Event { time, ..event };
        let read = crate::format::time::read(event.time.as_bytes());
        let none = matches!(&*event.time, "-" | "");
        for (i, shape) in SHAPES.into_iter().enumerate() {
            let record = render(&event, shape, &mut Dice(seed.wrapping_add(i as u64)));
            let mut decoder = Decoder::new(&[all_columns()]);
            let outcome = decoder.decode(record.as_bytes(), &META, &mut Rows::default()).unwrap();
            let Outcome::Sysmon { event_time, .. } = outcome else { panic!("not Sysmon") };
            let unreadable = &decoder.stats().unreadable_times;
            let told = (read.is_none() && !none).then_some(&*event.time);
            prop_assert_eq!(unreadable.first(), told, "{}", shape);
            prop_assert_eq!(unreadable.count, u64::from(told.is_some()), "{}", shape);
            let other = match shape {
                // the one shape that the test writes with two times
                Shape::Flat => "2001-01-01 00:00:00",
                _ => UTC_TIME,
            };
            if shape != Shape::Flat || read.is_none_or(|read| read.zoned) {
                let at = read.map_or(super::time(other), |read| read.at);
                prop_assert_eq!(event_time, Some(at), "{}", shape);
            }
        }
    }

    #[test]
    fn the_key_is_the_same_in_every_shape_and_order(event in event(), seed: u64) {
        let key = |shape, seed| {
            let record = render(&event, shape, &mut Dice(seed));
            row(record.as_bytes(), &META).unwrap()[catalogue::EVENT_KEY].clone()
        };
        let first = key(Shape::Flat, seed);
        for shape in SHAPES.into_iter().filter(|shape| *shape != Shape::Linux) {
            prop_assert_eq!(&key(shape, seed.wrapping_mul(3)), &first, "{}", shape);
        }
    }

    #[test]
    fn a_tap_gets_the_projection(
        event in event(),
        shape in shape(),
        seed: u64,
        columns in proptest::collection::vec(0..catalogue::WIDTH + 3, 0..6),
        ids in proptest::collection::vec(any::<u8>(), 0..3),
        wanted: bool,
    ) {
        let record = render(&event, shape, &mut Dice(seed));
        let mut set: EventSet = ids.into_iter().filter(|id| *id != event.id).collect();
        let full = row(record.as_bytes(), &META).unwrap();
        if wanted {
            set.insert(event.id);
        }
        let taps = [Tap { columns: columns.clone(), events: Some(set) }, Tap { columns: vec![catalogue::EVENT_ID], events: Some(EventSet::default()) }];
        let mut decoder = Decoder::new(&taps);
        let mut rows = Rows::default();
        let Outcome::Sysmon { event_id, shape: seen, .. } = decoder.decode(record.as_bytes(), &META, &mut rows).unwrap() else {
            return Err(TestCaseError::fail("not Sysmon"));
        };
        prop_assert_eq!((event_id, seen), (i32::from(event.id), shape));
        prop_assert_eq!(rows.rows.len(), usize::from(wanted));
        for (tap, range) in &rows.rows {
            prop_assert_eq!(*tap, 0);
            let view = RowRef::new(&rows.arena[range.clone()], columns.len());
            for (i, &column) in columns.iter().enumerate() {
                prop_assert_eq!(&view.value(i, type_of(column)), &full[column]);
            }
        }
    }

    #[test]
    fn damage_is_found_whatever_is_wanted(event in event(), shape in shape(), seed: u64, damage in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..3u8), 1..4)) {
        let mut record = render(&event, shape, &mut Dice(seed)).into_bytes();
        for (at, byte, how) in damage {
            let at = at % record.len();
            match how {
                0 => record[at] = byte,
                1 => record.insert(at, byte),
                _ => record.truncate(at.max(1)),
            }
        }
        let mut nothing = Decoder::new(&[]);
        let (full, early) = (outcome(&record), nothing.decode(&record, &META, &mut Rows::default()));
        // the time is read for wanted events only
        let untimed = |outcome: &Result<Outcome, DecodeError>| match outcome {
            Ok(Outcome::Sysmon { event_id, shape, .. }) => Ok(Some((*event_id, *shape))),
            Ok(Outcome::OtherChannel | Outcome::NoEvent) => Ok(None),
            Err(error) => Err(error.clone()),
        };
        prop_assert_eq!(untimed(&full), untimed(&early));
        if record.trim_ascii_start().starts_with(b"{") {
            // as raw value: to a tree, serde_json refuses lone surrogates and huge numbers too, which are well-formed
            let text = std::str::from_utf8(&record).map_or_else(|_| META.code_page.decode(&record), std::borrow::Cow::Borrowed);
            let valid = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            match full {
                Ok(_) => prop_assert!(valid),
                Err(DecodeError::InvalidJson { .. }) if shape != Shape::Azure => prop_assert!(!valid),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn the_records_before_change_nothing(
        events in proptest::collection::vec((event(), shape(), any::<u64>(), any::<usize>(), any::<u8>()), 1..5),
    ) {
        let mut decoder = Decoder::new(&[all_columns()]);
        for (event, shape, seed, at, byte) in events {
            let record = render(&event, shape, &mut Dice(seed));
            let plain = super::reject::plain(&record).into_bytes();
            let mut damaged = plain.clone();
            let at = at % plain.len();
            damaged[at] = byte;
            for record in [record.as_bytes(), &plain, &damaged, &plain[..at], &plain] {
                let (mut rows, mut alone) = (Rows::default(), Rows::default());
                let outcome = decoder.decode(record, &META, &mut rows);
                prop_assert_eq!(outcome, Decoder::new(&[all_columns()]).decode(record, &META, &mut alone));
                prop_assert_eq!(rows.arena, alone.arena);
            }
        }
    }

    #[test]
    fn any_bytes_are_an_outcome_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = outcome(&bytes);
        let _ = outcome(&[b"{\"EventID\":", &bytes[..], b"}"].concat());
        let _ = outcome(&[b"<Event>", &bytes[..], b"</Event>"].concat());
    }
}
