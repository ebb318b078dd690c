//! `WITH RECURSIVE`: the rows of the base, and all that the step derives from rows that were found, round by round.
//!
//! ```text
//!  base ──▶ ⊕ ──▶ consolidate ──┬──▶ result
//!           ▲                   │
//!           └── step ◀── delay ─┘      in a nested scope, whose time is (tick, round)
//! ```
//!
//! The result is a bag (UNION ALL), so nothing is stored to find out whether a row is new: a recursion must end by itself, by a condition on a depth. All operators
//! of a step are linear, so facts and expiries go through it as they are.
//!
//! One that has not ended after its number of rounds is given up: what it derives then is dropped,
//! so that the dataflow ends, and the run fails.
//!
//! *Bounds.* The index of the variable by the step's join key: one entry for each row of the result. Indexes from outside are shared, not copied.

use std::collections::HashMap;
use std::sync::Arc;

use differential_dataflow::difference::Multiply;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::operators::iterate::Variable;
use differential_dataflow::trace::implementations::BatchContainer;
use differential_dataflow::trace::wrappers::enter::TraceEnter;
use differential_dataflow::trace::{BatchCursor, Cursor, Navigable, TraceReader};
use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator as _;
use timely::order::Product;

use super::diff::Diff;
use super::index::{Index, IndexSpine, arrange};
use super::mfp::Compiled;
use super::render::Rendered;
use super::rows::Rows;
use super::sizes::Size;
use super::slabs::Stored;
use super::tick::Tick;
use super::transform::transform;
use super::worker::Failed;
use crate::expr::Tuple;
use crate::model::{Row, RowRef, SinkError};
use crate::plan::{Key, Mfp, NodeId, Operator, Plan};

/// Time inside a recursion.
type Round = Product<Tick, u64>;
type Inside<'scope> = VecCollection<'scope, Round, Row, Diff>;
type Entered<'scope> = Arranged<'scope, TraceEnter<TraceAgent<IndexSpine<Tick>>, Round>>;

/// How far a recursion may go, and who watches it.
pub struct Watch {
    /// It is given up after so many rounds.
    pub rounds: u64,
    /// Takes how many rows it has found.
    pub size: Size,
    /// Takes that it was given up.
    pub failed: Arc<Failed>,
}

/// Renders the recursion of that node. What its step reads from outside is in `outside`.
pub fn recursive<'scope>(
    scope: Scope<'scope, Tick>,
    plan: &Plan,
    node: &Operator,
    outside: &HashMap<NodeId, Rendered<'scope>>,
    compile: &dyn Fn(&Mfp) -> Compiled,
    watch: Watch,
) -> Rows<'scope, Tick> {
    let Operator::Recursive { base, step, variable, .. } = *node else {
        unreachable!("only recursions are rendered here")
    };
    let Operator::Variable { name, .. } = &plan.node(variable).operator else {
        unreachable!("a recursion has a variable")
    };
    // the number behind it makes it unique
    let name = name.split('#').next().unwrap_or(name).to_owned();
    let base = outside[&base].rows().as_collection();
    scope.iterative::<u64, _, _>(|inner| {
        let (feedback, found) = Variable::new(inner, Product::new(super::tick::Step::default(), 1));
        let mut renderer = Step {
            plan,
            inner,
            outside,
            compile,
            rows: HashMap::from([(variable, found)]),
            indexes: HashMap::new(),
        };
        let derived = given_up(renderer.rows(step), name, watch);
        let result = base.enter(inner).concat(derived).consolidate();
        feedback.set(result.clone());
        result.leave(scope).inner
    })
}

/// The rows that are derived in time.
fn given_up(derived: Inside<'_>, name: String, watch: Watch) -> Inside<'_> {
    let Watch { rounds, size, failed } = watch;
    let mut told = false;
    let mut found: usize = 0;
    let in_time = derived.inner.unary(Pipeline, "Rounds", move |_, _| {
        move |input, output| {
            input.for_each(|time, data| {
                let too_many = data.iter().any(|(_, at, _): &(Row, Round, Diff)| at.inner > rounds);
                if too_many && !told {
                    told = true;
                    failed(SinkError::Endless { name: name.clone(), rounds });
                }
                let in_time = data.drain(..).filter(|(_, at, _)| at.inner <= rounds);
                output.session(&time).give_iterator(in_time.inspect(|(_, _, diff)| {
                    found = found.saturating_add_signed(diff.live as isize);
                }));
            });
            size.note(|| found);
        }
    });
    in_time.as_collection()
}

/// The nodes of a step, rendered inside.
struct Step<'p, 'outer, 'inner> {
    plan: &'p Plan,
    inner: Scope<'inner, Round>,
    outside: &'p HashMap<NodeId, Rendered<'outer>>,
    compile: &'p dyn Fn(&Mfp) -> Compiled,
    rows: HashMap<NodeId, Inside<'inner>>,
    indexes: HashMap<NodeId, Index<'inner, Round>>,
}

