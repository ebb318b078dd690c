//! What a line that begins a record looks like.
//!
//! All rules look at one line, and at the bytes before it, and at nothing else: readers that
//! come to a line from different sides agree on it.

use memchr::{memchr, memchr_iter, memchr2, memmem};

use super::json::is_one_value;

/// The longest text before a record on its line: a syslog header, a Kafka key.
pub const MAX_HEADER: usize = 512;

/// How much of a line is looked at to tell whether it begins a record.
pub const LOOK: usize = 2 << 10;

/// How many bytes before a line are looked at for the end of what precedes it.
pub const BEFORE: usize = 64;

/// How many braces of a line are tried as the beginning of a record.
const MAX_TRIES: usize = 8;

/// The longest namespace prefix of `<Event>`.
const MAX_PREFIX: usize = 32;

/// Bytes that separate records and belong to none: white space, the record separator of JSON
/// text sequences, and the zeros of a log that was not closed.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t'..=b'\r' | 0x1e | b' ')
}

pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    trim_end(bytes)
}

/// Whether the bytes begin with `<Event>`, with or without attributes and in any namespace
/// prefix; `None` when they end too early to tell.
pub(super) fn opens_event(bytes: &[u8]) -> Option<bool> {
    let Some(rest) = bytes.strip_prefix(b"<") else {
        return if bytes.is_empty() { None } else { Some(false) };
    };
    let name = rest.iter().take(MAX_PREFIX + 6).take_while(|&&b| is_name(b)).count();
    let end = rest.get(name);
    if end.is_none() && name < MAX_PREFIX + 6 {
        return None;
    }
    let (prefix, local) = split_name(&rest[..name]);
    Some(
        local == b"Event"
            && prefix.len() <= MAX_PREFIX
            && end.is_some_and(|&b| b == b'>' || b.is_ascii_whitespace()),
    )
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.')
}

/// `ns:Event` to `ns:` and `Event`.
fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    name.split_at(memchr(b':', name).map_or(0, |at| at + 1))
}

/// The end tag of the event that the bytes begin with.
pub(super) fn end_tag(event: &[u8]) -> Vec<u8> {
    let name = event[1..].iter().take_while(|&&b| is_name(b)).count();
    [b"</", &event[1..=name], b">"].concat()
}

/// The first `<Event>` that is opened in these bytes.
pub(super) fn find_event(bytes: &[u8]) -> Option<usize> {
    memmem::find_iter(bytes, b"Event").find_map(|at| {
        let before = &bytes[at.saturating_sub(MAX_PREFIX + 1)..at];
        let name = before.iter().rev().take_while(|&&b| is_name(b)).count();
        let open = at.checked_sub(name + 1)?;
        (opens_event(&bytes[open..]) == Some(true)).then_some(open)
    })
}

/// XML markup outside of events.
pub(super) enum Markup {
    /// So many bytes of it.
    Whole(usize),
    /// Its end is not here.
    Torn,
}

/// The piece of markup that `text` starts with, if any. Only comments go over several lines:
/// the end of what is torn may be that of anything.
pub(super) fn markup(text: &[u8]) -> Option<Markup> {
    let torn = |len: Option<usize>| len.map_or(Markup::Torn, Markup::Whole);
    let rest = text.strip_prefix(b"<")?;
    if rest.starts_with(b"!--") {
        return Some(torn(memmem::find(text, b"-->").map(|n| n + 3)));
    }
    let tag = rest.strip_prefix(b"/").unwrap_or(rest);
    let (_, local) = split_name(&tag[..tag.iter().take_while(|&&b| is_name(b)).count()]);
    let is_markup = matches!(rest.first(), Some(b'?' | b'!'))
        || local == b"Events"
        || rest.starts_with(b"/") && local == b"Event";
    let end = memchr2(b'>', b'\n', text);
    (is_markup && end.is_none_or(|n| text[n] == b'>')).then(|| torn(end.map(|n| n + 1)))
}

