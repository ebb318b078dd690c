//! `helkflow generate`: a believable Sysmon scenario, of any size, in any shape, with the expected result beside it.
//!
//! ```text
//!   world ◀── background, attack          (what happens: scenario.rs)
//!               │ events by time, numbered
//!               ▼
//!             faults                      (what gets lost, late, twice: faults.rs)
//!               │
//!               ├──▶ expected             (what a reader must find: expected.rs)
//!               ▼
//!             shapes ──▶ output           (how it is written: shapes/, output.rs)
//! ```
//!
//! * **Deterministic**: the same options give the same bytes on every platform, now and in later versions of the libraries; each part
//!   draws from its own stream of `random.rs`, so shapes and the order of keys never change the scenario.
//! * **Exact**: `--events` records are written, copies and records of other channels included.
//! * **Streaming**: memory holds the live processes, what is under way in the queue and the delay line, and the counts of the
//!   expected result; see `expected.rs` for its bound.
//! * **Harmless**: outside hosts are of the ranges and domains reserved for documentation, and the attacker's encoded
//!   commands print a line of text.
//!
//! A host keeps one shape, as it has one shipper; with several shapes host n takes the n-th, round and round.

mod attack;
mod background;
mod event;
mod expected;
mod facts;
mod faults;
mod output;
mod programs;
mod random;
mod scenario;
mod shapes;
mod tables;
mod world;

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, builder::RangedU64ValueParser};
use jiff::Timestamp;

use expected::Expected;
use faults::{Faults, Rates};
use output::Output;
use scenario::{Scenario, Setting};
use shapes::Printer;
pub use shapes::{Shape, Shapes};

/// Write a believable Sysmon scenario: a small Windows domain at work, with an attack in it
///
/// A domain controller, servers and workstations start programs, browse, load modules, touch files and registry. In between an
/// attacker comes by a phishing document, runs PowerShell, looks around, moves on by WMI and DCOM, reads the memory of lsass and copies
/// data away. The same options always give the same bytes. Beside the output stands what a reader must find in it
/// (PATH.expected.json). Everything is harmless text; outside hosts are documentation addresses.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  helkflow generate -o day.ndjson                        10,000 events as Winlogbeat 7 ships them
  helkflow generate --events 2000000 -o day.ndjson.zst   two million, compressed
  helkflow generate --shape mixed --shuffle 500 --duplicates 2 --late-creates 10 -o hard.ndjson
  helkflow generate --shape xml-events --seed 7 -o export.xml
  helkflow generate --hosts 60 --shape mixed -o all.log  every shape that stands in a file with others

Shapes:
  shippers     winlogbeat6, winlogbeat7, winlogbeat8, winlogbeat7-ecs, winlogbeat-message, winlogbeat-params,
               nxlog, syslog-json, vector, fluentbit, fluentbit-xml, fluentd, wef, osquery, linux-syslog,
               journald, filebeat-syslog
  stores       helk, elastic-hits, elastic-hits-ecs, elastic-fields, elastic-response, dotted, bulk,
               kibana-csv, logstash, graylog, wazuh, splunk-text, splunk-csv, splunk-hec, splunk-result,
               azure, sentinel-event, sentinel-csv, sentinel-windowsevent, sentinel-syslog, kafka-console
  log parsers  xml, xml-events, xml-indented, xml-joined, evtx-dump, chainsaw, evtxecmd, golang-evtx,
               xmltodict, velociraptor, get-winevent
  mixed        all that may stand in a file with others: not xml-events, xml-joined, elastic-response,
               splunk-text, splunk-csv, sentinel-csv and kibana-csv
EVTX, the binary log, cannot be written.")]
pub struct GenerateArgs {
    /// How many records to write, copies and records of other channels included
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub events: u64,

    /// How many hosts the domain has, at least 3 [default: 10 and one more for every 100,000 events, at most 250]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(3..=60_000))]
    pub hosts: Option<usize>,

    /// Another seed is another day
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Shape of the records; may be given several times or as a list, then each host takes one
    #[arg(long, value_name = "NAME", default_value = "winlogbeat7")]
    pub shape: Vec<Shapes>,

    /// First moment of the scenario
    #[arg(long, value_name = "TIME", default_value = "2026-01-15T08:00:00Z", value_parser = moment)]
    pub start: Timestamp,

    /// Percentage of records of the Security and System channels
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub other_channels: f64,

    /// Move records out of order, each by fewer than N places
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub shuffle: u64,

    /// Percentage of records that are delivered a second time
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub duplicates: f64,

    /// Percentage of creates (event 1) that come after the first connection of their process
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub late_creates: f64,

    /// Percentage of creates (event 1) that are lost
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub missing_creates: f64,

    /// Percentage of events that have a GUID of zeros in place of a process's
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub zero_guids: f64,

