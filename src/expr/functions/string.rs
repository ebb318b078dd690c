//! Functions on text.
//!
//! Positions and lengths count UTF-16 units, as Java's do; half of a character outside the Basic Multilingual Plane is U+FFFD.

use std::borrow::Cow;

use super::{
    Definition, EvalError, Out, Site, bytes, int, lenient, strict, take, take_text, text, texts,
    varchar,
};
use crate::expr::eval::map_value;
use crate::model::row::Raw;
use crate::model::{RowWriter, Type, Value, shorten};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "UCASE",
        about: "Upper case",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| varchar(text(&args[0]).to_uppercase()))],
    },
    Definition {
        name: "LCASE",
        about: "Lower case",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| varchar(text(&args[0]).to_lowercase()))],
    },
    Definition {
        name: "LEN",
        about: "Length in UTF-16 units, or in bytes",
        overloads: &[
            strict("(VARCHAR) INT", |args, _| Ok(Value::Int(utf16_len(text(&args[0])) as i32))),
            strict("(BYTES) INT", |args, _| Ok(Value::Int(bytes(&args[0]).len() as i32))),
        ],
    },
    Definition {
        name: "TRIM",
        about: "Text without control characters and spaces around it",
        overloads: &[strict("(VARCHAR) VARCHAR", trim)],
    },
    Definition {
        name: "SUBSTRING",
        about: "Part of a text from a position, the first being 1, negative ones counting from the end",
        overloads: &[
            strict("(VARCHAR, INT) VARCHAR", substring),
            strict("(VARCHAR, INT, INT) VARCHAR", substring),
        ],
    },
    Definition {
        name: "SHORTEN",
        about: "Text cut to so many bytes, with its length and hash at the end where it was longer",
        overloads: &[strict("(VARCHAR, INT) VARCHAR", |args, _| {
            let most = usize::try_from(int(&args[1])).unwrap_or_default();
            let whole = take_text(&mut args[0]);
            varchar(shorten(&whole, most).map_or(whole, Cow::Owned))
        })
        .stored(stored_shorten)],
    },
    Definition {
        name: "CONCAT",
        about: "Texts one after the other, without the NULLs",
        overloads: &[
            lenient("(VARCHAR...) VARCHAR", concat),
            lenient("(BYTES...) BYTES", |args, _| Ok(join_bytes(args, &[]))),
        ],
    },
    Definition {
        name: "CONCAT_WS",
        about: "Texts with a separator between them, without the NULLs",
        overloads: &[
            lenient("(VARCHAR, VARCHAR...) VARCHAR", concat_ws),
            lenient("(BYTES, BYTES...) BYTES", |args, _| match take(&mut args[0]) {
                Value::Bytes(separator) => Ok(join_bytes(&args[1..], &separator)),
                _ => Ok(Value::Null),
            }),
        ],
    },
    Definition {
        name: "REPLACE",
        about: "Text with every occurrence of another replaced",
        overloads: &[strict("(VARCHAR, VARCHAR, VARCHAR) VARCHAR", |args, _| {
            let (old, new) = (text(&args[1]), text(&args[2]));
            varchar(text(&args[0]).replace(old, new))
        })],
    },
    Definition {
        name: "INSTR",
        about: "Position of a text in another, 0 where it is not; from a position, backwards from a negative one, the n-th occurrence",
        overloads: &[
            strict("(VARCHAR, VARCHAR) INT", instr),
            strict("(VARCHAR, VARCHAR, INT) INT", instr),
            strict("(VARCHAR, VARCHAR, INT, INT) INT", instr),
        ],
    },
    Definition {
        name: "LPAD",
        about: "Text filled at the left, or cut, to a length",
        overloads: &[
            strict("(VARCHAR, INT, VARCHAR) VARCHAR", |args, _| pad(args, true)),
            strict("(BYTES, INT, BYTES) BYTES", |args, _| pad_bytes(args, true)),
        ],
    },
    Definition {
        name: "RPAD",
        about: "Text filled at the right, or cut, to a length",
        overloads: &[
            strict("(VARCHAR, INT, VARCHAR) VARCHAR", |args, _| pad(args, false)),
            strict("(BYTES, INT, BYTES) BYTES", |args, _| pad_bytes(args, false)),
        ],
    },
    Definition {
        name: "INITCAP",
        about: "Every word with a capital first letter and the rest in lower case",
        overloads: &[strict("(VARCHAR) VARCHAR", initcap)],
    },
    Definition {
        name: "SPLIT",
        about: "The parts of a text between delimiters; its characters when the delimiter is empty",
        overloads: &[
            strict("(VARCHAR, VARCHAR) ARRAY<VARCHAR>", split),
            strict("(BYTES, BYTES) ARRAY<BYTES>", split_bytes),
        ],
    },
    Definition {
        name: "SPLIT_TO_MAP",
        about: "A map of the key-value pairs in a text, given both delimiters",
        overloads: &[strict("(VARCHAR, VARCHAR, VARCHAR) MAP<VARCHAR, VARCHAR>", split_to_map)],
    },
    Definition {
        name: "CHR",
        about: "The character of a code point, or of escapes as in Java",
        overloads: &[strict("(INT) VARCHAR", chr_code), strict("(VARCHAR) VARCHAR", chr_escape)],
    },
    Definition {
        name: "FIELD",
        about: "Position of the first argument among the others, 0 where it is not",
        overloads: &[lenient("(VARCHAR, VARCHAR...) INT", |args, _| {
            let at = if args[0].is_null() {
                None
            } else {
                args[1..].iter().position(|arg| *arg == args[0])
            };
            Ok(Value::Int(at.map_or(0, |at| at as i32 + 1)))
        })],
    },
    Definition {
        name: "ELT",
        about: "The n-th of the texts",
        overloads: &[lenient("(INT, VARCHAR...) VARCHAR", |args, _| match args[0] {
            Value::Int(n) if n > 0 => Ok(args.get_mut(n as usize).map_or(Value::Null, take)),
            _ => Ok(Value::Null),
        })],
    },
    Definition {
        name: "MASK",
        about: "Text with upper-case letters, lower-case letters, digits and the rest replaced by X, x, n, -, or by the characters given",
        overloads: &[
            lenient("(VARCHAR) VARCHAR", |args, _| mask(args, 1, |_, _| true)),
            lenient("(VARCHAR, VARCHAR, VARCHAR, VARCHAR, VARCHAR) VARCHAR", |args, _| {
                mask(args, 1, |_, _| true)
            }),
        ],
    },
    Definition {
        name: "MASK_LEFT",
        about: "MASK of the first n characters",
        overloads: &[
            lenient("(VARCHAR, INT) VARCHAR", mask_left),
            lenient("(VARCHAR, INT, VARCHAR, VARCHAR, VARCHAR, VARCHAR) VARCHAR", mask_left),
        ],
    },
    Definition {
        name: "MASK_RIGHT",
        about: "MASK of the last n characters",
        overloads: &[
            lenient("(VARCHAR, INT) VARCHAR", mask_right),
            lenient("(VARCHAR, INT, VARCHAR, VARCHAR, VARCHAR, VARCHAR) VARCHAR", mask_right),
        ],
    },
    Definition {
        name: "MASK_KEEP_LEFT",
        about: "MASK of all but the first n characters",
        overloads: &[
            lenient("(VARCHAR, INT) VARCHAR", mask_keep_left),
            lenient("(VARCHAR, INT, VARCHAR, VARCHAR, VARCHAR, VARCHAR) VARCHAR", mask_keep_left),
        ],
    },
    Definition {
        name: "MASK_KEEP_RIGHT",
        about: "MASK of all but the last n characters",
        overloads: &[
            lenient("(VARCHAR, INT) VARCHAR", mask_keep_right),
            lenient("(VARCHAR, INT, VARCHAR, VARCHAR, VARCHAR, VARCHAR) VARCHAR", mask_keep_right),
        ],
    },
    Definition {
        name: "BASENAME",
        about: "What follows the last \\ or / of a path: the file's name",
        overloads: &[strict("(VARCHAR) VARCHAR", basename)],
    },
];

fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The UTF-16 units `from..to` of a text.
fn slice(text: &str, from: usize, to: usize) -> String {
    if text.is_ascii() {
        return text[from..to].to_string();
    }
    let units: Vec<u16> = text.encode_utf16().skip(from).take(to - from).collect();
    String::from_utf16_lossy(&units)
}

/// Java's trim: everything up to U+0020.
fn trim<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let outside = |c: char| c <= ' ';
    varchar(match take_text(&mut args[0]) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(outside)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(outside).to_string()),
    })
}

/// Start and end of a part given as SQL's position and length; shared with BYTES.
pub(super) fn part(len: usize, position: i32, length: Option<i32>) -> (usize, usize) {
    let (len, position) = (len as i64, i64::from(position));
    let start = if position < 0 { (len + position).max(0) } else { (position - 1).clamp(0, len) };
    let end = length.map_or(len, |length| (start + i64::from(length)).clamp(start, len));
    (start as usize, end as usize)
}

/// Nearly all texts are short enough, and copied as they are stored.
fn stored_shorten(args: &[Raw<'_>], _: Site<'_>, out: &mut RowWriter<'_>) {
    let Value::Int(most) = args[1].value(&Type::Int) else { return out.null() };
    let most = usize::try_from(most).unwrap_or_default();
    let (Raw::Plain(stored) | Raw::Escaped(stored)) = args[0] else { return out.null() };
    // escapes are longer than what they stand for
    if stored.len() <= most {
        return out.raw(args[0]);
    }
    let Value::Varchar(text) = args[0].value(&Type::Varchar) else { return out.null() };
    match shorten(&text, most) {
        Some(short) => out.text(&short),
        None => out.raw(args[0]),
    }
}

fn substring<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let value = take_text(&mut args[0]);
    let (from, to) = part(utf16_len(&value), int(&args[1]), args.get(2).map(int));
    match value {
        Cow::Borrowed(value) if value.is_ascii() => varchar(&value[from..to]),
        value => varchar(slice(&value, from, to)),
    }
}

