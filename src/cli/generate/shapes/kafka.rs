//! What Kafka's console consumer prints with `print.timestamp` and `print.key`: the time and the
//! key before the value, here Winlogbeat 8's.

use std::fmt::Write as _;

use super::super::event::Event;
use super::super::world::Host;
use super::json::Order;
use super::winlogbeat;

/// A record.
pub fn console(event: &Event, host: &Host, order: &mut Order, out: &mut String) {
    let _ = write!(out, "CreateTime:{}\tnull\t", event.logged);
    winlogbeat::eight(event, host, order).write(out, order);
}
