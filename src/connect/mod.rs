//! Sources and sinks.

pub mod decode;
mod declared;
pub mod files;
pub mod kafka;
