//! The command line: one module per verb.
//!
//! ```text
//!  arguments ─clap─▶ Cli ─▶ verb::run ─▶ Ok, or a Failure ─▶ exit code
//! ```
//!
//! Standard output carries results and nothing else; progress, summaries and errors go to standard error. Colours are used on terminals only, and not where `NO_COLOR` is set.
//!
//! # Exit codes
//! | code | meaning |
//! |------|---------|
//! | 0    | done; also when the reader of standard output has gone |
//! | 1    | failed while running: an input, the output or a peer |
//! | 2    | usage: an option, an input that does not exist, SQL that means nothing; found before anything is read |
//! | 130  | interrupted |
//! | 167  | `run`, `replay`: resident memory was above `--memory-limit` |

mod clocks;
mod completions;
mod dataflows;
mod explain;
mod failure;
pub mod generate;
mod health;
mod hosts;
mod inspect;
mod man;
mod output;
mod progress;
pub mod replay;
pub mod run;
mod signals;
mod state;
mod statements;
mod terminal;
mod units;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

/// What `--help` says about exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0    done, also when the reader of the output has gone
  1    failed while running
  2    wrong usage: an option, an input that does not exist, SQL
  130  interrupted";

/// A dataflow engine for threat hunters
///
/// Reads Windows Sysmon events in every shape that log shippers give them and joins them by process: every network connection with the process behind it, its ancestors and their
/// command lines, corrected when late facts arrive. Dataflows are written in SQL.
#[derive(Debug, Parser)]
#[command(name = "helkflow", version, propagate_version = true, arg_required_else_help = true, max_term_width = 120, after_help = format!("\
Examples:
  helkflow replay captures/                     every network connection with its process
  helkflow replay day.evtx -d process_tree      every process with its ancestors
  helkflow inspect captures/                    what is in them, and why nothing comes out
  helkflow generate -o day.ndjson               a made-up day to try it on
  helkflow dataflows process_network            the SQL behind the default

{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Replay(Box<replay::ReplayArgs>),
    Inspect(inspect::InspectArgs),
    Run(Box<run::RunArgs>),
    State(state::StateArgs),
    Health(health::HealthArgs),
    Explain(explain::ExplainArgs),
    Dataflows(dataflows::DataflowsArgs),
    Generate(generate::GenerateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    // A thread of the engine that panics would leave the others waiting for it.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The engine knows no other way to say that a peer is gone.
        match panic
            .payload_as_str()
            .and_then(|text| text.strip_prefix("timely communication error: "))
        {
            Some(what) => drop(writeln!(
                io::stderr(),
                "helkflow: lost the connection to another process: {what}"
            )),
            None => report(panic),
        }
        output::abandon();
        std::process::exit(failure::FAILED.into());
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // There is nobody to tell when the terminal has gone.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let done = match &cli.verb {
        Verb::Replay(args) => replay::run(args),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Run(args) => run::run(args),
        Verb::State(args) => state::run(args),
        Verb::Health(args) => health::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Dataflows(args) => dataflows::run(args),
        Verb::Generate(args) => generate::run(args).map_err(Failure::from),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut io::stderr()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
