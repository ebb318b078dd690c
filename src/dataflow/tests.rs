//! The operators against straightforward computations: small plans, random rows, any split into pieces and any number of workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

mod restart;

use super::*;
use crate::expr::aggregate::Hidden;
use crate::expr::{Expr, aggregate};
use crate::model::{Column, Row, RowRef, RowWriter, Schema, SinkError, Timestamp, Type, Value};
use crate::plan::{self, Format, JoinKind, Key, Mfp, NodeId, Operator, Plan, View, ViewKind};

/// A record of the test's topics: a key (zero is none), a value and a time in seconds.
type Record = (u8, u8, i64);

const KEY: usize = 0;
const VALUE: usize = 1;
const TIME: usize = 2;
const ROWTIME: usize = 3;
const ROWPARTITION: usize = 4;
const ROWOFFSET: usize = 5;
const TOMBSTONE: usize = 6;
/// What a table is read from. The time is in the place of `TIME`, and the last columns are those
/// that an upsert asks for.
const OF_TABLE: [usize; 6] = [KEY, VALUE, ROWTIME, ROWPARTITION, ROWOFFSET, TOMBSTONE];

fn format() -> Arc<Format> {
    let columns = [("K", Type::Guid), ("V", Type::Int), ("T", Type::Timestamp)];
    Arc::new(Format::Json(Schema {
        columns: columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect(),
    }))
}

fn source(plan: &mut Plan, topic: &str) -> NodeId {
    source_of(plan, topic, vec![KEY, VALUE, TIME])
}

fn source_of(plan: &mut Plan, topic: &str, columns: Vec<usize>) -> NodeId {
    plan.add(Operator::Source(reading(topic, columns)))
}

fn reading(topic: &str, columns: Vec<usize>) -> plan::Source {
    plan::Source {
        topic: topic.into(),
        format: format(),
        key: plan::KeyFormat::None,
        headers: vec![],
        time: None,
        columns,
        events: None,
    }
}

fn show(plan: &mut Plan, root: NodeId) {
    plan.views.push(View {
        name: "RESULT".into(),
        kind: ViewKind::Table,
        topic: "RESULT".into(),
        root,
        record: root,
        in_order: root,
    });
}

fn arrange(plan: &mut Plan, input: NodeId) -> NodeId {
    let key = Key::new(vec![KEY], plan.schema(input));
    plan.add(Operator::Arrange { input, key })
}

/// left key, left value, right value
fn join(plan: &mut Plan, left: NodeId, right: NodeId, kind: JoinKind) -> NodeId {
    let (left_index, right_index) = (arrange(plan, left), arrange(plan, right));
    let all = plan.joined_schema(left_index, right_index);
    let right_value = plan.schema(left_index).width() + 1;
    let columns =
        [KEY, VALUE, right_value].map(|i| Expr::column(i, all.columns[i].ty.clone())).to_vec();
    let unkeyed = (kind == JoinKind::Left).then_some(left);
    plan.add(Operator::Join {
        left: left_index,
        right: right_index,
        kind,
        mfp: Mfp { predicates: vec![], columns },
        unkeyed,
    })
}

/// The first value of each key, by time.
fn first_by_time(plan: &mut Plan, input: NodeId, retention: Option<Duration>) -> NodeId {
    let column = |i: usize, ty| Expr::column(i, ty);
    let priority = Expr::literal(Value::Int(0), Type::Int);
    let hidden = Hidden { time: Some(column(TIME, Type::Timestamp)), offset: None };
    let first =
        aggregate::call("FIRST_KNOWN", vec![column(VALUE, Type::Int), priority], &hidden).unwrap();
    let key = Key::new(vec![KEY], plan.schema(input));
    plan.add(Operator::Aggregate {
        input,
        key,
        aggregates: vec![first],
        retention: retention.map(|after| (TIME, after)),
    })
}

