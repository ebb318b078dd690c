//! The options of `replay`, as they are given.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::cli::hosts::HostsArgs;
use crate::cli::units::{duration, size, time};
use crate::format::rendering::As;
use crate::model::Timestamp;

/// Run a dataflow over captured logs and write its result
///
/// Reads every INPUT to its end and writes the rows of the dataflow's view: those of a table sorted
/// by key, then by line, those of a stream in the order of their records. The default dataflow
/// gives every network connection with the process behind it, its
/// ancestors, and how much of that is known. Results go to standard output, or to -o; everything else goes to standard error.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  helkflow replay captures/ --format table          every connection, for reading
  helkflow replay day.evtx --image powershell       those of PowerShell
  helkflow replay '*.json.gz' -d process_tree -o tree.ndjson
  zcat day.json.gz | helkflow replay - --host ws01 --from 2026-01-15T09:00Z
  helkflow replay logs/ -d mine.sql --view SUSPECTS --format csv > suspects.csv

Run `helkflow replay --help` for what the options mean, `helkflow dataflows` for what is shipped.",
    after_long_help = "\
Inputs:
  Files, folders, glob patterns, or - for standard input. Shapes are found out for each event, so
  one input may mix them: Winlogbeat 6 to 9, also with Elastic's Sysmon module, NXLog, evtx_dump,
  Azure, event XML, Sysmon for Linux, and EVTX itself. Records lie on lines, over several, or side
  by side, in any mixture; CSV tables of events have their columns named in the first line. Text
  is UTF-8, UTF-16 or of the code page that its XML declaration names, else Windows-1252.
  Plain, or in gz, zst, bz2, xz, zip, 7z and tar, whatever the names. Of a folder every file that
  holds events is read, and the summary says what was left out. What cannot be read is counted,
  told with its place, and does not stop the run.

Formats:
  ndjson  one JSON object per line, NULLs as null
  csv     a line of names, then RFC 4180 with lines that end in \\n; NULL is nothing, empty text \"\".
          Text may come from attackers: use --csv-guard for what is opened in a spreadsheet
  table   for people; when the columns do not fit beside each other each row becomes a block

Network views in the words of others (--as):
  flat  Sysmon's field names, as Sigma rules and Splunk have them; nothing for NULL
  helk  the columns of HELK's SYSMON_JOIN, NULLs as null
  ecs   Elastic Common Schema, nested, as Winlogbeat's Sysmon module has it; nothing for NULL
  A network view has at least EVENT_KEY, EVENT_TIME, PROCESS_GUID, SOURCE_IP and DESTINATION_IP.

