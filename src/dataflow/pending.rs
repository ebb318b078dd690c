//! Input that waits for its tick to close, for operators that must see all of a tick at once.

use std::collections::BTreeMap;

use timely::dataflow::operators::Capability;

use super::join::first;
use super::tick::Tick;

/// Items by tick, each tick with the right to send at it. Bounded by what arrives between the slowest worker's tick and the fastest's.
pub struct Pending<D>(BTreeMap<Tick, (Capability<Tick>, Vec<D>)>);

impl<D> Default for Pending<D> {
    fn default() -> Self {
        Pending(BTreeMap::new())
    }
}

impl<D> Pending<D> {
    /// Keeps an item until its tick is closed. `cap` is called for the first item of a tick.
    pub fn push(&mut self, tick: Tick, item: D, cap: impl FnOnce() -> Capability<Tick>) {
        self.0.entry(tick).or_insert_with(|| (cap(), Vec::new())).1.push(item);
    }

    /// The earliest tick that is not before the frontier no more: closed, with its items in order of arrival at this worker.
    pub fn pop_closed(
        &mut self,
        frontier: timely::progress::frontier::AntichainRef<'_, Tick>,
    ) -> Option<(Tick, Capability<Tick>, Vec<D>)> {
        let entry = self.0.first_entry()?;
        if first(frontier).is_some_and(|open| open <= *entry.key()) {
            return None;
        }
        let (tick, (cap, items)) = entry.remove_entry();
        Some((tick, cap, items))
    }

    /// The earliest tick that waits.
    pub fn earliest(&self) -> Option<Tick> {
        self.0.keys().next().copied()
    }
}
