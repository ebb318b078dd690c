//! The few rewrite rules.
//!
//! 1. Filters and projections that follow each other become one, and move into the join that they follow when nobody else reads it. Not so when the upper one computes
//!    with a column that can fail: a column that fails is NULL to its readers, where an expression that fails inside another takes that with it.
//! 2. A filter moves below a union, below an expiry (what it drops need not be remembered), and below a join when it looks at one side only (for a left join: the left side).
//! 3. A source takes over the conditions on `EVENT_ID`, so that other events are rejected before they are parsed.
//! 4. Columns that nobody reads are removed everywhere, down to the sources.
//! 5. When nothing can expire (a batch without watermarks), expiry and retention are removed, and the columns that only they needed.
//! 6. A projection that only moves columns of a Sysmon source becomes a source of its own: the decoder writes its rows as they are wanted, and nothing is kept that sources would share.
//!
//! A rule never makes two readers of one index into readers of two.

use std::collections::BTreeSet;

use super::{Format, JoinKind, Mfp, Node, NodeId, Operator, Plan, Source};
use crate::expr::{Expr, ExprKind};
use crate::model::{Schema, Value};
use crate::sysmon::EventSet;

/// Rewrites the plan for exactly these of its views (positions in `plan.views`). Without `expiry`, state lives as long as the dataflow.
pub fn optimize(plan: &Plan, wanted: &[usize], expiry: bool) -> Plan {
    let mut plan =
        rebuild(
            plan,
            wanted,
            |_, new, node| if expiry { new.readd(node) } else { without_expiry(new, node) },
        );
    loop {
        let all: Vec<usize> = (0..plan.views.len()).collect();
        let readers = count_readers(&plan);
        let merged =
            rebuild(&plan, &all, |old, new, node| merge(new, node, &|id| readers[old[&id].0] == 1));
        let readers = count_readers(&merged);
        let pushed = rebuild(&merged, &all, |old, new, node| {
            push_down(new, node, &|id| readers[old[&id].0] == 1)
        });
        if pushed.nodes == plan.nodes {
            break;
        }
        plan = pushed;
    }
    let all: Vec<usize> = (0..plan.views.len()).collect();
    let plan = rebuild(&plan, &all, |_, new, node| absorb(new, node));
    // sources that gave way to narrower ones are left without a reader
    let plan = rebuild(&plan, &all, |_, new, node| new.readd(node));
    let plan = rebuild(&prune(&plan), &all, |_, new, node| into_source(new, node));
    prune(&rebuild(&plan, &all, |_, new, node| new.readd(node)))
}

/// Copies what the wanted views reach, node by node, inputs first; `rule` adds each node, whose inputs are already those of the new plan, in whatever form it likes.
///
/// The rule is also given the old node behind each new one, of the nodes that were not made by a rule.
fn rebuild(
    plan: &Plan,
    wanted: &[usize],
    mut rule: impl FnMut(&std::collections::HashMap<NodeId, NodeId>, &mut Plan, Node) -> NodeId,
) -> Plan {
    let mut reached = vec![false; plan.nodes.len()];
    for &view in wanted {
        reached[plan.views[view].root.0] = true;
    }
    for (id, node) in plan.nodes().collect::<Vec<_>>().into_iter().rev() {
        if reached[id.0] {
            for input in node.operator.inputs() {
                reached[input.0] = true;
            }
        }
    }
    let mut new = Plan::default();
    let mut moved = vec![NodeId(usize::MAX); plan.nodes.len()];
    let mut old = std::collections::HashMap::new();
    for (id, node) in plan.nodes() {
        if reached[id.0] {
            let node = Node {
                operator: with_inputs(&node.operator, &|input| moved[input.0]),
                ..node.clone()
            };
            moved[id.0] = rule(&old, &mut new, node);
            old.insert(moved[id.0], id);
        }
    }
    for &view in wanted {
        let view = &plan.views[view];
        let root = moved[view.root.0];
        new.views.push(super::View { root, record: root, in_order: root, ..view.clone() });
    }
    new
}

