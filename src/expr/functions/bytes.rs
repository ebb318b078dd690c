//! Functions on bytes, and the encodings of bytes as text.

use super::string::part;
use super::{Definition, Out, Site, bytes, int, strict, take, text, varchar};
use crate::expr::EvalError;
use crate::model::{Value, base64};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "TO_BYTES",
        about: "The bytes that a text encodes: 'hex', 'utf8', 'ascii' or 'base64'",
        overloads: &[strict("(VARCHAR, VARCHAR) BYTES", |args, _| {
            let encoding = Encoding::named(text(&args[1]))?;
            Ok(Value::Bytes(encoding.decode(text(&args[0]))?.into()))
        })],
    },
    Definition {
        name: "FROM_BYTES",
        about: "Bytes as text: 'hex', 'utf8', 'ascii' or 'base64'",
        overloads: &[strict("(BYTES, VARCHAR) VARCHAR", |args, _| {
            varchar(Encoding::named(text(&args[1]))?.encode(bytes(&args[0]), true))
        })],
    },
    Definition {
        name: "ENCODE",
        about: "Text in one encoding of bytes as text in another: 'hex', 'utf8', 'ascii' or 'base64'",
        overloads: &[strict("(VARCHAR, VARCHAR, VARCHAR) VARCHAR", |args, _| {
            let (from, to) = (Encoding::named(text(&args[1]))?, Encoding::named(text(&args[2]))?);
            if from == to {
                return Ok(take(&mut args[0]));
            }
            varchar(to.encode(&from.decode(text(&args[0]))?, false))
        })],
    },
    Definition {
        name: "INT_FROM_BYTES",
        about: "The INT of 4 bytes, 'BIG_ENDIAN' or 'LITTLE_ENDIAN'",
        overloads: &[
            strict("(BYTES) INT", |args, _| {
                fixed(args).map(|bytes| Value::Int(i32::from_be_bytes(bytes)))
            }),
            strict("(BYTES, VARCHAR) INT", |args, _| {
                fixed(args).map(|bytes| Value::Int(i32::from_be_bytes(bytes)))
            }),
        ],
    },
    Definition {
        name: "BIGINT_FROM_BYTES",
        about: "The BIGINT of 8 bytes, 'BIG_ENDIAN' or 'LITTLE_ENDIAN'",
        overloads: &[
            strict("(BYTES) BIGINT", |args, _| {
                fixed(args).map(|bytes| Value::BigInt(i64::from_be_bytes(bytes)))
            }),
            strict("(BYTES, VARCHAR) BIGINT", |args, _| {
                fixed(args).map(|bytes| Value::BigInt(i64::from_be_bytes(bytes)))
            }),
        ],
    },
    Definition {
        name: "DOUBLE_FROM_BYTES",
        about: "The DOUBLE of 8 bytes, 'BIG_ENDIAN' or 'LITTLE_ENDIAN'",
        overloads: &[
            strict("(BYTES) DOUBLE", |args, _| {
                fixed(args).map(|bytes| Value::Double(f64::from_be_bytes(bytes)))
            }),
            strict("(BYTES, VARCHAR) DOUBLE", |args, _| {
                fixed(args).map(|bytes| Value::Double(f64::from_be_bytes(bytes)))
            }),
        ],
    },
    Definition {
        name: "SUBBYTES",
        about: "Part of bytes from a position, the first being 1, negative ones counting from the end",
        overloads: &[
            strict("(BYTES, INT) BYTES", subbytes),
            strict("(BYTES, INT, INT) BYTES", subbytes),
        ],
    },
];

/// The bytes, most significant first.
fn fixed<const N: usize>(args: &[Value<'_>]) -> Result<[u8; N], EvalError> {
    let mut bytes: [u8; N] = bytes(&args[0]).try_into().map_err(|_| EvalError::BadArgument)?;
    match args.get(1).map(|order| text(order).to_uppercase()).as_deref() {
        None | Some("BIG_ENDIAN") => {}
        Some("LITTLE_ENDIAN") => bytes.reverse(),
        Some(_) => return Err(EvalError::BadArgument),
    }
    Ok(bytes)
}

fn subbytes<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let value = bytes(&args[0]);
    let (from, to) = part(value.len(), int(&args[1]), args.get(2).map(int));
    Ok(Value::Bytes(value[from..to].to_vec().into()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    fn named(name: &str) -> Result<Encoding, EvalError> {
        match name.to_lowercase().as_str() {
            "hex" => Ok(Encoding::Hex),
            "utf8" => Ok(Encoding::Utf8),
            "ascii" => Ok(Encoding::Ascii),
            "base64" => Ok(Encoding::Base64),
            _ => Err(EvalError::BadArgument),
        }
    }

    fn decode(self, text: &str) -> Result<Vec<u8>, EvalError> {
        match self {
            Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
            Encoding::Ascii => {
                Ok(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
            }
            Encoding::Hex => hex(text).ok_or(EvalError::BadCast),
            Encoding::Base64 => from_base64(text).ok_or(EvalError::BadCast),
        }
    }

    fn encode(self, bytes: &[u8], upper: bool) -> String {
        match self {
            Encoding::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Encoding::Ascii => bytes
                .iter()
                .map(|b| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER })
                .collect(),
            Encoding::Hex => {
                let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
                bytes
                    .iter()
                    .flat_map(|b| [b >> 4, b & 15])
                    .map(|half| char::from(digits[usize::from(half)]))
                    .collect()
            }
            Encoding::Base64 => base64::encode(bytes),
        }
    }
}

/// Base 16, with `0x` or `X'…'` around it or not; an odd digit comes first.
fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("X'")?.strip_suffix('\''))
        .unwrap_or(text);
    let padded = if text.len().is_multiple_of(2) { text.to_string() } else { format!("0{text}") };
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    padded.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for i in 0..4 {
            let value = match group.get(i) {
                None => 0,
                Some(digit) => base64::ALPHABET.iter().position(|known| known == digit)? as u32,
            };
            word = word << 6 | value;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}
