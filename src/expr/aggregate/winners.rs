//! The state of all aggregates of a group that show one winning value, together in one byte string.
//!
//! MIN, MAX, FIRST_KNOWN and BY_OFFSET without n, over input that takes nothing back, remember nothing but the value that wins and the *rank* by which it does: (priority, time) or
//! (partition, offset); MIN and MAX have no rank, the value itself decides. Columns that are known from one event have one rank, so ranks are stored once.
//!
//! ```text
//! ┌──────────────────────────────────────┬────────────────────┬───────────────┐
//! │ packed row: key columns, then values │ a byte for each    │ the ranks,    │
//! │                                      │ value: which rank  │ 12 bytes each │
//! └──────────────────────────────────────┴────────────────────┴───────────────┘
//! ```
//!
//! The packed row is what a group of nothing but winners shows, so showing it is a copy. A row that wins nothing, as most rows of a known process, costs a look at the columns that it has, and no allocation.
//!
//! A key prints as read; of several spellings that compare equal the smallest in packed bytes is kept, so the result does not depend on order.

use std::cmp::Ordering;

use super::{Aggregate, AggregateFunction, ByOffset};
use crate::expr::{Expr, Tuple};
use crate::model::row::Raw;
use crate::model::{RowRef, RowWriter, Type};

/// How the winners of a group are chosen.
#[derive(Debug)]
pub struct Winners {
    /// The key columns of a row.
    keys: Vec<usize>,
    slots: Vec<Slot>,
    ranks: Vec<Rank>,
}

/// One aggregate.
#[derive(Debug)]
struct Slot {
    /// The argument, and its type.
    column: usize,
    ty: Type,
    /// What orders the values before they do themselves.
    rank: Option<usize>,
    greatest: bool,
    /// NULL is a value.
    nulls: bool,
}

/// What orders rows: two columns, an INT and then a BIGINT or a TIMESTAMP, and before them, if it
/// is by arrival, the moment of it.
#[derive(Debug, PartialEq, Eq)]
struct Rank {
    by_arrival: bool,
    columns: [usize; 2],
    /// What NULL counts as.
    null: (i32, i64),
}

/// The value of a [`Rank`] on a row; the moment is 0 if the rank is not by arrival.
type Place = (i64, i32, i64);

/// Bytes of a packed place, without the moment and with it.
const SHORT: usize = 12;
const LONG: usize = 20;

/// Marks a value that has no rank, or that there is no value yet.
const NONE: u8 = u8::MAX;

/// Aggregates of one group, those that are kept as winners and the others.
///
/// All of them read columns; arguments that are no columns are computed for each row, and follow its columns.
pub struct Split {
    /// The winners.
    pub winners: Winners,
    /// The others, with the columns that are their arguments.
    pub others: Vec<(Aggregate, Vec<usize>)>,
    /// Where the result of each aggregate is.
    pub outputs: Vec<Output>,
    /// What is to be computed for each row.
    pub computed: Vec<Expr>,
}

/// The place of an aggregate's result.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    /// Column of the winners' row.
    Winner(usize),
    /// One of the others.
    Other(usize),
}

impl Split {
    /// Of aggregates over rows of `width` columns, which can be taken back if they are `retractable`, with these key columns.
    pub fn new(keys: &[usize], aggregates: &[Aggregate], width: usize, retractable: bool) -> Split {
        let winners = Winners { keys: keys.to_vec(), slots: Vec::new(), ranks: Vec::new() };
        let mut split =
            Split { winners, others: Vec::new(), outputs: Vec::new(), computed: Vec::new() };
        for aggregate in aggregates {
            let args: Vec<usize> =
                aggregate.args.iter().map(|arg| split.column(arg, width)).collect();
            let winner = !retractable
                && split.winners.slots.len() < usize::from(NONE)
                && split.winners.add(aggregate, &args);
            split.outputs.push(if winner {
                Output::Winner(split.winners.width() - 1)
            } else {
                split.others.push((aggregate.clone(), args));
                Output::Other(split.others.len() - 1)
            });
        }
        split
    }

    fn column(&mut self, expr: &Expr, width: usize) -> usize {
        expr.as_column().unwrap_or_else(|| {
            let known = self.computed.iter().position(|known| known == expr);
            width
                + known.unwrap_or_else(|| {
                    self.computed.push(expr.clone());
                    self.computed.len() - 1
                })
        })
    }
}

