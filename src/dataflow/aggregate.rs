//! Groups rows by a key and keeps one row for each group: the key, then the aggregates.
//!
//! Each group keeps accumulators, not its rows, wherever the aggregates allow it: a fact costs the same however many the group has had, and a fact that changes no column
//! costs no output. A group of nothing but [`Winners`] keeps its row itself, in one allocation with the key; where there are other accumulators the row is computed from them, before the first
//! change of a tick and after the last.
//!
//! Within a tick rows are brought together by sorting digests, and nothing else of them.
//!
//! *Order.* Functions that ask for the order of arrival are told the moment of each row, see
//! `Order`.
//!
//! *End of a group.* When its rows have been taken back, its row is retracted. When all its rows have expired, or when the watermark passes the time of its last fact plus the retention,
//! its row expires. An expiry of some of its rows changes nothing: what they said stays said. What is taken back from a group that has ended is late: its row stays published.
//!
//! *Durable.* Each group as two entries: what it has counted, which every fact changes, and what it says, which few do.
//!
//! *Bounds.* One entry for each live group: 88 bytes, its key and winners, and what its
//! accumulators keep. Besides, the rows of open ticks. A row costs its digest, its share of the
//! sort and one look at each column
//! that it has.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::clock::Clock;
use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::expire::{bucket_of, first_open_bucket, time_of};
use super::index::{by_key, slot_of};
use super::join::{earlier, first};
use super::mfp::Compiled;
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::state::{Part, decode, encode};
use super::tick::Tick;
use super::watermark::Watermarks;
use crate::expr::aggregate::{Output, Split, Winners};
use crate::expr::{Accumulator, Aggregate, Tuple};
use crate::model::{Row, RowRef, RowWriter, Timestamp, Type, Value};
use crate::plan::{Key, Mfp};

/// What is known of a group.
struct Group {
    digest: u128,
    /// The key columns and the winners, see [`Winners`].
    state: Box<[u8]>,
    /// The other aggregates.
    accumulators: Box<[Accumulator]>,
    /// Rows asserted and not taken back, and rows still remembered upstream.
    facts: i64,
    live: i64,
    last_fact: i64,
    /// How far time had come, by partition, where rows are ordered [by time](Order::Time).
    clock: Option<Box<(i32, i64)>>,
}

/// What says in which order the rows of several partitions arrived, before their positions do.
enum Order {
    /// Nothing: no function asks, or rows can be taken back, and what takes a row back is not told
    /// of its arrival.
    Position,
    /// The tick at which they were read, where ticks tell that: in a live run, where they are
    /// durable, and in a replay by time.
    Tick,
    /// In any other replay, the time at which a run would have read them: of a group's rows in a
    /// partition the greatest so far, so that the order of a partition stays. By these columns:
    /// time, partition, offset.
    Time([usize; 3]),
}

impl Order {
    fn of(aggregates: &[Aggregate], retractable: bool, by_tick: bool) -> Order {
        let mut asking = aggregates.iter().filter_map(Aggregate::arrival);
        match asking.next() {
            Some(_) if retractable => Order::Position,
            Some(_) if by_tick => Order::Tick,
            Some(columns) => {
                let columns = columns.map(crate::expr::Expr::as_column);
                let [Some(time), Some(partition), Some(offset)] = columns else {
                    unreachable!("pseudo columns are columns")
                };
                Order::Time([time, partition, offset])
            }
            None => Order::Position,
        }
    }
}

/// Where a row is in its topic.
fn position(row: RowRef<'_>, partition: usize, offset: usize) -> (i32, i64) {
    let partition = match row.value(partition, &Type::Int) {
        Value::Int(partition) => partition,
        _ => i32::MIN,
    };
    match row.value(offset, &Type::BigInt) {
        Value::BigInt(offset) => (partition, offset),
        _ => (partition, i64::MIN),
    }
}

