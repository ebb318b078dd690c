//! Functions on URLs. A text that is no URL has no parts: NULL.

use super::{Definition, EvalError, Out, Site, strict, text, varchar};
use crate::model::Value;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "URL_EXTRACT_PROTOCOL",
        about: "The scheme of a URL",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| part(args, |url| url.scheme))],
    },
    Definition {
        name: "URL_EXTRACT_HOST",
        about: "The host of a URL",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| part(args, |url| url.host))],
    },
    Definition {
        name: "URL_EXTRACT_PORT",
        about: "The port of a URL, if it says one",
        overloads: &[strict("(VARCHAR) INT", |args, _| {
            let port = Url::read(text(&args[0])).and_then(|url| url.port?.parse().ok());
            Ok(port.map_or(Value::Null, Value::Int))
        })],
    },
    Definition {
        name: "URL_EXTRACT_PATH",
        about: "The path of a URL",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| part(args, |url| Some(url.path)))],
    },
    Definition {
        name: "URL_EXTRACT_QUERY",
        about: "The query of a URL, without the ?",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| part(args, |url| url.query))],
    },
    Definition {
        name: "URL_EXTRACT_FRAGMENT",
        about: "The fragment of a URL, without the #",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| part(args, |url| url.fragment))],
    },
    Definition {
        name: "URL_EXTRACT_PARAMETER",
        about: "The decoded value of a parameter in a URL's query",
        overloads: &[strict("(VARCHAR, VARCHAR) VARCHAR", parameter)],
    },
    Definition {
        name: "URL_ENCODE_PARAM",
        about: "Text as the value of a URL's parameter",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| varchar(encode(text(&args[0]))))],
    },
    Definition {
        name: "URL_DECODE_PARAM",
        about: "The text of a URL's parameter",
        overloads: &[strict("(VARCHAR) VARCHAR", |args, _| {
            varchar(decode(text(&args[0])).ok_or(EvalError::BadArgument)?)
        })],
    },
];

/// The parts of a URL, still encoded.
struct Url<'t> {
    scheme: Option<&'t str>,
    host: Option<&'t str>,
    port: Option<&'t str>,
    path: &'t str,
    query: Option<&'t str>,
    fragment: Option<&'t str>,
}

impl<'t> Url<'t> {
    /// RFC 3986, appendix B.
    fn read(text: &'t str) -> Option<Url<'t>> {
        if text.bytes().any(|b| {
            b <= b' ' || matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        }) {
            return None;
        }
        let (rest, fragment) =
            text.split_once('#').map_or((text, None), |(rest, fragment)| (rest, Some(fragment)));
        let (rest, query) =
            rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let scheme_end = rest.find([':', '/']).filter(|at| rest.as_bytes()[*at] == b':' && *at > 0);
        let (scheme, rest) =
            scheme_end.map_or((None, rest), |at| (Some(&rest[..at]), &rest[at + 1..]));
        let Some(after) = rest.strip_prefix("//") else {
            return Some(Url { scheme, host: None, port: None, path: rest, query, fragment });
        };
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // a colon inside brackets belongs to an IPv6 address
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        Some(Url {
            scheme,
            host: Some(host).filter(|host| !host.is_empty()),
            port,
            path,
            query,
            fragment,
        })
    }
}

fn part<'a>(args: &[Value<'a>], choose: impl for<'t> Fn(Url<'t>) -> Option<&'t str>) -> Out<'a> {
    match Url::read(text(&args[0])).and_then(choose) {
        Some(part) => varchar(decode(part).unwrap_or_else(|| part.to_string())),
        None => Ok(Value::Null),
    }
}

fn parameter<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let Some(query) = Url::read(text(&args[0])).and_then(|url| url.query) else {
        return Ok(Value::Null);
    };
    let wanted = text(&args[1]);
    let value = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == wanted).then_some(value)
    });
    match value {
        Some(value) => varchar(decode(value).unwrap_or_else(|| value.to_string())),
        None => Ok(Value::Null),
    }
}

/// `application/x-www-form-urlencoded`
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                for half in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
                }
            }
        }
    }
    out
}

/// `None` for a broken escape.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
