//! helkflow: a dataflow engine for threat hunters.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod cli;
pub mod connect;
pub mod dataflow;
pub mod engine;
pub mod expr;
pub mod format;
pub mod model;
pub mod plan;
pub mod server;
pub mod sql;
pub mod store;
pub mod sysmon;
