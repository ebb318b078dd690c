//! `helkflow dataflows`: what is shipped.

use std::fmt::Write;

use clap::Args;

use super::failure::{Failure, print};
use super::statements;
use crate::engine::SHIPPED;

/// List the shipped dataflows, or print the SQL of one
///
/// Each begins with a comment that explains it and lists the columns of its view. Copy one to a file to change it: `replay -d FILE.sql` runs it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  helkflow dataflows                                  what there is
  helkflow dataflows process_network > mine.sql       a copy to change")]
pub struct DataflowsArgs {
    /// Print the SQL of this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Prints.
pub fn run(args: &DataflowsArgs) -> Result<(), Failure> {
    if let Some(name) = &args.name {
        return print(statements::shipped(name)?.sql.as_bytes());
    }
    let mut text = String::new();
    for shipped in SHIPPED {
        writeln!(text, "{}", shipped.about()).expect("writing to a String cannot fail");
    }
    print(text.as_bytes())
}
