//! Rows that stay: in arenas that have nothing else.
//!
//! What travels is a slice of an arena that also has what goes no further. An operator that keeps rows *settles* them: it copies those of a batch into an arena of their own (a [`Block`](super::rows::Block)),
//! keeps slices of that, and hands on the same slices, so that an index behind it shares the memory and copies nothing.
//!
//! *Bounds.* An arena is freed with its last row. So that a few rows do not hold large arenas, all are looked at once more bytes have gone than stay, and rows are settled anew whose arena is used by less than half:
//! arenas are at most three times as large as what stays. Rows that come together mostly go together, so hardly any is copied for that, and what an index shares it goes on to share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::rows::FULL;
use crate::model::{Arena, Row};

/// So many bytes may be gone whatever stays.
const SPARE: usize = 1 << 20;

/// How many bytes of settled rows stay, and how many have gone since they were looked at.
#[derive(Default)]
pub struct Settled {
    stay: usize,
    gone: usize,
}

impl Settled {
    /// A row has come.
    #[inline]
    pub fn add(&mut self, row: &Row) {
        self.stay += row.range().len();
    }

    /// A row has gone.
    #[inline]
    pub fn remove(&mut self, row: &Row) {
        let bytes = row.range().len();
        self.stay -= bytes;
        self.gone += bytes;
    }

    /// Settles rows anew that hold much for little, if it is time to.
    pub fn tidy<'a, I: Iterator<Item = &'a mut Row>>(&mut self, rows: impl FnOnce() -> I) {
        if self.gone <= SPARE.max(self.stay) {
            return;
        }
        self.gone = 0;
        let rows: Vec<&mut Row> = rows().collect();
        let mut used: HashMap<usize, usize> = HashMap::new();
        for row in &rows {
            *used.entry(address(row.arena())).or_default() += row.range().len();
        }
        settle(
            rows.into_iter().filter(|row| 2 * used[&address(row.arena())] < row.arena().capacity()),
        );
    }
}

/// Tells arenas that are alive apart.
pub(super) fn address(arena: &Arena) -> usize {
    Arc::as_ptr(arena).addr()
}

/// Copies the rows into arenas of their own, and puts the copies in their places.
pub fn settle<'a>(rows: impl Iterator<Item = &'a mut Row>) {
    let (mut bytes, mut places) = (Vec::new(), Vec::<(&mut Row, Range<usize>)>::new());
    let close = |bytes: &mut Vec<u8>, places: &mut Vec<(&'a mut Row, Range<usize>)>| {
        let arena = Arena::new(bytes.clone());
        bytes.clear();
        places.drain(..).for_each(|(row, range)| *row = Row::new(&arena, range));
    };
    for row in rows {
        let start = bytes.len();
        bytes.extend_from_slice(row.bytes());
        places.push((row, start..bytes.len()));
        if bytes.len() >= FULL {
            close(&mut bytes, &mut places);
        }
    }
    close(&mut bytes, &mut places);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_stays_does_not_hold_what_has_gone() {
        let arena = || Arena::new(vec![7; 2 << 20]);
        let (sparse, dense) = (arena(), arena());
        let row = |arena: &Arena, i: usize| Row::new(arena, i << 10..(i + 1) << 10);
        let mut rows: Vec<Row> = (0..2 << 10)
            .map(|i| row(&dense, i))
            .chain((0..2 << 10).map(|i| row(&sparse, i)))
            .collect();
        let mut settled = Settled::default();
        for row in &rows {
            settled.add(row);
        }
        let mut go = |rows: &mut Vec<Row>, at: usize| settled.remove(&rows.remove(at));
        for _ in 0..(1 << 10) + 512 {
            go(&mut rows, 2 << 10);
        }
        for _ in 0..512 {
            go(&mut rows, 0);
        }
        settled.tidy(|| rows.iter_mut());
        assert!(Arc::strong_count(&sparse) > 1, "not before more has gone than stays");
        settled.remove(&rows.pop().unwrap());
        settled.tidy(|| rows.iter_mut());
        assert_eq!(
            (Arc::strong_count(&sparse), Arc::strong_count(&dense)),
            (1, 1 + (2 << 10) - 512)
        );
        assert!(rows.iter().all(|row| row.bytes() == [7; 1 << 10]));
        assert!(
            rows.iter()
                .filter(|row| !Arc::ptr_eq(row.arena(), &dense))
                .all(|row| row.arena().capacity() <= FULL)
        );
    }
}
