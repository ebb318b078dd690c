//! The state of one aggregate over one group.
//!
//! Three kinds of state, chosen by the function and by whether the input can take rows back:
//!
//! | state | functions | size |
//! |---|---|---|
//! | running totals | COUNT, SUM, AVG, STDDEV_SAMP, CORRELATION | constant |
//! | the list | COLLECT_LIST without offsets, see [`List`] | the values, packed |
//! | an ordered multiset of entries | everything else | the n winners or the distinct entries; all entries where input can be retracted |
//!
//! An *entry* is what the function orders by, then its value: (priority, time, value), (moment,
//! partition, offset, value), or the value alone.
//! Aggregates of append-only input that show one winning entry are kept better by [`Winners`](super::Winners).
//! Counts in the multiset may go below zero while a retraction precedes its insertion; such entries do not show.
//!
//! The functions that count entries (COUNT_DISTINCT, HISTOGRAM, ATTR, COLLECT_*) keep what they must show, so their size has no other bound.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;

use bigdecimal::{BigDecimal, ToPrimitive, Zero};
use serde::{Deserialize, Serialize};

use super::exact::{ExactSum, Moments};
use super::list::List;
use super::{Aggregate, AggregateFunction, ByOffset};
use crate::expr::cast::fit_decimal;
use crate::expr::eval::{borrow, map_value};
use crate::expr::{EvalError, Tuple};
use crate::model::{Row, RowRef, RowWriter, Timestamp, Type, Value};

