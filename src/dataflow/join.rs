//! The join of everything known, as two half-joins over two indexes.
//!
//! ```text
//!  left rows ──▶ index ──┬─ changes ─▶ half A: each looks into the right index as of its tick ──┐
//!                        └─ content ◀─ half B: looks into it as of the tick before ◀─┐          ├─▶ rows
//!  right rows ─▶ index ──┬─ changes ────────────────────────────────────────────────┘          │
//!                        └─ content ◀─ half A                                     half B ───────┘
//! ```
//!
//! Each pair of a left and a right row meets exactly once: at the later of their ticks, in half A when they came together.
//! Changes are read from the batches that the indexes publish, so each row is exchanged and sorted once; content is summed up to the tick in question.
//!
//! *Expiry.* A change multiplies with the live count of the other side, so the expiry of either row expires what the pair made. A fact that comes
//! when its partner has expired finds nothing.
//!
//! *Left join.* A left row without a match is published padded with NULLs; the first right row of its key takes that back, the retraction of the last one publishes it again.
//! An expiry does neither.
//!
//! *Frozen rows.* When a right row expires while left rows that were joined with it are alive, those left rows are answered for good: a new right row
//! of that key is a late fact that revises them no more, taking them back is too late, and their own end frees nothing further. They are remembered by a hash each until then.
//!
//! *Durable.* The frozen rows; all else is had again from the two indexes. A frozen row makes nothing when it is restored: what it had made is no more.
//!
//! *Bounds.* State besides the two indexes: batches not yet joined, at most those between the two inputs' frontiers, and the frozen rows. Work: each change costs one search in
//! the other index and one step per match; the changes of a key on the right of a left join in a tick, and expiries there, also read the right rows of that key, once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use differential_dataflow::difference::Multiply;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::cursor::{CursorList, cursor_list};
use differential_dataflow::trace::implementations::ord_neu::OrdValBatch;
use differential_dataflow::trace::{Cursor, Navigable, TraceReader};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Antichain;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::index::{Index, IndexSpine, Slab};
use super::mfp::Compiled;
use super::rows::{Block, Rows};
use super::state::Part;
use super::tick::Tick;
use crate::expr::Tuple;
use crate::model::RowRef;
use crate::plan::{JoinKind, Key};

pub(super) type Batch = Rc<OrdValBatch<Slab<Tick>>>;
pub(super) type BatchCursor = <Batch as Navigable>::Cursor;
type Storage = <BatchCursor as Cursor>::Storage;

/// One side of a join: its index, the key of it, and the width of its rows.
pub struct Side<'scope> {
    /// The index.
    pub index: Index<'scope, Tick>,
    /// By what it is arranged.
    pub key: Key,
    /// Columns of its rows.
    pub width: usize,
}

/// Joins two indexes by their keys.
pub fn join<'scope>(
    left: Side<'scope>,
    right: Side<'scope>,
    kind: JoinKind,
    mfp: Compiled,
    counters: Counters,
    state: Part,
) -> Rows<'scope, Tick> {
    let (left_stream, right_stream) = (left.index.stream, right.index.stream);
    let mut logic = Logic {
        left: (left.key, left.width),
        right: (right.key, right.width),
        kind,
        mfp,
        frozen: HashMap::new(),
        frozen_rows: 0,
        counters,
        block: Block::default(),
        restored_at: state.restored_at(),
        state,
    };
    logic.restore();
    let (mut left_content, mut right_content) =
        (Content::new(left.index.trace), Content::new(right.index.trace));
    let (mut left_changes, mut right_changes) = (Changes::default(), Changes::default());
    let mut done = Some(Tick(0));

    left_stream.binary_frontier(right_stream, Pipeline, Pipeline, "Join", move |_, _| {
        move |(left_input, left_frontier), (right_input, right_frontier), output| {
            left_input.for_each(|cap, spans| {
                left_changes.extend(spans.drain(..).filter_map(|span| span.inner), || {
                    cap.retain_least(0)
                        .expect("a batch with updates comes with the right to send at their times")
                });
            });
            right_input.for_each(|cap, spans| {
                right_changes.extend(spans.drain(..).filter_map(|span| span.inner), || {
                    cap.retain_least(0)
                        .expect("a batch with updates comes with the right to send at their times")
                });
            });
            let upto = earlier(first(left_frontier.frontier()), first(right_frontier.frontier()));
            if done.is_none() || upto == done {
                return;
            }
            let from = done.expect("checked above");
            if !left_changes.0.is_empty() || !right_changes.0.is_empty() {
                let within = |tick: Tick| tick >= from && upto.is_none_or(|upto| tick < upto);
                let (mut lefts, left_storage) = left_content.cursor();
                let (mut rights, right_storage) = right_content.cursor();
                // Right changes first: they say which left rows are frozen, which the ends of left rows must know.
                for (batch, cap) in &right_changes.0 {
                    let mut session = output.session(cap);
                    let mut ship = |block: &mut Block<Tick>| session.give_iterator(block.drain());
                    logic.right_changes(
                        batch,
                        &within,
                        &mut lefts,
                        &left_storage,
                        &mut rights,
                        &right_storage,
                        &mut ship,
                    );
                    logic.flush(&mut ship);
                }
                for (batch, cap) in &left_changes.0 {
                    let mut session = output.session(cap);
                    let mut ship = |block: &mut Block<Tick>| session.give_iterator(block.drain());
                    logic.left_changes(batch, &within, &mut rights, &right_storage, &mut ship);
                    logic.flush(&mut ship);
                }
                left_changes.retire(upto);
                right_changes.retire(upto);
            }
            done = upto;
            left_content.compact(upto);
            right_content.compact(upto);
            logic.state.note_size(|| logic.frozen_rows);
        }
    })
}

