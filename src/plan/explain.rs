//! `EXPLAIN`: the plan as text, node by node, and the indexes with who shares them.

use std::fmt;
use std::time::Duration;

use super::{Format, Key, Mfp, NodeId, Operator, Plan};
use crate::model::Schema;
use crate::model::schema::quoted;

/// A plan that prints itself for people.
pub struct Explain<'p>(&'p Plan);

impl Plan {
    /// The plan as `EXPLAIN` prints it: the views, every node with what it reads and the columns that it has, then every index with its readers.
    pub fn explain(&self) -> Explain<'_> {
        Explain(self)
    }
}

impl fmt::Display for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        writeln!(f, "Views")?;
        for view in &plan.views {
            writeln!(
                f,
                "  {} {} {} into topic {}",
                view.root,
                view.kind,
                quoted(&view.name),
                view.topic
            )?;
        }
        writeln!(f, "\nNodes")?;
        for (id, node) in plan.nodes() {
            writeln!(f, "  {id:<4} {}", self.operator(&node.operator, &node.schema))?;
        }
        let indexes: Vec<_> = plan
            .nodes()
            .filter(|(_, node)| matches!(node.operator, Operator::Arrange { .. }))
            .collect();
        writeln!(
            f,
            "\nArrangements{}",
            if indexes.is_empty() { "\n  none: nothing is joined" } else { "" }
        )?;
        for (id, node) in indexes {
            let Operator::Arrange { input, key } = &node.operator else { continue };
            let readers: Vec<String> = plan
                .nodes()
                .flat_map(|(reader, node)| match &node.operator {
                    Operator::Join { left, right, .. } => [
                        (*left == id).then(|| format!("{reader} (left)")),
                        (*right == id).then(|| format!("{reader} (right)")),
                    ]
                    .into_iter()
                    .flatten()
                    .collect(),
                    Operator::AsOf { right, .. } if *right == id => {
                        vec![format!("{reader} (as of arrival)")]
                    }
                    _ => Vec::new(),
                })
                .collect();
            let shared = if readers.len() > 1 { ", shared" } else { "" };
            writeln!(
                f,
                "  {id:<4} {input} by ({}): {} columns{shared}; read by {}",
                self.key(key, *input),
                node.schema.width(),
                readers.join(", ")
            )?;
        }
        Ok(())
    }
}