/// The state of one aggregate over one group. Three words; bigger states are behind a box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accumulator(State);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    clippy::box_collection,
    reason = "a collection is three words, and most states are no collections"
)]
enum State {
    Count(i64),
    Total(Box<Total>),
    Moments(Box<Moments>),
    List(Box<List>),
    Entries {
        /// Entries in order, with multiplicities.
        entries: Box<BTreeMap<Entry, i64>>,
        /// Only what shows is kept: the input takes nothing back.
        append_only: bool,
    },
    /// COLLECT_SET of append-only input: each value with the place of its first occurrence.
    Firsts(Box<BTreeMap<Value<'static>, Entry>>),
}

/// What a function orders by, and then its value.
type Entry = Vec<Value<'static>>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Total {
    sum: Sum,
    count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Sum {
    Integer(i128),
    Double(ExactSum),
    Decimal(#[serde(with = "crate::model::big::decimal")] BigDecimal),
}

impl Sum {
    fn of(ty: &Type) -> Sum {
        match ty {
            Type::Array(item) => Sum::of(item),
            Type::Double => Sum::Double(ExactSum::default()),
            Type::Decimal(..) => Sum::Decimal(BigDecimal::zero()),
            _ => Sum::Integer(0),
        }
    }

    fn add(&mut self, value: &Value<'_>, count: i64) {
        match (self, value) {
            (sum, Value::Array(items)) => items.iter().for_each(|item| sum.add(item, count)),
            // 2^63 rows of 2^63 fit
            (Sum::Integer(sum), Value::Int(v)) => *sum += i128::from(*v) * i128::from(count),
            (Sum::Integer(sum), Value::BigInt(v)) => *sum += i128::from(*v) * i128::from(count),
            (Sum::Double(sum), Value::Double(v)) => sum.add(*v, count),
            (Sum::Decimal(sum), Value::Decimal(v)) => *sum += v * BigDecimal::from(count),
            _ => {}
        }
    }
}

impl Aggregate {
    /// The rows that stand for an update in the function's order, best first or last; `None` when the function passes over it.
    fn entry<'v>(&self, args: &'v [Value<'_>]) -> Option<Parts<'v>> {
        let (first, rest) = args.split_first()?;
        let keeps_nulls = match self.function {
            AggregateFunction::CollectList
            | AggregateFunction::CollectSet
            | AggregateFunction::Attribute => true,
            AggregateFunction::Earliest(by) | AggregateFunction::Latest(by) => by.nulls,
            _ => false,
        };
        if first.is_null() && !keeps_nulls {
            return None;
        }
        let value = borrow(first);
        Some(match (self.function, rest) {
            (AggregateFunction::FirstKnown, [priority, time]) => {
                let priority =
                    if let Value::Int(priority) = priority { *priority } else { i32::MAX };
                let time =
                    if let Value::Timestamp(time) = time { *time } else { Timestamp(i64::MAX) };
                Parts::Three([Value::Int(priority), Value::Timestamp(time), value])
            }
            (AggregateFunction::TopK(_), rest) if !rest.is_empty() => {
                Parts::Many(args.iter().map(borrow).collect())
            }
            (_, [moment, partition, offset]) => {
                Parts::Four([borrow(moment), borrow(partition), borrow(offset), value])
            }
            _ => Parts::One([value]),
        })
    }

    /// How many entries show, where the function shows the best few.
    fn limit(&self) -> Option<usize> {
        match self.function {
            AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::FirstKnown => {
                Some(1)
            }
            AggregateFunction::Earliest(by) | AggregateFunction::Latest(by) => {
                Some(by.count.unwrap_or(1) as usize)
            }
            AggregateFunction::TopK(k) | AggregateFunction::TopKDistinct(k) => Some(k as usize),
            _ => None,
        }
    }

    /// True when the best entries are the last ones in order.
    pub(super) fn best_last(&self) -> bool {
        matches!(
            self.function,
            AggregateFunction::Max
                | AggregateFunction::Latest(_)
                | AggregateFunction::TopK(_)
                | AggregateFunction::TopKDistinct(_)
        )
    }

    fn counts_distinct(&self) -> bool {
        matches!(
            self.function,
            AggregateFunction::Min
                | AggregateFunction::Max
                | AggregateFunction::FirstKnown
                | AggregateFunction::CollectSet
                | AggregateFunction::CountDistinct
                | AggregateFunction::Attribute
                | AggregateFunction::TopKDistinct(_)
        )
    }
}

/// The parts of an entry, without allocation in the common cases.
enum Parts<'v> {
    One([Value<'v>; 1]),
    Three([Value<'v>; 3]),
    Four([Value<'v>; 4]),
    Many(Vec<Value<'v>>),
}

impl Parts<'_> {
    fn into_owned(self) -> Entry {
        match self {
            Parts::One(parts) => parts.into_iter().map(Value::into_owned).collect(),
            Parts::Three(parts) => parts.into_iter().map(Value::into_owned).collect(),
            Parts::Four(parts) => parts.into_iter().map(Value::into_owned).collect(),
            Parts::Many(parts) => parts.into_iter().map(Value::into_owned).collect(),
        }
    }
}

impl Accumulator {
    /// The state over no rows. `retractable` says that updates may have negative multiplicities.
    pub fn new(agg: &Aggregate, retractable: bool) -> Accumulator {
        Accumulator(match agg.function {
            AggregateFunction::Count => State::Count(0),
            AggregateFunction::Sum | AggregateFunction::Average => {
                State::Total(Box::new(Total { sum: Sum::of(&agg.args[0].ty), count: 0 }))
            }
            AggregateFunction::Deviation | AggregateFunction::Correlation => {
                State::Moments(Box::default())
            }
            AggregateFunction::CollectList if !agg.has_offsets() => State::List(Box::default()),
            AggregateFunction::CollectSet if !retractable && agg.has_offsets() => {
                State::Firsts(Box::default())
            }
            _ => State::Entries { entries: Box::default(), append_only: !retractable },
        })
    }

    /// Adds `count` rows with these arguments, or takes them away where it is negative. False when the output is the same as before.
    pub fn update(&mut self, agg: &Aggregate, args: &[Value<'_>], count: i64) -> bool {
        match &mut self.0 {
            State::Count(total) => {
                let counted = args.first().is_none_or(|value| !value.is_null());
                *total += if counted { count } else { 0 };
                counted && count != 0
            }
            State::Total(total) => {
                if args[0].is_null() {
                    return false;
                }
                total.sum.add(&args[0], count);
                total.count += count;
                true
            }
            State::Moments(moments) => match (&args[0], args.last()) {
                (Value::Double(x), Some(Value::Double(y))) => {
                    moments.add(*x, *y, count);
                    true
                }
                _ => false,
            },
            State::List(list) => {
                let row = Row::from_values(std::iter::once(borrow(&args[0])));
                list.add(RowRef::new(row.bytes(), 1).raw(0), count);
                true
            }
            State::Entries { entries, append_only } => match agg.entry(args) {
                Some(parts) if count != 0 => {
                    update_entries(agg, entries, *append_only, &parts.into_owned(), count)
                }
                _ => false,
            },
            State::Firsts(firsts) => {
                let Some(Parts::Four([moment, partition, offset, value])) =
                    agg.entry(args).filter(|_| count > 0)
                else {
                    return false;
                };
                let place = [moment, partition, offset].map(Value::into_owned).to_vec();
                match firsts.entry(value.into_owned()) {
                    MapEntry::Occupied(first) if *first.get() <= place => false,
                    MapEntry::Occupied(mut first) => {
                        first.insert(place);
                        true
                    }
                    MapEntry::Vacant(slot) => {
                        slot.insert(place);
                        true
                    }
                }
            }
        }
    }

    /// The same with arguments that are columns of a row, at these positions. The row arrived at
    /// `moment`.
    pub fn update_from(
        &mut self,
        agg: &Aggregate,
        row: Tuple<'_>,
        at: &[usize],
        moment: i64,
        count: i64,
    ) {
        if let State::List(list) = &mut self.0 {
            return list.add(row.raw(at[0]), count);
        }
        let mut args: Vec<Value<'_>> =
            at.iter().zip(&agg.args).map(|(column, arg)| row.value(*column, &arg.ty)).collect();
        if agg.has_offsets() {
            args[agg.visible().len()] = Value::Timestamp(Timestamp(moment));
        }
        self.update(agg, &args, count);
    }

    /// Brings together what has been kept aside; to be called after a run of updates, before [`write`](Accumulator::write).
    pub fn settle(&mut self, agg: &Aggregate) {
        if let State::List(list) = &mut self.0 {
            list.settle(&agg.args[0].ty);
        }
    }

    /// Why there is no value over the rows so far, where it is NULL for that.
    pub fn failure(&self, agg: &Aggregate) -> Option<EvalError> {
        let State::Total(total) = &self.0 else { return None };
        let exceeds = agg.function == AggregateFunction::Sum && total.output(agg).is_null();
        exceeds.then_some(EvalError::OutOfRange)
    }

    /// Writes the value over the rows so far as a column.
    pub fn write(&self, agg: &Aggregate, out: &mut RowWriter<'_>) {
        match &self.0 {
            State::List(list) => list.write(out),
            _ => out.value(&self.output(agg)),
        }
    }

    /// The aggregate's value over the rows so far.
    pub fn output<'a>(&'a self, agg: &'a Aggregate) -> Value<'a> {
        match &self.0 {
            State::Count(total) => Value::BigInt(*total),
            State::Total(total) => total.output(agg),
            State::Moments(moments) if agg.function == AggregateFunction::Deviation => {
                Value::Double(moments.deviation())
            }
            State::Moments(moments) => moments.correlation().map_or(Value::Null, Value::Double),
            State::List(list) => list.output(&agg.args[0].ty),
            State::Entries { entries, .. } => entries_output(agg, entries),
            State::Firsts(firsts) => {
                let mut values: Vec<_> = firsts.iter().collect();
                values.sort_unstable_by(|a, b| a.1.cmp(b.1).then_with(|| a.0.cmp(b.0)));
                Value::Array(values.into_iter().map(|(value, _)| borrow(value)).collect())
            }
        }
    }
}

impl Total {
    fn output(&self, agg: &Aggregate) -> Value<'static> {
        if agg.function == AggregateFunction::Average {
            if self.count == 0 {
                return Value::Double(0.0);
            }
            let sum = match &self.sum {
                Sum::Integer(sum) => *sum as f64,
                Sum::Double(sum) => sum.value(),
                Sum::Decimal(sum) => sum.to_f64().unwrap_or(f64::NAN),
            };
            return Value::Double(sum / self.count as f64);
        }
        match (&self.sum, &agg.ty) {
            (Sum::Integer(sum), Type::Int) => i32::try_from(*sum).map_or(Value::Null, Value::Int),
            (Sum::Integer(sum), _) => i64::try_from(*sum).map_or(Value::Null, Value::BigInt),
            (Sum::Double(sum), _) => Value::Double(sum.value()),
            (Sum::Decimal(sum), ty) => fit_decimal(sum, ty).map_or(Value::Null, Value::Decimal),
        }
    }
}

/// The entries that count, best first.
fn shown<'e>(
    agg: &Aggregate,
    entries: &'e BTreeMap<Entry, i64>,
) -> Box<dyn Iterator<Item = (&'e Entry, i64)> + 'e> {
    let present =
        entries.iter().map(|(entry, count)| (entry, *count)).filter(|(_, count)| *count > 0);
    if agg.best_last() { Box::new(present.rev()) } else { Box::new(present) }
}

fn update_entries(
    agg: &Aggregate,
    entries: &mut BTreeMap<Entry, i64>,
    append_only: bool,
    entry: &Entry,
    count: i64,
) -> bool {
    let limit = agg.limit();
    let better = |known: &Entry| if agg.best_last() { known > entry } else { known < entry };
    let within = limit.is_none_or(|limit| {
        let distinct = agg.counts_distinct();
        let mut ahead = 0;
        for (_, count) in shown(agg, entries).take_while(|(known, _)| better(known)) {
            ahead += if distinct { 1 } else { count as usize };
            if ahead >= limit {
                return false;
            }
        }
        true
    });
    if append_only && !within {
        return false;
    }
    let slot = entries.entry(entry.clone()).or_insert(0);
    let before = *slot > 0;
    *slot += count;
    let after = *slot > 0;
    if *slot == 0 {
        entries.remove(entry);
    }
    if append_only && let Some(limit) = limit {
        while shown(agg, entries)
            .map(|(_, count)| if agg.counts_distinct() { 1 } else { count as usize })
            .sum::<usize>()
            > limit
        {
            // the worst entry goes, or one occurrence of it
            let Some(mut worst) =
                (if agg.best_last() { entries.first_entry() } else { entries.last_entry() })
            else {
                break;
            };
            if agg.counts_distinct() || *worst.get() == 1 {
                worst.remove();
            } else {
                *worst.get_mut() -= 1;
            }
        }
    }
    within && (before != after || !agg.counts_distinct())
}

fn value_of(entry: &Entry) -> Value<'_> {
    entry.last().map_or(Value::Null, borrow)
}

fn entries_output<'a>(agg: &'a Aggregate, entries: &'a BTreeMap<Entry, i64>) -> Value<'a> {
    let repeated = || shown(agg, entries).flat_map(|(entry, count)| (0..count).map(move |_| entry));
    match agg.function {
        AggregateFunction::CountDistinct => Value::BigInt(shown(agg, entries).count() as i64),
        AggregateFunction::Histogram => map_value(
            shown(agg, entries)
                .map(|(entry, count)| (value_of(entry), Value::BigInt(count)))
                .collect(),
        ),
        AggregateFunction::Attribute => {
            let mut distinct = shown(agg, entries);
            match (distinct.next(), distinct.next()) {
                (Some((entry, _)), None) => value_of(entry),
                _ => Value::Null,
            }
        }
        AggregateFunction::CollectList => Value::Array(repeated().map(value_of).collect()),
        AggregateFunction::CollectSet => {
            let mut seen = std::collections::BTreeSet::new();
            Value::Array(
                shown(agg, entries)
                    .map(|(entry, _)| value_of(entry))
                    .filter(|value| seen.insert(value.clone()))
                    .collect(),
            )
        }
        AggregateFunction::TopK(k) => {
            let item = |entry: &'a Entry| {
                if entry.len() == 1 {
                    value_of(entry)
                } else {
                    Value::Struct(entry.iter().map(borrow).collect())
                }
            };
            Value::Array(repeated().take(k as usize).map(item).collect())
        }
        AggregateFunction::TopKDistinct(k) => Value::Array(
            shown(agg, entries).take(k as usize).map(|(entry, _)| value_of(entry)).collect(),
        ),
        AggregateFunction::Earliest(ByOffset { count: Some(n), .. }) => {
            Value::Array(repeated().take(n as usize).map(value_of).collect())
        }
        AggregateFunction::Latest(ByOffset { count: Some(n), .. }) => {
            let mut values: Vec<_> = repeated().take(n as usize).map(value_of).collect();
            values.reverse();
            Value::Array(values)
        }
        _ => shown(agg, entries).next().map_or(Value::Null, |(entry, _)| value_of(entry)),
    }
}
