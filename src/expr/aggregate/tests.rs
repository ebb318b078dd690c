//! Every aggregate against a computation from the list of rows, for any order of updates, with retractions and without.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::expr::Tuple;
use crate::model::{Row, RowRef, Timestamp};

/// A row of the input: place, time, priority, value.
#[derive(Clone, Debug)]
struct Fact {
    partition: i32,
    offset: i64,
    time: Option<i64>,
    priority: Option<i32>,
    value: Option<i32>,
}

fn fact() -> impl Strategy<Value = Fact> {
    (
        0..3i32,
        0..1000i64,
        proptest::option::of(0..4i64),
        proptest::option::weighted(0.9, 0..3i32),
        proptest::option::weighted(0.8, -3..4i32),
    )
        .prop_map(|(partition, offset, time, priority, value)| Fact {
            partition,
            offset,
            time,
            priority,
            value,
        })
}

/// Rows with places of their own.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    proptest::collection::vec(fact(), 0..24).prop_map(|mut facts| {
        facts.sort_by_key(|fact| (fact.partition, fact.offset));
        facts.dedup_by_key(|fact| (fact.partition, fact.offset));
        // the order of arrival, as the arguments have it
        facts.sort_by_key(|fact| fact.time);
        facts
    })
}

fn int(value: i32) -> Expr {
    Expr::literal(Value::Int(value), Type::Int)
}