/// A record that begins somewhere in a line that begins with something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// JSON after a key: it may go on after the line.
    Json(usize),
    /// JSON that is the rest of the line.
    JsonToEnd(usize),
    /// JSON in a quoted cell of a CSV line, from here to there.
    JsonInCell(usize, usize),
    /// An event; whether in a quoted cell.
    Event(usize, bool),
}

/// Where a record starts in a line that begins with neither `{` nor `<Event>`.
pub(super) fn find_start(line: &[u8], events: bool) -> Option<Start> {
    let event = if events { find_event(line) } else { None };
    let before = &line[..event.unwrap_or(line.len()).min(MAX_HEADER)];
    let braces = memchr_iter(b'{', before).filter(|&at| opens_object(&line[at + 1..]));
    for at in braces.take(MAX_TRIES) {
        let header = &line[..at];
        if is_key(header) {
            return Some(Start::Json(at));
        }
        if events && line[at..].starts_with(b"{\"\"") && header.last() == Some(&b'"') {
            let cell = &line[at..at + cell_len(&line[at..])];
            let len = trim_end(cell).len();
            if line[at..at + len].last() == Some(&b'}') {
                return Some(Start::JsonInCell(at, at + len));
            }
        }
        if events && is_header(header) && is_one_value(trim_end(&line[at..])) {
            return Some(Start::JsonToEnd(at));
        }
    }
    event.map(|at| Start::Event(at, line[..at].last() == Some(&b'"')))
}

/// Whether what follows a brace is what follows it in an object.
pub(super) fn opens_object(rest: &[u8]) -> bool {
    let next = rest.iter().find(|byte| !is_blank(**byte));
    next.is_none_or(|&byte| byte == b'"' || byte == b'}')
}

/// Whether this is the key of a Kafka record, as consumers print it, or a header that ends in
/// a colon. The inside of a JSON object is not.
fn is_key(header: &[u8]) -> bool {
    trim_end(header).split_last().is_some_and(|(last, rest)| *last == b':' && !is_inside(rest))
}

/// Whether a record may follow this on its line.
fn is_header(header: &[u8]) -> bool {
    !matches!(trim_end(header).last(), Some(b',' | b':' | b'[' | b'{')) && !is_inside(header)
}

fn is_inside(header: &[u8]) -> bool {
    [&b"\":"[..], b"\",", b"{\""].iter().any(|piece| memmem::find(header, piece).is_some())
}

/// The length of a quoted cell's content: up to the quote that is not doubled.
fn cell_len(cell: &[u8]) -> usize {
    let mut at = 0;
    while let Some(n) = memchr(b'"', &cell[at..]) {
        match cell.get(at + n + 1) {
            Some(b'"') => at += n + 2,
            _ => return at + n,
        }
    }
    cell.len()
}

/// Takes CSV's quoting off: each doubled quote is one. `None` when quotes are not doubled.
pub fn undouble(cell: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(cell.len());
    let mut at = 0;
    while let Some(n) = memchr(b'"', &cell[at..]) {
        // a quote that is not doubled: the text was not quoted
        if cell.get(at + n + 1) != Some(&b'"') {
            return None;
        }
        text.extend_from_slice(&cell[at..=at + n]);
        at += n + 2;
    }
    text.extend_from_slice(&cell[at..]);
    Some(text)
}

/// The text forms of events, each with its own first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Splunk: a date, then `LogName=…`, or that alone.
    Splunk,
    /// `wevtutil /f:text`: `Event[0]:`.
    Wevtutil,
    /// `Format-List` of PowerShell: `Name : value` after an empty line.
    List,
}