/// The plan of an aggregation.
pub struct Grouping {
    /// The group, as columns of the input.
    key: Key,
    /// The same of the rows of states.
    key_columns: Key,
    winners: Winners,
    /// What aggregates read beside columns of the input.
    computed: Option<Compiled>,
    /// The other aggregates, and what they read.
    others: Vec<(Aggregate, Vec<usize>)>,
    /// Where the output's columns after the key are.
    outputs: Vec<Output>,
    /// Columns of the input.
    width: usize,
    retractable: bool,
    order: Order,
    /// Column with a fact's time, and how long after its last fact a group lives.
    retention: Option<(usize, Duration)>,
    clock: Clock,
    counters: Counters,
}

impl Grouping {
    /// Groups rows of `width` columns, which can be taken back if they are `retractable`.
    ///
    /// With a `retention`, a column with a fact's time and how long a group lives after its last
    /// fact. `by_tick` says that ticks tell the order of arrival.
    pub fn new(
        key: Key,
        aggregates: &[Aggregate],
        width: usize,
        retractable: bool,
        retention: Option<(usize, Duration)>,
        by_tick: bool,
        counters: Counters,
    ) -> Grouping {
        let split = Split::new(&key.columns, aggregates, width, retractable);
        let computed = Mfp { predicates: vec![], columns: split.computed };
        Grouping {
            key_columns: key.positional(),
            key,
            winners: split.winners,
            computed: (!computed.columns.is_empty()).then(|| Compiled::new(&computed, &counters)),
            others: split.others,
            outputs: split.outputs,
            width,
            retractable,
            order: Order::of(aggregates, retractable, by_tick),
            retention,
            clock: Clock::Replay,
            counters,
        }
    }

    /// When a row of the group arrived.
    fn moment(&self, group: &mut Group, row: RowRef<'_>, tick: Tick) -> i64 {
        match self.order {
            Order::Position => 0,
            Order::Tick => tick.0 as i64,
            Order::Time([time, partition, offset]) => {
                let (partition, _) = position(row, partition, offset);
                let time = match row.value(time, &Type::Timestamp) {
                    Value::Timestamp(time) => time.0,
                    _ => i64::MIN,
                };
                let clock = group.clock.get_or_insert_with(|| Box::new((partition, time)));
                let before = if clock.0 == partition { clock.1 } else { i64::MIN };
                **clock = (partition, time.max(before));
                clock.1
            }
        }
    }

    /// The bucket in which the retention of a group with this last fact ends.
    fn end_of(&self, last_fact: i64) -> Option<i64> {
        self.retention.map(|(_, retention)| bucket_of(last_fact, retention.as_millis() as i64))
    }

    /// What the time in a fact counts for; `open` is up to where deadlines have passed.
    fn time_of_fact(&self, row: RowRef<'_>, open: i64, tick: Tick) -> i64 {
        let Some((time, _)) = self.retention else { return i64::MIN };
        let time = self.clock.counts(time_of(row, time), tick);
        if self.end_of(time).is_some_and(|end| end <= open) {
            self.counters.add(Counter::Late, 1);
        }
        time
    }

    fn same_key(&self, a: &Row, b: &Row) -> bool {
        self.key.equal(
            RowRef::new(a.bytes(), self.width),
            &self.key,
            RowRef::new(b.bytes(), self.width),
        )
    }

    /// Whether a row with this digest is of this group.
    fn owns(&self, group: &Group, digest: u128, row: RowRef<'_>) -> bool {
        group.digest == digest
            && self.key_columns.equal(
                RowRef::new(&group.state, self.winners.width()),
                &self.key,
                row,
            )
    }

    /// A group that has no rows yet.
    fn begin(&self, digest: u128) -> Group {
        let accumulators = self
            .others
            .iter()
            .map(|(aggregate, _)| Accumulator::new(aggregate, self.retractable))
            .collect();
        Group {
            digest,
            state: Box::default(),
            accumulators,
            facts: 0,
            live: 0,
            last_fact: i64::MIN,
            clock: None,
        }
    }