impl Rank {
    fn of(&self, row: Tuple<'_>, moment: i64) -> Place {
        let first =
            if let Raw::Plain(bytes) = row.raw(self.columns[0]) { Some(bytes) } else { None };
        let second =
            if let Raw::Plain(bytes) = row.raw(self.columns[1]) { Some(bytes) } else { None };
        (
            if self.by_arrival { moment } else { 0 },
            first.map_or(self.null.0, |bytes| i32::from_le_bytes(fixed(bytes))),
            second.map_or(self.null.1, |bytes| i64::from_le_bytes(fixed(bytes))),
        )
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a rank is of INT, then of BIGINT or TIMESTAMP")
}

/// A state, taken apart.
#[derive(Clone, Copy)]
struct State<'a> {
    row: RowRef<'a>,
    which: &'a [u8],
    places: &'a [u8],
    /// Bytes of a place.
    size: usize,
}

impl State<'_> {
    fn place(self, slot: usize) -> Option<Place> {
        let which = self.which[slot];
        (which != NONE).then(|| {
            let place = &self.places[usize::from(which) * self.size..][..self.size];
            let moment = place.get(SHORT..).filter(|moment| !moment.is_empty());
            (
                moment.map_or(0, |moment| i64::from_le_bytes(fixed(moment))),
                i32::from_le_bytes(fixed(&place[..4])),
                i64::from_le_bytes(fixed(&place[4..SHORT])),
            )
        })
    }
}

/// The rank that was looked at last: neighbours nearly always have the same.
struct Ranked {
    moment: i64,
    last: Option<(usize, Place)>,
}

impl Ranked {
    /// For a row that arrived at this moment.
    fn at(moment: i64) -> Ranked {
        Ranked { moment, last: None }
    }
}

impl Winners {
    /// Takes the aggregate over these columns, if it is one that has a winner.
    fn add(&mut self, aggregate: &Aggregate, args: &[usize]) -> bool {
        let (null, nulls) = match aggregate.function {
            AggregateFunction::Min | AggregateFunction::Max => (None, false),
            // what is not known comes last
            AggregateFunction::FirstKnown => (Some((i32::MAX, i64::MAX)), false),
            AggregateFunction::Earliest(ByOffset { count: None, nulls })
            | AggregateFunction::Latest(ByOffset { count: None, nulls }) => {
                (Some((i32::MIN, i64::MIN)), nulls)
            }
            _ => return false,
        };
        let rank = null.map(|null| {
            let by_arrival = aggregate.has_offsets();
            let [.., first, second] = *args else { unreachable!("a rank has two columns") };
            let rank = Rank { by_arrival, columns: [first, second], null };
            self.ranks.iter().position(|known| *known == rank).unwrap_or_else(|| {
                self.ranks.push(rank);
                self.ranks.len() - 1
            })
        });
        let greatest = aggregate.best_last();
        self.slots.push(Slot {
            column: args[0],
            ty: aggregate.args[0].ty.clone(),
            rank,
            greatest,
            nulls,
        });
        true
    }

    /// Bytes of a packed place.
    fn size(&self) -> usize {
        if self.ranks.iter().any(|rank| rank.by_arrival) { LONG } else { SHORT }
    }

    /// Columns of the packed row of a state.
    pub fn width(&self) -> usize {
        self.keys.len() + self.slots.len()
    }