/// The first element of a totally ordered frontier; `None` when it is empty, which is later than every tick.
pub(super) fn first(frontier: timely::progress::frontier::AntichainRef<'_, Tick>) -> Option<Tick> {
    frontier.first().copied()
}

/// The earlier of two frontiers.
pub(super) fn earlier(a: Option<Tick>, b: Option<Tick>) -> Option<Tick> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Batches that wait for the other side, each with the right to send at its times.
#[derive(Default)]
struct Changes(VecDeque<(Batch, Capability<Tick>)>);

impl Changes {
    fn extend(&mut self, batches: impl Iterator<Item = Batch>, cap: impl Fn() -> Capability<Tick>) {
        self.0.extend(batches.map(|batch| (batch, cap())));
    }

    /// Drops batches that are joined, and the right to send before `upto`.
    fn retire(&mut self, upto: Option<Tick>) {
        use differential_dataflow::trace::implementations::BatchContainer as _;
        let Some(upto) = upto else { return self.0.clear() };
        self.0.retain_mut(|(batch, cap)| {
            let times = &batch.storage.upds.times;
            let waits = (0..times.len()).any(|i| *times.index(i) >= upto);
            if waits && *cap.time() < upto {
                cap.downgrade(&upto);
            }
            waits
        });
    }
}

/// What an index holds, for reading.
pub(super) struct Content(Option<TraceAgent<IndexSpine<Tick>>>);

impl Content {
    pub(super) fn new(mut trace: TraceAgent<IndexSpine<Tick>>) -> Content {
        // Content is summed by tick, so the trace may merge batches as it likes.
        trace.set_physical_compaction(Antichain::new().borrow());
        Content(Some(trace))
    }

    pub(super) fn cursor(&mut self) -> (CursorList<BatchCursor>, Vec<Storage>) {
        let trace = self.0.as_mut().expect("read only while changes can come");
        cursor_list(
            trace
                .batches_through(Antichain::new().borrow())
                .expect("all batches can always be had"),
        )
    }

    /// No reading as of a tick before `upto`, less one for half B, any more.
    pub(super) fn compact(&mut self, upto: Option<Tick>) {
        match (upto, &mut self.0) {
            (Some(upto), Some(trace)) => {
                trace.set_logical_compaction(Antichain::from_elem(upto.before()).borrow())
            }
            _ => self.0 = None,
        }
    }
}

/// The rows of an index with one digest, each with its changes in time order. Used again for each digest.
#[derive(Default)]
struct Group<'a> {
    /// Each row with where its changes end.
    rows: Vec<(&'a [u8], usize)>,
    changes: Vec<(Tick, Diff)>,
}

impl<'a> Group<'a> {
    /// Reads the rows of a digest. Digests must ascend unless the cursor is rewound.
    fn read(
        &mut self,
        cursor: &mut CursorList<BatchCursor>,
        storage: &'a Vec<Storage>,
        digest: u128,
    ) {
        self.clear();
        cursor.seek_key(storage, &digest);
        if cursor.get_key(storage) == Some(&digest) {
            cursor.rewind_vals(storage);
            while let Some(row) = cursor.get_val(storage) {
                cursor.map_times(storage, |tick, diff| self.changes.push((*tick, *diff)));
                self.rows.push((row.bytes(), self.changes.len()));
                cursor.step_val(storage);
            }
        }
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.changes.clear();
    }

