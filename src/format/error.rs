//! Why a record could not be decoded.

use crate::model::Type;

/// A record that is no row of its relation: a dead letter in the making.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON.
    #[error("byte {at}: expected {expected}")]
    InvalidJson {
        /// Byte in the record.
        at: usize,
        /// What JSON wants there.
        expected: &'static str,
    },
    /// Not well-formed XML.
    #[error("byte {at}: {problem}")]
    InvalidXml {
        /// Byte in the record.
        at: u64,
        /// What is wrong there.
        problem: String,
    },
    /// Not UTF-8.
    #[error("byte {at} is not UTF-8")]
    InvalidUtf8 {
        /// First byte that is not.
        at: usize,
    },
    /// Deeper than anything that a log shipper writes.
    #[error("nested deeper than {limit} levels")]
    NestedTooDeep {
        /// The limit.
        limit: usize,
    },
    /// Well-formed, but no event of a known shape.
    #[error("{missing}")]
    UnknownShape {
        /// What was looked for.
        missing: &'static str,
    },
    /// A Sysmon event in which no field was found, nor a rendered message that has them.
    #[error("a Sysmon event without any field that is known")]
    NoFields,
    /// A list of events of which some were read. Their rows were written.
    #[error("{lost} elements of a list of events are no events")]
    LostElements {
        /// Elements that are none.
        lost: u64,
    },
    /// A value that its declared column cannot hold.
    #[error("{column}: {value} is no {ty}")]
    Misfit {
        /// The column.
        column: String,
        /// Its type.
        ty: Type,
        /// The value as it stands in the record, cut to a readable length.
        value: String,
    },
    /// A delimited record with more or fewer values than columns.
    #[error("{found} values for {expected} columns")]
    ColumnCount {
        /// Columns declared.
        expected: usize,
        /// Values found.
        found: usize,
    },
}

impl From<Box<DecodeError>> for DecodeError {
    fn from(error: Box<DecodeError>) -> DecodeError {
        *error
    }
}

impl DecodeError {
    /// The error for a value that does not fit its column, of which the beginning is shown.
    pub fn misfit(column: &str, ty: &Type, value: &str) -> DecodeError {
        let end = value.char_indices().nth(60).map_or(value.len(), |(at, _)| at);
        DecodeError::Misfit {
            column: column.to_owned(),
            ty: ty.clone(),
            value: value[..end].to_owned(),
        }
    }

    /// The reason's stable name, for counting.
    pub fn code(&self) -> &'static str {
        match self {
            DecodeError::InvalidJson { .. } => "invalid_json",
            DecodeError::InvalidXml { .. } => "invalid_xml",
            DecodeError::InvalidUtf8 { .. } => "invalid_utf8",
            DecodeError::NestedTooDeep { .. } => "nested_too_deep",
            DecodeError::UnknownShape { .. } | DecodeError::LostElements { .. } => "unknown_shape",
            DecodeError::NoFields => "no_fields",
            DecodeError::Misfit { .. } => "misfit",
            DecodeError::ColumnCount { .. } => "column_count",
        }
    }
}

/// The record as text.
pub fn utf8(record: &[u8]) -> Result<&str, DecodeError> {
    simdutf8::compat::from_utf8(record)
        .map_err(|error| DecodeError::InvalidUtf8 { at: error.valid_up_to() })
}