    /// Applies one row of a tick to its group; the group's new state, if there is one, is left in
    /// `scratch`. `open` is up to where deadlines have passed.
    #[inline]
    fn apply(
        &self,
        group: &mut Group,
        row: RowRef<'_>,
        (tick, diff): (Tick, Diff),
        open: i64,
        scratch: &mut Scratch,
    ) {
        group.facts += i64::from(diff.facts);
        group.live += i64::from(diff.live);
        if diff.facts == 0 {
            return;
        }
        group.last_fact = group.last_fact.max(self.time_of_fact(row, open, tick));
        let moment = self.moment(group, row, tick);
        scratch.computed.clear();
        let computed = self.computed.as_ref().map(|computed| {
            computed.apply(Tuple::single(row), &mut scratch.computed);
            RowRef::new(&scratch.computed, computed.width())
        });
        let tuple = Tuple::joined(row, computed);
        let state = if scratch.state.is_empty() { &*group.state } else { &scratch.state };
        scratch.next.clear();
        if state.is_empty() {
            self.winners.begin(tuple, moment, &mut scratch.state);
        } else if self.winners.update(state, tuple, moment, &mut scratch.next) {
            std::mem::swap(&mut scratch.state, &mut scratch.next);
        }
        for ((aggregate, at), accumulator) in self.others.iter().zip(&mut group.accumulators) {
            accumulator.update_from(aggregate, tuple, at, moment, i64::from(diff.facts));
        }
    }

    /// The row of a group.
    fn output(&self, state: &[u8], accumulators: &[Accumulator], out: &mut Vec<u8>) {
        out.clear();
        let row = self.winners.row(state);
        if self.others.is_empty() {
            return out.extend_from_slice(row);
        }
        let row = RowRef::new(row, self.winners.width());
        let keys = self.key.columns.len();
        let mut writer = RowWriter::new(out, keys + self.outputs.len());
        (0..keys).for_each(|i| writer.raw(row.raw(i)));
        for output in &self.outputs {
            match *output {
                Output::Winner(column) => writer.raw(row.raw(column)),
                Output::Other(at) => accumulators[at].write(&self.others[at].0, &mut writer),
            }
        }
        writer.finish();
    }
}

/// Aggregates rows by group.
pub fn aggregate<'scope>(
    rows: Rows<'scope, Tick>,
    watermarks: Watermarks<'scope>,
    grouping: Grouping,
    state: Part,
) -> Rows<'scope, Tick> {
    let pact = by_key(grouping.key.clone(), grouping.width);
    let mut arrived: Pending<(Row, Diff)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    let mut groups = Groups::new(grouping, state);
    rows.binary_frontier(watermarks, pact, Pipeline, "Aggregate", move |cap, _| {
        let restored_at = groups.state.restored_at();
        let mut restored = restored_at.map(|at| cap.delayed(&at));
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            if let Some(cap) = restored.take() {
                let mut session = output.session(&cap);
                groups.restore(*cap.time(), &mut |block| session.give_iterator(block.drain()));
            }
            input.for_each(|cap, data| {
                for (row, tick, diff) in
                    data.drain(..).filter(|(_, tick, _)| Some(*tick) != restored_at)
                {
                    arrived.push(tick, (row, diff), || cap.delayed(&tick, 0));
                }
            });
            watermarks.for_each(|cap, data| {
                for (time, tick) in data.drain(..) {
                    advances.push(tick, time, || cap.delayed(&tick, 0));
                }
            });
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            let is_closed = |tick: Option<Tick>| {
                tick.is_some_and(|tick| closed.is_none_or(|closed| tick < closed))
            };
            loop {
                let (advance, arrival) = (advances.earliest(), arrived.earliest());
                if is_closed(advance) && arrival.is_none_or(|arrival| advance <= Some(arrival)) {
                    let Some((tick, cap, times)) =
                        advances.pop_closed(watermark_frontier.frontier())
                    else {
                        break;
                    };
                    let mut session = output.session(&cap);
                    groups.advance(tick, times.into_iter().max(), &mut |block| {
                        session.give_iterator(block.drain())
                    });
                } else if is_closed(arrival) {
                    let Some((tick, cap, rows)) = arrived.pop_closed(frontier.frontier()) else {
                        break;
                    };
                    let mut session = output.session(&cap);
                    groups.update(tick, &rows, &mut |block| session.give_iterator(block.drain()));
                } else {
                    break;
                }
            }
            groups.state.note_size(|| groups.table.len());
        }
    })
}

