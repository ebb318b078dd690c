//! Indexes: rows arranged by the 128-bit digest of a key, shared by all joins that look into them.
//!
//! In flight a row is a slice of an arena. When a batch is sealed, an index copies the bytes into [`Slabs`] of its own, for a slice would keep a whole chunk alive for one row; but an arena that has hardly
//! anything else it takes over. Merging batches then moves places and leaves the bytes where they are.
//!
//! *Bounds.* An entry costs 16 bytes of key, 12 of place, 16 of time and count, up to 16 of offsets, and its row's bytes.
//! It ends when its row is taken back or expires and the batches that hold both updates are merged; its bytes go when half of their slab is dead.
//! Adding a row costs a sort in its batch and one merge step for each doubling of the index.

use std::rc::Rc;

use differential_dataflow::batcher::merge::chunker::ContainerChunker;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::batcher::merge::{MergeBatcher, Sealer};
use differential_dataflow::lattice::Lattice;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::{Spine, SpineBatch};
use differential_dataflow::trace::implementations::{Layout, OffsetList};
use differential_dataflow::trace::{Builder, TraceReader};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Timestamp;
use timely::progress::frontier::AntichainRef;

use super::diff::Diff;
use super::rows::Rows;
use super::sizes::Size;
use super::slabs::Slabs;
use super::tick::Tick;
use crate::model::{Row, RowRef};
use crate::plan::Key;

/// An update of a collection.
pub type Update = (Row, Tick, Diff);

/// An update of an index.
pub type Keyed<T> = ((u128, Row), T, Diff);

/// The trace behind an index.
pub type IndexSpine<T> = Spine<Rc<OrdValBatch<Slab<T>>>>;

/// An index as operators read it.
pub type Index<'scope, T> = Arranged<'scope, TraceAgent<IndexSpine<T>>>;

type IndexBatcher<T> =
    MergeBatcher<ContainerChunker<Vec<Keyed<T>>>, VecMerger<(u128, Row), T, Diff>, SlabSealer<T>>;

/// By what a table finds a digest: the folded product of its halves, as in wyhash. The digest of a
/// GUID is the GUID under a secret mask, and GUIDs that are chosen to share a product can only be
/// found by who knows the mask.
#[inline]
pub fn slot_of(digest: u128) -> u64 {
    let product = u128::from(digest as u64) * (digest >> 64);
    (product ^ product >> 64) as u64
}

/// Which worker owns a digest. Tables use other bits.
#[inline]
pub fn route(digest: u128) -> u64 {
    slot_of(digest) >> 32
}

/// Brings rows of `width` columns to the worker that owns their key; those without a key to the first.
pub fn by_key(key: Key, width: usize) -> Exchange<Update, impl FnMut(&Update) -> u64 + 'static> {
    Exchange::new(move |(row, _, _): &Update| {
        key.digest(RowRef::new(row.bytes(), width)).map_or(0, route)
    })
}

/// Arranges rows of `width` columns by a key. Rows without a key are left out.
pub fn arrange<'scope, T: Timestamp + Lattice>(
    rows: Rows<'scope, T>,
    key: Key,
    width: usize,
    name: &str,
) -> Index<'scope, T> {
    let keyed = keyed(rows, key, width);
    arrange_core::<_, _, IndexBatcher<T>, IndexSpine<T>>(
        keyed,
        Exchange::new(|update: &Keyed<T>| route(update.0.0)),
        name,
        IndexBatcher::<T>::new,
    )
}

/// Tells how many changes an index has: one for each row that it keeps, and those of rows that are gone until they are merged away.
pub fn watch(index: &Index<'_, Tick>, size: Size) {
    let mut trace = index.trace.clone();
    // looking at its size holds nothing back
    trace.set_logical_compaction(AntichainRef::new(&[]));
    trace.set_physical_compaction(AntichainRef::new(&[]));
    index.stream.clone().sink(Pipeline, "Size", move |(input, _)| {
        input.for_each(|_, _| {});
        size.note(|| {
            let mut changes = 0;
            trace.map_spans(|span| changes += span.inner.as_ref().map_or(0, SpineBatch::len));
            changes
        });
    });
}

fn keyed<T: Timestamp + Lattice>(
    rows: Rows<'_, T>,
    key: Key,
    width: usize,
) -> Stream<'_, T, Vec<Keyed<T>>> {
    rows.unary(Pipeline, "Key", move |_, _| {
        move |input, output| {
            input.for_each(|time, data| {
                output.session(&time).give_iterator(data.drain(..).filter_map(
                    |(row, time, diff)| {
                        let digest = key.digest(RowRef::new(row.bytes(), width))?;
                        Some(((digest, row), time, diff))
                    },
                ));
            });
        }
    })
}

/// How an index lays out a batch.
pub struct Slab<T>(std::marker::PhantomData<T>);

impl<T: Timestamp + Lattice> Layout for Slab<T> {
    type KeyContainer = Vec<u128>;
    type ValContainer = Slabs;
    type TimeContainer = Vec<T>;
    type DiffContainer = Vec<Diff>;
    type OffsetContainer = OffsetList;
}

/// Seals sorted updates into a batch that is sized exactly before it is filled.
pub struct SlabSealer<T>(std::marker::PhantomData<T>);

impl<T: Timestamp + Lattice> Sealer<Vec<Keyed<T>>> for SlabSealer<T> {
    type Output = OrdValBatch<Slab<T>>;

    fn seal(chain: &mut Vec<Vec<Keyed<T>>>) -> Option<Self::Output> {
        let rows = chain.iter().map(Vec::len).sum();
        let mut builder = OrdValBuilder::<Slab<T>, Vec<Keyed<T>>>::with_capacity(rows, rows, rows);
        builder.result.vals.vals.prepare(chain.iter().flatten().map(|update| &update.0.1));
        for mut chunk in chain.drain(..) {
            builder.push(&mut chunk);
        }
        builder.done()
    }
}
