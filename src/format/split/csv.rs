//! CSV tables of events: how a member is known for one, where rows end, and rows as JSON.
//!
//! A member is a table when its first line names columns that exports of events have. The
//! separator is a comma, a tab or a semicolon, whichever splits that line into such names. Cells
//! may be quoted and then hold separators, line breaks and doubled quotes; after a closing quote
//! nothing but a separator or the end of the row may come, so a quote too many or too few costs
//! its own line.

use memchr::{memchr, memchr2};

use super::json::Progress;
use crate::model::json::escape_into;

/// Names that columns of exported events have, in lower case; `[UTC]` and the like left off.
const KNOWN: [&str; 18] = [
    "_raw",
    "@timestamp",
    "channel",
    "date and time",
    "event id",
    "event.code",
    "eventcode",
    "eventdata",
    "eventid",
    "eventrecordid",
    "event_id",
    "logname",
    "payload",
    "renderedeventdata",
    "timecreated",
    "timegenerated",
    "winlog.channel",
    "winlog.event_id",
];

/// The longest first line.
const MAX_LINE: usize = 64 << 10;

/// The columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Between cells.
    pub separator: u8,
    /// The names as they stand in the first line.
    pub names: Vec<String>,
}

impl Header {
    /// The header that the text begins with, if it is that of a table of events.
    pub fn detect(text: &[u8]) -> Option<Header> {
        let text = &text[text.iter().take_while(|b| b.is_ascii_whitespace()).count()..];
        let head = &text[..text.len().min(MAX_LINE)];
        let line = &head[..memchr(b'\n', head).unwrap_or(head.len())];
        if matches!(line.first(), None | Some(b'{' | b'[' | b'<')) {
            return None;
        }
        let headers = b",\t;".iter().map(|&separator| {
            let names = cells(line, separator)?.collect::<Vec<_>>();
            let names = names.into_iter().map(|name| name.trim().to_owned()).collect();
            Some(Header { separator, names })
        });
        headers.flatten().filter(Header::names_events).max_by_key(|header| header.names.len())
    }

    fn names_events(&self) -> bool {
        let known = |name: &String| {
            let name = name.split(" [").next().unwrap_or_default().to_ascii_lowercase();
            KNOWN.contains(&&*name)
        };
        self.names.iter().any(known) && (self.names.len() > 1 || self.names[0] == "_raw")
    }
}

/// The cells of a row; `None` when it is none.
fn cells(row: &[u8], separator: u8) -> Option<impl Iterator<Item = String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .buffer_capacity(row.len().clamp(1, 8192))
        .from_reader(row);
    let mut record = csv::StringRecord::new();
    let read = reader.read_record(&mut record).ok()?;
    let cells: Vec<String> = record.iter().map(str::to_owned).collect();
    read.then(|| cells.into_iter())
}

/// What a row comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A JSON object of its cells that are not empty, as text, by the names of the columns.
    Object(Vec<u8>),
    /// The names again.
    Header,
    /// A row that has so many cells, and not one for each name.
    Ragged(usize),
}

/// Reads a row, without its line break. An empty cell is left out: a table has a column for each
/// field of any of its events, and most of them are not those of this one.
pub fn row_to_json(row: &str, header: &Header) -> Row {
    let cells: Vec<String> =
        cells(row.as_bytes(), header.separator).into_iter().flatten().collect();
    let names = &header.names;
    if cells.iter().map(|cell| cell.trim()).eq(names.iter().map(String::as_str)) {
        return Row::Header;
    }
    // Event Viewer writes the message behind the columns that it names
    let message = cells.len() == names.len() + 1 && !names.iter().any(|name| name == MESSAGE);
    if cells.len() != names.len() && !message {
        return Row::Ragged(cells.len());
    }
    let mut json = Vec::with_capacity(row.len() + 16 * names.len());
    json.push(b'{');
    // Kibana writes - for what a row does not have; of two spellings of a name the other counts
    let is_twice =
        |name: &str| names.iter().filter(|other| other.eq_ignore_ascii_case(name)).nth(1).is_some();
    let named = names.iter().map(String::as_str).chain([MESSAGE]).zip(&cells);
    let says_nothing = |name: &str, cell: &str| cell.is_empty() || cell == "-" && is_twice(name);
    for (name, cell) in named.filter(|(name, cell)| !says_nothing(name, cell)) {
        json.extend_from_slice(if json.len() == 1 { b"\"" } else { b",\"" });
        escape_into(name, &mut json);
        json.extend_from_slice(b"\":\"");
        escape_into(cell, &mut json);
        json.push(b'"');
    }
    json.push(b'}');
    Row::Object(json)
}