/// The same operator with other inputs.
pub(super) fn with_inputs(operator: &Operator, to: &dyn Fn(NodeId) -> NodeId) -> Operator {
    let mut operator = operator.clone();
    match &mut operator {
        Operator::Source(_) | Operator::Variable { .. } => {}
        Operator::Transform { input, .. }
        | Operator::Expire { input, .. }
        | Operator::Arrange { input, .. }
        | Operator::Aggregate { input, .. }
        | Operator::DistinctOn { input, .. }
        | Operator::Upsert { input, .. } => *input = to(*input),
        Operator::Join { left, right, unkeyed, .. } => {
            (*left, *right) = (to(*left), to(*right));
            *unkeyed = unkeyed.map(to);
        }
        Operator::AsOf { left, right, .. } => (*left, *right) = (to(*left), to(*right)),
        Operator::Union { inputs } => inputs.iter_mut().for_each(|input| *input = to(*input)),
        Operator::Recursive { base, step, variable, .. } => {
            (*base, *step, *variable) = (to(*base), to(*step), to(*variable))
        }
    }
    operator
}

fn count_readers(plan: &Plan) -> Vec<usize> {
    let mut readers = vec![0; plan.nodes.len()];
    for (_, node) in plan.nodes() {
        for input in node.operator.inputs() {
            readers[input.0] += 1;
        }
    }
    for view in &plan.views {
        readers[view.root.0] += 1;
    }
    readers
}

impl Plan {
    /// Adds the node under its own column names.
    fn readd(&mut self, node: Node) -> NodeId {
        self.insert(node.operator, node.schema)
    }
}

/// Rule 5.
fn without_expiry(new: &mut Plan, mut node: Node) -> NodeId {
    match &mut node.operator {
        Operator::Expire { input, .. } => return *input,
        Operator::Aggregate { retention, .. } | Operator::Upsert { retention, .. } => {
            *retention = None
        }
        _ => {}
    }
    new.readd(node)
}

/// Rule 1. `single` says whether a node has one reader.
fn merge(new: &mut Plan, node: Node, single: &dyn Fn(NodeId) -> bool) -> NodeId {
    let Operator::Transform { input, mfp } = &node.operator else { return new.readd(node) };
    let is_identity = mfp.predicates.is_empty()
        && new.schema(*input) == &node.schema
        && mfp.columns.iter().enumerate().all(|(i, c)| c.as_column() == Some(i));
    if is_identity {
        return *input;
    }
    let operator = match &new.node(*input).operator {
        Operator::Transform { mfp: below, .. }
        | Operator::Join { mfp: below, .. }
        | Operator::AsOf { mfp: below, .. }
            if !can_compose(mfp, below) =>
        {
            return new.readd(node);
        }
        Operator::Transform { input, mfp: below } => {
            Operator::Transform { input: *input, mfp: compose(mfp, below) }
        }
        Operator::Join { left, right, kind, mfp: below, unkeyed } if single(*input) => {
            Operator::Join {
                left: *left,
                right: *right,
                kind: *kind,
                mfp: compose(mfp, below),
                unkeyed: *unkeyed,
            }
        }
        Operator::AsOf { left, key, right, kind, mfp: below } if single(*input) => Operator::AsOf {
            left: *left,
            key: key.clone(),
            right: *right,
            kind: *kind,
            mfp: compose(mfp, below),
        },
        _ => return new.readd(node),
    };
    new.insert(operator, node.schema)
}

/// How many parts the expressions of an operator may have when merging has made them more than they were.
const MERGED: usize = 1000;

/// Whether columns that can fail are only moved, and what is used several times does not grow by it without end.
fn can_compose(above: &Mfp, below: &Mfp) -> bool {
    let exprs =
        |mfp: &'_ Mfp| mfp.predicates.iter().chain(&mfp.columns).map(Expr::size).sum::<usize>();
    let sizes: Vec<usize> = below.columns.iter().map(Expr::size).collect();
    let merged = above.predicates.iter().chain(&above.columns).map(|expr| composed(expr, &sizes));
    let merged = merged.sum::<usize>();
    if merged > MERGED.max(exprs(above) + exprs(below)) {
        return false;
    }
    let mut computing = above
        .predicates
        .iter()
        .chain(above.columns.iter().filter(|expr| expr.as_column().is_none()));
    computing
        .all(|expr| columns_of(expr).into_iter().all(|column| below.columns[column].is_total()))
}

/// The size of an expression over columns of these sizes.
fn composed(expr: &Expr, sizes: &[usize]) -> usize {
    if let Some(column) = expr.as_column() {
        return sizes[column];
    }
    let mut size = 1usize;
    expr.children(&mut |child| size = size.saturating_add(composed(child, sizes)));
    size
}