    fn iter(&self) -> impl Iterator<Item = (&'a [u8], &[(Tick, Diff)])> {
        let mut start = 0;
        self.rows
            .iter()
            .map(move |&(row, end)| (row, &self.changes[std::mem::replace(&mut start, end)..end]))
    }
}

/// How often a row is remembered as of a tick.
fn live(changes: &[(Tick, Diff)], asof: Tick) -> i32 {
    changes.iter().filter(|(tick, _)| *tick <= asof).map(|(_, diff)| diff.live).sum()
}

/// Whether a left row has a match before and after a tick. Asked for each left row of a digest in turn, whose keys are nearly always equal, so that it is counted once.
struct Presence<'g, 'a> {
    all: &'g Group<'a>,
    /// The left row that was asked for last, and the answer.
    of: Option<(&'a [u8], (bool, bool))>,
}

impl<'a> Presence<'_, 'a> {
    fn around(&mut self, tick: Tick, left: &'a [u8], join: &Logic) -> (bool, bool) {
        if let Some((other, answer)) = self.of
            && join.left_keys_equal(left, other)
        {
            return answer;
        }
        let present = |asof: Tick| {
            self.all
                .iter()
                .any(|(right, history)| live(history, asof) > 0 && join.keys_equal(left, right))
        };
        let answer = (present(tick.before()), present(tick));
        self.of = Some((left, answer));
        answer
    }
}

struct Logic {
    left: (Key, usize),
    right: (Key, usize),
    kind: JoinKind,
    mfp: Compiled,
    frozen: HashMap<u128, HashSet<u128>>,
    frozen_rows: usize,
    counters: Counters,
    block: Block<Tick>,
    restored_at: Option<Tick>,
    state: Part,
}

impl Logic {
    fn restore(&mut self) {
        let Logic { frozen, frozen_rows, state, .. } = self;
        state.restore(|digest, row, _| {
            let row = u128::from_be_bytes(row.try_into().expect("a hash of 128 bits"));
            *frozen_rows += usize::from(frozen.entry(digest).or_default().insert(row));
        });
    }

    /// Half A.
    fn left_changes(
        &mut self,
        batch: &Batch,
        within: &impl Fn(Tick) -> bool,
        rights: &mut CursorList<BatchCursor>,
        right_storage: &Vec<Storage>,
        ship: &mut impl FnMut(&mut Block<Tick>),
    ) {
        let mut cursor = batch.cursor();
        rights.rewind_keys(right_storage);
        let mut matches = Group::default();
        let mut changes = Vec::new();
        while let Some(&digest) = cursor.get_key(batch) {
            matches.read(rights, right_storage, digest);
            while let Some(row) = cursor.get_val(batch) {
                let row = row.bytes();
                cursor.map_times(batch, |tick, diff| changes.push((*tick, *diff)));
                for (tick, diff) in changes.drain(..).filter(|(tick, _)| within(*tick)) {
                    if Some(tick) == self.restored_at && self.is_frozen(digest, row) {
                        continue;
                    }
                    if diff.live < 0 && self.unfreeze(digest, row, tick) {
                        self.counters.add(Counter::LateAfterExpiry, u64::from(diff.facts != 0));
                        continue;
                    }
                    let mut matched = false;
                    for (other, history) in matches.iter() {
                        let live = live(history, tick);
                        if live != 0 && self.keys_equal(row, other) {
                            matched = true;
                            self.emit(
                                row,
                                Some(other),
                                tick,
                                diff.multiply(&Diff { facts: live, live }),
                                ship,
                            );
                        }
                    }
                    if !matched && self.kind == JoinKind::Left {
                        self.emit(row, None, tick, diff, ship);
                    }
                }
                cursor.step_val(batch);
            }
            cursor.step_key(batch);
        }
    }