/// All aggregates over the columns value INT, priority INT, ROWTIME, ROWPARTITION, ROWOFFSET, text VARCHAR.
fn aggregates(offsets: bool) -> Vec<Aggregate> {
    let value = || Expr::column(0, Type::Int);
    let text = || Expr::column(5, Type::Varchar);
    let double = || typing_double(value());
    let hidden = Hidden {
        time: Some(Expr::column(2, Type::Timestamp)),
        offset: offsets.then(|| (Expr::column(3, Type::Int), Expr::column(4, Type::BigInt))),
    };
    let truth = |value| Expr::literal(Value::Boolean(value), Type::Boolean);
    let mut calls = vec![
        ("COUNT", vec![]),
        ("COUNT", vec![value()]),
        ("COUNT_DISTINCT", vec![value()]),
        ("SUM", vec![value()]),
        ("SUM", vec![double()]),
        ("AVG", vec![value()]),
        ("MIN", vec![value()]),
        ("MAX", vec![value()]),
        ("MIN", vec![text()]),
        ("MAX", vec![text()]),
        ("FIRST_KNOWN", vec![value(), Expr::column(1, Type::Int)]),
        ("FIRST_KNOWN", vec![text(), Expr::column(1, Type::Int)]),
        ("COLLECT_LIST", vec![value()]),
        ("COLLECT_SET", vec![value()]),
        ("ATTR", vec![value()]),
        ("HISTOGRAM", vec![text()]),
        ("TOPK", vec![value(), int(3)]),
        ("TOPK", vec![value(), text(), int(2)]),
        ("TOPKDISTINCT", vec![value(), int(3)]),
        ("STDDEV_SAMP", vec![value()]),
        ("CORRELATION", vec![value(), value()]),
    ];
    if offsets {
        for name in ["EARLIEST_BY_OFFSET", "LATEST_BY_OFFSET"] {
            calls.push((name, vec![value()]));
            calls.push((name, vec![value(), truth(false)]));
            calls.push((name, vec![value(), int(3)]));
            calls.push((name, vec![value(), int(2), truth(false)]));
        }
    }
    calls
        .into_iter()
        .map(|(name, args)| {
            call(name, args, &hidden).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
        .collect()
}

fn typing_double(expr: Expr) -> Expr {
    coerce(expr, &Type::Double).expect("an INT widens to DOUBLE")
}

const WIDTH: usize = 6;

fn row(fact: &Fact) -> Row {
    let columns = [
        fact.value.map_or(Value::Null, Value::Int),
        fact.priority.map_or(Value::Null, Value::Int),
        fact.time.map_or(Value::Null, |time| Value::Timestamp(Timestamp(time))),
        Value::Int(fact.partition),
        Value::BigInt(fact.offset),
        fact.value.map_or(Value::Null, |value| Value::Varchar(format!("\"{value}").into())),
    ];
    debug_assert_eq!(columns.len(), WIDTH);
    Row::from_values(columns.into_iter())
}

fn arguments(agg: &Aggregate, fact: &Fact) -> Vec<Value<'static>> {
    let row = row(fact);
    let tuple = Tuple::single(RowRef::new(row.bytes(), WIDTH));
    agg.args.iter().map(|arg| arg.eval(tuple).expect("columns do not fail").into_owned()).collect()
}

/// The aggregate from the facts in offset order, as its documentation says.
fn oracle(agg: &Aggregate, facts: &[Fact]) -> Value<'static> {
    let rows: Vec<Vec<Value<'static>>> = facts.iter().map(|fact| arguments(agg, fact)).collect();
    let all: Vec<Value<'static>> = rows.iter().filter_map(|row| row.first().cloned()).collect();
    let known: Vec<Value<'static>> = all.iter().filter(|value| !value.is_null()).cloned().collect();
    let number = |value: &Value<'_>| match value {
        Value::Int(v) => f64::from(*v),
        Value::Double(v) => *v,
        _ => unreachable!(),
    };
    let n = known.len() as f64;
    let distinct = |values: &[Value<'static>]| {
        let mut seen = Vec::new();
        for value in values {
            if !seen.contains(value) {
                seen.push(value.clone());
            }
        }
        seen
    };
    let sorted = |mut values: Vec<Value<'static>>| {
        values.sort();
        values
    };
    let some = |value: Option<&Value<'static>>| value.cloned().unwrap_or(Value::Null);
    match agg.function {
        AggregateFunction::Count if agg.args.is_empty() => Value::BigInt(facts.len() as i64),
        AggregateFunction::Count => Value::BigInt(known.len() as i64),
        AggregateFunction::CountDistinct => Value::BigInt(distinct(&known).len() as i64),
        AggregateFunction::Sum => {
            let sum: f64 = known.iter().map(number).sum();
            if agg.ty == Type::Int { Value::Int(sum as i32) } else { Value::Double(sum) }
        }
        AggregateFunction::Average => Value::Double(if known.is_empty() {
            0.0
        } else {
            known.iter().map(number).sum::<f64>() / n
        }),
        AggregateFunction::Min => some(known.iter().min()),
        AggregateFunction::Max => some(known.iter().max()),
        AggregateFunction::FirstKnown => {
            let rank =
                |fact: &Fact| (fact.priority.unwrap_or(i32::MAX), fact.time.unwrap_or(i64::MAX));
            let candidates = facts.iter().zip(&rows).filter(|(fact, _)| fact.value.is_some());
            candidates
                .min_by_key(|(fact, row)| (rank(fact), row[0].clone()))
                .map_or(Value::Null, |(_, row)| row[0].clone())
        }
        AggregateFunction::CollectList => {
            Value::Array(if agg.hidden == 0 { sorted(all) } else { all })
        }
        AggregateFunction::CollectSet => {
            Value::Array(if agg.hidden == 0 { sorted(distinct(&all)) } else { distinct(&all) })
        }
        AggregateFunction::Attribute => match distinct(&all).as_slice() {
            [one] => one.clone(),
            _ => Value::Null,
        },
        AggregateFunction::Histogram => {
            let mut counts = BTreeMap::new();
            for value in known {
                *counts.entry(value).or_insert(0) += 1;
            }
            Value::Map(
                counts.into_iter().map(|(value, count)| (value, Value::BigInt(count))).collect(),
            )
        }
        AggregateFunction::TopK(k) if agg.args.len() > 1 => {
            let mut structs: Vec<_> =
                rows.into_iter().filter(|row| !row[0].is_null()).map(Value::Struct).collect();
            structs.sort();
            Value::Array(structs.into_iter().rev().take(k as usize).collect())
        }
        AggregateFunction::TopK(k) => {
            Value::Array(sorted(known).into_iter().rev().take(k as usize).collect())
        }
        AggregateFunction::TopKDistinct(k) => {
            Value::Array(sorted(distinct(&known)).into_iter().rev().take(k as usize).collect())
        }
        AggregateFunction::Earliest(by) => {
            let values = if by.nulls { all } else { known };
            match by.count {
                None => some(values.first()),
                Some(n) => Value::Array(values.into_iter().take(n as usize).collect()),
            }
        }
        AggregateFunction::Latest(by) => {
            let values = if by.nulls { all } else { known };
            match by.count {
                None => some(values.last()),
                Some(n) => Value::Array(values[values.len().saturating_sub(n as usize)..].to_vec()),
            }
        }
        AggregateFunction::Deviation => {
            let mean = known.iter().map(number).sum::<f64>() / n;
            let squares: f64 = known.iter().map(|value| (number(value) - mean).powi(2)).sum();
            if known.len() < 2 {
                Value::Double(0.0)
            } else {
                Value::Double((squares / (n - 1.0)).sqrt())
            }
        }
        AggregateFunction::Correlation => match distinct(&known).len() {
            0 => Value::Null,
            1 => Value::Double(f64::NAN),
            _ => Value::Double(1.0),
        },
    }
}