/// An index that a join inside looks into.
enum Source<'inner> {
    Inside(Index<'inner, Round>),
    Entered(Entered<'inner>),
}

impl<'inner> Step<'_, '_, 'inner> {
    fn width(&self, id: NodeId) -> usize {
        self.plan.schema(id).width()
    }

    fn rows(&mut self, id: NodeId) -> Inside<'inner> {
        if let Some(rows) = self.rows.get(&id) {
            return rows.clone();
        }
        let rows = if let Some(outside) = self.outside.get(&id) {
            outside.rows().as_collection().enter(self.inner)
        } else {
            match &self.plan.node(id).operator {
                Operator::Transform { input, mfp } => {
                    let rows = self.rows(*input).inner;
                    transform(rows, self.width(*input), (self.compile)(mfp)).as_collection()
                }
                Operator::Union { inputs } => {
                    let mut all: Vec<_> = inputs.iter().map(|input| self.rows(*input)).collect();
                    let first = all.pop().expect("a union has inputs");
                    first.concatenate(all)
                }
                Operator::Join { left, right, mfp, .. } => {
                    self.join(*left, *right, (self.compile)(mfp))
                }
                other => unreachable!(
                    "the binder lets no {other:?} depend on the variable of a recursion"
                ),
            }
        };
        self.rows.insert(id, rows.clone());
        rows
    }

    fn index(&mut self, id: NodeId) -> (Source<'inner>, Key, usize) {
        let Operator::Arrange { input, key } = &self.plan.node(id).operator else {
            unreachable!("a join reads Arrange nodes")
        };
        let width = self.width(id);
        let source = if let Some(outside) = self.outside.get(&id) {
            Source::Entered(outside.index().enter(self.inner))
        } else if let Some(index) = self.indexes.get(&id) {
            Source::Inside(index.clone())
        } else {
            let index =
                arrange(self.rows(*input).inner, key.clone(), width, &format!("index {id}"));
            self.indexes.insert(id, index.clone());
            Source::Inside(index)
        };
        (source, key.clone(), width)
    }

    fn join(&mut self, left: NodeId, right: NodeId, mfp: Compiled) -> Inside<'inner> {
        let (left, left_key, left_width) = self.index(left);
        let (right, right_key, right_width) = self.index(right);
        let mut buffer = Vec::new();
        let emit = move |left: &[u8], right: &[u8]| {
            let (left, right) = (RowRef::new(left, left_width), RowRef::new(right, right_width));
            if !left_key.equal(left, &right_key, right) {
                return None;
            }
            buffer.clear();
            mfp.apply(Tuple::joined(left, Some(right)), &mut buffer)
                .map(|_| Row::from_bytes(buffer.clone()))
        };
        match (left, right) {
            (Source::Inside(left), Source::Inside(right)) => join(left, right, emit),
            (Source::Inside(left), Source::Entered(right)) => join(left, right, emit),
            (Source::Entered(left), Source::Inside(right)) => join(left, right, emit),
            (Source::Entered(left), Source::Entered(right)) => join(left, right, emit),
        }
    }
}

/// An inner join at any time; `consolidate` at the end of each round adds up what pairs of facts and expiries make.
fn join<'scope, A, B>(
    left: Arranged<'scope, A>,
    right: Arranged<'scope, B>,
    mut emit: impl FnMut(&[u8], &[u8]) -> Option<Row> + 'static,
) -> Inside<'scope>
where
    A: TraceReader<Batch: Navigable, Time = Round> + Clone + 'static,
    B: TraceReader<Batch: Navigable, Time = Round> + Clone + 'static,
    Vec<u128>: BatchContainer,
    BatchCursor<A>: for<'a> Cursor<
            Time = Round,
            Diff = Diff,
            Key<'a> = &'a u128,
            Val<'a> = Stored<'a>,
            KeyContainer = Vec<u128>,
        >,
    BatchCursor<B>: for<'a> Cursor<
            Time = Round,
            Diff = Diff,
            Key<'a> = &'a u128,
            Val<'a> = Stored<'a>,
            KeyContainer = Vec<u128>,
        >,
{
    differential_dataflow::operators::join::join_traces::<
        _,
        _,
        Vec<u128>,
        _,
        timely::container::CapacityContainerBuilder<Vec<(Row, Round, Diff)>>,
    >(left, right, "Join", move |_, left, right, time, left_diff, right_diff, out| {
        use timely::container::PushInto;
        if let Some(row) = emit(left.bytes(), right.bytes()) {
            out.push_into((row, time, left_diff.multiply(right_diff)));
        }
    })
    .as_collection()
}