fn compose(above: &Mfp, below: &Mfp) -> Mfp {
    let through = |expr: &Expr| expr.substitute(&below.columns);
    Mfp {
        predicates: below
            .predicates
            .iter()
            .cloned()
            .chain(above.predicates.iter().map(through))
            .collect(),
        columns: above.columns.iter().map(through).collect(),
    }
}

/// Rule 2.
fn push_down(new: &mut Plan, mut node: Node, single: &dyn Fn(NodeId) -> bool) -> NodeId {
    match &mut node.operator {
        Operator::Transform { input, mfp }
            if !mfp.predicates.is_empty()
                && matches!(new.node(*input).operator, Operator::Expire { .. }) =>
        {
            let Operator::Expire { input: rows, time, after } = new.node(*input).operator.clone()
            else {
                unreachable!("matched above")
            };
            let filtered = filter(new, rows, std::mem::take(&mut mfp.predicates));
            *input = new.add(Operator::Expire { input: filtered, time, after });
        }
        Operator::Transform { input, mfp } if single(*input) => {
            let Operator::Union { inputs } = new.node(*input).operator.clone() else {
                return new.readd(node);
            };
            let inputs = inputs
                .into_iter()
                .map(|input| {
                    new.insert(Operator::Transform { input, mfp: mfp.clone() }, node.schema.clone())
                })
                .collect();
            return new.insert(Operator::Union { inputs }, node.schema);
        }
        Operator::Join { left, right, kind, mfp, unkeyed } => {
            let width = new.schema(*left).width();
            let (mut lefts, mut rights) = (vec![], vec![]);
            let can_left = unkeyed.is_none() && is_private_index(new, *left, single);
            let can_right = *kind == JoinKind::Inner && is_private_index(new, *right, single);
            mfp.predicates.retain(|predicate| {
                let columns = columns_of(predicate);
                let (of_left, of_right) =
                    (columns.iter().all(|i| *i < width), columns.iter().all(|i| *i >= width));
                if of_left && can_left && !columns.is_empty() {
                    lefts.push(predicate.clone());
                } else if of_right && can_right && !columns.is_empty() {
                    let mut predicate = predicate.clone();
                    predicate.remap(&|i| i - width);
                    rights.push(predicate);
                } else {
                    return true;
                }
                false
            });
            *left = filter_below_index(new, *left, lefts);
            *right = filter_below_index(new, *right, rights);
        }
        _ => {}
    }
    new.readd(node)
}

fn is_private_index(plan: &Plan, index: NodeId, single: &dyn Fn(NodeId) -> bool) -> bool {
    matches!(plan.node(index).operator, Operator::Arrange { .. }) && single(index)
}

fn filter_below_index(new: &mut Plan, index: NodeId, predicates: Vec<Expr>) -> NodeId {
    if predicates.is_empty() {
        return index;
    }
    let Operator::Arrange { input, key } = new.node(index).operator.clone() else {
        unreachable!("a join reads Arrange nodes")
    };
    let input = filter(new, input, predicates);
    new.add(Operator::Arrange { input, key })
}

/// The rows that pass.
fn filter(new: &mut Plan, input: NodeId, predicates: Vec<Expr>) -> NodeId {
    let schema = new.schema(input).clone();
    let columns =
        schema.columns.iter().enumerate().map(|(i, c)| Expr::column(i, c.ty.clone())).collect();
    new.insert(Operator::Transform { input, mfp: Mfp { predicates, columns } }, schema)
}

/// Rule 3.
fn absorb(new: &mut Plan, node: Node) -> NodeId {
    let Operator::Transform { input, mfp } = &node.operator else { return new.readd(node) };
    let Operator::Source(source) = &new.node(*input).operator else { return new.readd(node) };
    if *source.format != Format::Sysmon {
        return new.readd(node);
    }
    let event_id = new.schema(*input).position("EVENT_ID");
    let (mut source, mut mfp) = (source.clone(), mfp.clone());
    mfp.predicates.retain(|predicate| {
        match event_id.and_then(|column| events_of(predicate, column)) {
            Some(events) => {
                source.events =
                    Some(source.events.map_or(events, |known| known.intersection(events)));
                false
            }
            None => true,
        }
    });
    let input = new.add(Operator::Source(source));
    new.insert(Operator::Transform { input, mfp }, node.schema)
}