/// Equal, or doubles that differ by rounding only.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) if a.is_finite() && b.is_finite() => {
            (a - b).abs() < 1e-9
        }
        _ => a == b,
    }
}

/// Any permutation of indexes, as sort keys.
fn shuffled<T: Clone>(items: &[T], keys: &[u32]) -> Vec<T> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|i| {
        (keys[i % keys.len()].wrapping_mul(2_654_435_761).rotate_left(*i as u32), *i)
    });
    order.into_iter().map(|i| items[i].clone()).collect()
}

proptest! {
    #[test]
    fn append_only_input_in_any_order(facts in facts(), keys in proptest::collection::vec(any::<u32>(), 24), offsets: bool) {
        for agg in aggregates(offsets) {
            let mut state = Accumulator::new(&agg, false);
            let mut shown = state.output(&agg).into_owned();
            for fact in shuffled(&facts, &keys) {
                let changed = state.update(&agg, &arguments(&agg, &fact), 1);
                let now = state.output(&agg).into_owned();
                prop_assert!(changed || now == shown, "{:?} changed without saying so", agg.function);
                shown = now;
            }
            let expected = oracle(&agg, &facts);
            prop_assert!(same(&shown, &expected), "{:?}: {shown:?}, expected {expected:?}", agg.function);
        }
    }

    #[test]
    fn retractions_in_any_order(
        facts in facts(),
        gone in facts(),
        keys in proptest::collection::vec(any::<u32>(), 72),
        offsets: bool,
    ) {
        // what stays is inserted once; the rest is inserted and retracted, in whatever order
        let gone: Vec<Fact> = gone.into_iter().map(|fact| Fact { offset: fact.offset + 1000, ..fact }).collect();
        let updates: Vec<(Fact, i64)> = facts
            .iter()
            .map(|fact| (fact.clone(), 1))
            .chain(gone.iter().map(|fact| (fact.clone(), 1)))
            .chain(gone.iter().map(|fact| (fact.clone(), -1)))
            .collect();
        for agg in aggregates(offsets) {
            let mut state = Accumulator::new(&agg, true);
            let mut shown = state.output(&agg).into_owned();
            for (fact, count) in shuffled(&updates, &keys) {
                let changed = state.update(&agg, &arguments(&agg, &fact), count);
                let now = state.output(&agg).into_owned();
                prop_assert!(changed || same(&now, &shown), "{:?} changed without saying so", agg.function);
                shown = now;
            }
            let expected = oracle(&agg, &facts);
            prop_assert!(same(&shown, &expected), "{:?}: {shown:?}, expected {expected:?}", agg.function);
        }
    }

    #[test]
    fn winners_in_any_order(facts in facts(), keys in proptest::collection::vec(any::<u32>(), 24), offsets: bool) {
        let aggregates = aggregates(offsets);
        // texts that differ stand for spellings of one key
        let split = Split::new(&[5], &aggregates, WIDTH, false);
        prop_assert_eq!(split.outputs.iter().filter(|output| matches!(output, Output::Winner(_))).count(), if offsets { 10 } else { 6 });
        let (mut state, mut next) = (Vec::new(), Vec::new());
        for fact in shuffled(&facts, &keys) {
            let row = row(&fact);
            let tuple = Tuple::single(RowRef::new(row.bytes(), WIDTH));
            let moment = fact.time.unwrap_or(i64::MIN);
            if state.is_empty() {
                split.winners.begin(tuple, moment, &mut state);
            } else if split.winners.update(&state, tuple, moment, &mut next) {
                prop_assert_ne!(&state, &next);
                state = std::mem::take(&mut next);
            }
            prop_assert!(next.is_empty());
        }
        if !facts.is_empty() {
            let row_of = |fact: &Fact| Row::from_values(std::iter::once(arguments(&aggregates[8], fact).remove(0)));
            let shown = RowRef::new(split.winners.row(&state), split.winners.width());
            let key = Row::from_values(std::iter::once(shown.value(0, &Type::Varchar)));
            prop_assert_eq!(Some(key), facts.iter().map(row_of).min());
            for (agg, output) in aggregates.iter().zip(&split.outputs) {
                let Output::Winner(column) = *output else { continue };
                prop_assert_eq!(shown.value(column, &agg.ty), oracle(agg, &facts), "{:?}", agg.function);
            }
        }
    }

    #[test]
    fn a_multiplicity_is_as_many_updates(facts in facts(), count in 1..4i64) {
        for agg in aggregates(false) {
            let (mut at_once, mut one_by_one) = (Accumulator::new(&agg, true), Accumulator::new(&agg, true));
            for fact in &facts {
                let args = arguments(&agg, fact);
                at_once.update(&agg, &args, count);
                (0..count).for_each(|_| { one_by_one.update(&agg, &args, 1); });
            }
            prop_assert_eq!(at_once.output(&agg), one_by_one.output(&agg));
        }
    }
}

