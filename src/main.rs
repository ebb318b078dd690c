//! The `helkflow` binary.
#![forbid(unsafe_code)]

fn main() {}
