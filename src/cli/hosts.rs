//! Which processes run together, from `-n`, `-p` and `-H`.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use clap::Args;

use super::Failure;
use super::units::duration;
use crate::dataflow::Cluster;

/// Several processes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Several processes")]
pub struct HostsArgs {
    /// How many processes run together
    #[arg(short = 'n', long, value_name = "PROCESSES", default_value_t = 1)]
    pub processes: usize,

    /// Which of them this is, from 0 [default: 0]
    #[arg(short = 'p', long, value_name = "INDEX", requires = "hostfile")]
    pub process: Option<usize>,

    /// File with a line HOST:PORT for each process, in order [default: none]
    #[arg(short = 'H', long, value_name = "HOSTFILE")]
    pub hostfile: Option<PathBuf>,

    /// How long to wait for the others, as 30s or 2m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub connect_timeout: Duration,
}

/// Workers and processes of the run.
pub fn cluster(args: &HostsArgs, workers: Option<usize>) -> Result<Cluster, Failure> {
    let threads = workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let process = args.process.unwrap_or(0);
    if args.processes == 0 || process >= args.processes {
        return Err(Failure::misuse(format!(
            "there is no process {process} of {}: -p counts from 0 to one less than -n",
            args.processes
        )));
    }
    if args.processes == 1 {
        return Ok(Cluster::local(threads));
    }
    let Some(path) = &args.hostfile else {
        return Err(Failure::misuse(format!(
            "{} processes need -H HOSTFILE with their addresses",
            args.processes
        )));
    };
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::Usage)?;
    let mut addresses = addresses(&text);
    if addresses.len() < args.processes {
        let (has, path) = (addresses.len(), path.display());
        return Err(Failure::misuse(format!(
            "{path} has {has} addresses, {} processes need as many",
            args.processes
        )));
    }
    addresses.truncate(args.processes);
    Ok(Cluster { threads, process, addresses, connect_timeout: args.connect_timeout })
}

/// One address per line; empty lines and what follows # do not count.
fn addresses(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_do_not_count() {
        assert_eq!(addresses("# two\na:1 # first\n\n  b:2\r\n"), ["a:1", "b:2"]);
    }
}
