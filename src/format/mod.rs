//! Byte formats: how records are written, wrapped and encoded.

pub mod command_line;
pub mod container;
mod convert;
pub mod delimited;
pub mod encoding;
pub mod error;
pub mod evtx;
pub mod json;
pub mod json_rows;
pub mod kafka;
pub mod quotes;
pub mod rendering;
pub mod scan;
pub mod split;
pub mod time;