/// The events that a predicate lets pass, when it speaks of nothing else.
fn events_of(predicate: &Expr, column: usize) -> Option<EventSet> {
    let one = |value: &Value<'_>| match value {
        Value::Int(id) => u8::try_from(*id).ok().map(EventSet::of),
        Value::BigInt(id) => u8::try_from(*id).ok().map(EventSet::of),
        _ => None,
    };
    let is_event_id = |expr: &Expr| {
        expr.as_column() == Some(column)
            || matches!(&expr.kind, ExprKind::Cast(inner) if inner.as_column() == Some(column))
    };
    if let Some((subject, values)) = predicate.as_equals_any() {
        return if is_event_id(subject) {
            values
                .into_iter()
                .try_fold(EventSet::default(), |all, value| Some(all.union(one(value)?)))
        } else {
            None
        };
    }
    match &predicate.kind {
        ExprKind::Or(parts) => parts
            .iter()
            .try_fold(EventSet::default(), |all, part| Some(all.union(events_of(part, column)?))),
        _ => None,
    }
}

/// Rule 6.
fn into_source(new: &mut Plan, node: Node) -> NodeId {
    let Operator::Transform { input, mfp } = &node.operator else { return new.readd(node) };
    let Operator::Source(source) = &new.node(*input).operator else { return new.readd(node) };
    let moved: Option<Vec<usize>> =
        mfp.columns.iter().map(|expr| Some(source.columns[expr.as_column()?])).collect();
    match moved {
        Some(columns) if mfp.predicates.is_empty() && *source.format == Format::Sysmon => {
            let source = Source { columns, ..source.clone() };
            new.insert(Operator::Source(source), node.schema)
        }
        _ => new.readd(node),
    }
}

fn columns_of(expr: &Expr) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    expr.columns(&mut |i| {
        columns.insert(i);
    });
    columns
}

/// Rule 4: which columns of each node are read, from the readers down; then the plan again with these only.
fn prune(plan: &Plan) -> Plan {
    let mut demand: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); plan.nodes.len()];
    let all = |schema: &Schema| (0..schema.width()).collect::<BTreeSet<usize>>();
    for view in &plan.views {
        demand[view.root.0] = all(plan.schema(view.root));
    }
    for (id, node) in plan.nodes().collect::<Vec<_>>().into_iter().rev() {
        let wanted = demand[id.0].clone();
        let mut need = |input: NodeId, columns: &mut dyn Iterator<Item = usize>| {
            demand[input.0].extend(columns)
        };
        match &node.operator {
            Operator::Source(_) | Operator::Variable { .. } => {}
            Operator::Transform { input, mfp } => {
                need(*input, &mut read_by(mfp, &wanted).into_iter())
            }
            Operator::Expire { input, time, .. } => {
                need(*input, &mut wanted.into_iter().chain([*time]))
            }
            Operator::Arrange { input, key } | Operator::DistinctOn { input, key } => {
                need(*input, &mut wanted.into_iter().chain(key.columns.iter().copied()))
            }
            Operator::Join { left, right, mfp, unkeyed, .. } => {
                let width = plan.schema(*left).width();
                let read = read_by(mfp, &wanted);
                need(*left, &mut read.iter().copied().filter(|i| *i < width));
                if let Some(unkeyed) = unkeyed {
                    need(*unkeyed, &mut read.iter().copied().filter(|i| *i < width));
                }
                need(*right, &mut read.iter().filter(|i| **i >= width).map(|i| i - width));
            }
            Operator::AsOf { left, key, right, mfp, .. } => {
                let width = plan.schema(*left).width();
                let read = read_by(mfp, &wanted);
                need(
                    *left,
                    &mut read
                        .iter()
                        .copied()
                        .filter(|i| *i < width)
                        .chain(key.columns.iter().copied()),
                );
                need(*right, &mut read.iter().filter(|i| **i >= width).map(|i| i - width));
            }
            Operator::Aggregate { input, key, aggregates, retention } => {
                let mut columns: BTreeSet<usize> =
                    key.columns.iter().copied().chain(retention.map(|(time, _)| time)).collect();
                for (i, aggregate) in aggregates.iter().enumerate() {
                    if wanted.contains(&(key.columns.len() + i)) {
                        aggregate.args.iter().for_each(|arg| columns.extend(columns_of(arg)));
                    }
                }
                need(*input, &mut columns.into_iter());
            }
            Operator::Upsert { input, .. } => {
                need(*input, &mut all(plan.schema(*input)).into_iter())
            }
            Operator::Union { inputs } => {
                for input in inputs {
                    need(*input, &mut wanted.iter().copied());
                }
            }
            Operator::Recursive { base, step, variable, .. } => {
                for input in [base, step, variable] {
                    need(*input, &mut all(plan.schema(*input)).into_iter());
                }
            }
        }
        // An index carries its key, whoever asks, and a group its key columns.
        if let Operator::Arrange { key, .. } = &node.operator {
            demand[id.0].extend(key.columns.iter().copied());
        }
    }
    Pruner { plan, demand, new: Plan::default(), moved: Vec::new() }.run()
}

