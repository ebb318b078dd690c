//! The command line: one module per verb.

pub mod generate;
