//! `helkflow explain`: what a run would do.

use clap::Args;

use super::failure::{Failure, print};
use super::statements::{choose_view, explained, load};
use crate::engine::Bounds;
use crate::plan::optimize;

/// Print the plan of a dataflow
///
/// Shows the operators that the view is made of, inputs first, and the arrangements (the indexes
/// that are kept in memory) with the operators that share each. Where state ends it says so; a
/// replay without --allowed-lateness ends none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  helkflow explain process_network
  helkflow explain mine.sql --view EDGES")]
pub struct ExplainArgs {
    /// A shipped dataflow (see `helkflow dataflows`) or a file of SQL
    #[arg(value_name = "NAME|FILE.sql")]
    dataflow: String,

    /// The view to explain [default: those of EXPLAIN, or else that of the last SELECT, CREATE … AS or not]
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
}

/// Prints.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let script = load(&args.dataflow, Bounds::default())?;
    let mut views = explained(&script);
    if args.view.is_some() || views.is_empty() {
        views = vec![choose_view(&script, args.view.as_deref())?];
    }
    let plan = optimize(&script.plan, &views, true);
    print(plan.explain().to_string().as_bytes())
}
