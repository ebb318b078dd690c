//! `helkflow man`: the manual, made from the same definitions as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::failure::{Failure, print};

/// Print the manual page, or write the pages of all verbs to a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  helkflow man | man -l -
  helkflow man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write helkflow.1 and one page for each verb to this folder, which must exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes.
pub fn run(args: &ManArgs) -> Result<(), Failure> {
    let command = super::Cli::command();
    if let Some(dir) = &args.dir {
        clap_mangen::generate_to(command, dir)
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("cannot render the page")?;
    print(&page)
}