    /// Spell GUIDs in upper and lower case, with and without braces
    #[arg(long)]
    pub mixed_guid_case: bool,

    /// Let each host's clock be off by up to MS milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    pub clock_skew: u64,

    /// Write the keys of JSON objects in random order
    #[arg(long)]
    pub shuffle_keys: bool,

    /// Write to PATH, compressed if it ends in .gz or .zst [default: stdout]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Write the expected result to PATH [default: the output's path with .expected.json behind; none for stdout]
    #[arg(long, value_name = "PATH")]
    pub expected: Option<PathBuf>,
}

impl Default for GenerateArgs {
    /// What the command line gives without any option.
    fn default() -> Self {
        Self {
            events: 10_000,
            hosts: None,
            seed: 1,
            shape: vec![Shapes(vec![Shape::Winlogbeat7])],
            start: Timestamp::from_second(1_768_464_000).expect("2026-01-15T08:00:00Z is a time"),
            other_channels: 5.0,
            shuffle: 0,
            duplicates: 0.0,
            late_creates: 0.0,
            missing_creates: 0.0,
            zero_guids: 0.0,
            mixed_guid_case: false,
            clock_skew: 0,
            shuffle_keys: false,
            output: None,
            expected: None,
        }
    }
}

/// Writes the scenario.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let shapes: Vec<Shape> =
        args.shape.iter().flat_map(|shapes| shapes.0.iter().copied()).collect();
    let [first, others @ ..] = &shapes[..] else { bail!("no shape is given") };
    if let Some(alone) = shapes.iter().find(|shape| !shape.mixes())
        && others.iter().any(|shape| shape != first)
    {
        bail!("shape {} has a file for itself and cannot be mixed with others", alone.name());
    }
    let frame = first.frame();
    let expected_path = args.expected.clone().or_else(|| {
        let mut path = args.output.clone()?.into_os_string();
        path.push(".expected.json");
        Some(path.into())
    });
    let hosts = args.hosts.unwrap_or_else(|| (10 + args.events / 100_000).min(250) as usize);
    let mut scenario = Scenario::new(Setting {
        seed: args.seed,
        events: args.events,
        hosts,
        start: args.start.as_millisecond(),
        skew: args.clock_skew,
        foreign: args.other_channels,
    });
    let mut faults = Faults::new(
        Rates {
            shuffle: args.shuffle,
            duplicates: args.duplicates,
            late_creates: args.late_creates,
            missing_creates: args.missing_creates,
            zero_guids: args.zero_guids,
            mixed_guid_case: args.mixed_guid_case,
        },
        args.seed,
    );
    let mut printer = Printer::new(args.seed, args.shuffle_keys);
    let mut expected = expected_path.as_ref().map(|_| Expected::new(args.events));
    let mut output = Output::open(args.output.as_deref())?;

    let mut written = 0;
    let mut line = String::with_capacity(8192);
    line.push_str(&frame.beginning);
    let result = (|| -> io::Result<()> {
        loop {
            let under_way = written + faults.pending();
            if under_way < args.events {
                faults.push(scenario.next_event(), args.events - under_way);
            } else {
                faults.end();
            }
            while let Some(event) = faults.pop() {
                let host = &scenario.world().hosts[event.host];
                let shape = shapes[event.host % shapes.len()];
                if written > 0 {
                    line.push_str(frame.between);
                }
                printer.print(shape, &event, host, &mut line);
                output.write(line.as_bytes())?;
                line.clear();
                written += 1;
                if let Some(expected) = &mut expected {
                    expected.see(&shape.carried(&event), shape.name());
                }
            }
            if written == args.events {
                line.push_str(if written == 0 { frame.end.trim_start() } else { frame.end });
                output.write(line.as_bytes())?;
                return Ok(());
            }
        }
    })()
    .and_then(|()| output.finish());
    match result {
        // whoever read our stdout has seen enough
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        other => other.context("cannot write the records")?,
    }
    if let (Some(path), Some(expected)) = (expected_path, expected) {
        let result = expected.result(args.seed, scenario.world(), scenario.attack().deeds());
        let text = format!("{result:#}\n");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Parses a percentage.
fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err("a percentage lies between 0 and 100".to_owned()),
    }
}

/// Parses the first moment; a `ProcessGUID` counts seconds in 32 bits from 1970 on.
fn moment(text: &str) -> Result<Timestamp, String> {
    match text.parse::<Timestamp>() {
        Ok(time) if (31_536_000..4_102_444_800).contains(&time.as_second()) => Ok(time),
        Ok(_) => Err("the scenario lies between 1971 and 2100".to_owned()),
        Err(error) => Err(format!("expected a time as 2026-01-15T08:00:00Z: {error}")),
    }
}
