//! `helkflow inspect`: what each input is, what is in it, and why nothing comes out where nothing
//! does.
//!
//! ```text
//!  args ─▶ engine::inspect ─▶ report, the figures by file and for all ─┬▶ text   for people
//!                                                                      └▶ JSON   for scripts
//! ```
//!
//! Every record is decoded as a replay decodes it, so what is reported here is what a replay would read.
//! An interrupted inspection tells nothing: half of the counts look like all of them.

mod report;
mod text;

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use super::Failure;
use super::failure::print;
use super::progress::Progress;
use super::signals;
use crate::engine::Inspect;
use report::Report;

/// Tell what files hold, and why nothing comes out of them
///
/// Reads every INPUT to its end and tells for each file what it is, which tool wrote its events, how
/// many there are of which channels, hosts and times, what is not there, and which records were not
/// understood, with the key that would help. Ends with how many events a replay would read.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  helkflow inspect captures/
  helkflow inspect export.json --format json | jq '.all.missing'
  zcat day.json.gz | helkflow inspect -

Run `helkflow inspect --help` for the names in the JSON.",
    after_long_help = "\
JSON (--format json), one object:
  files  a list, one element for each file or member of an archive:
    file, member       its name, and that of the member in it or null
    container          gzip, zstandard, zip or tar, or null
    status             read, empty, left_out (it holds no events), or archive (which
                       cannot be read as a whole)
    encoding           UTF-8, UTF-16LE or UTF-16BE; null for event log files
    and what `all` has, for this file
  all    the figures of all files together:
    records            records of any kind
    forms              list of form (evtx, json_lines, json, xml_lines, xml, text), text, records
    sysmon             events of Sysmon that would be read
    other_channels     events of other channels, which are not
    not_understood     records and files that cannot be read
    shapes             list of shape (as column SHAPE has it), tool, events
    channels           list of name, events; the most frequent first, 1024 at most
    hosts              the same
    other_names        how many events are of channels, and of hosts, beyond those
    from, to           the first and the last time of Sysmon's events, or null
    events             list of event_id, name, count
    missing            those of events 1, 3, 5 and 22 that are not there: event_id, name, meaning
    from_message       events of which only the rendered message has the fields
    without_zone       events whose time has no zone and is read as UTC
    without_time       events without any time
    unreadable_times   count, and first: an example or null
    clocks             list of sentences on clocks that disagree, by host
    reasons            what was not understood: reason (as in dead letters), text, count, and up to
                       three examples (for all files: of the first): place, detail, excerpt, and advice: what is missing, the
                       nearest keys with the names that would be read, and text
    verdict            one sentence

Exit codes:
  0    done, whatever was found
  1    failed while running
  2    wrong usage: an option, an input that does not exist
  130  interrupted; nothing was written"
)]
pub struct InspectArgs {
    /// Files, folders, glob patterns, or - for standard input
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,

    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// How many threads read; the result does not depend on them [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub workers: Option<usize>,

    /// The password of encrypted zip and 7z archives [default: infected is tried]
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,

    /// About how many bytes are read at a time; for tests.
    #[arg(long, value_name = "BYTES", hide = true, default_value_t = 1 << 20)]
    pub chunk_bytes: usize,
}

/// How it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Inspects.
pub fn run(args: &InspectArgs) -> Result<(), Failure> {
    let stop: Arc<AtomicBool> = Arc::default();
    let asked = Arc::clone(&stop);
    let first = move || {
        asked.store(true, Ordering::SeqCst);
        "stopping".to_owned()
    };
    signals::listen(false, first, "ended while reading; nothing was written")?;
    let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let inspect = Inspect {
        inputs: args.inputs.clone(),
        workers: args.workers.unwrap_or_else(processors),
        stop: Arc::clone(&stop),
        chunk_bytes: args.chunk_bytes,
        password: args.password.clone(),
    };
    let prepared = inspect.prepare()?;
    let bar = io::stderr().is_terminal();
    let progress = bar.then(|| Progress::start(prepared.progress(), prepared.seen(), || None));
    let inspected = prepared.run()?;
    drop(progress);
    if stop.load(Ordering::SeqCst) {
        return Err(Failure::Interrupted);
    }
    let report = Report::of(&inspected);
    match args.format {
        Format::Text => print(text::render(&report).as_bytes()),
        Format::Json => {
            let json = serde_json::to_string_pretty(&report);
            let json = json.map_err(|error| Failure::Failed(error.into()))?;
            print((json + "\n").as_bytes())
        }
    }
}
