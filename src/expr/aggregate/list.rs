//! The state of COLLECT_LIST where the order is that of the values: the list itself, packed as it shows.
//!
//! Changes are kept aside until [`List::settle`] merges them into the list, all at once: a list of *n* values with *k* changes costs *n* + *k* log *k*, and what follows a change, showing the
//! list, costs *n* anyway. A value that is taken back before it was added is a debt, which stays aside and does not show.

use serde::{Deserialize, Serialize};

use crate::model::row::Raw;
use crate::model::{RowRef, RowWriter, Type, Value};

/// A sorted list with multiplicities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct List {
    /// The packed array; empty before the first value.
    #[serde(with = "serde_bytes")]
    array: Box<[u8]>,
    /// Values as packed rows of one column, with how often they are added or taken away.
    changes: Vec<(Box<[u8]>, i64)>,
}

/// The value in a packed row of one column.
fn value(packed: &[u8]) -> Raw<'_> {
    RowRef::new(packed, 1).raw(0)
}

impl List {
    pub(super) fn add(&mut self, value: Raw<'_>, count: i64) {
        let mut packed = Vec::new();
        let mut writer = RowWriter::new(&mut packed, 1);
        writer.raw(value);
        writer.finish();
        self.changes.push((packed.into_boxed_slice(), count));
    }

    /// Merges the changes into the list of values of type `ty`.
    pub(super) fn settle(&mut self, ty: &Type) {
        if self.changes.is_empty() {
            return;
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by(|(a, _), (b, _)| value(a).compare(value(b), ty));
        changes.dedup_by(|(later, more), (kept, count)| {
            let same = later == kept;
            *count += if same { *more } else { 0 };
            same
        });
        let known = self.parts();
        let mut values: Vec<Raw<'_>> = Vec::new();
        let mut at = 0;
        for (change, count) in &mut changes {
            let change = value(change);
            let mut present = 0;
            while at < known.width() {
                let order = known.raw(at).compare(change, ty);
                if order.is_gt() {
                    break;
                }
                if order.is_eq() {
                    present += 1
                } else {
                    values.push(known.raw(at))
                }
                at += 1;
            }
            *count += present;
            values.extend((0..*count).map(|_| change));
        }
        values.extend((at..known.width()).map(|i| known.raw(i)));
        let mut row = Vec::new();
        let mut writer = RowWriter::new(&mut row, 1);
        let Ok(()) = writer.parts(values.len(), |writer| {
            for value in &values {
                writer.raw(*value);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        writer.finish();
        self.array = if values.is_empty() { Box::default() } else { row[4..].into() };
        changes.retain(|(_, count)| *count < 0);
        changes.shrink_to_fit();
        self.changes = changes;
    }

    fn parts(&self) -> RowRef<'_> {
        if self.array.is_empty() {
            RowRef::new(&[], 0)
        } else {
            Raw::Plain(&self.array).parts().expect("an array is not NULL")
        }
    }

    /// Writes the list, which must be settled.
    pub(super) fn write(&self, out: &mut RowWriter<'_>) {
        out.raw(Raw::Plain(if self.array.is_empty() { &[0; 4] } else { &self.array }));
    }

    /// The list as a value, settled or not.
    pub(super) fn output(&self, ty: &Type) -> Value<'_> {
        fn values<'a>(list: &'a List, ty: &Type) -> Value<'a> {
            let parts = list.parts();
            Value::Array((0..parts.width()).map(|i| parts.value(i, ty)).collect())
        }
        if self.changes.is_empty() {
            return values(self, ty);
        }
        let mut settled = self.clone();
        settled.settle(ty);
        values(&settled, ty).into_owned()
    }
}