fn concat<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    varchar(args.iter().filter(|arg| !arg.is_null()).map(text).collect::<String>())
}

fn concat_ws<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let parts: Vec<&str> = args[1..].iter().filter(|arg| !arg.is_null()).map(text).collect();
    varchar(parts.join(text(&args[0])))
}

/// The known parts with a separator between them.
fn join_bytes<'a>(parts: &[Value<'a>], separator: &[u8]) -> Value<'a> {
    let parts: Vec<&[u8]> = parts.iter().filter(|part| !part.is_null()).map(bytes).collect();
    Value::Bytes(parts.join(separator).into())
}

fn instr<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let haystack: Vec<u16> = text(&args[0]).encode_utf16().collect();
    let needle: Vec<u16> = text(&args[1]).encode_utf16().collect();
    let position = args.get(2).map_or(1, int);
    let occurrence = args.get(3).map_or(1, int);
    let found = |at: &usize| haystack[*at..].starts_with(&needle);
    let nowhere =
        position == 0 || occurrence < 1 || position.unsigned_abs() as usize > haystack.len();
    let nth = occurrence.max(1) as usize - 1;
    let at = if nowhere {
        None
    } else if position > 0 {
        (position as usize - 1..=haystack.len()).filter(found).nth(nth)
    } else {
        (0..=haystack.len() - position.unsigned_abs() as usize).rev().filter(found).nth(nth)
    };
    Ok(Value::Int(at.map_or(0, |at| at as i32 + 1)))
}

/// Texts are not filled to more than this many units.
const MAX_PADDED: i32 = 1 << 20;

fn pad<'a>(args: &mut [Value<'a>], left: bool) -> Out<'a> {
    let (value, fill): (Vec<u16>, Vec<u16>) =
        (text(&args[0]).encode_utf16().collect(), text(&args[2]).encode_utf16().collect());
    match padded(&value, int(&args[1]), &fill, left)? {
        Some(units) => varchar(String::from_utf16_lossy(&units)),
        None => Ok(Value::Null),
    }
}

fn pad_bytes<'a>(args: &mut [Value<'a>], left: bool) -> Out<'a> {
    let bytes = padded(bytes(&args[0]), int(&args[1]), bytes(&args[2]), left)?;
    Ok(bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.into())))
}

/// `None` for a negative length or nothing to fill with.
fn padded<T: Copy>(
    value: &[T],
    length: i32,
    fill: &[T],
    left: bool,
) -> Result<Option<Vec<T>>, EvalError> {
    if length < 0 || fill.is_empty() {
        return Ok(None);
    }
    if length > MAX_PADDED {
        return Err(EvalError::BadArgument);
    }
    let length = length as usize;
    let fill = fill.iter().copied().cycle().take(length.saturating_sub(value.len()));
    let value = value.iter().copied().take(length);
    Ok(Some(if left { fill.chain(value).collect() } else { value.chain(fill).collect() }))
}

