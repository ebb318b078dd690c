//! The order of an event's fields in each version of Sysmon.
//!
//! Some tools keep the values of an event and not their names: Get-WinEvent's `Properties`,
//! fluent-bit's `StringInserts`, Azure's `ParameterXml`, Winlogbeat's `param1` … where the event's
//! manifest was not at hand. The names then follow from the order. Sysmon has inserted fields in
//! the middle, so the order depends on the version, which the number of values tells: no two
//! versions of an event have equally many.
//!
//! An order is accepted only when the values agree with it: `UtcTime` is a time, and every GUID is
//! one, or empty.

use super::{FIELD, FieldType, event};
use crate::model::{Guid, Timestamp};
use crate::sysmon::walk::field_named;

/// A release that changed events, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Release {
    /// Sysmon 7 and before: `RuleName` was yet to come.
    Seven,
    /// Sysmon 8: `RuleName` first.
    Eight,
    /// Sysmon 10: `OriginalFileName`, and `EventType` of pipes.
    Ten,
    /// Sysmon 11: `Contents` of streams.
    Eleven,
    /// Sysmon 13.30: users of all events.
    Thirteen,
}

const RELEASES: [Release; 5] =
    [Release::Seven, Release::Eight, Release::Ten, Release::Eleven, Release::Thirteen];

/// The release that added a field to an event; `None` when the event has always had it.
fn added(event: u8, field: &str) -> Option<Release> {
    match (field, event) {
        ("RuleName", _) => Some(Release::Eight),
        ("OriginalFileName", _) | ("EventType", 17 | 18) => Some(Release::Ten),
        ("Contents", 15) => Some(Release::Eleven),
        ("ParentUser", 1)
        | ("SourceUser" | "TargetUser", 8 | 10)
        | ("User", 2 | 5 | 7 | 9 | 11..=15 | 17 | 18 | 22 | 24 | 25) => Some(Release::Thirteen),
        _ => None,
    }
}

/// The indexes into [`FIELD`] that the values of an event belong to, in their order.
///
/// `None` when no version of the event has so many fields, or the values contradict the order.
pub fn fields_in_order(event_id: i32, values: &[impl AsRef<str>]) -> Option<Vec<usize>> {
    let event = event(event_id)?;
    RELEASES.into_iter().find_map(|release| {
        let has = |name: &&&str| added(event.id, name).is_none_or(|since| since <= release);
        let names: Vec<_> = event.fields.iter().filter(has).collect();
        if names.len() != values.len() {
            return None;
        }
        let order: Vec<usize> = names
            .into_iter()
            .map(|name| field_named(name.as_bytes()).expect("an event's fields are listed").0)
            .collect();
        let agree =
            |(field, value): (&usize, &_)| agrees(*field, AsRef::<str>::as_ref(value).trim());
        order.iter().zip(values).all(agree).then_some(order)
    })
}

fn agrees(field: usize, value: &str) -> bool {
    match FIELD[field].ty {
        _ if FIELD[field].column == "UTC_TIME" => Timestamp::parse(value.as_bytes()).is_some(),
        FieldType::Guid => matches!(value, "" | "-") || Guid::parse(value.as_bytes()).is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysmon::catalogue::EVENTS;

    /// Values that fit the fields of an event as of some release.
    fn values(event: u8, names: &[&str]) -> Vec<String> {
        let value = |name: &&str| match *name {
            "UtcTime" => "2018-04-11 05:25:02.955".to_owned(),
            name if name.ends_with("Guid") => "{42C2E005-E222-5F80-CD07-000000000400}".to_owned(),
            name => format!("{event} {name}"),
        };
        names.iter().map(value).collect()
    }

    #[test]
    fn every_version_of_every_event_is_told_by_its_number_of_values() {
        for event in EVENTS {
            let mut before = Vec::new();
            for release in RELEASES {
                let has = |name: &&str| added(event.id, name).is_none_or(|since| since <= release);
                let names: Vec<&str> = event.fields.iter().copied().filter(has).collect();
                assert!(
                    names == before || names.len() > before.len(),
                    "event {} of {release:?} has as many fields as before",
                    event.id
                );
                let order = fields_in_order(event.id.into(), &values(event.id, &names)).unwrap();
                let found: Vec<_> = order.iter().map(|field| FIELD[*field].names[0]).collect();
                assert_eq!(found, names);
                before = names;
            }
        }
    }

    #[test]
    fn values_that_contradict_the_order_have_none() {
        let names: Vec<&str> = EVENTS[4].fields.to_vec();
        let mut wrong = values(5, &names);
        wrong.swap(1, 4);
        assert_eq!(fields_in_order(5, &wrong), None);
        assert_eq!(fields_in_order(5, &wrong[..3]), None);
        assert_eq!(fields_in_order(77, &wrong), None);
    }
}