/// Columns that a filter and projection reads when only `wanted` of its result are wanted.
fn read_by(mfp: &Mfp, wanted: &BTreeSet<usize>) -> BTreeSet<usize> {
    let exprs = mfp.predicates.iter().chain(wanted.iter().map(|i| &mfp.columns[*i]));
    exprs.flat_map(columns_of).collect()
}

fn schema_of(node: &Node, columns: &[usize]) -> Schema {
    Schema { columns: columns.iter().map(|&i| node.schema.columns[i].clone()).collect() }
}

/// The wanted columns of a filter and projection whose input columns have moved.
fn moved(mfp: &Mfp, wanted: &[usize], to: &dyn Fn(usize) -> usize) -> Mfp {
    let moved = |expr: &Expr| {
        let mut expr = expr.clone();
        expr.remap(to);
        expr
    };
    Mfp {
        predicates: mfp.predicates.iter().map(moved).collect(),
        columns: wanted.iter().map(|&i| moved(&mfp.columns[i])).collect(),
    }
}

struct Pruner<'p> {
    plan: &'p Plan,
    demand: Vec<BTreeSet<usize>>,
    new: Plan,
    /// For each old node: the new one, and the old columns that it has, in order.
    moved: Vec<(NodeId, Vec<usize>)>,
}

