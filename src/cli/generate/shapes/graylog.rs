//! Messages of Graylog's Beats input: Winlogbeat's fields on one level, dots as underscores, behind
//! `winlogbeat_`.
//!
//! The names are those of Winlogbeat 8; every second host still has Winlogbeat 6. `source` is the
//! collector.

use serde_json::Value;

use super::super::event::Event;
use super::super::random::mix;
use super::super::world::{COLLECTOR, Host};
use super::json::{Object, Order};
use super::{elastic, winlogbeat};

/// A message.
pub fn message(event: &Event, host: &Host, order: &mut Order) -> Object {
    let old = host.index % 2 == 1;
    let make = if old { winlogbeat::six } else { winlogbeat::eight };
    let document = make(event, host, order);
    let mut record = Object::new();
    record
        .text("_id", &format!("{:016x}", mix(event.record)))
        .text("source", COLLECTOR)
        .text("beats_type", "winlogbeat")
        .text("gl2_source_input", "65a4c0de7d1f2b0001a1b2c3");
    for (name, value) in elastic::flat(&document, order) {
        match (name.as_str(), value) {
            ("@timestamp", value) => record.raw("timestamp", &value.to_string()),
            ("message", value) => record.raw("message", &value.to_string()),
            (name, value @ (Value::String(_) | Value::Number(_))) => {
                record.raw(&format!("winlogbeat_{}", name.replace('.', "_")), &value.to_string())
            }
            (name, value) => {
                record.text(&format!("winlogbeat_{}", name.replace('.', "_")), &value.to_string())
            }
        };
    }
    record
}