#[test]
fn states_are_small() {
    assert!(size_of::<Accumulator>() <= 24);
}

#[test]
fn an_integer_sum_that_does_not_fit_is_null_until_it_does() {
    let agg = call("sum", vec![Expr::column(0, Type::Int)], &Hidden::default()).unwrap();
    let mut state = Accumulator::new(&agg, true);
    state.update(&agg, &[Value::Int(i32::MAX)], 2);
    assert_eq!(state.output(&agg), Value::Null);
    state.update(&agg, &[Value::Int(i32::MAX)], -1);
    assert_eq!(state.output(&agg), Value::Int(i32::MAX));
}

#[test]
fn calls_that_make_no_sense_are_refused() {
    let column = |ty| Expr::column(0, ty);
    let none = Hidden::default();
    for (name, args, message) in [
        (
            "SUM",
            vec![column(Type::Varchar)],
            "SUM does not take (STRING); expected SUM(INT) INT or",
        ),
        ("COUNTS", vec![], "unknown function COUNTS; did you mean COUNT?"),
        (
            "LATEST_BY_OFFSET",
            vec![column(Type::Int)],
            "LATEST_BY_OFFSET needs rows that have a ROWOFFSET",
        ),
        (
            "TOPK",
            vec![column(Type::Int), column(Type::Int)],
            "k must be a constant INTEGER above zero",
        ),
        ("MAX", vec![column(Type::map(Type::Varchar, Type::Int))], "MAX does not take"),
    ] {
        let error = call(name, args, &none).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn prints_what_was_written() {
    let hidden = Hidden {
        time: None,
        offset: Some((Expr::column(1, Type::Int), Expr::column(2, Type::BigInt))),
    };
    let agg = call("latest_by_offset", vec![Expr::column(0, Type::Int), int(3)], &hidden).unwrap();
    assert_eq!(agg.display(&["PID"]).to_string(), "LATEST_BY_OFFSET(PID, 3)");
    let agg = call("count", vec![], &hidden).unwrap();
    assert_eq!(agg.display::<&str>(&[]).to_string(), "COUNT(*)");
}