/// Writes records into a piece, from an offset on.
fn fill(piece: &mut Piece, taps: &[Vec<usize>], offset: u64, records: Vec<Record>) {
    piece.offset = offset;
    let partition = piece.partition as i32;
    for (i, (key, value, time)) in records.into_iter().enumerate() {
        for (tap, columns) in taps.iter().enumerate() {
            let mut writer = RowWriter::new(&mut piece.arena, columns.len());
            for column in columns {
                match *column {
                    KEY => writer.guid(crate::model::Guid(u128::from(key))),
                    VALUE => writer.int(i32::from(value)),
                    ROWPARTITION => writer.int(partition),
                    ROWOFFSET => writer.bigint((offset + i as u64) as i64),
                    TOMBSTONE if value == 0 => writer.value(&Value::Boolean(true)),
                    TOMBSTONE => writer.null(),
                    _ => writer.timestamp(Timestamp(time * 1000)),
                }
            }
            let range = writer.finish();
            piece.rows[tap].push((range, offset + i as u64));
        }
        piece.note_time(offset + i as u64, Timestamp(time * 1000));
    }
}

/// Feeds scripted records: piece `i` goes to worker `i % workers`.
struct Script {
    pieces: Vec<(u64, Vec<Record>)>,
    /// The columns of each tap.
    taps: Vec<Vec<usize>>,
}

impl Source for Script {
    fn read(&mut self, piece: &mut Piece) -> Progress {
        if self.pieces.is_empty() {
            return Progress::End;
        }
        let (offset, records) = self.pieces.remove(0);
        fill(piece, &self.taps, offset, records);
        Progress::Read
    }
}

/// The pieces of a topic and the columns of its taps.
type Fed = (Vec<Vec<Record>>, Vec<Vec<usize>>);

/// The content of a view: rows with how often they are in it.
type Content = BTreeMap<Vec<Option<i32>>, i64>;

/// Every change of the view in order of ticks: key, left value, right value (or aggregate), count.
type Changes = Vec<(Tick, Vec<Option<i32>>, i64)>;

struct Collect(Arc<Mutex<Changes>>, Vec<Type>);

impl Sink for Collect {
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        for (row, count) in changes {
            let values = RowRef::new(row.bytes(), self.1.len()).values(&self.1);
            let number = |value: &Value<'_>| match value {
                Value::Guid(guid) => Some(guid.0 as i32),
                Value::Int(v) => Some(*v),
                Value::BigInt(v) => Some(*v as i32),
                Value::Timestamp(time) => Some((time.0 / 1000) as i32),
                _ => None,
            };
            self.0.lock().unwrap().push((tick, values.iter().map(number).collect(), *count));
        }
        Ok(())
    }
}

/// Runs a plan over topics of pieces. Piece `i` of every topic is one tick, the same for all topics.
fn run_plan(
    plan: &Plan,
    topics: &[(&str, Vec<Vec<Record>>)],
    workers: usize,
    lateness: Option<Duration>,
) -> (Changes, BTreeMap<Counter, u64>) {
    run_as_is(&plan::optimize(plan, &[0], lateness.is_some()), topics, workers, lateness)
}

/// The same without optimizing.
fn run_as_is(
    plan: &Plan,
    topics: &[(&str, Vec<Vec<Record>>)],
    workers: usize,
    lateness: Option<Duration>,
) -> (Changes, BTreeMap<Counter, u64>) {
    let plan = plan.clone();
    let scripts: Vec<Fed> = super::topics(&plan)
        .into_iter()
        .map(|topic| {
            let pieces = topics
                .iter()
                .find(|(name, _)| *name == topic.name)
                .expect("every topic has records")
                .1
                .clone();
            let columns = |tap: &NodeId| match &plan.node(*tap).operator {
                Operator::Source(source) => source.columns.clone(),
                _ => unreachable!(),
            };
            (pieces, topic.taps.iter().map(columns).collect())
        })
        .collect();
    let changes: Arc<Mutex<Changes>> = Arc::default();
    let types: Vec<Type> =
        plan.schema(plan.views[0].root).columns.iter().map(|column| column.ty.clone()).collect();
    let (collected, counters) = (Arc::clone(&changes), Counters::default());
    run(Run {
        plan,
        cluster: Cluster::local(workers),
        fingerprint: [0; 32],
        secret: crate::model::Secret::random(),
        allowed_lateness: lateness,
        counters: counters.clone(),
        sink: Arc::new(move |_, _| Box::new(Collect(Arc::clone(&collected), types.clone()))),
        failed: Arc::new(|error| panic!("{error}")),
        mode: Mode::Replay(Replay {
            sources: Arc::new(move |worker| {
                let of = |(pieces, taps): &Fed| {
                    let mine = pieces.iter().enumerate().filter(|(i, _)| i % workers == worker);
                    // a stretch of the partition is a tick
                    let pieces =
                        mine.map(|(i, records)| ((i as u64 + 1) << 25, records.clone())).collect();
                    Box::new(Script { pieces, taps: taps.clone() }) as Box<dyn Source>
                };
                scripts.iter().map(of).collect()
            }),
            ordered: true,
            each_record: false,
            by_time: false,
            sizes: Sizes::default(),
            meeting: Meeting::new(workers),
        }),
    })
    .unwrap();
    let changes = std::mem::take(&mut *changes.lock().unwrap());
    (changes, counters.snapshot())
}

