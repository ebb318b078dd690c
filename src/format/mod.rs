//! Byte formats: how records are written.

pub mod error;
pub mod scan;
