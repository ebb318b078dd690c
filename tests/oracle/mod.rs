//! What the shipped dataflows should say, computed from events in memory, as directly as it can be
//! written. It shares no code with the engine and reads no SQL: what it knows of the views is what
//! their header comments and the README promise.
#![allow(dead_code)] // each test binary uses a part of it

pub mod event;
pub mod export;
pub mod shapes;
pub mod views;
