//! Sources and sinks.
pub mod files;