/// A row of a tick: the digest of its key, and its place among the tick's rows.
type Arrived = (u128, u32);

struct Groups {
    grouping: Grouping,
    table: HashTable<Group>,
    /// Digests of groups by the bucket in which they may end; a group is looked up when its bucket is due, and moved when a later fact has moved its end.
    ends: BTreeMap<i64, Vec<u128>>,
    open: i64,
    block: Block<Tick>,
    scratch: Scratch,
    state: Part,
}

/// Keys of the two entries of a group; its digest of 128 bits is their place and stands for the group's key here.
const COUNTS: &[u8] = b"c";
const SAYS: &[u8] = b"s";

/// Buffers for one group after the other.
#[derive(Default)]
struct Scratch {
    /// The new state, empty while the old one stands; and the one that follows it.
    state: Vec<u8>,
    next: Vec<u8>,
    /// The row, where it is more than the state's.
    before: Vec<u8>,
    after: Vec<u8>,
    computed: Vec<u8>,
}

impl Groups {
    fn new(grouping: Grouping, state: Part) -> Groups {
        Groups {
            grouping: Grouping { clock: state.clock(), ..grouping },
            table: HashTable::new(),
            ends: BTreeMap::new(),
            open: i64::MIN,
            block: Block::default(),
            scratch: Scratch::default(),
            state,
        }
    }

    /// Takes up what an earlier life has left, and ships the rows of all groups.
    fn restore(&mut self, tick: Tick, ship: &mut dyn FnMut(&mut Block<Tick>)) {
        let state = self.state.clone();
        let mut counts = None;
        state.restore(|digest, key, value| {
            if key == COUNTS {
                counts = Some((digest, decode::<(i64, i64, i64)>(value)));
                return;
            }
            // COUNTS comes before SAYS
            let (_, (facts, live, last_fact)) = counts
                .take()
                .filter(|(of, _)| *of == digest)
                .expect("a group has counted what it says");
            let (state, accumulators): (serde_bytes::ByteBuf, Box<[Accumulator]>) = decode(value);
            let group = Group {
                digest,
                state: state.into_vec().into_boxed_slice(),
                accumulators,
                facts,
                live,
                last_fact,
                clock: None,
            };
            if facts > 0 {
                self.grouping.output(&group.state, &group.accumulators, &mut self.scratch.after);
                self.block.copy(&self.scratch.after, tick, Diff::ASSERT);
            }
            let end = if live <= 0 { Some(i64::MIN) } else { self.grouping.end_of(last_fact) };
            if let Some(end) = end {
                self.ends.entry(end).or_default().push(digest);
            }
            self.table.insert_unique(slot_of(digest), group, |group| slot_of(group.digest));
            if self.block.is_full() {
                ship(&mut self.block);
            }
        });
        ship(&mut self.block);
    }

    /// Notes that a group has ended.
    fn forget(state: &Part, digest: u128, tick: Tick) {
        state.delete(tick, digest, COUNTS);
        state.delete(tick, digest, SAYS);
    }

