//! Functions on arrays and maps. Items compare as equal when both are NULL.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{
    Definition, EvalError, Out, Site, bigint, boolean, int, lenient, strict, take, take_array,
    take_map, text, varchar,
};
use crate::expr::cast::text_of;
use crate::expr::eval::map_value;
use crate::expr::{Expr, TypeError};
use crate::model::row::Raw;
use crate::model::{RowRef, RowWriter, Type, Value};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "ARRAY_LENGTH",
        about: "Number of items",
        overloads: &[strict("(ARRAY<T>) INT", |args, _| {
            Ok(Value::Int(take_array(&mut args[0]).len() as i32))
        })
        .stored(|args, _, out| out.int(items(args[0]).width() as i32))],
    },
    Definition {
        name: "ARRAY_CONTAINS",
        about: "Whether an array has an item",
        overloads: &[lenient("(ARRAY<T>, T) BOOLEAN", |args, _| {
            if args[0].is_null() {
                return Ok(Value::Boolean(false));
            }
            Ok(Value::Boolean(take_array(&mut args[0]).contains(&args[1])))
        })],
    },
    Definition {
        name: "ARRAY_DISTINCT",
        about: "The items without repetitions, in order of the first",
        overloads: &[strict("(ARRAY<T>) ARRAY<T>", |args, _| {
            Ok(distinct(take_array(&mut args[0])))
        })],
    },
    Definition {
        name: "ARRAY_EXCEPT",
        about: "The distinct items that are not in the second array",
        overloads: &[strict("(ARRAY<T>, ARRAY<T>) ARRAY<T>", |args, _| {
            let (mut items, others) = (take_array(&mut args[0]), take_array(&mut args[1]));
            items.retain(|item| !others.contains(item));
            Ok(distinct(items))
        })],
    },
    Definition {
        name: "ARRAY_INTERSECT",
        about: "The distinct items that are in both arrays",
        overloads: &[strict("(ARRAY<T>, ARRAY<T>) ARRAY<T>", |args, _| {
            let (mut items, others) = (take_array(&mut args[0]), take_array(&mut args[1]));
            items.retain(|item| others.contains(item));
            Ok(distinct(items))
        })],
    },
    Definition {
        name: "ARRAY_UNION",
        about: "The distinct items of both arrays",
        overloads: &[strict("(ARRAY<T>, ARRAY<T>) ARRAY<T>", |args, _| {
            let mut items = take_array(&mut args[0]);
            items.extend(take_array(&mut args[1]));
            Ok(distinct(items))
        })],
    },
    Definition {
        name: "ARRAY_CONCAT",
        about: "The items of both arrays",
        overloads: &[lenient("(ARRAY<T>, ARRAY<T>) ARRAY<T>", |args, _| {
            match (take(&mut args[0]), take(&mut args[1])) {
                (Value::Array(mut items), Value::Array(more)) => {
                    items.extend(more);
                    Ok(Value::Array(items))
                }
                (Value::Null, only) | (only, _) => Ok(only),
            }
        })],
    },
    Definition {
        name: "ARRAY_JOIN",
        about: "The items as text with a delimiter, by default a comma, between them",
        overloads: &[
            lenient("(ARRAY<T>) VARCHAR", array_join),
            lenient("(ARRAY<T>, VARCHAR) VARCHAR", array_join),
        ],
    },
    Definition {
        name: "ARRAY_MAX",
        about: "The greatest item",
        overloads: &[strict("(ARRAY<T>) T", |args, _| {
            Ok(known(take_array(&mut args[0])).max().unwrap_or(Value::Null))
        })],
    },
    Definition {
        name: "ARRAY_MIN",
        about: "The least item",
        overloads: &[strict("(ARRAY<T>) T", |args, _| {
            Ok(known(take_array(&mut args[0])).min().unwrap_or(Value::Null))
        })],
    },
    Definition {
        name: "ARRAY_REMOVE",
        about: "The items that are not equal to a value",
        overloads: &[lenient("(ARRAY<T>, T) ARRAY<T>", |args, _| {
            if args[0].is_null() {
                return Ok(Value::Null);
            }
            let mut items = take_array(&mut args[0]);
            items.retain(|item| *item != args[1]);
            Ok(Value::Array(items))
        })],
    },
    Definition {
        name: "ARRAY_SORT",
        about: "The items in order, NULLs last; 'DESC' for descending order",
        overloads: &[
            strict("(ARRAY<T>) ARRAY<T>", array_sort),
            strict("(ARRAY<T>, VARCHAR) ARRAY<T>", array_sort),
        ],
    },
    Definition {
        name: "ARRAY_UNTIL_REPEAT",
        about: "The items before the first that occurred already; of structs, the first field is compared, or the one of the given name",
        overloads: &[
            strict("(ARRAY<T>) ARRAY<T>", array_until_repeat).stored(stored_until_repeat),
            strict("(ARRAY<T>, VARCHAR) ARRAY<T>", array_until_repeat)
                .returning(with_field)
                .stored(stored_until_repeat),
        ],
    },
    Definition {
        name: "SLICE",
        about: "The items from one position to another, both included, the first being 1",
        overloads: &[lenient("(ARRAY<T>, INT, INT) ARRAY<T>", slice).stored(stored_slice)],
    },
    Definition {
        name: "GENERATE_SERIES",
        about: "The numbers from one to another, both included, by a step",
        overloads: &[
            strict("(INT, INT) ARRAY<INT>", series_int),
            strict("(INT, INT, INT) ARRAY<INT>", series_int),
            strict("(BIGINT, BIGINT) ARRAY<BIGINT>", series_bigint),
            strict("(BIGINT, BIGINT, INT) ARRAY<BIGINT>", series_bigint),
        ],
    },
    Definition {
        name: "MAP_KEYS",
        about: "The keys of a map",
        overloads: &[strict("(MAP<K, V>) ARRAY<K>", |args, _| {
            Ok(Value::Array(take_map(&mut args[0]).into_iter().map(|(k, _)| k).collect()))
        })],
    },
    Definition {
        name: "MAP_VALUES",
        about: "The values of a map, in order of their keys",
        overloads: &[strict("(MAP<K, V>) ARRAY<V>", |args, _| {
            Ok(Value::Array(take_map(&mut args[0]).into_iter().map(|(_, v)| v).collect()))
        })],
    },
    Definition {
        name: "MAP_UNION",
        about: "The entries of both maps; of equal keys, the second map's",
        overloads: &[lenient("(MAP<K, V>, MAP<K, V>) MAP<K, V>", |args, _| {
            match (take(&mut args[0]), take(&mut args[1])) {
                (Value::Map(mut entries), Value::Map(more)) => {
                    entries.extend(more);
                    Ok(map_value(entries))
                }
                (Value::Null, only) | (only, _) => Ok(only),
            }
        })],
    },
    Definition {
        name: "AS_MAP",
        about: "A map of keys and values; what is longer is cut",
        overloads: &[strict("(ARRAY<K>, ARRAY<V>) MAP<K, V>", |args, _| {
            let (keys, values) = (take_array(&mut args[0]), take_array(&mut args[1]));
            Ok(map_value(keys.into_iter().zip(values).collect()))
        })],
    },
    Definition {
        name: "ENTRIES",
        about: "The entries of a map as structs of K and V, in order of the keys",
        overloads: &[strict("(MAP<K, V>, BOOLEAN) ARRAY<STRUCT<K K, V V>>", entries)],
    },
];

