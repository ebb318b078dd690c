//! Where a record comes from, in words that lead a person back to its bytes.

use std::sync::Arc;

use serde::Serialize;

/// The place of a record, or of a whole file when nothing finer is known.
///
/// `offset` counts bytes of the decompressed member as it is stored: a UTF-16 member is
/// not counted in the UTF-8 that it is decoded to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file as the user would name it; `-` is standard input.
    pub file: Arc<str>,
    /// The member inside `file` when that is an archive; nested archives are joined by `/`.
    pub member: Option<Arc<str>>,
    /// Line, from 1, of the record's first byte. `None` in binary formats, and where other
    /// processes read the lines before it.
    pub line: Option<u64>,
    /// The record's own number, in formats that have one (EVTX).
    pub record: Option<u64>,
    /// Byte offset of the record in its member.
    pub offset: Option<u64>,
}

impl std::fmt::Display for Origin {
    /// `capture.zip/events.json:17 (byte 4711)`, leaving out what is not known.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(member) = &self.member {
            write!(f, "/{member}")?;
        }
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(record) = self.record {
            write!(f, " record {record}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " (byte {offset})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_is_known() {
        let mut origin = Origin {
            file: "a.zip".into(),
            member: Some("b.json".into()),
            line: Some(17),
            record: None,
            offset: Some(4711),
        };
        assert_eq!(origin.to_string(), "a.zip/b.json:17 (byte 4711)");
        origin.member = None;
        origin.line = None;
        origin.record = Some(3);
        assert_eq!(origin.to_string(), "a.zip record 3 (byte 4711)");
    }
}