fn content(changes: &Changes) -> Content {
    let mut content = BTreeMap::new();
    for (_, row, count) in changes {
        *content.entry(row.clone()).or_insert(0) += count;
    }
    content.retain(|_, count| *count != 0);
    content
}

fn records(keys: u8) -> impl Strategy<Value = Vec<Vec<Record>>> {
    let record = (0..keys, 0u8..4, 0i64..1000);
    proptest::collection::vec(proptest::collection::vec(record, 0..6), 0..6)
}

fn naive_join(left: &[Vec<Record>], right: &BTreeSet<(u8, i32)>, kind: JoinKind) -> Content {
    let mut result = BTreeMap::new();
    for &(key, value, _) in left.iter().flatten() {
        let matches: Vec<_> = right.iter().filter(|(other, _)| *other == key && key != 0).collect();
        for (_, other) in &matches {
            *result
                .entry(vec![Some(i32::from(key)), Some(i32::from(value)), Some(*other)])
                .or_insert(0) += 1;
        }
        if matches.is_empty() && kind == JoinKind::Left {
            *result.entry(vec![Some(i32::from(key)), Some(i32::from(value)), None]).or_insert(0) +=
                1;
        }
    }
    result
}

/// The first value of each key by (time, value); zero keys make no group.
fn naive_first(records: &[Vec<Record>]) -> BTreeSet<(u8, i32)> {
    let mut first: BTreeMap<u8, (i64, u8)> = BTreeMap::new();
    for &(key, value, time) in records.iter().flatten().filter(|record| record.0 != 0) {
        let best = first.entry(key).or_insert((time, value));
        *best = (*best).min((time, value));
    }
    first.into_iter().map(|(key, (_, value))| (key, i32::from(value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn join_of_stream_and_table_is_the_join_of_everything(left in records(4), right in records(4), outer: bool, workers in 1usize..4) {
        let kind = if outer { JoinKind::Left } else { JoinKind::Inner };
        let mut plan = Plan::default();
        let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
        let table = first_by_time(&mut plan, r, None);
        let root = join(&mut plan, l, table, kind);
        show(&mut plan, root);
        let (changes, _) = run_plan(&plan, &[("l", left.clone()), ("r", right.clone())], workers, None);
        prop_assert_eq!(content(&changes), naive_join(&left, &naive_first(&right), kind));
    }

    /// Rows of one key come close together in time, so nothing is late: then expiry must not be seen at all, however many rows share a tick.
    #[test]
    fn expiry_does_not_show_when_nothing_is_late(steps in proptest::collection::vec((any::<bool>(), 1u8..3, 0u8..4, any::<bool>()), 1..24), outer: bool, workers in 1usize..3) {
        let kind = if outer { JoinKind::Left } else { JoinKind::Inner };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (i, (is_left, key, value, same_tick)) in steps.iter().enumerate() {
            // every fourth step is a new generation of keys, an hour later
            let generation = (i / 4) as u8;
            let record = (key + 2 * generation, *value, 3600 * i64::from(generation) + i as i64 % 4);
            if i == 0 || !same_tick {
                left.push(vec![]);
                right.push(vec![]);
            }
            if *is_left { &mut left } else { &mut right }.last_mut().unwrap().push(record);
        }
        let build = || {
            let mut plan = Plan::default();
            let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
            let l = plan.add(Operator::Expire { input: l, time: TIME, after: Duration::from_secs(60) });
            let table = first_by_time(&mut plan, r, Some(Duration::from_secs(60)));
            let root = join(&mut plan, l, table, kind);
            show(&mut plan, root);
            plan
        };
        let topics = [("l", left), ("r", right)];
        let (kept, _) = run_plan(&build(), &topics, workers, None);
        let (expired, counters) = run_plan(&build(), &topics, workers, Some(Duration::from_secs(5)));
        prop_assert_eq!(content(&expired), content(&kept));
        prop_assert_eq!(expired, kept);
        prop_assert_eq!(counters, BTreeMap::new());
    }

    /// Whatever is late: a row is never in the result twice, never less than not at all, and what was published stays unless something replaces it.
    #[test]
    fn expiry_never_takes_a_row_away(left in records(3), right in records(3), workers in 1usize..3) {
        let mut plan = Plan::default();
        let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
        let l = plan.add(Operator::DistinctOn { input: l, key: Key::new(vec![KEY, VALUE], &format().schema().clone()) });
        let l = plan.add(Operator::Expire { input: l, time: TIME, after: Duration::from_secs(20) });
        let table = first_by_time(&mut plan, r, Some(Duration::from_secs(30)));
        let root = join(&mut plan, l, table, JoinKind::Left);
        show(&mut plan, root);
        // Each event once: one that is delivered again with another time, after its end, is not told from the first where its time is not read.
        let mut seen = BTreeSet::new();
        let left: Vec<Vec<Record>> =
            left.into_iter().map(|records| records.into_iter().filter(|(key, value, _)| seen.insert((*key, *value))).collect()).collect();
        let (changes, _) = run_plan(&plan, &[("l", left.clone()), ("r", right)], workers, Some(Duration::ZERO));
        let mut content: BTreeMap<Vec<Option<i32>>, BTreeMap<Option<i32>, i64>> = BTreeMap::new();
        for changes in changes.chunk_by(|a, b| a.0 == b.0) {
            for (_, row, count) in changes {
                *content.entry(row[..2].to_vec()).or_default().entry(row[2]).or_insert(0) += count;
            }
        }
        let distinct: BTreeSet<_> = left.iter().flatten().map(|(key, value, _)| vec![Some(i32::from(*key)), Some(i32::from(*value))]).filter(|row| row[0] != Some(0)).collect();
        for row in distinct {
            let counts = content.remove(&row).unwrap_or_default();
            prop_assert!(counts.values().all(|count| *count >= 0), "{row:?} {counts:?}");
            prop_assert!(counts.values().sum::<i64>() >= 1, "{row:?} {counts:?}");
        }
    }
}

#[test]
fn a_fact_after_its_partner_has_expired_finds_nothing_and_is_counted() {
    let mut plan = Plan::default();
    let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
    let l = plan.add(Operator::Expire { input: l, time: TIME, after: Duration::from_secs(10) });
    let table = first_by_time(&mut plan, r, Some(Duration::from_secs(10)));
    let root = join(&mut plan, l, table, JoinKind::Left);
    show(&mut plan, root);
    let left = vec![vec![(1, 7, 0)], vec![], vec![(2, 8, 1000)], vec![]];
    let right = vec![vec![], vec![], vec![], vec![(1, 9, 0)]];
    let (changes, counters) =
        run_plan(&plan, &[("l", left), ("r", right)], 1, Some(Duration::ZERO));
    let rows: Vec<_> = changes.into_iter().map(|(_, row, count)| (row, count)).collect();
    assert_eq!(rows, [(vec![Some(1), Some(7), None], 1), (vec![Some(2), Some(8), None], 1)]);
    assert_eq!(counters, BTreeMap::from([(Counter::Late, 1)]));
}

/// Runs a left join of the distinct rows of `l`, which live an hour, with the first value of each key of `r`, which live 10 seconds.
fn join_with_short_lived(
    left: Vec<Vec<Record>>,
    right: Vec<Vec<Record>>,
    kind: JoinKind,
) -> (Content, BTreeMap<Counter, u64>) {
    let mut plan = Plan::default();
    let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
    let l =
        plan.add(Operator::DistinctOn { input: l, key: Key::new(vec![KEY], format().schema()) });
    let l = plan.add(Operator::Expire { input: l, time: TIME, after: Duration::from_secs(3600) });
    let table = first_by_time(&mut plan, r, Some(Duration::from_secs(10)));
    let root = join(&mut plan, l, table, kind);
    show(&mut plan, root);
    let (changes, counters) =
        run_plan(&plan, &[("l", left), ("r", right)], 1, Some(Duration::ZERO));
    (content(&changes), counters)
}

#[test]
fn a_row_that_is_taken_back_after_its_partner_has_expired_was_answered_for_good() {
    for kind in [JoinKind::Inner, JoinKind::Left] {
        // (1, 5) is joined with 9, which expires; then a smaller (1, 4) replaces it
        let left = vec![vec![(1, 5, 0)], vec![(2, 5, 100)], vec![(1, 4, 0)]];
        let right = vec![vec![(1, 9, 0)], vec![(3, 9, 100)], vec![]];
        let (content, counters) = join_with_short_lived(left, right, kind);
        let mut expected = Content::from([(vec![Some(1), Some(5), Some(9)], 1)]);
        if kind == JoinKind::Left {
            expected.extend([(vec![Some(1), Some(4), None], 1), (vec![Some(2), Some(5), None], 1)]);
        }
        assert_eq!(content, expected);
        assert_eq!(counters, BTreeMap::from([(Counter::LateAfterExpiry, 1)]));
    }
}

#[test]
fn what_arrives_in_one_tick_meets_before_anything_expires_in_it() {
    // the last row of each piece makes the rows of the piece before expire
    let left = vec![vec![], vec![(1, 7, 5), (2, 7, 100)]];
    let right = vec![vec![(1, 9, 0)], vec![(3, 9, 100)]];
    let (content, counters) = join_with_short_lived(left, right, JoinKind::Inner);
    assert_eq!(
        (content, counters),
        (Content::from([(vec![Some(1), Some(7), Some(9)], 1)]), BTreeMap::new())
    );
}

#[test]
fn a_fact_keeps_a_group_that_would_end_in_its_tick() {
    let mut plan = Plan::default();
    let r = source(&mut plan, "r");
    let root = first_by_time(&mut plan, r, Some(Duration::from_secs(10)));
    show(&mut plan, root);
    let pieces = vec![vec![(1, 9, 0)], vec![(1, 8, 5), (2, 8, 100)]];
    let (changes, counters) = run_plan(&plan, &[("r", pieces)], 1, Some(Duration::ZERO));
    assert_eq!(
        content(&changes),
        Content::from([(vec![Some(1), Some(9)], 1), (vec![Some(2), Some(8)], 1)])
    );
    assert_eq!(counters, BTreeMap::new());
}

#[test]
fn a_retraction_for_a_group_that_has_ended_does_not_swallow_the_next_fact() {
    let mut plan = Plan::default();
    let r = source(&mut plan, "r");
    let distinct = plan
        .add(Operator::DistinctOn { input: r, key: Key::new(vec![KEY, TIME], format().schema()) });
    let root = first_by_time(&mut plan, distinct, Some(Duration::from_secs(10)));
    show(&mut plan, root);
    // the group of 1 ends; then its row is taken back for a smaller one
    let pieces = vec![vec![(1, 9, 0)], vec![(2, 8, 100)], vec![(1, 7, 0)]];
    let (changes, counters) = run_plan(&plan, &[("r", pieces)], 1, Some(Duration::ZERO));
    let expected =
        [(vec![Some(1), Some(9)], 1), (vec![Some(1), Some(7)], 1), (vec![Some(2), Some(8)], 1)];
    assert_eq!(content(&changes), Content::from(expected));
    assert_eq!(counters, BTreeMap::from([(Counter::Late, 1), (Counter::LateAfterExpiry, 1)]));
}

/// A plan of these steps over `l` and `r`. Every relation has the columns of a record; `a` and `b` say which of those before a step reads.
/// With `within`, records of the two live for so long.
fn random_plan(steps: &[(u8, usize, usize)], within: Option<Duration>) -> Plan {
    use crate::expr::{Arithmetic, Comparison, ExprKind};
    let int = |i: i32| Expr::literal(Value::Int(i), Type::Int);
    let value = || Expr::column(VALUE, Type::Int);
    let divide = || Expr {
        kind: ExprKind::Arithmetic(Arithmetic::Divide, Box::new([int(12), value()])),
        ty: Type::Int,
    };
    let less = |a, b| Expr {
        kind: ExprKind::Compare(Comparison::Less, Box::new([a, b])),
        ty: Type::Boolean,
    };
    let is_null = || Expr { kind: ExprKind::IsNull(Box::new(value()), false), ty: Type::Boolean };
    let mut plan = Plan::default();
    let mut nodes = vec![source(&mut plan, "l"), source(&mut plan, "r")];
    if let Some(after) = within {
        for input in &mut nodes {
            *input = plan.add(Operator::Expire { input: *input, time: TIME, after });
        }
    }
    for (step, a, b) in steps {
        let (a, b) = (nodes[a % nodes.len()], nodes[b % nodes.len()]);
        let filter = |plan: &mut Plan, predicate| {
            let schema = plan.schema(a).columns.clone();
            let columns = schema
                .iter()
                .enumerate()
                .map(|(i, column)| Expr::column(i, column.ty.clone()))
                .collect();
            plan.transform(a, Mfp { predicates: vec![predicate], columns }, schema)
        };
        let node = match step {
            0 => filter(&mut plan, less(int(1), value())),
            1 => filter(&mut plan, less(int(5), divide())),
            2 => filter(&mut plan, is_null()),
            3 => compute(&mut plan, a, divide()),
            4 => compute(
                &mut plan,
                a,
                Expr {
                    kind: ExprKind::Case {
                        branches: vec![(is_null(), int(2))],
                        otherwise: Some(Box::new(value())),
                    },
                    ty: Type::Int,
                },
            ),
            5 => compute(&mut plan, a, int(3)),
            6 => plan.add(Operator::Union { inputs: vec![a, b] }),
            7 | 8 => {
                let kind = if *step == 7 { JoinKind::Inner } else { JoinKind::Left };
                let (left, right) = (arrange(&mut plan, a), arrange(&mut plan, b));
                let all = plan.joined_schema(left, right);
                let columns = [KEY, 3 + VALUE, TIME]
                    .map(|i| Expr::column(i, all.columns[i].ty.clone()))
                    .to_vec();
                let unkeyed = (kind == JoinKind::Left).then_some(a);
                plan.add(Operator::Join {
                    left,
                    right,
                    kind,
                    mfp: Mfp { predicates: vec![], columns },
                    unkeyed,
                })
            }
            9 => {
                let call = |name, column, ty| {
                    aggregate::call(
                        name,
                        vec![Expr::column(column, ty)],
                        &Hidden { time: None, offset: None },
                    )
                    .unwrap()
                };
                let aggregates =
                    vec![call("MAX", VALUE, Type::Int), call("MIN", TIME, Type::Timestamp)];
                let key = Key::new(vec![KEY], plan.schema(a));
                plan.add(Operator::Aggregate { input: a, key, aggregates, retention: None })
            }
            _ => {
                let key = Key::new(vec![KEY, VALUE, TIME], plan.schema(a));
                plan.add(Operator::DistinctOn { input: a, key })
            }
        };
        nodes.push(node);
    }
    show(&mut plan, *nodes.last().unwrap());
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn optimizing_changes_no_content(steps in proptest::collection::vec((0u8..11, 0usize..8, 0usize..8), 1..7), left in records(3), right in records(3), workers in 1usize..3) {
        let plan = random_plan(&steps, None);
        let topics = [("l", left), ("r", right)];
        let (expected, _) = run_as_is(&plan, &topics, 1, None);
        let (changes, _) = run_plan(&plan, &topics, workers, None);
        prop_assert_eq!(content(&changes), content(&expected));
    }
}

#[test]
fn a_topic_that_has_ended_does_not_hold_the_watermark_back() {
    let mut plan = Plan::default();
    let (l, r) = (source(&mut plan, "l"), source(&mut plan, "r"));
    let both = plan.add(Operator::Union { inputs: vec![l, r] });
    let root = first_by_time(&mut plan, both, Some(Duration::from_secs(10)));
    show(&mut plan, root);
    for workers in 1..4 {
        // `r` ends after its first piece; then time goes on in `l`, and the group of 1 ends
        let left = vec![vec![(1, 9, 0)], vec![(2, 8, 100)], vec![(2, 8, 200)], vec![(1, 7, 200)]];
        let (changes, _) = run_plan(
            &plan,
            &[("l", left), ("r", vec![vec![(3, 9, 0)]])],
            workers,
            Some(Duration::ZERO),
        );
        let ones: Vec<_> = content(&changes).into_keys().filter(|row| row[0] == Some(1)).collect();
        assert_eq!(ones, [vec![Some(1), Some(7)], vec![Some(1), Some(9)]], "{workers}");
    }
}

#[test]
fn a_repeated_row_keeps_its_key_alive() {
    let mut plan = Plan::default();
    // the time is of the record, no part of what it says
    let r = source_of(&mut plan, "r", OF_TABLE.to_vec());
    let key = Key::new(vec![KEY], plan.schema(r));
    let root = plan.add(Operator::Upsert {
        input: r,
        key,
        retention: Some((TIME, Duration::from_secs(10))),
    });
    show(&mut plan, root);
    // without the repetition at 8 the key would have ended at 14, and 6 would stand beside 5
    let pieces = vec![vec![(1, 5, 0)], vec![(1, 5, 8)], vec![(2, 5, 14)], vec![(1, 6, 14)]];
    let (changes, counters) = run_plan(&plan, &[("r", pieces)], 1, Some(Duration::ZERO));
    let ones: Vec<_> =
        content(&changes).into_keys().filter(|row| row[0] == Some(1)).map(|row| row[1]).collect();
    assert_eq!((ones, counters), (vec![Some(6)], BTreeMap::new()));
}

/// `1 / V`, or the like, over the rows of `r`.
fn compute(plan: &mut Plan, input: NodeId, column: Expr) -> NodeId {
    let columns = plan.schema(input).columns.clone();
    let mut exprs: Vec<Expr> =
        columns.iter().enumerate().map(|(i, column)| Expr::column(i, column.ty.clone())).collect();
    exprs[VALUE] = column;
    plan.transform(input, Mfp { predicates: vec![], columns: exprs }, columns)
}

#[test]
fn a_failure_is_null_for_whoever_reads_it_also_after_optimizing() {
    use crate::expr::{Arithmetic, ExprKind};
    let int = |kind| Expr { kind, ty: Type::Int };
    let value = || Expr::column(VALUE, Type::Int);
    let hundred = || Expr::literal(Value::Int(100), Type::Int);
    let mut plan = Plan::default();
    let r = source(&mut plan, "r");
    let below = compute(
        &mut plan,
        r,
        int(ExprKind::Arithmetic(Arithmetic::Divide, Box::new([hundred(), value()]))),
    );
    let is_null = Expr { kind: ExprKind::IsNull(Box::new(value()), false), ty: Type::Boolean };
    let root = compute(
        &mut plan,
        below,
        int(ExprKind::Case {
            branches: vec![(is_null, hundred())],
            otherwise: Some(Box::new(value())),
        }),
    );
    show(&mut plan, root);
    let (changes, counters) = run_plan(&plan, &[("r", vec![vec![(1, 0, 0), (2, 4, 0)]])], 1, None);
    assert_eq!(
        content(&changes),
        Content::from([
            (vec![Some(1), Some(100), Some(0)], 1),
            (vec![Some(2), Some(25), Some(0)], 1)
        ])
    );
    assert_eq!(counters.len(), 1);
}
