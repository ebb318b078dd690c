//! Renders a plan: one operator for each node, in the order of the nodes.

use std::collections::HashMap;
use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{Concat, Concatenate};

use super::aggregate::{Grouping, aggregate};
use super::asof::asof;
use super::counters::Counters;
use super::distinct::distinct_on;
use super::expire::{Place, expire};
use super::index::{Index, arrange, watch};
use super::join::{Side, join};
use super::mfp::Compiled;
use super::recursive::{Watch, recursive};
use super::rows::Rows;
use super::state::State;
use super::tick::Tick;
use super::transform::{transform, unkeyed};
use super::upsert::{Table, upsert};
use super::watermark::{Pace, Reports, Watermarks, watermark};
use super::worker::Failed;
use crate::plan::{Mfp, NodeId, Operator, Plan, pseudo_columns};

/// A node's output.
#[derive(Clone)]
pub enum Rendered<'scope> {
    /// Rows.
    Rows(Rows<'scope, Tick>),
    /// An index.
    Index(Index<'scope, Tick>),
}

impl<'scope> Rendered<'scope> {
    /// The rows of a node that is no index.
    pub fn rows(&self) -> Rows<'scope, Tick> {
        match self {
            Rendered::Rows(rows) => rows.clone(),
            Rendered::Index(_) => unreachable!("only joins read Arrange nodes"),
        }
    }

    /// The index of an Arrange node.
    pub fn index(&self) -> Index<'scope, Tick> {
        match self {
            Rendered::Index(index) => index.clone(),
            Rendered::Rows(_) => unreachable!("a join reads Arrange nodes"),
        }
    }
}

/// What all operators have around them.
pub struct Surroundings<'s> {
    /// Whether ticks tell the order of arrival.
    pub by_tick: bool,
    /// What operators remember of an earlier life.
    pub state: &'s State,
    /// What they count.
    pub counters: &'s Counters,
    /// Takes why the run must end.
    pub failed: &'s Arc<Failed>,
}

/// The identity of the watermark, which is no node of a plan.
pub const WATERMARK: u64 = 1;

