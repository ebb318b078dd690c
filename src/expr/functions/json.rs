//! Functions on JSON in text. Only what is asked for is parsed; numbers keep their digits; of equal keys the last one counts.
//!
//! Text after the first JSON value is not looked at, as in ksqlDB.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Definition, EvalError, Out, Site, lenient, strict, text, texts, varchar};
use crate::expr::eval::map_value;
use crate::model::Value;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "EXTRACTJSONFIELD",
        about: "The text of the field at a path such as $.a.b[0], NULL where there is none",
        overloads: &[strict("(VARCHAR, VARCHAR) VARCHAR", extract)],
    },
    Definition {
        name: "JSON_ARRAY_CONTAINS",
        about: "Whether a JSON array has a value",
        overloads: &[lenient("(VARCHAR, T) BOOLEAN", array_contains)],
    },
    Definition {
        name: "JSON_ARRAY_LENGTH",
        about: "Number of items of a JSON array, NULL for anything else",
        overloads: &[strict("(VARCHAR) INT", |args, _| {
            let raw = parse(text(&args[0]))?;
            Ok(if raw.get().starts_with('[') {
                Value::Int(items(raw)?.len() as i32)
            } else {
                Value::Null
            })
        })],
    },
    Definition {
        name: "JSON_ITEMS",
        about: "The items of a JSON array as JSON",
        overloads: &[strict("(VARCHAR) ARRAY<VARCHAR>", |args, _| {
            let raw = parse(text(&args[0]))?;
            if !raw.get().starts_with('[') {
                return Ok(Value::Null);
            }
            texts(items(raw)?.into_iter().map(|item| compact(item.get())))
        })],
    },
    Definition {
        name: "JSON_KEYS",
        about: "The names of a JSON object's fields",
        overloads: &[strict("(VARCHAR) ARRAY<VARCHAR>", |args, _| {
            let raw = parse(text(&args[0]))?;
            if !raw.get().starts_with('{') {
                return Ok(Value::Null);
            }
            let object: serde_json::Map<String, serde_json::Value> = read(raw.get())?;
            texts(object.into_iter().map(|(name, _)| name))
        })],
    },
    Definition {
        name: "JSON_RECORDS",
        about: "The fields of a JSON object, with their values as JSON",
        overloads: &[strict("(VARCHAR) MAP<VARCHAR, VARCHAR>", |args, _| {
            let raw = parse(text(&args[0]))?;
            if !raw.get().starts_with('{') {
                return Ok(Value::Null);
            }
            let fields = object(raw)?;
            let entries = fields.into_iter().map(|(name, value)| {
                (Value::Varchar(name.into()), Value::Varchar(compact(value.get()).into()))
            });
            Ok(map_value(entries.collect()))
        })],
    },
    Definition {
        name: "JSON_CONCAT",
        about: "Objects merged, later fields winning, or arrays and single values one after the other",
        overloads: &[strict("(VARCHAR...) VARCHAR", concat)],
    },
    Definition {
        name: "IS_JSON_STRING",
        about: "Whether a text is JSON",
        overloads: &[lenient("(VARCHAR) BOOLEAN", |args, _| {
            let valid = !args[0].is_null()
                && serde_json::from_str::<serde::de::IgnoredAny>(text(&args[0])).is_ok();
            Ok(Value::Boolean(valid))
        })],
    },
    Definition {
        name: "TO_JSON_STRING",
        about: "A value of any type as JSON",
        overloads: &[lenient("(T) VARCHAR", |args, site| {
            let mut out = Vec::new();
            args[0].write_json(&site.args[0].ty, &mut out);
            varchar(String::from_utf8(out).map_err(|_| EvalError::BadJson)?)
        })],
    },
];

fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, EvalError> {
    T::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|_| EvalError::BadJson)
}

/// The first JSON value of a text, unparsed.
fn parse(text: &str) -> Result<&RawValue, EvalError> {
    read(text)
}

fn items(raw: &RawValue) -> Result<Vec<&RawValue>, EvalError> {
    read(raw.get())
}

fn object(raw: &RawValue) -> Result<BTreeMap<String, &RawValue>, EvalError> {
    read(raw.get())
}

/// JSON without the spaces between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

/// One step of a path.
enum Step<'p> {
    Field(&'p str),
    Item(usize),
}

/// `$.name`, `$['name']`, `$[n]`, one after the other. `None` when it is no path; an index that no array has is not followed.
fn path(text: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, more) = after.split_at(end);
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Field(name));
            rest = more;
            continue;
        }
        let after = rest.strip_prefix('[')?;
        if let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let (name, more) = after[1..].split_once(quote)?;
            steps.push(Step::Field(name));
            rest = more.strip_prefix(']')?;
        } else {
            let (index, more) = after.split_once(']')?;
            let index: i64 = index.trim().parse().ok()?;
            steps.push(Step::Item(usize::try_from(index).unwrap_or(usize::MAX)));
            rest = more;
        }
    }
    Some(steps)
}

fn extract<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let steps = path(text(&args[1])).ok_or(EvalError::BadJson)?;
    let mut raw = parse(text(&args[0]))?;
    for step in steps {
        let next = match step {
            Step::Field(name) if raw.get().starts_with('{') => object(raw)?.remove(name),
            Step::Item(at) if raw.get().starts_with('[') => items(raw)?.get(at).copied(),
            _ => None,
        };
        let Some(next) = next else { return Ok(Value::Null) };
        raw = next;
    }
    match raw.get() {
        "null" => Ok(Value::Null),
        string if string.starts_with('"') => varchar(read::<String>(string)?),
        other => varchar(compact(other)),
    }
}

/// Strings compare as text, numbers by value whatever their type.
fn array_contains<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    if args[0].is_null() {
        return Ok(Value::Boolean(false));
    }
    let raw = parse(text(&args[0]))?;
    if !raw.get().starts_with('[') {
        return Ok(Value::Boolean(false));
    }
    let wanted = &args[1];
    let number = match wanted {
        Value::Int(v) => Some(BigDecimal::from(*v)),
        Value::BigInt(v) => Some(BigDecimal::from(*v)),
        Value::Double(v) => crate::expr::cast::double_text(*v).parse().ok(),
        Value::Decimal(v) => Some(v.clone()),
        _ => None,
    };
    let same = |item: &&RawValue| match (item.get(), wanted) {
        ("null", wanted) => wanted.is_null(),
        ("true", wanted) => *wanted == Value::Boolean(true),
        ("false", wanted) => *wanted == Value::Boolean(false),
        (item, Value::Varchar(wanted)) => {
            item.starts_with('"') && read::<String>(item).is_ok_and(|item| item == *wanted)
        }
        // a number of thousands of digits is none that a column can hold
        (item, _) => {
            number.is_some() && item.len() < 400 && item.parse::<BigDecimal>().ok() == number
        }
    };
    Ok(Value::Boolean(items(raw)?.iter().any(same)))
}

fn concat<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    use serde_json::Value as Json;
    let parts: Vec<Json> = args.iter().map(|arg| read(text(arg))).collect::<Result<_, _>>()?;
    let merged = if parts.iter().all(Json::is_object) {
        let fields = parts
            .into_iter()
            .filter_map(|part| if let Json::Object(fields) = part { Some(fields) } else { None });
        Json::Object(fields.flatten().collect())
    } else {
        let flat = parts
            .into_iter()
            .flat_map(|part| if let Json::Array(items) = part { items } else { vec![part] });
        Json::Array(flat.collect())
    };
    varchar(merged.to_string())
}
