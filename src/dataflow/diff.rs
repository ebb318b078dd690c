//! What an update does to a row: a fact or an expiry.
//!
//! State must end, but its end must not show: when a process leaves the index because its time is over, the connections that were published with it stay published.
//! So each update carries two counts: `facts`, which sinks see, and `live`, which is how often the row is in the state of whoever remembers it.
//! Asserting a row is (+1, +1), taking it back (−1, −1), its expiry (0, −1).
//!
//! Both counts add and multiply on their own, so linear operators and joins need not know about expiry at all: the expiry of an index row
//! goes through a join as the expiry of each row that it made, and frees what others remember of them. A row that is live no more is gone, whatever its facts add up to;
//! that is what [`is_zero`](IsZero::is_zero) says, and what lets compaction free it.

use differential_dataflow::difference::{Abelian, IsZero, Monoid, Multiply, Semigroup};
use serde::{Deserialize, Serialize};

/// A change of a row's two counts. Counts are 32 bits and stay at their limits: only a recursion
/// without an end has a row two thousand million times, and that run fails.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Diff {
    /// How often the row is asserted.
    pub facts: i32,
    /// How often it is remembered.
    pub live: i32,
}

impl Diff {
    /// The row is asserted.
    pub const ASSERT: Diff = Diff { facts: 1, live: 1 };
    /// The row is taken back.
    pub const RETRACT: Diff = Diff { facts: -1, live: -1 };
    /// The row is forgotten.
    pub const EXPIRE: Diff = Diff { facts: 0, live: -1 };
}

impl IsZero for Diff {
    #[inline]
    fn is_zero(&self) -> bool {
        self.live == 0
    }
}

impl Semigroup for Diff {
    #[inline]
    fn plus_equals(&mut self, other: &Self) {
        self.facts = self.facts.saturating_add(other.facts);
        self.live = self.live.saturating_add(other.live);
    }
}

impl Monoid for Diff {
    fn zero() -> Self {
        Diff::default()
    }
}

impl Abelian for Diff {
    fn negate(&mut self) {
        self.facts = self.facts.saturating_neg();
        self.live = self.live.saturating_neg();
    }
}

impl Multiply for Diff {
    type Output = Diff;

    #[inline]
    fn multiply(self, other: &Self) -> Diff {
        Diff {
            facts: self.facts.saturating_mul(other.facts),
            live: self.live.saturating_mul(other.live),
        }
    }
}
