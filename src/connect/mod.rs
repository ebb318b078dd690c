//! Sources and sinks.

mod declared;
pub mod decode;
pub mod files;
mod headers;
pub mod kafka;
mod row_time;