/// Renders all nodes. `sources` are the rows of the source nodes; `reports` what the readers say
/// about event time, or `None` when nothing expires.
pub fn render<'scope>(
    scope: Scope<'scope, Tick>,
    plan: &Plan,
    sources: &HashMap<NodeId, Rows<'scope, Tick>>,
    reports: Option<(Reports<'scope>, Pace)>,
    &Surroundings { by_tick, state, counters, failed }: &Surroundings<'_>,
) -> HashMap<NodeId, Rendered<'scope>> {
    let watermarks: Watermarks<'scope> = match reports {
        Some((reports, pace)) => watermark(reports, pace, state.of(WATERMARK)),
        None => timely::dataflow::operators::generic::operator::empty(scope),
    };
    let compile = |mfp: &Mfp| Compiled::new(mfp, counters);
    let identities = plan.identities();
    let inside = inside_recursions(plan);
    let mut done: HashMap<NodeId, Rendered<'scope>> = HashMap::new();
    for (id, node) in plan.nodes() {
        if inside.contains(&id) {
            continue;
        }
        let part = || state.of(identities[id.0]);
        let width = |input: &NodeId| plan.schema(*input).width();
        let side = |done: &HashMap<NodeId, Rendered<'scope>>, index: &NodeId| {
            let Operator::Arrange { key, .. } = &plan.node(*index).operator else {
                unreachable!("a join reads Arrange nodes")
            };
            Side { index: done[index].index(), key: key.clone(), width: width(index) }
        };
        let rows = match &node.operator {
            Operator::Source(_) => sources[&id].clone(),
            Operator::Transform { input, mfp } => {
                transform(done[input].rows(), width(input), compile(mfp))
            }
            Operator::Expire { input, time, after } => {
                let mut readers = plan.nodes().filter_map(|(_, node)| match &node.operator {
                    Operator::Arrange { input, key } if *input == id => Some(key.clone()),
                    _ => None,
                });
                let place =
                    Place { key: readers.next(), width: width(input), secret: state.secret() };
                let (rows, watermarks, end) =
                    (done[input].rows(), watermarks.clone(), (*time, *after));
                let part = part();
                // What is never taken back may stay where it is, unless it is durable: equal rows
                // have one count in the state, which one worker has to keep.
                let stays = place.key.is_none() && plan.node(*input).append_only;
                if stays && !part.is_durable() {
                    expire(rows, Pipeline, watermarks, place, end, counters.clone(), part)
                } else {
                    expire(
                        rows,
                        place.clone().pact(),
                        watermarks,
                        place,
                        end,
                        counters.clone(),
                        part,
                    )
                }
            }
            Operator::Arrange { input, key } => {
                let index =
                    arrange(done[input].rows(), key.clone(), width(input), &format!("index {id}"));
                watch(&index, state.size_of(identities[id.0]));
                done.insert(id, Rendered::Index(index));
                continue;
            }
            Operator::Join { left, right, kind, mfp, unkeyed: pad } => {
                let left_side = side(&done, left);
                let key = left_side.key.clone();
                let joined = join(
                    left_side,
                    side(&done, right),
                    *kind,
                    compile(mfp),
                    counters.clone(),
                    part(),
                );
                match pad {
                    Some(input) => {
                        joined.concat(unkeyed(done[input].rows(), key, width(input), compile(mfp)))
                    }
                    None => joined,
                }
            }
            Operator::AsOf { left, key, right, kind, mfp } => asof(
                done[left].rows(),
                key.clone(),
                width(left),
                side(&done, right),
                *kind,
                compile(mfp),
            ),
            Operator::Aggregate { input, key, aggregates, retention } => {
                let retractable = !plan.node(*input).append_only;
                let grouping = Grouping::new(
                    key.clone(),
                    aggregates,
                    width(input),
                    retractable,
                    *retention,
                    by_tick,
                    counters.clone(),
                );
                aggregate(done[input].rows(), watermarks.clone(), grouping, part())
            }
            Operator::DistinctOn { input, key } => distinct_on(
                done[input].rows(),
                key.clone(),
                width(input),
                plan.node(*input).append_only,
                counters.clone(),
                part(),
            ),
            Operator::Upsert { input, key, retention } => {
                let width = width(input);
                let columns = width - pseudo_columns().len() - 1;
                let table = Table {
                    key: key.clone(),
                    width,
                    payload: (0..columns).filter(|i| !key.columns.contains(i)).collect(),
                    retention: *retention,
                };
                upsert(done[input].rows(), watermarks.clone(), table, counters.clone(), part())
            }
            Operator::Union { inputs } => {
                let streams: Vec<_> = inputs.iter().map(|input| done[input].rows()).collect();
                scope.concatenate(streams)
            }
            Operator::Recursive { rounds, .. } => {
                let size = state.size_of(identities[id.0]);
                let watch = Watch { rounds: *rounds, size, failed: Arc::clone(failed) };
                recursive(scope, plan, &node.operator, &done, &compile, watch)
            }
            Operator::Variable { .. } => unreachable!("variables are inside recursions"),
        };
        done.insert(id, Rendered::Rows(rows));
    }
    done
}

/// Nodes that depend on the variable of a recursion, which are rendered inside it.
fn inside_recursions(plan: &Plan) -> std::collections::HashSet<NodeId> {
    let mut inside = std::collections::HashSet::new();
    for (id, node) in plan.nodes() {
        let is_variable = matches!(node.operator, Operator::Variable { .. });
        let is_recursion = matches!(node.operator, Operator::Recursive { .. });
        if is_variable
            || (!is_recursion && node.operator.inputs().iter().any(|input| inside.contains(input)))
        {
            inside.insert(id);
        }
    }
    inside
}
