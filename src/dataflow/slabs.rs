//! The rows of a batch of an index, in slabs that batches share.
//!
//! Rows are copied once, when they come; merging two batches copies twelve bytes for each row, where it lies, and not the row. Otherwise an index would copy
//! each row once for every doubling of its size, and two large batches would need as much memory again while they merge.
//!
//! A slab is one allocation of about [`SLAB`] bytes. It is freed with the last batch that refers to it. Rows that were taken back leave it partly dead, so a
//! batch knows how much of each slab it uses, and a merge copies the rest out of slabs that are used by less than half.
//!
//! Rows that come in an arena that has hardly anything else are not even copied: the arena becomes a slab. So an index shares the memory of an operator before it that keeps the same rows (see [`settled`](super::settled)).

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashMap;

use differential_dataflow::trace::implementations::BatchContainer;
use timely::container::PushInto;

use super::settled::address;
use crate::model::{Arena, Row};

/// Size of a slab; one that holds a longer row is as long as that.
const SLAB: usize = 256 << 10;
/// The smallest arena that becomes a slab; to hold a smaller one would cost more than to copy it.
const ADOPTED: usize = 1 << 10;

/// No position of a slab.
const LEFT: u32 = u32::MAX;

/// A row of a batch. Compares by its bytes.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    bytes: &'a [u8],
    place: &'a Place,
    /// `None` when it is in the slab that is not full.
    slab: Option<&'a Arena>,
}

impl<'a> Stored<'a> {
    /// The packed row.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl PartialEq for Stored<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl Eq for Stored<'_> {}
impl PartialOrd for Stored<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Stored<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(other.bytes)
    }
}

#[derive(Clone, Copy)]
struct Place {
    /// Position of the slab in the batch.
    slab: u32,
    start: u32,
    len: u32,
}

/// Rows in the order in which they were pushed.
#[derive(Default)]
pub struct Slabs {
    places: Vec<Place>,
    /// Full slabs, each with the bytes of it that rows here use.
    full: Vec<(Arena, usize)>,
    /// For each of the two batches that are merged here, where its slabs are; [`LEFT`] for one that was not taken over.
    taken: [Vec<u32>; 2],
    /// The slab that is being filled. Its position is that after the full ones.
    open: Vec<u8>,
    /// Arenas of rows that come, by address, that are slabs: their positions.
    adopted: HashMap<usize, u32>,
}

impl Slabs {
    /// Prepares for sorted rows, of which equal ones will be pushed once: adopts the arenas that these fill, and makes room for the others.
    pub fn prepare<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        let mut used: HashMap<usize, (&Arena, usize)> = HashMap::new();
        let mut last = None;
        for row in rows.filter(|row| last.replace(*row) != Some(*row)) {
            used.entry(address(row.arena())).or_insert((row.arena(), 0)).1 += row.range().len();
        }
        let mut copied = 0;
        for (address, (arena, used)) in used {
            if used >= ADOPTED && 8 * used >= 7 * arena.capacity() {
                self.adopted.insert(address, self.full.len() as u32);
                self.full.push((Arena::clone(arena), 0));
            } else {
                copied += used;
            }
        }
        self.open.reserve_exact(copied.min(SLAB));
    }

    fn copy(&mut self, row: &[u8]) {
        if !self.open.is_empty() && self.open.len() + row.len() > SLAB {
            let mut full = std::mem::replace(&mut self.open, Vec::with_capacity(SLAB));
            full.shrink_to_fit();
            let used = full.len();
            self.full.push((Arena::new(full), used));
        }
        let start = self.open.len() as u32;
        self.open.extend_from_slice(row);
        self.places.push(Place { slab: self.full.len() as u32, start, len: row.len() as u32 });
    }

    /// Where a slab of one of the batches that are merged here is.
    fn taken_over(&self, position: u32, slab: &Arena) -> Option<u32> {
        let places = self.taken.iter().filter_map(|taken| taken.get(position as usize).copied());
        places.into_iter().find(|&place| {
            self.full.get(place as usize).is_some_and(|(taken, _)| Arc::ptr_eq(taken, slab))
        })
    }

    /// Takes over the slabs of a batch that are used by half or more. Where they are.
    fn take_over(&mut self, batch: &Slabs) -> Vec<u32> {
        let mut places = Vec::with_capacity(batch.full.len());
        for (slab, used) in &batch.full {
            let is_worth_it = 2 * used >= slab.len();
            places.push(if is_worth_it { self.full.len() as u32 } else { LEFT });
            if is_worth_it {
                self.full.push((Arena::clone(slab), 0));
            }
        }
        places
    }
}

impl BatchContainer for Slabs {
    type Owned = Row;
    type ReadItem<'a> = Stored<'a>;

    fn into_owned(item: Stored<'_>) -> Row {
        Row::from_bytes(item.bytes.to_vec())
    }

    #[inline]
    fn push_ref(&mut self, item: Stored<'_>) {
        match item.slab.and_then(|slab| self.taken_over(item.place.slab, slab)) {
            Some(position) => {
                self.full[position as usize].1 += item.bytes.len();
                self.places.push(Place { slab: position, ..*item.place });
            }
            None => self.copy(item.bytes),
        }
    }

