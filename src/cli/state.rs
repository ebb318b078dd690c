//! `helkflow state`: what is in a state directory.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::failure::{Failure, print};
use crate::dataflow::Tick;
use crate::model::Timestamp;
use crate::store::{self, Inspection};

/// Look at the state that a run has kept
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(subcommand)]
    verb: StateVerb,
}

#[derive(Debug, Subcommand)]
enum StateVerb {
    /// Print what is there, and check that it is sound; changes nothing, and may be done while a run uses it
    Inspect {
        /// The state directory
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Looks.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    let StateVerb::Inspect { dir, json } = &args.verb;
    if !dir.is_dir() {
        return Err(Failure::misuse(format!("there is no directory {}", dir.display())));
    }
    let found = store::inspect(dir).map_err(|error| Failure::Failed(error.into()))?;
    let text = if *json {
        serde_json::to_string_pretty(&found).map_err(|error| Failure::Failed(error.into()))? + "\n"
    } else {
        describe(&found)
    };
    print(text.as_bytes())?;
    if found.damage.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(anyhow!("the state is damaged")))
    }
}

fn describe(found: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{line}");
    };
    let moment = |tick: u64| Timestamp(Tick(tick).ms() as i64);
    line(format_args!("format version {}", found.version));
    if let Some(process) = found.process {
        line(format_args!("opened last by process {process}"));
    }
    match (&found.sequence, &found.manifest) {
        (Some(sequence), Some(manifest)) => {
            line(format_args!(
                "checkpoint {sequence}, of everything before {}",
                moment(manifest.frontier)
            ));
            for (topic, partitions) in &manifest.offsets {
                for (partition, next) in partitions {
                    line(format_args!("  {topic}/{partition} goes on at {next}"));
                }
            }
        }
        _ => line(format_args!("no checkpoint")),
    }
    for node in &found.nodes {
        line(format_args!(
            "  {} {}: {} keys, {} bytes",
            node.node.node, node.node.name, node.keys, node.bytes
        ));
    }
    for run in &found.runs {
        line(format_args!("  run {}: {} entries, {} bytes", run.number, run.entries, run.bytes));
    }
    let bindings = &found.bindings;
    line(format_args!(
        "bindings: {} moments in {} files, {} bytes",
        bindings.ticks, bindings.segments, bindings.bytes
    ));
    if let (Some(first), Some(last)) = (bindings.first, bindings.last) {
        line(format_args!("  from {} to {}", moment(first), moment(last)));
    }
    for damage in &found.damage {
        line(format_args!("DAMAGED: {damage}"));
    }
    text
}
