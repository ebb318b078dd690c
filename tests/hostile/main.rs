//! Attacks: what whoever writes the input, or reaches a port, can do to a run.
//!
//! Mutators damage lines, files and archives, EVTX, statements and state, and the binary has to live with it: it ends by itself, with an exit code of its own, without a panic, within bounds of time and memory,
//! and **every record that was not touched still comes out**. Attacks on live runs need a broker, see `common::kafka`.
//!
//! Everything is drawn from a seed, which a failure tells. `HELKFLOW_HOSTILE_SECONDS` says how long each mutator goes on (8 without it, and 720 make an hour), `HELKFLOW_HOSTILE_SEED` with which seed it
//! begins.

#[path = "../common/mod.rs"]
mod common;

mod driver;
mod evtx;
mod files;
mod lines;
mod live;
mod random;
mod sql;
mod state;