    /// The packed row of a state.
    #[inline]
    pub fn row<'a>(&self, state: &'a [u8]) -> &'a [u8] {
        RowRef::new(state, self.width()).split().0
    }

    #[inline]
    fn open<'a>(&self, state: &'a [u8]) -> State<'a> {
        let (row, rest) = RowRef::new(state, self.width()).split();
        let (which, places) = rest.split_at(self.slots.len());
        State { row: RowRef::new(row, self.width()), which, places, size: self.size() }
    }

    /// Appends the state of a group that begins with this row, which arrived at `moment`.
    pub fn begin(&self, row: Tuple<'_>, moment: i64, out: &mut Vec<u8>) {
        self.write(None, true, row, moment, out);
    }

    /// Adds a row, which arrived at `moment`, to the group of a state. True when that makes a new
    /// state, which is appended.
    #[inline]
    pub fn update(&self, state: &[u8], row: Tuple<'_>, moment: i64, out: &mut Vec<u8>) -> bool {
        let state = self.open(state);
        let spelled =
            self.keys.iter().enumerate().any(|(i, &column)| state.row.raw(i) != row.raw(column))
                && self.spells_less(row, state);
        let mut ranked = Ranked::at(moment);
        let wins = spelled
            || (0..self.slots.len()).any(|slot| self.wins(Some(state), slot, row, &mut ranked));
        if wins {
            self.write(Some(state), spelled, row, moment, out);
        }
        wins
    }

    /// Whether the key as the row spells it comes before the one that is kept.
    #[cold]
    fn spells_less(&self, row: Tuple<'_>, state: State<'_>) -> bool {
        let packed = |row: Tuple<'_>, columns: &mut dyn Iterator<Item = usize>| {
            let mut key = Vec::new();
            let mut writer = RowWriter::new(&mut key, self.keys.len());
            columns.for_each(|column| writer.raw(row.raw(column)));
            writer.finish();
            key
        };
        packed(row, &mut self.keys.iter().copied())
            < packed(Tuple::single(state.row), &mut (0..self.keys.len()))
    }

    fn place(&self, rank: usize, row: Tuple<'_>, ranked: &mut Ranked) -> Place {
        match ranked.last {
            Some((known, place)) if known == rank => place,
            _ => {
                let place = self.ranks[rank].of(row, ranked.moment);
                ranked.last = Some((rank, place));
                place
            }
        }
    }

    /// Whether the row has a better value than the state.
    #[inline]
    fn wins(
        &self,
        state: Option<State<'_>>,
        at: usize,
        row: Tuple<'_>,
        ranked: &mut Ranked,
    ) -> bool {
        let slot = &self.slots[at];
        let value = row.raw(slot.column);
        if matches!(value, Raw::Null) && !slot.nulls {
            return false;
        }
        let Some(state) = state else { return true };
        let held = state.row.raw(self.keys.len() + at);
        let by_rank = match slot.rank {
            None if matches!(held, Raw::Null) => return true,
            None => Ordering::Equal,
            Some(rank) => match state.place(at) {
                None => return true,
                Some(place) => self.place(rank, row, ranked).cmp(&place),
            },
        };
        by_rank.then_with(|| value.compare(held, &slot.ty))
            == if slot.greatest { Ordering::Greater } else { Ordering::Less }
    }

    /// The state with what the row wins of it, and with the row's key when that is `spelled` better.
    fn write(
        &self,
        state: Option<State<'_>>,
        spelled: bool,
        row: Tuple<'_>,
        moment: i64,
        out: &mut Vec<u8>,
    ) {
        let size = self.size();
        let mut ranked = Ranked::at(moment);
        let mut writer = RowWriter::new(out, self.width());
        for (i, &column) in self.keys.iter().enumerate() {
            writer.raw(
                state
                    .filter(|_| !spelled)
                    .map_or_else(|| row.raw(column), |state| state.row.raw(i)),
            );
        }
        for (i, slot) in self.slots.iter().enumerate() {
            let wins = self.wins(state, i, row, &mut ranked);
            let held = state.map_or(Raw::Null, |state| state.row.raw(self.keys.len() + i));
            writer.raw(if wins { row.raw(slot.column) } else { held });
        }
        writer.finish();
        let which = out.len();
        out.resize(which + self.slots.len(), NONE);
        let places = out.len();
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(rank) = slot.rank else { continue };
            let wins = self.wins(state, i, row, &mut ranked);
            let place = if wins {
                Some(self.place(rank, row, &mut ranked))
            } else {
                state.and_then(|state| state.place(i))
            };
            let Some((moment, first, second)) = place else { continue };
            let mut packed = [0; LONG];
            packed[..4].copy_from_slice(&first.to_le_bytes());
            packed[4..SHORT].copy_from_slice(&second.to_le_bytes());
            packed[SHORT..].copy_from_slice(&moment.to_le_bytes());
            let packed = &packed[..size];
            let known = out[places..].chunks_exact(size).position(|place| place == packed);
            out[which + i] = known.unwrap_or((out.len() - places) / size) as u8;
            if known.is_none() {
                out.extend_from_slice(packed);
            }
        }
    }
}
