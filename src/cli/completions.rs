//! `helkflow completions`: what shells need to complete our options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::{Failure, print};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  helkflow completions bash > ~/.local/share/bash-completion/completions/helkflow
  helkflow completions zsh > ~/.zfunc/_helkflow
  helkflow completions fish > ~/.config/fish/completions/helkflow.fish")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints.
pub fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "helkflow", &mut script);
    print(&script)
}
