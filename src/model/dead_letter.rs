//! Dead letters: what could not be read, where it stood and why.
//!
//! A bad record never stops a run and never vanishes. It becomes one [`DeadLetter`], which
//! is written as one JSON object per line. The codes of [`Reason`] are an interface: scripts
//! count by them, so a code once released keeps its name.

use serde::{Serialize, Serializer};

use super::origin::Origin;

/// How many bytes of the offending record an excerpt shows.
pub const EXCERPT_BYTES: usize = 200;

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A file cannot be opened or reading it fails.
    Unreadable,
    /// A file or member is neither text nor a binary format that we know.
    Binary,
    /// An archive or compressed stream ends too early.
    TruncatedArchive,
    /// An archive or compressed stream contradicts itself (bad checksum, bad header).
    DamagedArchive,
    /// An archive in a format that is not read, encrypted, or nested too deep.
    UnsupportedArchive,
    /// A 64 KiB chunk of an EVTX file cannot be parsed.
    DamagedEvtxChunk,
    /// A record of an EVTX file cannot be parsed.
    DamagedEvtxRecord,
    /// A record exceeds the size limit.
    RecordTooLong,
    /// A record is no well-formed JSON.
    InvalidJson,
    /// A record is no well-formed XML.
    InvalidXml,
    /// A record is not UTF-8.
    InvalidUtf8,
    /// A record is nested deeper than the limit.
    NestedTooDeep,
    /// A record is well-formed, but of no shape that we know.
    UnknownShape,
    /// A Sysmon event has no field that is known.
    NoFields,
    /// A value does not fit the type that its column was declared with.
    Misfit,
    /// A delimited record has more or fewer values than columns.
    ColumnCount,
    /// A row is larger than its topic takes, and cannot be cut down.
    RowTooLarge,
}

impl Reason {
    /// The stable name that dead-letter files and counts use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Binary => "binary",
            Self::TruncatedArchive => "truncated_archive",
            Self::DamagedArchive => "damaged_archive",
            Self::UnsupportedArchive => "unsupported_archive",
            Self::DamagedEvtxChunk => "damaged_evtx_chunk",
            Self::DamagedEvtxRecord => "damaged_evtx_record",
            Self::RecordTooLong => "record_too_long",
            Self::InvalidJson => "invalid_json",
            Self::InvalidXml => "invalid_xml",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NestedTooDeep => "nested_too_deep",
            Self::UnknownShape => "unknown_shape",
            Self::NoFields => "no_fields",
            Self::Misfit => "misfit",
            Self::ColumnCount => "column_count",
            Self::RowTooLarge => "row_too_large",
        }
    }

    /// The same for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::Binary => "not a capture: binary data of no known format",
            Self::TruncatedArchive => "archive is truncated",
            Self::DamagedArchive => "archive is damaged",
            Self::UnsupportedArchive => "archive is of a kind that is not read",
            Self::DamagedEvtxChunk => "EVTX chunk is damaged",
            Self::DamagedEvtxRecord => "EVTX record is damaged",
            Self::RecordTooLong => "record is too long",
            Self::InvalidJson => "not well-formed JSON",
            Self::InvalidXml => "not well-formed XML",
            Self::InvalidUtf8 => "not UTF-8",
            Self::NestedTooDeep => "nested too deep",
            Self::UnknownShape => "no event of a known shape",
            Self::NoFields => "event without any field",
            Self::Misfit => "a value does not fit its column",
            Self::ColumnCount => "not as many values as columns",
            Self::RowTooLarge => "row is larger than its topic takes",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// One thing that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Where it stood.
    #[serde(flatten)]
    pub origin: Origin,
    /// Why it could not be read.
    pub reason: Reason,
    /// What exactly was wrong; may be empty.
    pub detail: String,
    /// The beginning of the offending bytes; empty when they are not at hand.
    pub excerpt: String,
}

impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason.text())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// The beginning of `bytes` as text; invalid UTF-8 shows as U+FFFD.
pub fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_BYTES)]);
    if bytes.len() > EXCERPT_BYTES {
        // the cut may have torn a character, which is not the record's fault
        format!("{}…", text.trim_end_matches('\u{fffd}'))
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialises_flat() {
        let letter = DeadLetter {
            origin: Origin {
                file: "a.json".into(),
                member: None,
                line: Some(2),
                record: None,
                offset: Some(10),
            },
            reason: Reason::InvalidJson,
            detail: "EOF".into(),
            excerpt: "{".into(),
        };
        assert_eq!(
            serde_json::to_string(&letter).unwrap(),
            r#"{"file":"a.json","member":null,"line":2,"record":null,"offset":10,"reason":"invalid_json","detail":"EOF","excerpt":"{"}"#
        );
        assert_eq!(letter.to_string(), "a.json:2 (byte 10): not well-formed JSON: EOF");
    }

    #[test]
    fn excerpt_cuts_between_characters() {
        assert_eq!(excerpt(b"abc"), "abc");
        let long = "é".repeat(EXCERPT_BYTES);
        let cut = excerpt(&[b"x", long.as_bytes()].concat());
        assert!(cut.ends_with("é…"), "{cut}");
    }
}
