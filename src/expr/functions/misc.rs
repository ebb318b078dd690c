//! Functions on any type, and on process GUIDs.

use super::{Definition, Out, Site, lenient, strict, take};
use crate::model::Value;
use crate::model::row::Raw;

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

fn guid_time<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let Value::Guid(guid) = args[0] else { return Ok(Value::Null) };
    Ok(guid.time().map_or(Value::Null, Value::Timestamp))
}
