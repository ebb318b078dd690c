//! The practical ceiling of `inner_join.sql`: the join as a single-purpose program, with our decoder and nothing of the dataflow.
//!
//! ```text
//! ceiling OUTPUT INPUT…      (NDJSON in, NDJSON out)
//! ```
//!
//! One thread reads lines, decodes them into one arena, keeps creates in a hash table and connections in a list, and joins when all is read. It writes what `helkflow replay` writes, byte for byte:
//! the same columns, the lines sorted. `tests/bench.rs` holds it to that, so that `scripts/bench` compares equals.
//!
//! What it saves is what a dataflow costs: it cannot tell anything before the end of its input, take back a row, expire one, use a second core or answer another question.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use helkflow::model::{RowRef, Type, Value};
use helkflow::sysmon::{Decoder, EventSet, RecordMeta, RowSink, Tap, schema};

/// Of event 1.
const CREATE: [&str; 3] = ["PROCESS_GUID", "COMMAND_LINE", "PARENT_IMAGE"];
/// Of event 3.
const CONNECTION: [&str; 7] = [
    "UTC_TIME",
    "PROCESS_GUID",
    "IMAGE",
    "DESTINATION_IP",
    "DESTINATION_PORT",
    "SOURCE_IP",
    "SOURCE_PORT",
];

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows written.
    pub rows: usize,
    /// Records that could not be read.
    pub unreadable: u64,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(output) = arguments.next() else {
        return Err(io::Error::other("usage: ceiling OUTPUT INPUT…"));
    };
    let counts = inner_join(&arguments.collect::<Vec<_>>(), &mut File::create(output)?)?;
    println!("{} rows, {} records could not be read", counts.rows, counts.unreadable);
    Ok(())
}

/// Joins the records of the inputs and writes the rows.
pub fn inner_join(inputs: &[PathBuf], output: &mut impl Write) -> io::Result<Counts> {
    let mut decoder = Decoder::new(&[tap(1, &CREATE), tap(3, &CONNECTION)]);
    let mut rows = Rows::default();
    let mut unreadable = 0;
    for input in inputs {
        for_each_line(input, |line| {
            if !decoder.passes_over(line)
                && decoder.decode(line, &RecordMeta::default(), &mut rows).is_err()
            {
                unreadable += 1;
            }
        })?;
    }
    let lines = rows.join();
    lines.write(output)?;
    Ok(Counts { rows: lines.ranges.len(), unreadable })
}

fn tap(event: u8, columns: &[&str]) -> Tap {
    Tap {
        columns: columns.iter().map(|name| column(name)).collect(),
        events: Some(EventSet::of(event)),
    }
}

fn column(name: &str) -> usize {
    schema().columns.iter().position(|column| column.name == *name).expect("the catalogue has it")
}

/// Calls for each line that is not blank.
fn for_each_line(input: &Path, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(input)?;
    let mut buffer = vec![0; 1 << 18];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let read = file.read(&mut buffer[filled..])?;
        filled += read;
        let mut start = 0;
        let rest = (read == 0).then_some(filled);
        for end in memchr::memchr_iter(b'\n', &buffer[..filled]).chain(rest) {
            if !buffer[start..end].trim_ascii().is_empty() {
                line(&buffer[start..end]);
            }
            start = (end + 1).min(filled);
        }
        if read == 0 {
            return Ok(());
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// What was decoded. Rows lie one after the other in one arena.
#[derive(Default)]
struct Rows {
    arena: Vec<u8>,
    creates: HashMap<u128, Range<usize>>,
    connections: Vec<Range<usize>>,
}

impl RowSink for Rows {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    fn row(&mut self, tap: usize, range: Range<usize>) {
        if tap == 1 {
            self.connections.push(range);
        } else if let Some(guid) = guid(RowRef::new(&self.arena[range.clone()], CREATE.len()), 0) {
            match self.creates.entry(guid) {
                Entry::Vacant(entry) => {
                    entry.insert(range);
                }
                // of several creates the one with the smallest bytes counts, as in `DISTINCT ON`
                Entry::Occupied(mut entry)
                    if self.arena[range.clone()] < self.arena[entry.get().clone()] =>
                {
                    entry.insert(range);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
}

/// Column `i` as a key; a zero GUID is none.
fn guid(row: RowRef<'_>, i: usize) -> Option<u128> {
    match row.value(i, &Type::Guid) {
        Value::Guid(guid) if guid.0 != 0 => Some(guid.0),
        _ => None,
    }
}

impl Rows {
    fn join(&self) -> Lines {
        let member = |(i, name): (usize, &&str)| {
            (i, format!("\"{name}\":"), schema().columns[column(name)].ty.clone())
        };
        let left: Vec<_> = CONNECTION.iter().enumerate().map(member).collect();
        let right: Vec<_> = CREATE.iter().enumerate().skip(1).map(member).collect();
        let mut lines = Lines::default();
        for connection in &self.connections {
            let connection = RowRef::new(&self.arena[connection.clone()], CONNECTION.len());
            let Some(create) = guid(connection, 1).and_then(|guid| self.creates.get(&guid)) else {
                continue;
            };
            let create = RowRef::new(&self.arena[create.clone()], CREATE.len());
            let (start, out) = (lines.bytes.len(), &mut lines.bytes);
            for (row, (i, name, ty)) in left
                .iter()
                .map(|column| (connection, column))
                .chain(right.iter().map(|column| (create, column)))
            {
                out.push(if out.len() == start { b'{' } else { b',' });
                out.extend_from_slice(name.as_bytes());
                row.raw(*i).write_json(ty, out);
            }
            out.extend_from_slice(b"}\n");
            lines.ranges.push(start..lines.bytes.len());
        }
        lines.ranges.sort_unstable_by(|a, b| lines.bytes[a.clone()].cmp(&lines.bytes[b.clone()]));
        lines
    }
}

/// The result.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Lines {
    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut output = BufWriter::with_capacity(1 << 18, output);
        for range in &self.ranges {
            output.write_all(&self.bytes[range.clone()])?;
        }
        output.flush()
    }
}
