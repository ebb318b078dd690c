//! Functions on any type, and on process GUIDs.

use super::{Definition, Out, Site, lenient, strict, take};
use crate::model::row::Raw;
use crate::model::{Guid, Timestamp, Value};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "COALESCE",
        about: "The first argument that is not NULL",
        overloads: &[lenient("(T...) T", |args, _| {
            Ok(args.iter_mut().map(take).find(|value| !value.is_null()).unwrap_or(Value::Null))
        })
        .stored(|args, _, out| {
            out.raw(args.iter().copied().find(|arg| *arg != Raw::Null).unwrap_or(Raw::Null))
        })],
    },
    Definition {
        name: "IFNULL",
        about: "The first argument, or the second where it is NULL",
        overloads: &[lenient("(T, T) T", |args, _| {
            Ok(if args[0].is_null() { take(&mut args[1]) } else { take(&mut args[0]) })
        })],
    },
    Definition {
        name: "NULLIF",
        about: "The first argument, or NULL where it equals the second",
        overloads: &[lenient("(T, T) T", |args, _| {
            Ok(if args[0] == args[1] { Value::Null } else { take(&mut args[0]) })
        })],
    },
    Definition {
        name: "AS_VALUE",
        about: "A key column as a column of the value",
        overloads: &[lenient("(T) T", |args, _| Ok(take(&mut args[0])))],
    },
    Definition {
        name: "GUID_TIME",
        about: "When a process began, to the second, from its Sysmon ProcessGUID; NULL for the zero GUID and for implausible times",
        overloads: &[strict("(GUID) TIMESTAMP", guid_time)],
    },
];

/// 2001-01-01: no system with Sysmon is older; clocks that lost their time are.
const EARLIEST: i64 = 978_307_200;

/// Seconds since 1970 are the second group of the GUID's text (low half) and the third (high half).
fn guid_time<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let Value::Guid(guid) = args[0] else { return Ok(Value::Null) };
    if guid == Guid::ZERO {
        return Ok(Value::Null);
    }
    let (low, high) = (guid.0 >> 80 & 0xFFFF, guid.0 >> 64 & 0xFFFF);
    // the value is 32 bits wide, so the other bound is 2106
    let seconds = (high << 16 | low) as i64;
    Ok(if seconds < EARLIEST { Value::Null } else { Value::Timestamp(Timestamp(seconds * 1000)) })
}
