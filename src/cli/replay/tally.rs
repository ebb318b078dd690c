//! How much of what was written is known: rows by the view's `KNOWLEDGE`, and why those that are not complete are not.
//!
//! Memory: a count for each second in which an incompletely known process started.

use std::collections::BTreeMap;

use super::filter::{moment, position};
use crate::model::{RowRef, Schema, Timestamp, Type, Value};

/// Counts rows; one that is taken back counts negative.
pub struct Tally {
    /// The columns that it looks at, if the view has `KNOWLEDGE`.
    columns: Option<Columns>,
    /// All rows.
    pub rows: i64,
    /// Rows by knowledge.
    pub knowledge: BTreeMap<String, i64>,
    without_guid: i64,
    /// Rows with a GUID that are not complete, by the second in which their process started.
    started: BTreeMap<Option<i64>, i64>,
}

struct Columns {
    knowledge: usize,
    guid: Option<usize>,
    started: Option<(usize, Type)>,
}

/// Why rows are not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Causes {
    /// The GUID of the process is absent or zero.
    pub without_guid: i64,
    /// The process started before the first event of the input.
    pub before: i64,
    /// The process started after the last event of the input, going by its GUID: the clocks of GUIDs and of event times disagree.
    pub after: i64,
    /// Neither: its create event is not in the input.
    pub missing: i64,
}

impl Tally {
    /// Of rows of these columns.
    pub fn new(schema: &Schema) -> Tally {
        let columns = position(schema, &["KNOWLEDGE"]).map(|knowledge| Columns {
            knowledge,
            guid: position(schema, &["PROCESS_GUID"]),
            started: position(schema, &["STARTED"]).map(|at| (at, schema.columns[at].ty.clone())),
        });
        Tally {
            columns,
            rows: 0,
            knowledge: BTreeMap::new(),
            without_guid: 0,
            started: BTreeMap::new(),
        }
    }

    /// Counts a row that was written `count` times.
    pub fn add(&mut self, row: RowRef<'_>, count: i64) {
        self.rows += count;
        let Some(columns) = &self.columns else { return };
        let Value::Varchar(knowledge) = row.value(columns.knowledge, &Type::Varchar) else {
            return;
        };
        if let Some(known) = self.knowledge.get_mut(&*knowledge) {
            *known += count;
        } else {
            self.knowledge.insert(knowledge.clone().into_owned(), count);
        }
        if knowledge == "complete" {
            return;
        }
        if columns.guid.is_some_and(|guid| match row.value(guid, &Type::Guid) {
            Value::Guid(guid) => guid.is_zero(),
            _ => true,
        }) {
            self.without_guid += count;
            return;
        }
        let started = columns
            .started
            .as_ref()
            .and_then(|(at, ty)| moment(&row.value(*at, ty)))
            .map(|at| at.0.div_euclid(1000));
        *self.started.entry(started).or_default() += count;
    }

    /// Splits what is not complete by cause; `span` has the times of the first and the last event. GUIDs know a second only, so a process that started in the second of the first event counts
    /// as started after it.
    pub fn causes(&self, span: Option<(Timestamp, Timestamp)>) -> Causes {
        let (first, last) = span.map_or((i64::MIN, i64::MAX), |(first, last)| {
            (first.0.div_euclid(1000), last.0.div_euclid(1000))
        });
        let mut causes = Causes { without_guid: self.without_guid, ..Causes::default() };
        for (started, count) in &self.started {
            match started {
                Some(started) if *started < first => causes.before += count,
                Some(started) if *started > last => causes.after += count,
                _ => causes.missing += count,
            }
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid, Row};

    #[test]
    fn causes_add_up() {
        let columns = [
            ("KNOWLEDGE", Type::Varchar),
            ("PROCESS_GUID", Type::Guid),
            ("STARTED", Type::Timestamp),
        ];
        let schema = Schema { columns: columns.map(|(name, ty)| Column::new(name, ty)).to_vec() };
        let mut tally = Tally::new(&schema);
        let mut add = |knowledge, guid, started: Option<i64>, count| {
            let started = started.map_or(Value::Null, |ms| Value::Timestamp(Timestamp(ms)));
            let row = Row::from_values([Value::text(knowledge), guid, started].into_iter());
            tally.add(RowRef::new(row.bytes(), 3), count);
        };
        let guid = || Value::Guid(Guid(1));
        add("complete", guid(), Some(0), 5);
        add("orphan", Value::Null, None, 2);
        add("orphan", Value::Guid(Guid::ZERO), None, 1);
        add("orphan", guid(), Some(4_000), 1);
        add("partial", guid(), Some(5_000), 1);
        add("partial", guid(), Some(9_000), 4);
        add("partial", guid(), None, 2);
        add("partial", guid(), None, -1);
        assert_eq!(tally.rows, 15);
        assert_eq!(tally.knowledge.values().sum::<i64>(), 15);
        let span = Some((Timestamp(5_500), Timestamp(8_999)));
        assert_eq!(tally.causes(span), Causes { without_guid: 3, before: 1, after: 4, missing: 2 });
        assert_eq!(tally.causes(None), Causes { without_guid: 3, before: 0, after: 0, missing: 7 });
    }
}