Changes (--changes):
  One line for each row that is asserted or taken back, as soon as its tick is complete:
    {\"tick\":0,\"diff\":1,\"revision\":1,\"late\":0,\"row\":{…}}
  tick      how far reading was when the change came about; never falls from line to line
  diff      1 for a row that is asserted, -1 for one that is taken back
  revision  of tables: the version of the row's key, from 1; a row that is taken back has the
            number of the last version before. Needs some 24 bytes of memory for each key
  late      of views with a time: by how many ms the row's time lies behind the greatest time of a
            row in earlier ticks; 0 if it does not

Several processes:
  Start the same command once for each process, with -n N, -p 0 to N-1, and -H. All must see the
  same inputs, and share the reading. Process 0 alone writes rows; each tells what it has read.
  Connections are neither encrypted nor authenticated: for a private network.

Exit codes:
  0    done, also when the reader of the output has gone
  1    failed while running, or something could not be read and --strict was given
  2    wrong usage: an option, an input that does not exist, SQL
  130  interrupted; no rows were written
  167  resident memory was above --memory-limit

Examples:
  helkflow replay captures/ --format table          every connection, for reading
  helkflow replay day.evtx --image powershell       those of PowerShell
  helkflow replay '*.json.gz' -d process_tree -o tree.ndjson
  zcat day.json.gz | helkflow replay - --host ws01 --from 2026-01-15T09:00Z
  helkflow replay logs/ -d mine.sql --view SUSPECTS --format csv > suspects.csv
  helkflow replay logs/ -n 2 -p 0 -H hosts.txt -o all.ndjson"
)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct ReplayArgs {
    /// Files, folders, glob patterns, or - for standard input; given to every topic that has none of its own
    #[arg(value_name = "INPUT", required_unless_present = "topic")]
    pub inputs: Vec<PathBuf>,

    /// A shipped dataflow (see `helkflow dataflows`) or a file of SQL
    #[arg(short, long, value_name = "NAME|FILE.sql", default_value = "process_network")]
    pub dataflow: String,

    /// The view to write [default: that of the last SELECT, CREATE … AS or not]
    #[arg(long, value_name = "NAME")]
    pub view: Option<String>,

    /// The input of one topic; may be given several times [default: INPUT for every topic]
    #[arg(long, value_name = "NAME=PATH", value_parser = topic)]
    pub topic: Vec<(String, PathBuf)>,

    /// Worker threads of each process; the result does not depend on them [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub workers: Option<usize>,

    /// How late events may be before state is let go, as 90s, 15m or 1h; state that ended revises nothing any more [default: nothing ends]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub allowed_lateness: Option<Duration>,

    /// Bytes of a process's own command line that rows of shipped dataflows have, before its length and hash [default: 32K]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub max_command_line: Option<u64>,

    /// The same of each ancestor, for its command line and its image [default: 8K]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub max_ancestor: Option<u64>,

    /// Write to PATH, which appears when it is complete [default: stdout]
    #[arg(short, long, value_name = "PATH", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson, help_heading = "Output")]
    pub format: Format,

    /// Write the rows of a network view in the words of others (only as ndjson) [default: the columns of the view]
    #[arg(long = "as", value_enum, value_name = "KIND", help_heading = "Output")]
    pub rendering: Option<As>,

    /// Write every change with tick and diff instead of the content at the end (not as table)
    #[arg(long, help_heading = "Output")]
    pub changes: bool,

    /// Write what cannot be read to PATH as JSON lines with place and reason; process P > 0 of several adds .P to the name [default: counts and the first ten to stderr]
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub dead_letters: Option<PathBuf>,

    /// In CSV, put ' before text that a spreadsheet would take for a formula, and write control characters as \n or \u001b [default: text as it is]
    #[arg(long, help_heading = "Output")]
    pub csv_guard: bool,

    /// Exit 1 when anything could not be read [default: exit 0]
    #[arg(long, help_heading = "Output")]
    pub strict: bool,

    /// No progress bar and no summary [default: both on stderr, the bar if it is a terminal]
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,

    /// End with exit code 167 when resident memory is above this, as 2G [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub memory_limit: Option<u64>,

    /// What is written.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// Several processes.
    #[command(flatten)]
    pub hosts: HostsArgs,

    /// The password of encrypted zip and 7z archives [default: infected is tried]
    #[arg(long, value_name = "PASSWORD", help_heading = "Reading")]
    pub password: Option<String>,

    /// The longest record that is read, as 64M; a longer one is a dead letter
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size, help_heading = "Reading")]
    pub max_record: u64,

    /// How much an input may unpack to, as 8G, when that is more than 250 times its size
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size, help_heading = "Reading")]
    pub max_unpacked: u64,

    /// About how many bytes are read at a time; for tests.
    #[arg(long, value_name = "BYTES", hide = true, default_value_t = 1 << 20)]
    pub chunk_bytes: usize,
}

/// Which rows are written. All that are given must hold; the dataflow itself sees everything.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters on what is written")]
pub struct FilterArgs {
    /// Only rows of this host, by its full name or the part before the first dot, in any case [default: all]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,

    /// Only rows whose image contains this text or, with * ? or [, matches it as a whole, in any case [default: all]
    #[arg(long, value_name = "TEXT|GLOB")]
    pub image: Option<String>,

    /// Only rows of this process id [default: all]
    #[arg(long, value_name = "N")]
    pub pid: Option<i32>,

    /// Only rows of this time or later; UTC unless it has a zone, as 2026-01-15, 2026-01-15T09:00 or 2026-01-15T10:00+01:00 [default: all]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Timestamp>,

    /// Only rows before this time [default: all]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<Timestamp>,
}

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// One JSON object per line
    Ndjson,
    /// Comma-separated, with a line of names
    Csv,
    /// For people
    Table,
}

fn topic(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected NAME=PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        assert_eq!(topic("a=b=c"), Ok(("a".to_owned(), "b=c".into())));
        for text in ["", "a", "=b", "a="] {
            assert!(topic(text).is_err(), "{text}");
        }
    }
}