    /// Applies all rows of a tick and ships what changed.
    fn update(&mut self, tick: Tick, rows: &[(Row, Diff)], ship: &mut dyn FnMut(&mut Block<Tick>)) {
        let mut arrived: Vec<Arrived> = Vec::with_capacity(rows.len());
        for (i, (row, diff)) in rows.iter().enumerate() {
            match self.grouping.key.digest(RowRef::new(row.bytes(), self.grouping.width)) {
                Some(digest) => arrived.push((digest, i as u32)),
                None => self
                    .grouping
                    .counters
                    .add(Counter::NullGroup, u64::try_from(diff.facts).unwrap_or(0)),
            }
        }
        arrived.sort_unstable();
        for mut rest in arrived.chunk_by_mut(|a, b| a.0 == b.0) {
            while let Some(&(_, leader)) = rest.first() {
                // Nearly always all of them: rows whose keys differ share a digest only by a collision.
                let same = bring_forward(rest, |(_, other)| {
                    self.grouping.same_key(&rows[leader as usize].0, &rows[*other as usize].0)
                });
                let (group, others) = rest.split_at_mut(same);
                self.update_group(tick, group, rows);
                rest = others;
            }
            if self.block.is_full() {
                ship(&mut self.block);
            }
        }
        ship(&mut self.block);
    }