    #[inline]
    fn push_own(&mut self, item: &Row) {
        match self.adopted.get(&address(item.arena())) {
            Some(&slab) => {
                let range = item.range();
                self.full[slab as usize].1 += range.len();
                self.places.push(Place {
                    slab,
                    start: range.start as u32,
                    len: range.len() as u32,
                });
            }
            None => self.copy(item.bytes()),
        }
    }

    fn clear(&mut self) {
        *self = Slabs::default();
    }

    fn with_capacity(rows: usize) -> Self {
        Slabs { places: Vec::with_capacity(rows), ..Slabs::default() }
    }

    fn merge_capacity(a: &Self, b: &Self) -> Self {
        let mut merged = Slabs {
            places: Vec::with_capacity(a.places.len() + b.places.len()),
            ..Slabs::default()
        };
        merged.taken = [a, b].map(|batch| merged.take_over(batch));
        merged
    }

    fn reborrow<'b, 'a: 'b>(item: Stored<'a>) -> Stored<'b> {
        item
    }

    #[inline]
    fn index(&self, i: usize) -> Stored<'_> {
        let place = &self.places[i];
        let range = place.start as usize..(place.start + place.len) as usize;
        match self.full.get(place.slab as usize) {
            Some((slab, _)) => Stored { bytes: &slab[range], place, slab: Some(slab) },
            None => Stored { bytes: &self.open[range], place, slab: None },
        }
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

impl PartialEq<&Row> for Stored<'_> {
    fn eq(&self, row: &&Row) -> bool {
        self.bytes == row.bytes()
    }
}

impl PushInto<Row> for Slabs {
    #[inline]
    fn push_into(&mut self, row: Row) {
        self.push_own(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Merges two batches as the index does, and leaves out what `dead` names.
    fn merged(a: &Slabs, b: &Slabs, mut dead: impl FnMut(&[u8]) -> bool) -> Slabs {
        let mut result = Slabs::merge_capacity(a, b);
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let from_a = j == b.len() || i < a.len() && a.index(i) <= b.index(j);
            let row = if from_a { a.index(i) } else { b.index(j) };
            if !dead(row.bytes()) {
                result.push_ref(row);
            }
            if from_a { i += 1 } else { j += 1 }
        }
        result
    }

    /// The number that a row of the test begins with.
    fn number(row: &[u8]) -> u16 {
        u16::from_be_bytes([row[0], row[1]])
    }

    fn bytes(slabs: &Slabs) -> usize {
        slabs.open.capacity() + slabs.full.iter().map(|(slab, _)| slab.len()).sum::<usize>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn merging_keeps_rows_and_frees_what_is_dead(
            batches in proptest::collection::vec((proptest::collection::vec((any::<u16>(), 0..9_000_usize), 0..120), proptest::option::of(1..11_u16)), 1..6),
            keep in 1..10_u16,
        ) {
            let mut expected: Vec<Vec<u8>> = Vec::new();
            let mut all = Slabs::default();
            for (rows, shared) in batches {
                let mut rows: Vec<Vec<u8>> = rows.into_iter().map(|(number, len)| [&number.to_be_bytes(), vec![7; len].as_slice()].concat()).collect();
                rows.sort();
                let mut batch = Slabs::with_capacity(rows.len());
                // each as it may come: alone, among others that stay, among others that do not
                let arena = Arena::new(rows.concat());
                let mut end = 0;
                let together: Vec<Row> = rows.iter().map(|row| { end += row.len(); Row::new(&arena, end - row.len()..end) }).collect();
                let pushed: Vec<Row> = match shared {
                    Some(part) => together.into_iter().filter(|row| number(row.bytes()) % 10 < part).collect(),
                    None => rows.into_iter().map(Row::from_bytes).collect(),
                };
                let rows: Vec<Vec<u8>> = pushed.iter().map(|row| row.bytes().to_vec()).collect();
                batch.prepare(pushed.iter());
                for row in pushed {
                    batch.push_into(row);
                }
                all = merged(&all, &batch, |_| false);
                expected.extend(rows);
                expected.sort();
                prop_assert!((0..all.len()).map(|i| all.index(i).bytes()).eq(expected.iter().map(Vec::as_slice)));
            }
            // What a merge finds dead goes with the next one, but for the last half of a slab.
            let dead = |row: &[u8]| number(row) % 10 >= keep;
            expected.retain(|row| !dead(row));
            all = merged(&all, &Slabs::default(), dead);
            all = merged(&all, &Slabs::default(), |_| false);
            prop_assert!((0..all.len()).map(|i| all.index(i).bytes()).eq(expected.iter().map(Vec::as_slice)));
            let live = expected.iter().map(Vec::len).sum::<usize>();
            let slabs = all.full.len();
            prop_assert!(slabs <= 1 + 2 * live / ADOPTED, "{slabs} slabs for {live} bytes");
            prop_assert!(bytes(&all) <= 2 * live + 2 * SLAB, "{} bytes for {live}", bytes(&all));
        }
    }
}
