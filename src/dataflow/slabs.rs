//! The rows of a batch of an index, in slabs that batches share.
//!
//! Rows are copied once, when they come; merging two batches copies twelve bytes for each row, where it lies, and not the row. Otherwise an index would copy
//! each row once for every doubling of its size, and two large batches would need as much memory again while they merge.
//!
//! A slab is one allocation of about [`SLAB`] bytes. It is freed with the last batch that refers to it. Rows that were taken back leave it partly dead, so a
//! batch knows how much of each slab it uses, and a merge copies the rest out of slabs that are used by less than half.

use std::cmp::Ordering;
use std::rc::Rc;

use differential_dataflow::trace::implementations::BatchContainer;
use timely::container::PushInto;

use crate::model::Row;

/// Size of a slab; one that holds a longer row is as long as that.
const SLAB: usize = 256 << 10;

/// A row of a batch. Compares by its bytes.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    bytes: &'a [u8],
    place: &'a Place,
    /// `None` when it is in the slab that is not full.
    slab: Option<&'a Rc<Vec<u8>>>,
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
    /// Full slabs, each with the bytes of it that rows here use; `None` for one that was not taken over.
    full: Vec<(Option<Rc<Vec<u8>>>, usize)>,
    /// How many of them came from the first of the two batches that are merged here.
    first: usize,
    /// The slab that is being filled. Its position is that after the full ones.
    open: Vec<u8>,
}

impl Slabs {
    /// Makes room for so many bytes of rows.
    pub fn reserve(&mut self, bytes: usize) {
        self.open.reserve_exact(bytes.min(SLAB));
    }

    fn copy(&mut self, row: &[u8]) {
        if !self.open.is_empty() && self.open.len() + row.len() > SLAB {
            let mut full = std::mem::replace(&mut self.open, Vec::with_capacity(SLAB));
            full.shrink_to_fit();
            let used = full.len();
            self.full.push((Some(Rc::new(full)), used));
        }
        let start = self.open.len() as u32;
        self.open.extend_from_slice(row);
        self.places.push(Place { slab: self.full.len() as u32, start, len: row.len() as u32 });
    }

    /// Where a slab of one of the batches that are merged here is.
    fn taken_over(&self, position: u32, slab: &Rc<Vec<u8>>) -> Option<usize> {
        let is_at = |&position: &usize| {
            let taken = self.full.get(position).and_then(|(taken, _)| taken.as_ref());
            taken.is_some_and(|taken| Rc::ptr_eq(taken, slab))
        };
        [position as usize, position as usize + self.first].into_iter().find(is_at)
    }

    /// What a merge takes over: slabs that are used by half or more.
    fn worth_keeping(&self) -> impl Iterator<Item = (Option<Rc<Vec<u8>>>, usize)> + '_ {
        self.full.iter().map(|(slab, used)| (slab.clone().filter(|slab| 2 * used >= slab.len()), 0))
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
                self.full[position].1 += item.bytes.len();
                self.places.push(Place { slab: position as u32, ..*item.place });
            }
            None => self.copy(item.bytes),
        }
    }

    #[inline]
    fn push_own(&mut self, item: &Row) {
        self.copy(item.bytes());
    }

    fn clear(&mut self) {
        *self = Slabs::default();
    }

    fn with_capacity(rows: usize) -> Self {
        Slabs { places: Vec::with_capacity(rows), ..Slabs::default() }
    }

    fn merge_capacity(a: &Self, b: &Self) -> Self {
        Slabs {
            places: Vec::with_capacity(a.places.len() + b.places.len()),
            full: a.worth_keeping().chain(b.worth_keeping()).collect(),
            first: a.full.len(),
            open: Vec::new(),
        }
    }

    fn reborrow<'b, 'a: 'b>(item: Stored<'a>) -> Stored<'b> {
        item
    }

    #[inline]
    fn index(&self, i: usize) -> Stored<'_> {
        let place = &self.places[i];
        let range = place.start as usize..(place.start + place.len) as usize;
        match self.full.get(place.slab as usize) {
            Some((slab, _)) => {
                let slab = slab.as_ref().expect("rows are only in slabs that were kept");
                Stored { bytes: &slab[range], place, slab: Some(slab) }
            }
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
        self.copy(row.bytes());
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

    fn bytes(slabs: &Slabs) -> usize {
        slabs.open.capacity() + slabs.full.iter().filter_map(|(slab, _)| slab.as_ref()).map(|slab| slab.len()).sum::<usize>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn merging_keeps_rows_and_frees_what_is_dead(
            batches in proptest::collection::vec(proptest::collection::vec((any::<u16>(), 0..9_000_usize), 0..120), 1..6),
            keep in 1..10_u16,
        ) {
            let mut expected: Vec<Vec<u8>> = Vec::new();
            let mut all = Slabs::default();
            for rows in batches {
                let mut rows: Vec<Vec<u8>> = rows.into_iter().map(|(number, len)| [&number.to_be_bytes(), vec![7; len].as_slice()].concat()).collect();
                rows.sort();
                let mut batch = Slabs::with_capacity(rows.len());
                batch.reserve(rows.iter().map(Vec::len).sum());
                for row in &rows {
                    batch.push_into(Row::from_bytes(row.clone()));
                }
                all = merged(&all, &batch, |_| false);
                expected.extend(rows);
                expected.sort();
                prop_assert!((0..all.len()).map(|i| all.index(i).bytes()).eq(expected.iter().map(Vec::as_slice)));
            }
            // What a merge finds dead goes with the next one, but for the last half of a slab.
            let dead = |row: &[u8]| u16::from_be_bytes([row[0], row[1]]) % 10 >= keep;
            expected.retain(|row| !dead(row));
            all = merged(&all, &Slabs::default(), dead);
            all = merged(&all, &Slabs::default(), |_| false);
            prop_assert!((0..all.len()).map(|i| all.index(i).bytes()).eq(expected.iter().map(Vec::as_slice)));
            let live = expected.iter().map(Vec::len).sum::<usize>();
            prop_assert!(bytes(&all) <= 2 * live + 2 * SLAB, "{} bytes for {live}", bytes(&all));
        }
    }
}
