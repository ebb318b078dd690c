//! Byte formats: containers, encodings, record boundaries, EVTX.
pub mod container;
pub mod encoding;
pub mod evtx;
pub mod split;
