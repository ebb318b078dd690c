//! Byte formats: how records are written, wrapped and encoded.

pub mod container;
pub mod encoding;
pub mod error;
pub mod evtx;
pub mod scan;
pub mod split;
