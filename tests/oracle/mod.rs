//! What the shipped dataflows should say, computed from events in memory, as directly as it can be written. It shares no code with the engine and reads no SQL: what it knows of the views
//! is what their header comments and the README promise.

pub mod event;
pub mod shapes;
pub mod views;
