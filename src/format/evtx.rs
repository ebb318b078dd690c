//! Windows event log files: 64 KiB chunks of binary XML, rendered to JSON.
//!
//! A file is a 4 KiB header and chunks, each readable alone. The header counts the chunks
//! too, but not reliably (a file copied while the service wrote it claims too few), so
//! chunks are found by their magic at every 64 KiB. Records come out as the JSON of
//! `evtx_dump`: `{"Event":{"#attributes":…,"System":…,"EventData":…}}`.
//!
//! Checksums are not verified: live copies are rarely consistent, and a chunk that parses
//! is worth more than its checksum.

use std::sync::{Arc, LazyLock};

use evtx::err::EvtxError;
use evtx::{EvtxChunkData, ParserSettings};
use memchr::memmem;

use crate::model::dead_letter::Reason;

/// Bytes of a chunk.
pub const CHUNK: usize = 64 << 10;
/// Bytes before the first chunk.
pub const FILE_HEADER: usize = 4 << 10;

const CHUNK_MAGIC: &[u8] = b"ElfChnk\0";
const CHUNK_HEADER: usize = 512;
const RECORD_MAGIC: &[u8] = b"**\0\0";
const RECORD_HEADER: usize = 24;

/// Whether a block of the file is a chunk.
pub fn is_chunk(block: &[u8]) -> bool {
    block.starts_with(CHUNK_MAGIC)
}

/// Whether a block that is no chunk holds records all the same, so that something is lost.
/// Otherwise it is space that was allocated and not used yet, which may hold anything.
pub fn holds_records(block: &[u8]) -> bool {
    memmem::find(block, RECORD_MAGIC).is_some()
}

/// One rendered record.
#[derive(Clone, Debug)]
pub struct EvtxSpan {
    /// Where its JSON is in [`Rendered::json`].
    pub range: std::ops::Range<usize>,
    /// Its `EventRecordID`.
    pub number: u64,
    /// Its offset in the chunk.
    pub offset: u32,
}

/// Something in a chunk that cannot be read.
#[derive(Clone, Debug)]
pub struct EvtxFault {
    /// The `EventRecordID`, when that much could be read.
    pub number: Option<u64>,
    /// Where, in the chunk.
    pub offset: u32,
    /// Chunk or record.
    pub reason: Reason,
    /// What was wrong.
    pub detail: String,
}

/// The records of a chunk.
#[derive(Debug, Default)]
pub struct Rendered {
    /// All JSON, one after the other.
    pub json: Vec<u8>,
    /// The records in it.
    pub records: Vec<EvtxSpan>,
    /// What could not be rendered.
    pub faults: Vec<EvtxFault>,
}

/// Renders the records of a chunk. What is damaged becomes a fault, the rest is rendered.
pub fn render(chunk: Vec<u8>) -> Rendered {
    static SETTINGS: LazyLock<Arc<ParserSettings>> = LazyLock::new(|| {
        Arc::new(ParserSettings::default().num_threads(1).indent(false).validate_checksums(false))
    });
    let mut out = Rendered::default();
    let damaged = |error: &dyn std::error::Error| EvtxFault {
        number: None,
        offset: 0,
        reason: Reason::DamagedEvtxChunk,
        detail: with_causes(error),
    };
    let mut data = match EvtxChunkData::new(chunk, false) {
        Ok(data) => data,
        Err(error) => {
            out.faults.push(damaged(&error));
            return out;
        }
    };
    let headers = record_headers(&data.data);
    let mut parsed = match data.parse(Arc::clone(&SETTINGS)) {
        Ok(parsed) => parsed,
        Err(error) => {
            out.faults.push(damaged(&error));
            return out;
        }
    };
    for record in parsed.iter() {
        let rendered = record.and_then(|record| {
            let offset = record.binxml_offset as u32 - RECORD_HEADER as u32;
            Ok((offset, record.into_json_bytes()?))
        });
        match rendered {
            Ok((offset, record)) => {
                let start = out.json.len();
                out.json.extend_from_slice(&record.data);
                out.records.push(EvtxSpan {
                    range: start..out.json.len(),
                    number: record.event_record_id,
                    offset,
                });
            }
            Err(error) => {
                let (number, offset) = place(&error, &headers);
                out.faults.push(EvtxFault {
                    number,
                    offset,
                    reason: Reason::DamagedEvtxRecord,
                    detail: with_causes(&error),
                });
            }
        }
    }
    out
}

/// Number and offset of the record that an error is about.
fn place(error: &EvtxError, headers: &[(u64, u32)]) -> (Option<u64>, u32) {
    match error {
        EvtxError::FailedToParseRecord { record_id, .. } => {
            let known = headers.iter().find(|(number, _)| number == record_id);
            (Some(*record_id), known.map_or(0, |(_, offset)| *offset))
        }
        EvtxError::FailedToReadRecordAt { offset, .. } => (None, *offset as u32),
        _ => (None, 0),
    }
}

/// Number and offset of everything in a chunk that looks like a record.
fn record_headers(chunk: &[u8]) -> Vec<(u64, u32)> {
    memmem::find_iter(chunk, RECORD_MAGIC)
        .filter(|&at| at >= CHUNK_HEADER)
        .filter_map(|at| {
            let number = chunk.get(at + 8..at + 16)?.first_chunk()?;
            Some((u64::from_le_bytes(*number), at as u32))
        })
        .collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_a_fault() {
        let mut block = CHUNK_MAGIC.to_vec();
        block.resize(CHUNK, 0xff);
        let rendered = render(block);
        assert!(rendered.records.is_empty());
        assert_eq!(rendered.faults.len(), 1, "{:?}", rendered.faults);
        assert_eq!(rendered.faults[0].reason, Reason::DamagedEvtxChunk);
    }
}
