//! From the bytes of a record to the rows of a topic's taps, whatever the records come from.

use std::ops::Range;

use super::declared::Declared;
use super::headers::Headers;
use super::row_time::RowTime;
use crate::dataflow::Piece;
use crate::format::error::DecodeError;
use crate::model::{Reason, RowRef, Timestamp};
use crate::plan::{self, Format};
use crate::sysmon::{Decoder, Outcome, RecordMeta, RowSink, Stats, Tap};

/// Decodes the records of one topic for its sources, which share a format.
pub struct RecordDecoder {
    kind: Kind,
    headers: Headers,
    /// Where the statement says what the time of a record is. Then the first tap has what is needed for that, and those of the sources follow.
    time: Option<RowTime>,
}

enum Kind {
    Sysmon(Box<Decoder>),
    Declared(Declared),
}

impl RecordDecoder {
    /// A decoder for these sources. With `keyed` records have keys beside their values, as on
    /// Kafka; otherwise only those without a value have one, as it prints.
    pub fn new(sources: &[plan::Source], keyed: bool) -> RecordDecoder {
        let mut sources = sources.to_vec();
        let time = RowTime::of(&mut sources);
        let headers = Headers::new(&mut sources);
        let kind = match &*sources[0].format {
            Format::Sysmon => {
                let taps: Vec<Tap> = sources
                    .iter()
                    .map(|source| Tap { columns: source.columns.clone(), events: source.events })
                    .collect();
                Kind::Sysmon(Box::new(Decoder::new(&taps)))
            }
            declared => Kind::Declared(Declared::new(declared, &sources, keyed)),
        };
        RecordDecoder { kind, headers, time }
    }

    /// Decodes a record into `piece`; returns its event time, if it is of a kind that the plan reads and has one: by the column that the statement names, or else its own. `key` and `headers` are those of the Kafka record. What a plan has no use for is counted and makes no row.
    pub fn decode<'h>(
        &mut self,
        record: &[u8],
        key: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
        meta: &RecordMeta<'_>,
        piece: &mut Piece,
    ) -> Result<Option<Timestamp>, DecodeError> {
        let mut sink = PieceSink {
            piece,
            offset: meta.offset as u64,
            time: self.time.as_ref(),
            read: Ok(None),
        };
        let own = match &mut self.kind {
            Kind::Sysmon(decoder) => {
                if !meta.evtx && decoder.passes_over(record) {
                    return Ok(None);
                }
                let meta = RecordMeta { headers: self.headers.read(headers), ..*meta };
                match decoder.decode(record, &meta, &mut sink)? {
                    Outcome::Sysmon { event_time, .. } => event_time,
                    Outcome::OtherChannel | Outcome::NoEvent => None,
                }
            }
            Kind::Declared(decoder) => {
                let meta = RecordMeta { headers: self.headers.read(headers), ..*meta };
                decoder.decode(record, key, &meta, &mut sink)?
            }
        };
        let PieceSink { piece, time, read, .. } = sink;
        let time = if time.is_some() { read? } else { own };
        if let Some(time) = time {
            piece.note_time(meta.offset as u64, time);
        }
        Ok(time)
    }

    /// Counts names and times of Sysmon events from now on.
    pub fn survey(&mut self) {
        if let Kind::Sysmon(decoder) = &mut self.kind {
            decoder.survey();
        }
    }

    /// What the decoder of Sysmon events has counted since it was taken before.
    pub fn take_stats(&mut self) -> Stats {
        match &mut self.kind {
            Kind::Sysmon(decoder) => decoder.take_stats(),
            Kind::Declared(_) => Stats::default(),
        }
    }

    /// Whether a record can be nothing but a key, which deletes the row of a table.
    pub fn reads_keys(&self) -> bool {
        match &self.kind {
            Kind::Sysmon(_) => false,
            Kind::Declared(decoder) => decoder.reads_keys(),
        }
    }

    /// What the decoder of Sysmon events has counted; `None` for other formats.
    pub fn stats(&self) -> Option<&Stats> {
        match &self.kind {
            Kind::Sysmon(decoder) => Some(decoder.stats()),
            Kind::Declared(_) => None,
        }
    }
}