impl Explain<'_> {
    fn names(&self, id: NodeId) -> Vec<String> {
        names(self.0.schema(id))
    }

    fn key(&self, key: &Key, of: NodeId) -> String {
        let names = self.names(of);
        key.columns.iter().map(|&i| names[i].clone()).collect::<Vec<_>>().join(", ")
    }

    /// The index's input and key columns.
    fn side(&self, index: NodeId) -> String {
        match &self.0.node(index).operator {
            Operator::Arrange { input, key } => format!("{index} by ({})", self.key(key, *input)),
            _ => index.to_string(),
        }
    }

    /// How long the rows of an index wait, if they expire by their time.
    fn waits(&self, id: NodeId) -> Option<Duration> {
        match &self.0.node(id).operator {
            Operator::Expire { after, .. } => Some(*after),
            Operator::Arrange { input, .. } | Operator::Transform { input, .. } => {
                self.waits(*input)
            }
            _ => None,
        }
    }

    fn operator(&self, operator: &Operator, schema: &Schema) -> String {
        let columns = || list(&names(schema));
        match operator {
            Operator::Source(source) => {
                let format = match &*source.format {
                    Format::Sysmon => "SYSMON",
                    Format::Json(_) => "JSON",
                    Format::Delimited(..) => "DELIMITED",
                    Format::Kafka(_) => "KAFKA",
                };
                let events = match &source.events {
                    Some(events) => format!(
                        " events {}",
                        events.iter().map(|event| event.to_string()).collect::<Vec<_>>().join(", ")
                    ),
                    None => String::new(),
                };
                let time = match &source.time {
                    Some(time) => format!(" at {}", time.display(&names(source.format.schema()))),
                    None => String::new(),
                };
                format!("Source {} {format}{events}{time}: {}", source.topic, columns())
            }
            Operator::Transform { input, mfp } => {
                format!("Transform {input}{}", mfp_text(mfp, &self.names(*input), schema))
            }
            Operator::Expire { input, time, after } => {
                format!(
                    "Expire {input} when the watermark passes {} + {}",
                    self.names(*input)[*time],
                    duration(*after)
                )
            }
            Operator::Arrange { input, key } => {
                format!("Arrange {input} by ({})", self.key(key, *input))
            }
            Operator::Join { left, right, kind, mfp, unkeyed } => {
                let mut both = self.names(*left);
                both.extend(self.names(*right));
                let padded = unkeyed.map_or_else(String::new, |input| {
                    format!(", rows of {input} without a key padded")
                });
                format!(
                    "Join {kind} {} with {}{}{padded}{}",
                    self.side(*left),
                    self.side(*right),
                    self.waits(*left).map_or_else(String::new, |after| format!(
                        ", retroactive: a row at the left waits {} for late facts, older rows at the right always join",
                        duration(after)
                    )),
                    mfp_text(mfp, &both, schema)
                )
            }
            Operator::AsOf { left, key, right, kind, mfp } => {
                let mut both = self.names(*left);
                both.extend(self.names(*right));
                format!(
                    "AsOf {kind} {left} by ({}) in {}{}",
                    self.key(key, *left),
                    self.side(*right),
                    mfp_text(mfp, &both, schema)
                )
            }
            Operator::Aggregate { input, key, aggregates, retention } => {
                let names = self.names(*input);
                let aggregates: Vec<String> = aggregates
                    .iter()
                    .map(|aggregate| aggregate.display(&names).to_string())
                    .collect();
                format!(
                    "Aggregate {input} by ({}): {}{}",
                    self.key(key, *input),
                    list(&aggregates),
                    kept(*retention)
                )
            }
            Operator::DistinctOn { input, key } => {
                format!("DistinctOn {input} by ({})", self.key(key, *input))
            }
            Operator::Upsert { input, key, retention } => {
                format!("Upsert {input} by ({}){}", self.key(key, *input), kept(*retention))
            }
            Operator::Union { inputs } => format!(
                "Union {}",
                inputs.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
            ),
            Operator::Recursive { base, step, variable, rounds } => format!(
                "Recursive {base}, then {step} over {variable} until nothing new, {rounds} rounds at most"
            ),
            Operator::Variable { name, .. } => format!("Variable {name}: {}", columns()),
        }
    }
}

fn kept(retention: Option<(usize, Duration)>) -> String {
    retention.map_or_else(String::new, |(_, after)| {
        format!(", kept {} after the last fact", duration(after))
    })
}

fn names(schema: &Schema) -> Vec<String> {
    schema.columns.iter().map(|column| quoted(&column.name)).collect()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_string() } else { names.join(", ") }
}

fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| ms.is_multiple_of(*unit))
        .expect("every number is a multiple of one");
    format!("{} {name}", ms / unit)
}

/// The predicates, and the columns that are not just copied under their name.
fn mfp_text(mfp: &Mfp, names: &[String], schema: &Schema) -> String {
    let columns: Vec<String> = mfp
        .columns
        .iter()
        .zip(&schema.columns)
        .map(|(expr, column)| {
            let (text, name) = (expr.display(names).to_string(), quoted(&column.name));
            if text == name { name } else { format!("{text} AS {name}") }
        })
        .collect();
    let predicates: Vec<String> =
        mfp.predicates.iter().map(|predicate| predicate.display(names).to_string()).collect();
    let filter = if predicates.is_empty() {
        String::new()
    } else {
        format!(" where {}", predicates.join(" AND "))
    };
    format!("{filter}: {}", list(&columns))
}
