//! Filters and projects rows, each on its own. *Bounds.* Nothing is kept.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Timestamp;

use super::mfp::Compiled;
use super::rows::{Block, Rows};
use crate::expr::Tuple;
use crate::model::RowRef;
use crate::plan::Key;

/// Applies a filter and projection to rows of `width` columns.
pub fn transform<T: Timestamp>(rows: Rows<'_, T>, width: usize, mfp: Compiled) -> Rows<'_, T> {
    rows.unary(Pipeline, "Transform", move |_, _| {
        let mut block = Block::default();
        move |input, output| {
            input.for_each(|cap, data| {
                let mut session = output.session(&cap);
                for (row, time, diff) in data.drain(..) {
                    if let Some(range) =
                        mfp.apply(Tuple::single(RowRef::new(row.bytes(), width)), block.bytes())
                    {
                        block.push(range, time, diff);
                    }
                    if block.is_full() {
                        session.give_iterator(block.drain());
                    }
                }
                session.give_iterator(block.drain());
            });
        }
    })
}

/// Left rows that have no key, padded for a left join.
pub fn unkeyed<T: Timestamp>(
    rows: Rows<'_, T>,
    key: Key,
    width: usize,
    mfp: Compiled,
) -> Rows<'_, T> {
    rows.unary(Pipeline, "Unkeyed", move |_, _| {
        let mut block = Block::default();
        move |input, output| {
            input.for_each(|cap, data| {
                let mut session = output.session(&cap);
                for (row, time, diff) in data.drain(..) {
                    let row = RowRef::new(row.bytes(), width);
                    if key.digest(row).is_none()
                        && let Some(range) = mfp.apply(Tuple::joined(row, None), block.bytes())
                    {
                        block.push(range, time, diff);
                    }
                }
                session.give_iterator(block.drain());
            });
        }
    })
}