    /// Applies the rows of one group, and writes how its row differs from what it was before.
    fn update_group(&mut self, tick: Tick, arrived: &[Arrived], rows: &[(Row, Diff)]) {
        let (grouping, scratch) = (&self.grouping, &mut self.scratch);
        let (digest, leader) = arrived[0];
        let leader = RowRef::new(rows[leader as usize].0.bytes(), grouping.width);
        let new;
        let mut arrived = arrived;
        let mut entry = match self.table.entry(
            slot_of(digest),
            |group| grouping.owns(group, digest, leader),
            |group| slot_of(group.digest),
        ) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                if arrived.iter().any(|(_, i)| rows[*i as usize].1 != Diff::ASSERT) {
                    // Only new facts make a group; whatever else comes is of rows whose group has ended before them.
                    let late;
                    (new, late) = new_facts(arrived, rows);
                    grouping.counters.add(Counter::LateAfterExpiry, late);
                    arrived = &new;
                }
                if arrived.is_empty() {
                    return;
                }
                entry.insert(grouping.begin(digest))
            }
        };
        let group = entry.get_mut();
        let was = group.facts > 0;
        if was && !grouping.others.is_empty() {
            grouping.output(&group.state, &group.accumulators, &mut scratch.before);
        }
        scratch.state.clear();
        let mut in_order;
        if let Order::Time([_, partition, offset]) = grouping.order {
            in_order = arrived.to_vec();
            in_order.sort_by_key(|(_, i)| {
                let row = RowRef::new(rows[*i as usize].0.bytes(), grouping.width);
                position(row, partition, offset)
            });
            arrived = &in_order;
        }
        for &(_, i) in arrived {
            let (row, diff) = &rows[i as usize];
            grouping.apply(
                group,
                RowRef::new(row.bytes(), grouping.width),
                (tick, *diff),
                self.open,
                scratch,
            );
        }
        let is = group.facts > 0;
        let state = if scratch.state.is_empty() { &*group.state } else { &scratch.state };
        let (before, after) = if grouping.others.is_empty() {
            (
                if was { grouping.winners.row(&group.state) } else { &[] },
                grouping.winners.row(state),
            )
        } else {
            for ((aggregate, _), accumulator) in grouping.others.iter().zip(&mut group.accumulators)
            {
                accumulator.settle(aggregate);
            }
            grouping.output(state, &group.accumulators, &mut scratch.after);
            (&*scratch.before, &*scratch.after)
        };
        let same = was
            && is
            && (grouping.others.is_empty() && scratch.state.is_empty() || before == after);
        if same && group.live <= 0 {
            // All its rows have expired: what it said stays said, and is remembered no more.
            self.block.copy(before, tick, Diff::EXPIRE);
            entry.remove();
            Self::forget(&self.state, digest, tick);
            return;
        }
        if was && !same {
            self.block.copy(before, tick, Diff::RETRACT);
        }
        if is && !same {
            self.block.copy(after, tick, Diff::ASSERT);
            // as an expression of a projection that fails
            for ((aggregate, _), accumulator) in grouping.others.iter().zip(&group.accumulators) {
                if let Some(error) = accumulator.failure(aggregate) {
                    grouping.counters.add(Counter::ExpressionNull(error.code()), 1);
                }
            }
        }
        if group.facts == 0 {
            entry.remove();
            Self::forget(&self.state, digest, tick);
            return;
        }
        let says = !scratch.state.is_empty() || !grouping.others.is_empty();
        if !scratch.state.is_empty() {
            group.state = scratch.state.as_slice().into();
        }
        if self.state.is_durable() {
            self.state.put(
                tick,
                digest,
                COUNTS,
                &encode(&(group.facts, group.live, group.last_fact)),
            );
            if says {
                let says = (serde_bytes::Bytes::new(&group.state), &group.accumulators);
                self.state.put(tick, digest, SAYS, &encode(&says));
            }
        }
        // A group that changed in the tick in which its last row expired ends with the next watermark.
        let end = if group.live <= 0 {
            Some(i64::MIN)
        } else {
            grouping.end_of(group.last_fact).filter(|_| !was)
        };
        if let Some(bucket) = end {
            self.ends.entry(bucket).or_default().push(digest);
        }
    }

    /// Ends the groups whose last fact is too long ago.
    fn advance(
        &mut self,
        tick: Tick,
        watermark: Option<Timestamp>,
        ship: &mut dyn FnMut(&mut Block<Tick>),
    ) {
        self.open = watermark.map_or(self.open, first_open_bucket).max(self.open);
        if self.state.is_restored_watermark(tick) {
            return;
        }
        let (grouping, open) = (&self.grouping, self.open);
        let has_ended = |group: &Group| {
            group.live <= 0 || grouping.end_of(group.last_fact).is_some_and(|end| end <= open)
        };
        let waiting = self.ends.split_off(&open.saturating_add(1));
        for digest in std::mem::replace(&mut self.ends, waiting).into_values().flatten() {
            while let Ok(entry) = self
                .table
                .find_entry(slot_of(digest), |group| group.digest == digest && has_ended(group))
            {
                let group = entry.remove().0;
                Self::forget(&self.state, digest, tick);
                if group.facts > 0 {
                    grouping.output(&group.state, &group.accumulators, &mut self.scratch.after);
                    self.block.copy(&self.scratch.after, tick, Diff::EXPIRE);
                }
            }
            let left = self.table.iter_hash(slot_of(digest)).filter(|group| group.digest == digest);
            if let Some(end) = left.filter_map(|group| grouping.end_of(group.last_fact)).min() {
                self.ends.entry(end).or_default().push(digest);
            }
            if self.block.is_full() {
                ship(&mut self.block);
            }
        }
        ship(&mut self.block);
    }
}

/// Moves what is wanted to the front and leaves its order and that of the rest as they are. How much was wanted.
fn bring_forward<T>(items: &mut [T], wanted: impl Fn(&T) -> bool) -> usize {
    let mut front = 0;
    for i in 0..items.len() {
        if wanted(&items[i]) {
            items[front..=i].rotate_right(1);
            front += 1;
        }
    }
    front
}

/// The rows that are asserted more often than they are taken back, and how many are taken back that were not asserted.
fn new_facts(arrived: &[Arrived], rows: &[(Row, Diff)]) -> (Vec<Arrived>, u64) {
    let mut sorted = arrived.to_vec();
    sorted.sort_by_key(|(_, i)| &rows[*i as usize].0);
    let (mut new, mut late) = (Vec::new(), 0);
    for equal in sorted.chunk_by(|(_, i), (_, j)| rows[*i as usize].0 == rows[*j as usize].0) {
        match equal.iter().map(|(_, i)| i64::from(rows[*i as usize].1.facts)).sum::<i64>() {
            1.. => new.extend(equal),
            0 => {}
            taken => late += taken.unsigned_abs(),
        }
    }
    (new, late)
}