fn known(items: Vec<Value<'_>>) -> impl Iterator<Item = Value<'_>> {
    items.into_iter().filter(|item| !item.is_null())
}

fn distinct(items: Vec<Value<'_>>) -> Value<'_> {
    let mut seen = BTreeSet::new();
    Value::Array(items.into_iter().filter(|item| seen.insert(item.clone())).collect())
}

fn array_join<'a>(args: &mut [Value<'a>], site: Site<'_>) -> Out<'a> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let Type::Array(item) = &site.args[0].ty else { return Ok(Value::Null) };
    let parts: Vec<String> =
        take_array(&mut args[0]).iter().map(|value| text_of(value, item)).collect();
    let delimiter = match args.get(1) {
        None => ",",
        Some(Value::Null) => "",
        Some(delimiter) => text(delimiter),
    };
    varchar(parts.join(delimiter))
}

fn array_sort<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let mut items = take_array(&mut args[0]);
    let descending =
        match args.get(1).map(|direction| text(direction).trim().to_uppercase()).as_deref() {
            None | Some("ASC" | "ASCENDING") => false,
            Some("DESC" | "DESCENDING") => true,
            Some(_) => return Err(EvalError::BadArgument),
        };
    items.sort_by(|a, b| {
        let order = if descending { b.cmp(a) } else { a.cmp(b) };
        a.is_null().cmp(&b.is_null()).then(order)
    });
    Ok(Value::Array(items))
}

/// The identity of an item: a field of a struct, else the item.
fn identity<'v, 'a>(item: &'v Value<'a>, field: usize) -> &'v Value<'a> {
    if let Value::Struct(fields) = item { fields.get(field).unwrap_or(item) } else { item }
}

/// The type of the array, if its items have the field that the constant names.
fn with_field(args: &[Expr]) -> Result<Type, TypeError> {
    let (ty, name) = (&args[0].ty, args[1].as_literal());
    let (Type::Array(item), Some(Value::Varchar(name))) = (ty, name) else {
        return Err(TypeError::NotConstant { what: "the name of the field", expected: "STRING" });
    };
    match &**item {
        Type::Struct(fields) if fields.iter().any(|(field, _)| field == name) => Ok(ty.clone()),
        found => Err(TypeError::NoField { name: name.to_string(), found: found.clone() }),
    }
}

