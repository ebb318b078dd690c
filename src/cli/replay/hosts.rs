//! Which processes run together, from `-n`, `-p` and `-H`.

use std::fs;
use std::num::NonZeroUsize;

use anyhow::Context;

use super::args::ReplayArgs;
use crate::cli::Failure;
use crate::dataflow::Cluster;

/// Workers and processes of the run.
pub fn cluster(args: &ReplayArgs) -> Result<Cluster, Failure> {
    let threads = args.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let process = args.process.unwrap_or(0);
    if args.processes == 0 || process >= args.processes {
        return Err(Failure::misuse(format!("there is no process {process} of {}: -p counts from 0 to one less than -n", args.processes)));
    }
    if args.processes == 1 {
        return Ok(Cluster::local(threads));
    }
    let Some(path) = &args.hostfile else {
        return Err(Failure::misuse(format!("{} processes need -H HOSTFILE with their addresses", args.processes)));
    };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
    let mut addresses = addresses(&text);
    if addresses.len() < args.processes {
        let (has, path) = (addresses.len(), path.display());
        return Err(Failure::misuse(format!("{path} has {has} addresses, {} processes need as many", args.processes)));
    }
    addresses.truncate(args.processes);
    Ok(Cluster { threads, process, addresses, connect_timeout: args.connect_timeout })
}

/// One address per line; empty lines and what follows # do not count.
fn addresses(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_do_not_count() {
        assert_eq!(addresses("# two\na:1 # first\n\n  b:2\r\n"), ["a:1", "b:2"]);
    }
}