    /// Half B.
    #[allow(clippy::too_many_arguments)] // two cursors come with their storages
    fn right_changes(
        &mut self,
        batch: &Batch,
        within: &impl Fn(Tick) -> bool,
        lefts: &mut CursorList<BatchCursor>,
        left_storage: &Vec<Storage>,
        rights: &mut CursorList<BatchCursor>,
        right_storage: &Vec<Storage>,
        ship: &mut impl FnMut(&mut Block<Tick>),
    ) {
        let mut cursor = batch.cursor();
        lefts.rewind_keys(left_storage);
        rights.rewind_keys(right_storage);
        let (mut partners, mut all) = (Group::default(), Group::default());
        let mut changes: Vec<(Tick, &[u8], Diff)> = Vec::new();
        while let Some(&digest) = cursor.get_key(batch) {
            partners.read(lefts, left_storage, digest);
            if !partners.rows.is_empty() {
                changes.clear();
                while let Some(row) = cursor.get_val(batch) {
                    cursor.map_times(batch, |tick, diff| changes.push((*tick, row.bytes(), *diff)));
                    cursor.step_val(batch);
                }
                changes.retain(|(tick, ..)| within(*tick));
                changes.sort_unstable();
                // What else is on the right matters to a left join, which pads what has no match, and to an expiry, which freezes what has none left.
                let matters = self.kind == JoinKind::Left && !changes.is_empty()
                    || changes.iter().any(|(_, _, diff)| diff.facts == 0);
                all.clear();
                if matters {
                    all.read(rights, right_storage, digest);
                }
                for changes in changes.chunk_by(|a, b| a.0 == b.0) {
                    let tick = changes[0].0;
                    let mut presence = Presence { all: &all, of: None };
                    for (left, history) in partners.iter() {
                        let live = live(history, tick.before());
                        if live != 0 && tick > Tick(0) {
                            self.right_changes_of(digest, left, live, changes, &mut presence, ship);
                        }
                    }
                }
            }
            cursor.step_key(batch);
        }
    }

    /// What the right changes of one tick do to one left row that was there before.
    fn right_changes_of<'a>(
        &mut self,
        digest: u128,
        left: &'a [u8],
        count: i32,
        changes: &[(Tick, &[u8], Diff)],
        presence: &mut Presence<'_, 'a>,
        ship: &mut impl FnMut(&mut Block<Tick>),
    ) {
        let tick = changes[0].0;
        let count = Diff { facts: count, live: count };
        let mut facts = false;
        let mut expired = false;
        for (_, right, diff) in changes {
            if !self.keys_equal(left, right) {
                continue;
            }
            if diff.facts != 0 && self.is_frozen(digest, left) {
                self.counters.add(Counter::LateAfterExpiry, 1);
                continue;
            }
            facts |= diff.facts != 0;
            expired |= diff.facts == 0;
            self.emit(left, Some(right), tick, diff.multiply(&count), ship);
        }
        if !expired && (!facts || self.kind == JoinKind::Inner) {
            return;
        }
        let (before, after) = presence.around(tick, left, self);
        if expired && !facts && before && !after {
            let row = self.state.fingerprint(left);
            self.frozen_rows += usize::from(self.frozen.entry(digest).or_default().insert(row));
            self.state.put(tick, digest, &row.to_be_bytes(), &[]);
        } else if facts && self.kind == JoinKind::Left {
            match (before, after) {
                (false, true) => self.emit(left, None, tick, Diff::RETRACT.multiply(&count), ship),
                (true, false) => self.emit(left, None, tick, count, ship),
                _ => {}
            }
        }
    }

    fn keys_equal(&self, left: &[u8], right: &[u8]) -> bool {
        self.left.0.equal(
            RowRef::new(left, self.left.1),
            &self.right.0,
            RowRef::new(right, self.right.1),
        )
    }

    fn left_keys_equal(&self, a: &[u8], b: &[u8]) -> bool {
        let (key, width) = &self.left;
        key.equal(RowRef::new(a, *width), key, RowRef::new(b, *width))
    }

    fn is_frozen(&self, digest: u128, left: &[u8]) -> bool {
        !self.frozen.is_empty()
            && self
                .frozen
                .get(&digest)
                .is_some_and(|rows| rows.contains(&self.state.fingerprint(left)))
    }

    /// True when the row was frozen; it is so no more.
    fn unfreeze(&mut self, digest: u128, left: &[u8], tick: Tick) -> bool {
        let Some(rows) = self.frozen.get_mut(&digest) else { return false };
        let row = self.state.fingerprint(left);
        let was = rows.remove(&row);
        if was {
            self.frozen_rows -= 1;
            self.state.delete(tick, digest, &row.to_be_bytes());
        }
        if rows.is_empty() {
            self.frozen.remove(&digest);
        }
        was
    }

    fn emit(
        &mut self,
        left: &[u8],
        right: Option<&[u8]>,
        tick: Tick,
        diff: Diff,
        ship: &mut impl FnMut(&mut Block<Tick>),
    ) {
        let right = right.map(|right| RowRef::new(right, self.right.1));
        if let Some(range) =
            self.mfp.apply(Tuple::joined(RowRef::new(left, self.left.1), right), self.block.bytes())
        {
            self.block.push(range, tick, diff);
        }
        if self.block.is_full() {
            ship(&mut self.block);
        }
    }

    fn flush(&mut self, ship: &mut impl FnMut(&mut Block<Tick>)) {
        if !self.block.is_empty() {
            ship(&mut self.block);
        }
    }
}
