//! Functions on regular expressions, in the syntax of the `regex` crate: linear time, without look-around and back-references.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

use super::{Definition, Out, Site, int, strict, text, texts, varchar};
use crate::expr::EvalError;
use crate::model::Value;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "REGEXP_EXTRACT",
        about: "The first match of a regular expression in a text, or of one of its groups",
        overloads: &[
            strict("(VARCHAR, VARCHAR) VARCHAR", extract),
            strict("(VARCHAR, VARCHAR, INT) VARCHAR", extract),
        ],
    },
    Definition {
        name: "REGEXP_EXTRACT_ALL",
        about: "All matches of a regular expression in a text, or of one of its groups",
        overloads: &[
            strict("(VARCHAR, VARCHAR) ARRAY<VARCHAR>", extract_all),
            strict("(VARCHAR, VARCHAR, INT) ARRAY<VARCHAR>", extract_all),
        ],
    },
    Definition {
        name: "REGEXP_REPLACE",
        about: "Text with every match of a regular expression replaced; $1 is its first group",
        overloads: &[strict("(VARCHAR, VARCHAR, VARCHAR) VARCHAR", replace)],
    },
    Definition {
        name: "REGEXP_SPLIT_TO_ARRAY",
        about: "The parts of a text between matches of a regular expression",
        overloads: &[strict("(VARCHAR, VARCHAR) ARRAY<VARCHAR>", split)],
    },
];

/// How many compiled expressions a thread keeps; statements have few, but patterns may come from columns.
const CACHED: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::new(HashMap::new());
}

/// The compiled expression. Cloning is cheap: what is compiled is shared.
fn compiled(pattern: &str) -> Result<Regex, EvalError> {
    COMPILED.with_borrow_mut(|cache| {
        if let Some(known) = cache.get(pattern) {
            return known.clone().ok_or(EvalError::BadRegex);
        }
        if cache.len() >= CACHED {
            cache.clear();
        }
        let regex = Regex::new(pattern).ok();
        cache.insert(pattern.to_string(), regex.clone());
        regex.ok_or(EvalError::BadRegex)
    })
}

/// The group asked for; `None` when the expression has no such group.
fn group(args: &[Value<'_>], regex: &Regex) -> Option<usize> {
    let group = usize::try_from(args.get(2).map_or(0, int)).ok()?;
    (group < regex.captures_len()).then_some(group)
}

fn extract<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let regex = compiled(text(&args[0]))?;
    let Some(group) = group(args, &regex) else { return Ok(Value::Null) };
    match regex.captures(text(&args[1])).and_then(|captures| captures.get(group)) {
        Some(found) => varchar(found.as_str().to_string()),
        None => Ok(Value::Null),
    }
}

fn extract_all<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let regex = compiled(text(&args[0]))?;
    let Some(group) = group(args, &regex) else { return Ok(Value::Null) };
    let found = regex.captures_iter(text(&args[1])).map(|captures| match captures.get(group) {
        Some(found) => Value::Varchar(Cow::Owned(found.as_str().to_string())),
        None => Value::Null,
    });
    Ok(Value::Array(found.collect()))
}

fn replace<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let regex = compiled(text(&args[1]))?;
    varchar(
        regex.replace_all(text(&args[0]), java_replacement(text(&args[2])).as_str()).into_owned(),
    )
}

/// Java's replacement text in the crate's notation: `$1` ends after its digits, a backslash makes the next character literal.
fn java_replacement(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(c) => out.push(c),
                None => out.push('\\'),
            },
            '$' => {
                let mut name = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
                if name.is_empty() && chars.next_if_eq(&'{').is_some() {
                    name.extend(chars.by_ref().take_while(|c| *c != '}'));
                }
                if name.is_empty() {
                    out.push_str("$$");
                } else {
                    out.push_str("${");
                    out.push_str(&name);
                    out.push('}');
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn split<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let (value, pattern) = (text(&args[0]), text(&args[1]));
    let regex = compiled(pattern)?;
    if pattern.is_empty() {
        return texts(value.chars().map(String::from));
    }
    texts(regex.split(value).map(str::to_string))
}
