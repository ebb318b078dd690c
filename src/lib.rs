//! helkflow: a dataflow engine for threat hunters.
#![forbid(unsafe_code)]

pub mod format;
pub mod model;
pub mod sysmon;
