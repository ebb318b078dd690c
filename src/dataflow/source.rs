//! Where rows come from: what a reader must do for the dataflow.

use std::ops::Range;

use crate::model::{Arena, Row, Timestamp};

/// Reads one topic for one worker. A reader of a topic exists at each worker of each process; together they read every record once.
pub trait Source {
    /// Reads and decodes the next piece into `piece`, which is empty.
    fn read(&mut self, piece: &mut Piece) -> Progress;
}

/// What came of [`Source::read`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The piece is filled. Its position is not before that of the piece read before it.
    Read,
    /// Nothing more will come.
    End,
}

/// One decoded chunk: the rows of all taps in one arena.
#[derive(Default)]
pub struct Piece {
    /// The packed rows.
    pub arena: Vec<u8>,
    /// For each tap of the topic: where its rows lie in the arena, and the offset of their record in the partition, ascending.
    pub rows: Vec<Vec<(Range<usize>, u64)>>,
    /// The partition that was read.
    pub partition: u32,
    /// The offset at which the piece starts.
    pub offset: u64,
    /// Where event time has gone forward in it: the offset of each record whose time is greater
    /// than those before it in the piece, and that time.
    pub times: Vec<(u64, Timestamp)>,
    /// The earliest partition that may still be read: no reader gets anything of those before it at this position or later.
    pub earliest_open: u32,
}

impl Piece {
    /// An empty piece for so many taps.
    pub fn new(taps: usize) -> Piece {
        Piece { rows: vec![Vec::new(); taps], ..Piece::default() }
    }

    /// Leaves it empty.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.rows.iter_mut().for_each(Vec::clear);
        self.times.clear();
    }

    /// Notes the event time of a record.
    pub fn note_time(&mut self, offset: u64, time: Timestamp) {
        if self.times.last().is_none_or(|(_, last)| time > *last) {
            self.times.push((offset, time));
        }
    }

    /// The greatest event time in it.
    pub fn time(&self) -> Option<Timestamp> {
        self.times.last().map(|(_, time)| *time)
    }

    /// Takes the rows out, for each tap in turn, and leaves the piece empty.
    pub(super) fn take(
        &mut self,
    ) -> impl Iterator<Item = impl Iterator<Item = (Row, u64)> + '_> + '_ {
        let arena = Arena::new(self.arena.clone());
        self.arena.clear();
        self.times.clear();
        self.rows.iter_mut().map(move |rows| {
            let arena = Arena::clone(&arena);
            rows.drain(..).map(move |(range, offset)| (Row::new(&arena, range), offset))
        })
    }
}
