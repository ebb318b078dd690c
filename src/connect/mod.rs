//! Sources and sinks.

mod declared;
pub mod decode;
pub mod files;
pub mod kafka;