impl Pruner<'_> {
    fn run(mut self) -> Plan {
        for (id, node) in self.plan.nodes() {
            let wanted: Vec<usize> = self.demand[id.0].iter().copied().collect();
            let moved = self.node(node, wanted);
            self.moved.push(moved);
        }
        for view in &self.plan.views {
            let wanted: Vec<usize> = (0..self.plan.schema(view.root).width()).collect();
            let root = self.exactly(view.root, &wanted);
            self.new.views.push(super::View { root, record: root, in_order: root, ..view.clone() });
        }
        self.new
    }

    /// Where the old column of an old node is now.
    fn at(&self, id: NodeId, column: usize) -> usize {
        self.moved[id.0].1.binary_search(&column).expect("a column that is read was demanded")
    }

    /// The new node behind an old one with exactly these of the old columns.
    fn exactly(&mut self, id: NodeId, columns: &[usize]) -> NodeId {
        if self.moved[id.0].1 == columns {
            return self.moved[id.0].0;
        }
        let exprs = columns
            .iter()
            .map(|&i| Expr::column(self.at(id, i), self.plan.schema(id).columns[i].ty.clone()))
            .collect();
        let schema = schema_of(self.plan.node(id), columns);
        self.new.insert(
            Operator::Transform {
                input: self.moved[id.0].0,
                mfp: Mfp { predicates: vec![], columns: exprs },
            },
            schema,
        )
    }

    fn node(&mut self, node: &Node, wanted: Vec<usize>) -> (NodeId, Vec<usize>) {
        let schema = schema_of(node, &wanted);
        let position = |columns: &[usize], column: usize| {
            columns.binary_search(&column).expect("a column that is read was demanded")
        };
        let operator = match &node.operator {
            Operator::Source(source) => Operator::Source(
                source.with_columns(&wanted.iter().map(|&i| source.columns[i]).collect::<Vec<_>>()),
            ),
            Operator::Transform { input, mfp } => Operator::Transform {
                input: self.moved[input.0].0,
                mfp: moved(mfp, &wanted, &|i| self.at(*input, i)),
            },
            Operator::Expire { input, time, after } => {
                let columns: Vec<usize> = self.moved[input.0].1.clone();
                let id = self.new.insert(
                    Operator::Expire {
                        input: self.moved[input.0].0,
                        time: self.at(*input, *time),
                        after: *after,
                    },
                    schema_of(node, &columns),
                );
                return (id, columns);
            }
            Operator::Arrange { input, key } => {
                // An expiry keeps its rows with their time; an index of the same rows costs no more memory, and one of others would.
                let is_kept = |time: usize| {
                    self.moved[input.0].1.iter().all(|i| *i == time || wanted.contains(i))
                };
                let columns = match &self.plan.node(*input).operator {
                    Operator::Expire { time, .. } if is_kept(*time) => {
                        self.moved[input.0].1.clone()
                    }
                    _ => wanted,
                };
                let input = self.exactly(*input, &columns);
                let key = key.remap(&|i| position(&columns, i));
                let id =
                    self.new.insert(Operator::Arrange { input, key }, schema_of(node, &columns));
                return (id, columns);
            }
            Operator::DistinctOn { input, key } => {
                let columns: Vec<usize> = self.moved[input.0].1.clone();
                let key = key.remap(&|i| position(&columns, i));
                let id = self.new.insert(
                    Operator::DistinctOn { input: self.moved[input.0].0, key },
                    schema_of(node, &columns),
                );
                return (id, columns);
            }
            Operator::Join { left, right, kind, mfp, unkeyed } => {
                let width = self.plan.schema(*left).width();
                let left_columns = self.moved[left.0].1.clone();
                let to = |i: usize| {
                    if i < width {
                        self.at(*left, i)
                    } else {
                        left_columns.len() + self.at(*right, i - width)
                    }
                };
                let mfp = moved(mfp, &wanted, &to);
                let unkeyed = unkeyed.map(|input| self.exactly(input, &left_columns));
                Operator::Join {
                    left: self.moved[left.0].0,
                    right: self.moved[right.0].0,
                    kind: *kind,
                    mfp,
                    unkeyed,
                }
            }
            Operator::AsOf { left, key, right, kind, mfp } => {
                let width = self.plan.schema(*left).width();
                let left_width = self.moved[left.0].1.len();
                let to = |i: usize| {
                    if i < width {
                        self.at(*left, i)
                    } else {
                        left_width + self.at(*right, i - width)
                    }
                };
                let mfp = moved(mfp, &wanted, &to);
                let key = key.remap(&|i| self.at(*left, i));
                Operator::AsOf {
                    left: self.moved[left.0].0,
                    key,
                    right: self.moved[right.0].0,
                    kind: *kind,
                    mfp,
                }
            }
            Operator::Aggregate { input, key, aggregates, retention } => {
                let keys = key.columns.len();
                let columns: Vec<usize> =
                    (0..keys).chain(wanted.iter().copied().filter(|i| *i >= keys)).collect();
                let aggregates = columns[keys..]
                    .iter()
                    .map(|&i| {
                        let mut aggregate = aggregates[i - keys].clone();
                        aggregate
                            .args
                            .iter_mut()
                            .for_each(|arg| arg.remap(&|i| self.at(*input, i)));
                        aggregate
                    })
                    .collect();
                let operator = Operator::Aggregate {
                    input: self.moved[input.0].0,
                    key: key.remap(&|i| self.at(*input, i)),
                    aggregates,
                    retention: retention.map(|(time, after)| (self.at(*input, time), after)),
                };
                let schema = schema_of(node, &columns);
                return (self.new.insert(operator, schema), columns);
            }
            Operator::Upsert { input, key, retention } => {
                let columns: Vec<usize> = (0..node.schema.width()).collect();
                let input = self.exactly(*input, &columns);
                let id = self.new.insert(
                    Operator::Upsert { input, key: key.clone(), retention: *retention },
                    node.schema.clone(),
                );
                return (id, columns);
            }
            Operator::Union { inputs } => Operator::Union {
                inputs: inputs.iter().map(|input| self.exactly(*input, &wanted)).collect(),
            },
            Operator::Recursive { base, step, variable, rounds } => {
                let columns: Vec<usize> = (0..node.schema.width()).collect();
                let operator = Operator::Recursive {
                    base: self.exactly(*base, &columns),
                    step: self.exactly(*step, &columns),
                    variable: self.moved[variable.0].0,
                    rounds: *rounds,
                };
                return (self.new.insert(operator, node.schema.clone()), columns);
            }
            Operator::Variable { .. } => {
                let columns: Vec<usize> = (0..node.schema.width()).collect();
                return (self.new.readd(node.clone()), columns);
            }
        };
        (self.new.insert(operator, schema), wanted)
    }
}