/// Puts decoded rows into a piece.
struct PieceSink<'p> {
    piece: &'p mut Piece,
    offset: u64,
    time: Option<&'p RowTime>,
    /// What the first tap has told of the record's time.
    read: Result<Option<Timestamp>, DecodeError>,
}

impl RowSink for PieceSink<'_> {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.piece.arena
    }

    fn row(&mut self, tap: usize, range: Range<usize>) {
        let tap = match self.time {
            None => Some(tap),
            Some(time) if tap == 0 => {
                self.read = time.read(RowRef::new(&self.piece.arena[range.clone()], 1));
                None
            }
            // what has no readable time is a dead letter, of which there are no rows
            Some(_) => Some(tap - 1).filter(|_| self.read.is_ok()),
        };
        if let Some(tap) = tap {
            self.piece.rows[tap].push((range, self.offset));
        }
    }
}

/// Why a record could not be decoded, as dead letters say it.
pub fn reason(error: &DecodeError) -> Reason {
    match error {
        DecodeError::InvalidJson { .. } => Reason::InvalidJson,
        DecodeError::InvalidXml { .. } => Reason::InvalidXml,
        DecodeError::InvalidUtf8 { .. } => Reason::InvalidUtf8,
        DecodeError::NestedTooDeep { .. } => Reason::NestedTooDeep,
        DecodeError::UnknownShape { .. } | DecodeError::LostElements { .. } => Reason::UnknownShape,
        DecodeError::NoFields => Reason::NoFields,
        DecodeError::Misfit { .. } => Reason::Misfit,
        DecodeError::ColumnCount { .. } => Reason::ColumnCount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::json_rows::JsonEncoder;
    use crate::model::Schema;
    use crate::plan::{Operator, Source, optimize};
    use crate::sql::bind_script;

    /// A record: key, value, headers.
    type Record<'r> = (Option<&'r [u8]>, &'r [u8], &'r [(&'r str, Option<&'r [u8]>)]);

    /// The sources of a script, with their columns.
    fn sources(sql: &str) -> (Vec<Source>, Vec<Schema>) {
        let script = bind_script(sql).unwrap_or_else(|error| panic!("{error}"));
        let plan = optimize(&script.plan, &(0..script.plan.views.len()).collect::<Vec<_>>(), false);
        let source = |operator: &Operator| {
            if let Operator::Source(source) = operator { Some(source.clone()) } else { None }
        };
        plan.nodes()
            .filter_map(|(_, node)| Some((source(&node.operator)?, node.schema.clone())))
            .unzip()
    }

    /// The rows of each source of a script, which all read one topic, as JSON.
    fn rows(sql: &str, records: &[Record<'_>]) -> Vec<Vec<String>> {
        let (sources, schemas) = sources(sql);
        let mut decoder = RecordDecoder::new(&sources, true);
        let mut piece = Piece::new(sources.len());
        for (key, value, headers) in records {
            decoder
                .decode(value, *key, headers.iter().copied(), &RecordMeta::default(), &mut piece)
                .unwrap();
        }
        let taps = piece.rows.iter().zip(&schemas);
        taps.map(|(rows, schema)| {
            let json = |range: &Range<usize>| {
                let mut out = Vec::new();
                JsonEncoder::new(schema)
                    .encode(RowRef::new(&piece.arena[range.clone()], schema.width()), &mut out);
                String::from_utf8(out).unwrap()
            };
            rows.iter().map(|(range, _)| json(range)).collect()
        })
        .collect()
    }

    const WITH: &str = "WITH (KAFKA_TOPIC='t', VALUE_FORMAT=";

    #[test]
    fn all_headers_are_an_array_in_their_order() {
        let sql = format!(
            "CREATE STREAM x (v INT, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS, k INT KEY) {WITH}'JSON', KEY_FORMAT='JSON'); SELECT * FROM x"
        );
        let records: [Record<'_>; 4] = [
            (Some(b"1"), br#"{"V":1,"H":"not this"}"#, &[]),
            (Some(b"2"), br#"{"V":2}"#, &[("b", Some(b"!")), ("a \"", None), ("b", Some(b""))]),
            (Some(b"3"), b"{}", &[]),
            // a deletion, whatever its headers say
            (Some(b"4"), b"", &[("b", Some(b"!"))]),
        ];
        let expected = [
            r#"{"V":1,"H":[],"K":1}"#,
            r#"{"V":2,"H":[{"KEY":"b","VALUE":"IQ=="},{"KEY":"a \"","VALUE":null},{"KEY":"b","VALUE":""}],"K":2}"#,
            r#"{"V":null,"H":[],"K":3}"#,
            r#"{"V":null,"H":null,"K":4}"#,
        ];
        assert_eq!(rows(&sql, &records), [expected]);
    }

    #[test]
    fn a_header_is_the_last_of_its_name() {
        let headers: &[(&str, Option<&[u8]>)] = &[
            ("a", Some(b"1")),
            ("b", Some(b"2")),
            ("a", Some(b"3")),
            ("B", Some(b"4")),
            ("c", Some(b"5")),
            ("c", None),
        ];
        let columns =
            "a BYTES HEADER('a'), b BYTES HEADER('b'), c BYTES HEADER('c'), d BYTES HEADER('d')";
        let expected = r#"{"V":7,"A":"Mw==","B":"Mg==","C":null,"D":null}"#;
        for (format, value) in
            [("JSON", &br#"{"V":7}"#[..]), ("DELIMITED", b"7"), ("KAFKA", &[0, 0, 0, 7])]
        {
            let sql =
                format!("CREATE STREAM x (v INT, {columns}) {WITH}'{format}'); SELECT * FROM x");
            assert_eq!(rows(&sql, &[(None, value, headers)]), [[expected]], "{format}");
        }
    }

    #[test]
    fn events_have_headers_beside_their_own_columns() {
        let sql = format!(
            "CREATE STREAM x (a BYTES HEADER('a')) {WITH}'SYSMON');
             CREATE STREAM y (all ARRAY<STRUCT<key STRING, value BYTES>> HEADERS) {WITH}'SYSMON');
             SELECT event_id, a, host FROM x; SELECT all, event_id FROM y; SELECT host, a, event_id FROM x WHERE event_id = 3;"
        );
        let event: &[u8] = br#"{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":1,"computer_name":"h","event_data":{"Image":"i"}},"a":"b"}"#;
        let found = rows(&sql, &[(None, event, &[("a", Some(b"!"))]), (None, event, &[])]);
        let first =
            [r#"{"EVENT_ID":1,"A":"IQ==","HOST":"h"}"#, r#"{"EVENT_ID":1,"A":null,"HOST":"h"}"#];
        let second =
            [r#"{"ALL":[{"KEY":"a","VALUE":"IQ=="}],"EVENT_ID":1}"#, r#"{"ALL":[],"EVENT_ID":1}"#];
        assert_eq!(
            found.concat().iter().map(|row| &row[..]).collect::<Vec<_>>(),
            [first, second].concat()
        );
    }

    /// Of each record its time, or why there is no row; the greatest; how many rows there are.
    type Times = (Vec<Result<Option<i64>, String>>, Option<i64>, usize);

    /// What a decoder says of the times of records whose own is 1000.
    fn times(sql: &str, records: &[&str]) -> Times {
        let (sources, _) = sources(sql);
        let mut decoder = RecordDecoder::new(&sources, true);
        let mut piece = Piece::new(sources.len());
        let meta = RecordMeta { timestamp: Some(Timestamp(1000)), ..RecordMeta::default() };
        let mut time = |record: &&str| {
            let read =
                decoder.decode(record.as_bytes(), None, std::iter::empty(), &meta, &mut piece);
            read.map(|time| time.map(|time| time.0)).map_err(|error| error.to_string())
        };
        let each = records.iter().map(&mut time).collect();
        (each, piece.time().map(|time| time.0), piece.rows.iter().map(Vec::len).sum())
    }

    #[test]
    fn the_time_of_a_record_is_that_of_the_column_that_the_statement_names() {
        let json = |ty: &str, more: &str| {
            format!("CREATE STREAM x (v INT, at {ty}) {WITH}'JSON'{more}); SELECT v FROM x")
        };
        let records = [r#"{"V":1,"AT":7}"#, r#"{"V":1}"#, r#"{"V":2,"AT":5}"#];
        assert_eq!(times(&json("BIGINT", ""), &records), (vec![Ok(Some(1000)); 3], Some(1000), 3));
        for ty in ["BIGINT", "TIMESTAMP"] {
            // a record without a time has its own, which says nothing of how far those of the column are
            assert_eq!(
                times(&json(ty, ", TIMESTAMP='at'"), &records),
                (vec![Ok(Some(7)), Ok(None), Ok(Some(5))], Some(7), 3)
            );
        }
        let text = json("VARCHAR", ", TIMESTAMP='at', TIMESTAMP_FORMAT='yyyy'");
        let wrong = Err("AT: 19x is no TIMESTAMP".to_owned());
        let records = [r#"{"V":1,"AT":"1970"}"#, r#"{"V":1,"AT":"19x"}"#, r#"{"V":2,"AT":"1969"}"#];
        assert_eq!(
            times(&text, &records),
            (vec![Ok(Some(0)), wrong, Ok(Some(-31_536_000_000))], Some(0), 2)
        );

        let sysmon = format!(
            "CREATE STREAM x {WITH}'SYSMON', TIMESTAMP='utc_time', TIMESTAMP_FORMAT='yyyy-MM-dd HH:mm:ss.SSS'); SELECT host FROM x WHERE event_id = 1; SELECT channel FROM x WHERE event_id = 1"
        );
        let event = |id: i32, time: &str| {
            let head = format!(
                r#""channel":"Microsoft-Windows-Sysmon/Operational","event_id":{id},"event_data":{{"UtcTime":"{time}"}}"#
            );
            format!(r#"{{"@timestamp":"2017-05-01T00:00:00Z","winlog":{{{head}}}}}"#)
        };
        let events = [
            event(1, "1970-01-01 00:00:00.007"),
            event(3, "1970-01-01 00:00:00.009"),
            event(1, "-"),
        ];
        let (each, greatest, rows) = times(&sysmon, &events.each_ref().map(|event| &event[..]));
        assert_eq!(
            (&each[..2], each[2].is_err(), greatest, rows),
            (&[Ok(Some(7)), Ok(None)][..], true, Some(7), 2)
        );
    }

    #[test]
    fn what_has_several_times_is_read_several_times() {
        let x = |name: &str, more: &str| {
            format!(
                "CREATE STREAM {name} (v INT, a BIGINT, b BIGINT) {WITH}'JSON'{more}); SELECT v FROM {name};"
            )
        };
        let count = |more: [&str; 2]| {
            let script = bind_script(&(x("x", more[0]) + &x("y", more[1]))).unwrap();
            crate::dataflow::topics(&optimize(&script.plan, &[0, 1], true)).len()
        };
        assert_eq!(count(["", ""]), 1);
        assert_eq!(count([", TIMESTAMP='a'", ", TIMESTAMP='a'"]), 1);
        assert_eq!(count([", TIMESTAMP='a'", ", TIMESTAMP='b'"]), 2);
        assert_eq!(count([", TIMESTAMP='a'", ""]), 2);
    }
}
