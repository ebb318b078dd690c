//! What the micro-benchmarks share: events of the project's own generator.
#![allow(dead_code)] // each benchmark uses a part of it

use std::ffi::OsStr;
use std::ops::Range;

use clap::Parser;
use helkflow::cli::generate::{self, GenerateArgs};
use helkflow::sysmon::{Decoder, EventSet, RecordMeta, RowSink, Tap, schema};

/// Shapes that are written one record to a line.
pub const SHAPES: [&str; 9] = [
    "winlogbeat6",
    "winlogbeat7",
    "winlogbeat8",
    "winlogbeat7-ecs",
    "nxlog",
    "evtx-dump",
    "azure",
    "xml",
    "linux-syslog",
];

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

/// The lines that `helkflow generate` writes.
pub fn lines(events: usize, shape: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("events.ndjson");
    let options = format!("generate --events {events} --shape {shape} -o");
    let arguments = options.split(' ').map(OsStr::new).chain([path.as_os_str()]);
    generate::run(&Cli::parse_from(arguments).generate).expect("it can be written");
    std::fs::read(&path)
        .expect("it was written")
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// A tap by names of columns.
pub fn tap(columns: &[&str], events: Option<EventSet>) -> Tap {
    let position = |name: &&str| {
        schema()
            .columns
            .iter()
            .position(|column| column.name == *name)
            .expect("the catalogue has it")
    };
    Tap { columns: columns.iter().map(position).collect(), events }
}

/// What the inner join wants of event 3.
pub fn connections() -> Tap {
    let columns = [
        "UTC_TIME",
        "PROCESS_GUID",
        "IMAGE",
        "SOURCE_IP",
        "SOURCE_PORT",
        "DESTINATION_IP",
        "DESTINATION_PORT",
    ];
    tap(&columns, Some(EventSet::of(3)))
}

/// What the inner join wants of event 1.
pub fn creates() -> Tap {
    tap(&["PROCESS_GUID", "COMMAND_LINE", "PARENT_IMAGE"], Some(EventSet::of(1)))
}

/// Rows in an arena.
#[derive(Default)]
pub struct Rows {
    /// The arena.
    pub arena: Vec<u8>,
    /// Tap and place of each.
    pub ranges: Vec<(usize, Range<usize>)>,
}

impl Rows {
    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.ranges.clear();
    }

    /// The rows of a tap.
    pub fn of(&self, tap: usize) -> impl Iterator<Item = &[u8]> {
        self.ranges
            .iter()
            .filter(move |(of, _)| *of == tap)
            .map(|(_, range)| &self.arena[range.clone()])
    }
}

impl RowSink for Rows {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    fn row(&mut self, tap: usize, range: Range<usize>) {
        self.ranges.push((tap, range));
    }
}

/// Decodes all lines; records of other channels are no error.
pub fn decode(decoder: &mut Decoder, lines: &[Vec<u8>], rows: &mut Rows) {
    rows.clear();
    for line in lines {
        decoder
            .decode(line, &RecordMeta::default(), rows)
            .expect("the generator writes what can be read");
    }
}
