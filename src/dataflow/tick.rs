//! Logical time: the order of arrival.

use differential_dataflow::lattice::{Lattice, Maximum};
use serde::{Deserialize, Serialize};
use timely::PartialOrder;
use timely::order::TotalOrder;
use timely::progress::timestamp::{PathSummary, Refines, Timestamp};

/// A point in the order of arrival; all records that share a tick count as arriving together. Not a clock: event time is data.
///
/// In a replay a tick is a position in the inputs, so it does not depend on the number of workers (see [`Tick::at`]). In a live run it is the moment at which a reader took a piece (see [`Tick::moment`]).
///
/// Facts have even ticks. What expires because of them does so at the odd tick that follows (see [`Tick::expiry`]): what arrives together meets before any of it ends, and a fact and an
/// expiry of equal rows are never added up into a row that is not there, which would be a fact lost.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Tick(pub u64);

impl Tick {
    /// Position of a byte of a partition: 24 bits of partition, 39 bits of offset (512 GiB). Later ones share the last tick of their partition.
    pub fn at(partition: u32, offset: u64) -> Tick {
        const OFFSET: u64 = (1 << 39) - 1;
        Tick(u64::from(partition.min((1 << 24) - 1)) << 40 | offset.min(OFFSET) << 1)
    }

    /// A moment of a live run, in milliseconds since 1970, and the place of a record among those that were taken together: 19 bits. Later ones share the last.
    pub fn moment(ms: u64, place: u64) -> Tick {
        const PLACE: u64 = (1 << 19) - 1;
        Tick(ms << 20 | place.min(PLACE) << 1)
    }

    /// The milliseconds of a moment.
    pub fn ms(self) -> u64 {
        self.0 >> 20
    }

    /// When what a tick makes expire does so.
    #[must_use]
    pub fn expiry(self) -> Tick {
        Tick(self.0 | 1)
    }

    /// The tick before; the first one for the first.
    #[must_use]
    pub fn before(self) -> Tick {
        Tick(self.0.saturating_sub(1))
    }
}

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How far time advances on a path of the dataflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Step(u64);

impl PartialOrder for Step {
    fn less_equal(&self, other: &Self) -> bool {
        self.0 <= other.0
    }
}

impl PathSummary<Tick> for Step {
    fn results_in(&self, source: &Tick) -> Option<Tick> {
        self.0.checked_add(source.0).map(Tick)
    }

    fn followed_by(&self, other: &Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Step)
    }
}

impl Timestamp for Tick {
    type Summary = Step;

    fn minimum() -> Self {
        Tick(0)
    }
}

impl PartialOrder for Tick {
    #[inline]
    fn less_equal(&self, other: &Self) -> bool {
        self.0 <= other.0
    }
}

impl TotalOrder for Tick {}

impl Lattice for Tick {
    #[inline]
    fn join(&self, other: &Self) -> Self {
        *self.max(other)
    }

    #[inline]
    fn meet(&self, other: &Self) -> Self {
        *self.min(other)
    }
}

impl Maximum for Tick {
    fn maximum() -> Self {
        Tick(u64::MAX)
    }
}

impl Refines<()> for Tick {
    fn to_inner((): ()) -> Self {
        Tick(0)
    }

    fn to_outer(self) {}

    fn summarize(_: Self::Summary) {}
}