/// Whether a text record begins with this line. `rest` is what follows the line.
pub(super) fn text_start(line: &[u8], rest: &[u8], after_blank: bool) -> Option<Style> {
    let line = trim_end(line);
    if line.starts_with(b"LogName=") || is_date(line) && rest.starts_with(b"LogName=") {
        return Some(Style::Splunk);
    }
    if let Some(rest) = line.strip_prefix(b"Event[") {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 && matches!(&rest[digits..], b"]" | b"]:") {
            return Some(Style::Wevtutil);
        }
    }
    (after_blank && is_list_item(line)).then_some(Style::List)
}

/// Whether a line has the rendered message of an event behind something else, as syslog has it:
/// such a line is a text record of its own.
pub(super) fn is_rendered(line: &[u8]) -> bool {
    memmem::find(line, b"UtcTime:").is_some_and(|at| at > 0)
}

/// `01/15/2024 12:36:32 AM`, also without the last part or with other separators.
fn is_date(line: &[u8]) -> bool {
    let date = |&b: &u8| b.is_ascii_digit() || b"/-.: APMT+Z".contains(&b);
    (10..=40).contains(&line.len()) && line[0].is_ascii_digit() && line.iter().all(date)
}

/// `Name   : value`, the name of letters, with a space before the colon.
fn is_list_item(line: &[u8]) -> bool {
    let name = line.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let spaces = line[name..].iter().take_while(|&&b| b == b' ').count();
    (2..=40).contains(&name)
        && spaces > 0
        && line[0].is_ascii_uppercase()
        && line[name + spaces..].first() == Some(&b':')
        && matches!(line.get(name + spaces + 1), None | Some(b' '))
}

/// Whether a record begins with a line, of which `line` is the beginning, up to [`LOOK`]
/// bytes and without the line break; `rest` is what follows. Indented lines count only with
/// `anywhere`.
pub(super) fn begins_record(line: &[u8], rest: &[u8], events: bool, anywhere: bool) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let text = if anywhere { trim(line) } else { line };
    match text {
        // at the beginning of a line it ends whatever is open
        [b'{', rest @ ..] => line.first() == Some(&b'{') || opens_object(rest),
        [] | [b'}' | b']', ..] => false,
        [b'[' | b',', rest @ ..] => anywhere && begins_record(rest, &[], events, true),
        [b'<', ..] if events && opens_event(text) == Some(true) => true,
        [b'<', b'?', ..] => events && text.starts_with(b"<?xml"),
        [first, ..] if !anywhere && (*first == b'"' || is_blank(*first)) => false,
        [b'"', ..] => {
            let quoted = |at: &Start| matches!(at, Start::JsonInCell(..) | Start::Event(_, true));
            events && find_start(text, true).is_some_and(|start| quoted(&start))
        }
        _ => {
            let brace = memmem::find(&text[..text.len().min(MAX_HEADER)], b"{\"");
            let json = |at| is_key(&text[..at]) || events && is_header(&text[..at]);
            brace.is_some_and(json)
                || events && (find_event(text).is_some() || text_start(line, rest, false).is_some())
        }
    }
}

/// Whether a record certainly begins with a line that stands after `before`: no JSON value
/// that is open can go on with it.
pub fn is_cut(before: &[u8], line: &[u8], rest: &[u8], events: bool) -> bool {
    !matches!(trim_end(before).last(), Some(b',' | b':' | b'['))
        && begins_record(line, rest, events, false)
}

/// What may stand between records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// Blanks, and the commas and brackets of arrays.
    Values,
    /// Blanks.
    Lines,
    /// Line breaks: a blank may be an empty cell.
    Rows,
}

/// The length of what separates records, with byte-order marks. `None` when a mark may be torn.
pub(super) fn separators(bytes: &[u8], between: Between, eof: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n' | b'\r', ..] => at += 1,
            [byte, ..] if is_blank(*byte) && between != Between::Rows => at += 1,
            [b',' | b'[' | b']', ..] if between == Between::Values => at += 1,
            [0xef, 0xbb, 0xbf, ..] => at += 3,
            [0xef] | [0xef, 0xbb] if !eof => return None,
            _ => return Some(at),
        }
    }
}