fn initcap<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let mut out = String::with_capacity(text(&args[0]).len());
    let mut first = true;
    for c in text(&args[0]).chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = c.is_whitespace();
    }
    varchar(out)
}

fn split<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let value = take_text(&mut args[0]);
    let delimiter = text(&args[1]);
    if delimiter.is_empty() {
        if value.is_empty() {
            return texts([value]);
        }
        return texts(value.chars().map(String::from));
    }
    match value {
        Cow::Borrowed(value) => texts(value.split(delimiter)),
        Cow::Owned(value) => texts(value.split(delimiter).map(str::to_string)),
    }
}

fn split_bytes<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let (mut rest, delimiter) = (bytes(&args[0]), bytes(&args[1]));
    let mut parts = Vec::new();
    if delimiter.is_empty() {
        parts.extend(rest.iter().map(|byte| vec![*byte]));
    } else {
        while let Some(at) = memchr::memmem::find(rest, delimiter) {
            parts.push(rest[..at].to_vec());
            rest = &rest[at + delimiter.len()..];
        }
        parts.push(rest.to_vec());
    }
    Ok(Value::Array(parts.into_iter().map(|part| Value::Bytes(part.into())).collect()))
}

fn split_to_map<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let (entries, pair) = (text(&args[1]), text(&args[2]));
    if entries.is_empty() || pair.is_empty() {
        return Ok(Value::Null);
    }
    let parts = text(&args[0]).split(entries).filter_map(|entry| {
        let mut parts = entry.split(pair);
        let (key, value) = (parts.next()?, parts.next()?);
        Some((Value::Varchar(key.to_string().into()), Value::Varchar(value.to_string().into())))
    });
    Ok(map_value(parts.collect()))
}

fn chr_code<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    match u32::try_from(int(&args[0])).ok().and_then(char::from_u32) {
        Some(char) => varchar(char.to_string()),
        None => Ok(Value::Null),
    }
}

fn chr_escape<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let escape = text(&args[0]);
    let valid = escape.len() >= 6 && escape.is_char_boundary(2) && escape.starts_with("\\u");
    match crate::model::json::unescape(escape.as_bytes()) {
        Some(decoded) if valid => varchar(decoded.into_owned()),
        _ => Ok(Value::Null),
    }
}

/// Masks the characters whose index, of so many, is chosen. The characters that replace start at argument `from`.
fn mask<'a>(args: &mut [Value<'a>], from: usize, chosen: impl Fn(usize, usize) -> bool) -> Out<'a> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    // a NULL leaves its kind of character as it is
    let with = |at: usize, default: char| match args.get(from + at) {
        None => Some(default),
        Some(Value::Varchar(given)) => given.chars().next(),
        Some(_) => None,
    };
    let (upper, lower, digit, other) = (with(0, 'X'), with(1, 'x'), with(2, 'n'), with(3, '-'));
    let value = text(&args[0]);
    let count = value.chars().count();
    let masked = value.chars().enumerate().map(|(i, c)| {
        if !chosen(i, count) {
            return c;
        }
        let kind = if c.is_uppercase() {
            upper
        } else if c.is_lowercase() {
            lower
        } else if c.is_numeric() {
            digit
        } else {
            other
        };
        kind.unwrap_or(c)
    });
    varchar(masked.collect::<String>())
}

/// How many characters the second argument says.
fn mask_count(args: &[Value<'_>]) -> Result<usize, EvalError> {
    match args[1] {
        Value::Int(n) if n >= 0 => Ok(n as usize),
        _ => Err(EvalError::BadArgument),
    }
}

fn mask_left<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let n = mask_count(args)?;
    mask(args, 2, |i, _| i < n)
}

fn mask_right<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let n = mask_count(args)?;
    mask(args, 2, |i, count| i + n >= count)
}

fn mask_keep_left<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let n = mask_count(args)?;
    mask(args, 2, |i, _| i >= n)
}

fn mask_keep_right<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let n = mask_count(args)?;
    mask(args, 2, |i, count| i + n < count)
}

fn basename<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let name = |path: &str| path.rfind(['\\', '/']).map_or(0, |at| at + 1);
    varchar(match take_text(&mut args[0]) {
        Cow::Borrowed(path) => Cow::Borrowed(&path[name(path)..]),
        Cow::Owned(path) => Cow::Owned(path[name(&path)..].to_string()),
    })
}