const MESSAGE: &str = "Message";

/// Where the row ends that begins at `start`: before its line break, or at the end.
pub(super) fn row_end(bytes: &[u8], start: usize, separator: u8, eof: bool) -> Progress {
    let mut at = start;
    loop {
        // at the beginning of a cell
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(n) = memchr(b'"', &bytes[at..]) else {
                    return if eof { Progress::Contradiction(bytes.len()) } else { Progress::More };
                };
                at += n + 1;
                match bytes.get(at) {
                    Some(b'"') => at += 1,
                    Some(b'\n' | b'\r') => return Progress::End(at),
                    Some(byte) if *byte == separator => break,
                    Some(b' ' | 0) => at += 1,
                    Some(_) => return Progress::Contradiction(at),
                    None if eof => return Progress::End(at),
                    None => return Progress::More,
                }
            }
            at += 1;
        } else {
            match memchr2(separator, b'\n', &bytes[at..]) {
                Some(n) if bytes[at + n] == b'\n' => return Progress::End(at + n),
                Some(n) => at += n + 1,
                None if eof => return Progress::End(bytes.len()),
                None => return Progress::More,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[Vec<String>], separator: u8) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
        for row in rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    }

    proptest! {
        /// What the csv crate writes is found row by row, and reads back.
        #[test]
        fn rows_of_the_csv_crate(
            cells in prop::collection::vec("[a-z\",;\t\n ]{0,9}", 3..12),
            separator in prop::sample::select(b",;\t".to_vec()),
        ) {
            let names = ["EventID", "a \"b\"", "c"].map(str::to_owned).to_vec();
            let rows: Vec<Vec<String>> = cells.chunks_exact(3).map(|row| {
                let mut row = row.to_vec();
                // a row that is not blank
                row[0].insert(0, 'x');
                row
            }).collect();
            let text = table(&[vec![names.clone()], rows.clone()].concat(), separator);
            let header = Header::detect(&text).unwrap();
            prop_assert_eq!(&header, &Header { separator, names: names.clone() });
            let (mut at, mut found) = (0, Vec::new());
            while at < text.len() {
                let Progress::End(end) = row_end(&text, at, separator, true) else {
                    return Err(TestCaseError::fail("a row has an end"));
                };
                let row = std::str::from_utf8(&text[at..end]).unwrap();
                if let Row::Object(json) = row_to_json(row, &header) {
                    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
                    found.push(json);
                }
                at = end + 1;
            }
            let expected: Vec<_> = rows.iter().map(|row| {
                let cells = names.iter().cloned().zip(row.iter().map(String::as_str));
                let there = cells.filter(|(_, cell)| !cell.is_empty());
                serde_json::Value::Object(there.map(|(name, cell)| (name, cell.into())).collect())
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_a_header() {
        for text in [
            "\"_raw\"\n\"x\"\n",
            "TimeGenerated [UTC],Source,EventLog\n",
            "Level;Date and Time;Source\r\n",
        ] {
            assert!(Header::detect(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "name,size\n", "eventid\n", "{\"EventID\",\"a\"}\n", "EventID is 3, so\n"]
        {
            assert_eq!(Header::detect(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_message_without_a_name_is_one_and_other_ragged_rows_are_not() {
        let header = Header::detect(b"Level,Date and Time,Event ID\n").unwrap();
        let row = |text| row_to_json(text, &header);
        let object = br#"{"Level":"a","Date and Time":"b","Event ID":"1","Message":"m, n"}"#;
        assert_eq!(row("a,b,1,\"m, n\""), Row::Object(object.to_vec()));
        assert_eq!(row("Level,Date and Time,Event ID"), Row::Header);
        assert_eq!((row("a,b"), row("a,b,1,m,n")), (Row::Ragged(2), Row::Ragged(5)));
    }
}