/// The field that ARRAY_UNTIL_REPEAT compares of structs.
fn repeated_field(site: Site<'_>) -> usize {
    match (site.args.get(1).and_then(Expr::as_literal), site.ty) {
        (Some(Value::Varchar(name)), Type::Array(item)) => match &**item {
            Type::Struct(fields) => fields.iter().position(|(field, _)| field == name).unwrap_or(0),
            _ => 0,
        },
        _ => 0,
    }
}

fn array_until_repeat<'a>(args: &mut [Value<'a>], site: Site<'_>) -> Out<'a> {
    let mut items = take_array(&mut args[0]);
    let field = repeated_field(site);
    let mut seen = BTreeSet::new();
    let end =
        items.iter().position(|item| !seen.insert(identity(item, field))).unwrap_or(items.len());
    drop(seen);
    items.truncate(end);
    Ok(Value::Array(items))
}

fn stored_until_repeat(args: &[Raw<'_>], site: Site<'_>, out: &mut RowWriter<'_>) {
    let (items, field) = (items(args[0]), repeated_field(site));
    let of_structs = matches!(site.ty, Type::Array(item) if matches!(&**item, Type::Struct(fields) if !fields.is_empty()));
    let mut seen = hashbrown::HashSet::new();
    let repeats = |i: &usize| {
        let item = items.raw(*i);
        let fields = if of_structs { item.parts() } else { None };
        !seen.insert(fields.map_or(item, |fields| fields.raw(field)))
    };
    let end = (0..items.width()).find(repeats).unwrap_or(items.width());
    write_items(items, 0..end, out);
}

/// From where to where SLICE goes, counted from 0; `None` where it gives NULL.
fn sliced(from: &Value<'_>, to: &Value<'_>, len: usize) -> Option<Range<usize>> {
    let from = if let Value::Int(from) = from { (*from).max(1) as usize - 1 } else { 0 };
    let to = if let Value::Int(to) = to { (*to).max(0) as usize } else { len }.min(len);
    (from <= to).then_some(from..to)
}

fn slice<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let mut items = take_array(&mut args[0]);
    let Some(range) = sliced(&args[1], &args[2], items.len()) else { return Ok(Value::Null) };
    items.truncate(range.end);
    items.drain(..range.start);
    Ok(Value::Array(items))
}

fn stored_slice(args: &[Raw<'_>], _: Site<'_>, out: &mut RowWriter<'_>) {
    let Some(items) = args[0].parts() else { return out.null() };
    match sliced(&args[1].value(&Type::Int), &args[2].value(&Type::Int), items.width()) {
        Some(range) => write_items(items, range, out),
        None => out.null(),
    }
}

/// The items of an array that is not NULL.
fn items(array: Raw<'_>) -> RowRef<'_> {
    array.parts().expect("the function sees no NULLs")
}

fn write_items(items: RowRef<'_>, range: Range<usize>, out: &mut RowWriter<'_>) {
    let Ok(()) = out.parts(range.len(), |out| {
        range.for_each(|i| out.raw(items.raw(i)));
        Ok::<(), std::convert::Infallible>(())
    });
}

/// A series has no more numbers than this.
const MAX_SERIES: i128 = 100_000;

fn series<'a>(from: i64, to: i64, step: Option<i64>, value: impl Fn(i64) -> Value<'a>) -> Out<'a> {
    let (from, to) = (i128::from(from), i128::from(to));
    let step = step.map_or(if from <= to { 1 } else { -1 }, i128::from);
    if step == 0 {
        return Err(EvalError::BadArgument);
    }
    let count = (to - from) / step + 1;
    // the quotient is negative, or 0 for less than one step, when the step leads away
    if (to - from).signum() * step.signum() < 0 {
        return Ok(Value::Array(Vec::new()));
    }
    if count > MAX_SERIES {
        return Err(EvalError::BadArgument);
    }
    Ok(Value::Array((0..count).map(|i| value((from + i * step) as i64)).collect()))
}

fn series_int<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    series(
        int(&args[0]).into(),
        int(&args[1]).into(),
        args.get(2).map(|step| int(step).into()),
        |v| Value::Int(v as i32),
    )
}

fn series_bigint<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    series(
        bigint(&args[0]),
        bigint(&args[1]),
        args.get(2).map(|step| int(step).into()),
        Value::BigInt,
    )
}

/// Maps are sorted by key, so the second argument, which asks for that, changes nothing.
fn entries<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let _sorted = boolean(&args[1]);
    Ok(Value::Array(
        take_map(&mut args[0]).into_iter().map(|(k, v)| Value::Struct(vec![k, v])).collect(),
    ))
}
