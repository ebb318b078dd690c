//! Where records begin and end in text.
//!
//! There are two ways to split, decided once per member from its first bytes by
//! [`Layout::detect`]:
//!
//! * **Lines**: every record lies within one line. A line can be found from any byte
//!   position, so that several workers can read one file at once.
//! * **Values**: records span lines (pretty-printed JSON, JSON arrays, indented event XML) or
//!   share one. Boundaries depend on all bytes before, so one reader finds them in order.
//!
//! Within either, JSON and XML are told apart per record, and these are not part of a record:
//! blank lines, byte-order marks, array brackets and commas between values, `<?xml …?>`,
//! `<Events …>` and its end, whatever precedes `<Event` (a syslog header), and a key of at
//! most [`MAX_KEY`] bytes that ends in `:` before the `{` (dumps of Kafka topics).
//!
//! Anything else is yielded as a record, whole line by whole line, for the JSON parser to
//! refuse: the splitter drops nothing in silence. So is a value that the end of the member
//! cuts short. Bytes that are not UTF-8 pass through.

use std::ops::Range;

use memchr::{memchr, memchr3, memmem, memrchr};

/// What a record's syntax is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// A JSON object, or bytes that are nothing we know.
    Json,
    /// An `<Event>` element.
    Xml,
}

/// How records lie in a text member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each record is within one line.
    Lines,
    /// Records span lines or share them.
    Values,
}

/// The longest key before a `{` that is taken for one.
pub const MAX_KEY: usize = 256;

/// A record found in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where its bytes are.
    pub range: Range<usize>,
    /// What they are.
    pub syntax: Syntax,
}

impl Layout {
    /// Decides from the beginning of a member, without byte-order mark.
    ///
    /// One line that is a complete record proves lines, whatever damaged lines precede it;
    /// otherwise a value with a line break in it, or two on a line, prove the contrary.
    pub fn detect(head: &[u8]) -> Self {
        if head.trim_ascii_start().first() == Some(&b'[') {
            return Self::Values;
        }
        let complete_lines = head.split_inclusive(|&b| b == b'\n').filter(|line| {
            let line = line.trim_ascii_end();
            // indented lines may be parts of a larger value
            !line.first().is_some_and(u8::is_ascii_whitespace) && is_one_record(line)
        });
        if complete_lines.take(1).count() == 1 {
            return Self::Lines;
        }
        let mut scanner = Scanner::default();
        let mut previous_end = None;
        while let Some(span) = scanner.next(head, false) {
            if memchr(b'\n', &head[span.range.clone()]).is_some() {
                return Self::Values;
            }
            if let Some(end) = previous_end.replace(span.range.end)
                && memchr(b'\n', &head[end..span.range.start]).is_none()
            {
                return Self::Values;
            }
        }
        match scanner.state {
            State::Json { .. } | State::Xml
                if memchr(b'\n', &head[scanner.start.min(head.len())..]).is_some() =>
            {
                Self::Values
            }
            // one huge line of XML is a document; one of JSON is a record
            State::Xml => Self::Values,
            _ => Self::Lines,
        }
    }
}

/// Whether a line, trimmed, is exactly one complete record.
fn is_one_record(line: &[u8]) -> bool {
    let mut scanner = Scanner::default();
    let first = scanner.next(line, false);
    first.is_some_and(|span| span.range.end == line.len() && scanner.complete)
}

/// The records of a buffer that holds whole records, in order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    layout: Layout,
    /// In `Lines`: the rest of the current line, then of the buffer.
    line: Range<usize>,
    /// In `Lines`: the current line's number, from 1.
    number: u32,
    scanner: Scanner,
}

impl<'a> Records<'a> {
    /// Splits `bytes`.
    pub fn new(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, layout, line: 0..0, number: 0, scanner: Scanner::default() }
    }

    /// How many lines precede that of the record which came last; `None` where records do not keep to lines.
    #[inline]
    pub fn lines_before(&self) -> Option<u32> {
        (self.layout == Layout::Lines).then(|| self.number.saturating_sub(1))
    }

    fn next_in_lines(&mut self) -> Option<Span> {
        loop {
            if self.line.is_empty() {
                let start = self.line.end;
                if start == self.bytes.len() {
                    return None;
                }
                let end =
                    memchr(b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |n| start + n + 1);
                self.line = start..end;
                self.number += 1;
            }
            let base = self.line.start;
            let (span, used) = record_in_line(&self.bytes[self.line.clone()]);
            self.line.start += used;
            if let Some(span) = span {
                return Some(Span {
                    range: base + span.range.start..base + span.range.end,
                    syntax: span.syntax,
                });
            }
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        match self.layout {
            Layout::Lines => self.next_in_lines(),
            Layout::Values => self.scanner.next(self.bytes, true),
        }
    }
}

/// The first record of (the rest of) a line, and how many bytes are done with.
fn record_in_line(line: &[u8]) -> (Option<Span>, usize) {
    let mut start = 0;
    loop {
        match line[start..] {
            [b' ' | b'\t' | b'\r' | b'\n' | 0x1e, ..] => start += 1,
            [0xef, 0xbb, 0xbf, ..] => start += 3,
            _ => break,
        }
    }
    let end = start + line[start..].trim_ascii_end().len();
    let text = &line[start..end];
    let span =
        |from: usize, to: usize, syntax| Some(Span { range: start + from..start + to, syntax });
    match text.first() {
        None => (None, line.len()),
        // the fast path: JSON lines
        Some(b'{') => (span(0, text.len(), Syntax::Json), line.len()),
        Some(_) => match find_start(text) {
            Some((at, Syntax::Json)) => (span(at, text.len(), Syntax::Json), line.len()),
            Some((at, Syntax::Xml)) => match memmem::find(&text[at..], EVENT_END) {
                Some(n) => {
                    let to = at + n + EVENT_END.len();
                    (span(at, to, Syntax::Xml), start + to)
                }
                None => (span(at, text.len(), Syntax::Xml), line.len()),
            },
            None if is_markup(text) => (None, line.len()),
            None => (span(0, text.len(), Syntax::Json), line.len()),
        },
    }
}

const EVENT: &[u8] = b"<Event";
const EVENT_END: &[u8] = b"</Event>";

/// Where a record starts in a line that does not begin with `{`.
fn find_start(line: &[u8]) -> Option<(usize, Syntax)> {
    let brace = memchr(b'{', &line[..line.len().min(MAX_KEY + 1)]);
    let event = memmem::find_iter(line, EVENT).find(|&at| opens_event(&line[at..]) == Some(true));
    match (brace, event) {
        (Some(brace), event)
            if event.is_none_or(|event| brace < event) && is_key(&line[..brace]) =>
        {
            Some((brace, Syntax::Json))
        }
        (_, event) => event.map(|at| (at, Syntax::Xml)),
    }
}

/// Whether `<Event…` opens an event; `None` when the bytes end too early to tell.
fn opens_event(bytes: &[u8]) -> Option<bool> {
    bytes.get(EVENT.len()).map(|&b| b == b'>' || b.is_ascii_whitespace())
}

fn is_key(prefix: &[u8]) -> bool {
    prefix.len() <= MAX_KEY && prefix.trim_ascii_end().last() == Some(&b':')
}

/// Whether the text consists of nothing but markup around events and punctuation of arrays.
fn is_markup(mut text: &[u8]) -> bool {
    loop {
        text = text.trim_ascii_start();
        match text {
            [] => return true,
            [b',' | b'[' | b']', rest @ ..] => text = rest,
            _ => match markup(text) {
                Some(Markup::Whole(len)) => text = &text[len..],
                Some(Markup::Torn) | None => return false,
            },
        }
    }
}

/// XML markup outside of events.
enum Markup {
    /// So many bytes of it.
    Whole(usize),
    /// Its end is not here.
    Torn,
}

/// The piece of markup that `text` starts with, if any.
fn markup(text: &[u8]) -> Option<Markup> {
    let end: &[u8] = if text.starts_with(b"<!--") {
        b"-->"
    } else if text.starts_with(b"<?")
        || text.starts_with(b"<!")
        || text.starts_with(b"<Events")
        || text.starts_with(b"</Event")
    {
        b">"
    } else {
        return None;
    };
    Some(memmem::find(text, end).map_or(Markup::Torn, |n| Markup::Whole(n + end.len())))
}

/// Finds values one after the other in a buffer that may still grow at its end.
///
/// Every byte is looked at once, however often the buffer grows: the state is kept between
/// calls. After the caller has dropped `n` bytes at the front, [`Scanner::rebase`] follows.
#[derive(Clone, Debug, Default)]
struct Scanner {
    state: State,
    /// First byte of the current value.
    start: usize,
    /// Next byte to look at.
    at: usize,
    /// Whether the last value returned had its end (and was no stray text).
    complete: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Between,
    Json {
        depth: u32,
        in_string: bool,
    },
    Xml,
}

impl Scanner {
    /// The next value; `None` when more bytes are needed, or at the end of the input (`eof`).
    fn next(&mut self, bytes: &[u8], eof: bool) -> Option<Span> {
        loop {
            match self.state {
                State::Between => {
                    if let Some(stray) = self.between(bytes, eof)? {
                        return Some(stray);
                    }
                }
                State::Json { depth, in_string } => {
                    if let Some(end) = self.json(bytes, depth, in_string) {
                        return Some(self.finish(end, Syntax::Json, true));
                    }
                    return self.cut_short(bytes, eof, Syntax::Json);
                }
                State::Xml => {
                    if let Some(n) = memmem::find(&bytes[self.at..], EVENT_END) {
                        let end = self.at + n + EVENT_END.len();
                        return Some(self.finish(end, Syntax::Xml, true));
                    }
                    // the end tag may be torn
                    self.at = self.at.max(bytes.len().saturating_sub(EVENT_END.len() - 1));
                    return self.cut_short(bytes, eof, Syntax::Xml);
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self.state, State::Between)
    }

    /// The caller has dropped the first `n` bytes.
    fn rebase(&mut self, n: usize) {
        self.start = self.start.saturating_sub(n);
        self.at = self.at.saturating_sub(n);
    }

    fn finish(&mut self, end: usize, syntax: Syntax, complete: bool) -> Span {
        self.state = State::Between;
        self.at = end;
        self.complete = complete;
        Span { range: self.start..end, syntax }
    }

    fn cut_short(&mut self, bytes: &[u8], eof: bool, syntax: Syntax) -> Option<Span> {
        if !eof {
            return None;
        }
        let end = self.start + bytes[self.start..].trim_ascii_end().len();
        let span = self.finish(end, syntax, false);
        self.at = bytes.len();
        Some(span)
    }

    /// Skips what stands between values. `None`: more bytes needed or the end;
    /// `Some(None)`: a value starts; `Some(Some(_))`: a line of stray text.
    #[allow(clippy::option_option)]
    fn between(&mut self, bytes: &[u8], eof: bool) -> Option<Option<Span>> {
        loop {
            let rest = &bytes[self.at..];
            match rest {
                [] => return None,
                [b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | 0x1e, ..] => self.at += 1,
                [0xef, 0xbb, 0xbf, ..] => self.at += 3,
                [b'{', ..] => {
                    self.open(0, Syntax::Json);
                    return Some(None);
                }
                _ => {
                    match markup(rest) {
                        Some(Markup::Whole(len)) => {
                            self.at += len;
                            continue;
                        }
                        Some(Markup::Torn) if !eof => return None,
                        Some(Markup::Torn) | None => {}
                    }
                    let eol = memchr(b'\n', rest);
                    let line = &rest[..eol.unwrap_or(rest.len())];
                    if let Some((at, syntax)) = find_start(line) {
                        self.open(at, syntax);
                        return Some(None);
                    }
                    if eol.is_none() && !eof {
                        return None;
                    }
                    let len = line.trim_ascii_end().len();
                    self.start = self.at;
                    let span = self.finish(self.at + len, Syntax::Json, false);
                    return Some(Some(span));
                }
            }
        }
    }

    fn open(&mut self, skip: usize, syntax: Syntax) {
        self.start = self.at + skip;
        self.at = self.start;
        self.state = match syntax {
            Syntax::Json => State::Json { depth: 0, in_string: false },
            Syntax::Xml => State::Xml,
        };
    }

    /// Scans on in a JSON value; its end when that is found.
    fn json(&mut self, bytes: &[u8], mut depth: u32, mut in_string: bool) -> Option<usize> {
        let end = loop {
            let rest = &bytes[self.at..];
            if in_string {
                let Some(n) = memchr3(b'"', b'\\', b'\n', rest) else {
                    self.at = bytes.len();
                    break None;
                };
                match rest[n] {
                    b'"' => {
                        in_string = false;
                        self.at += n + 1;
                    }
                    // what is escaped may not be here yet
                    b'\\' if n + 1 == rest.len() => {
                        self.at += n;
                        break None;
                    }
                    b'\\' => self.at += n + 2,
                    // no JSON string has a line break: the value is broken, the next line
                    // gets its chance
                    _ => {
                        let value = &bytes[self.start..self.at + n];
                        break Some(self.start + value.trim_ascii_end().len());
                    }
                }
            } else {
                let Some(n) = memchr3(b'"', b'{', b'}', rest) else {
                    self.at = bytes.len();
                    break None;
                };
                self.at += n + 1;
                match rest[n] {
                    b'"' => in_string = true,
                    b'{' => depth += 1,
                    _ => {
                        depth -= 1;
                        if depth == 0 {
                            break Some(self.at);
                        }
                    }
                }
            }
        };
        self.state = State::Json { depth, in_string };
        end
    }
}

/// Cuts a stream that is read into a growing buffer at the ends of records.
///
/// The caller drops what [`Cutter::cut`] and [`Cutter::skip`] return from the front of the
/// buffer before it calls again.
#[derive(Debug)]
pub struct Cutter {
    layout: Layout,
    scanner: Scanner,
}

impl Cutter {
    /// Starts at the beginning of a member.
    pub fn new(layout: Layout) -> Self {
        Self { layout, scanner: Scanner::default() }
    }

    /// How many bytes at the front of the buffer are whole records.
    pub fn cut(&mut self, bytes: &[u8]) -> usize {
        let mut cut = 0;
        match self.layout {
            Layout::Lines => cut = memrchr(b'\n', bytes).map_or(0, |n| n + 1),
            Layout::Values => {
                while let Some(span) = self.scanner.next(bytes, false) {
                    cut = span.range.end;
                }
                self.scanner.rebase(cut);
            }
        }
        cut
    }

    /// After a cut: where the record starts whose end is not in the buffer.
    pub fn open_since(&self) -> usize {
        match self.layout {
            Layout::Lines => 0,
            Layout::Values if self.scanner.is_open() => self.scanner.start,
            Layout::Values => self.scanner.at,
        }
    }

    /// Passes over that record, of which the buffer need not hold more than this call leaves:
    /// how many bytes to drop, and whether its end is reached.
    pub fn skip(&mut self, bytes: &[u8], eof: bool) -> (usize, bool) {
        if self.layout == Layout::Values && self.scanner.is_open() {
            let end = self.scanner.next(bytes, eof).map(|span| span.range.end);
            let dropped = end.unwrap_or(self.scanner.at);
            self.scanner.rebase(dropped);
            (dropped, end.is_some())
        } else {
            self.scanner = Scanner::default();
            match memchr(b'\n', bytes) {
                Some(n) => (n + 1, true),
                None => (bytes.len(), false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(text: &str, layout: Layout) -> Vec<(&str, Syntax)> {
        Records::new(text.as_bytes(), layout).map(|span| (&text[span.range], span.syntax)).collect()
    }

    /// Text of what splitters stumble over.
    fn soup() -> impl Strategy<Value = String> {
        let pieces = [
            "{",
            "}",
            "\"",
            "\\",
            "\n",
            "\r\n",
            " ",
            ",",
            "[",
            "]",
            ":",
            "key:",
            "<Event>",
            "<Event",
            "</Event>",
            "<Events>",
            "</Events>",
            "<?xml?>",
            "<!--",
            "-->",
            "Z",
            "é",
            "{\"a\":1}",
            "\u{feff}",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Reading in steps and cutting where the cutter says finds the same records.
        #[test]
        fn cuts_change_nothing(text in soup(), step in 1usize..30, values in any::<bool>()) {
            let layout = if values { Layout::Values } else { Layout::Lines };
            let whole: Vec<_> = Records::new(text.as_bytes(), layout).collect();
            let mut cutter = Cutter::new(layout);
            let (mut base, mut end) = (0, 0);
            let mut pieces = Vec::new();
            let mut keep = |base: usize, bytes: &[u8]| {
                pieces.extend(Records::new(bytes, layout).map(|span| Span {
                    range: base + span.range.start..base + span.range.end,
                    syntax: span.syntax,
                }));
            };
            while end < text.len() {
                end = text.len().min(end + step);
                let cut = cutter.cut(&text.as_bytes()[base..end]);
                keep(base, &text.as_bytes()[base..base + cut]);
                base += cut;
            }
            keep(base, &text.as_bytes()[base..]);
            prop_assert_eq!(pieces, whole);
        }

        /// Nothing but punctuation between values is dropped, and what goes before a record
        /// on its line.
        #[test]
        fn nothing_vanishes(text in soup(), values in any::<bool>()) {
            let layout = if values { Layout::Values } else { Layout::Lines };
            let mut at = 0;
            for span in Records::new(text.as_bytes(), layout) {
                prop_assert!(at <= span.range.start && span.range.start < span.range.end);
                let between = &text[at..span.range.start];
                prop_assert!(
                    !between.contains('Z')
                        || span.syntax == Syntax::Xml
                        || between.trim_end().ends_with(':')
                        || between.contains('<')
                );
                at = span.range.end;
            }
            prop_assert!(!text[at..].contains('Z') || text[at..].contains('<'));
        }
    }

    #[test]
    fn layouts() {
        let lines = [
            "{\"a\":1}\n{\"a\":2}\n",
            "{\"a\":1}",
            "{\"torn\":{\"x\n{\"a\":2}\n",
            "{\"torn\":{\n{\"a\":2}\n",
            ":{\"a\":1}\nkey:{\"a\":1}\n",
            "<Events>\n<Event><a/></Event>\n</Events>",
            "Jan 1 host sysmon: <Event><a/></Event>\n",
            "nothing at all",
        ];
        for text in lines {
            assert_eq!(Layout::detect(text.as_bytes()), Layout::Lines, "{text}");
        }
        let values = [
            "[{\"a\":1}]",
            "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}",
            "{\n  \"a\":",
            "{\"a\":1}{\"a\":2}",
            "<Events><Event>1</Event><Event>2</Event></Events>",
            "<Event xmlns='x'>\n <a/>\n</Event>",
            "<?xml version='1.0'?>\n<Events>\n<Event>\n<a/>",
        ];
        for text in values {
            assert_eq!(Layout::detect(text.as_bytes()), Layout::Values, "{text}");
        }
        let huge = format!("{{\"a\":\"{}", "x".repeat(1000));
        assert_eq!(Layout::detect(huge.as_bytes()), Layout::Lines);
    }

    #[test]
    fn lines_mix_json_xml_keys_and_headers() {
        let text = "{\"a\":1}\r\n\n:{\"b\":\"<Event>\"}\nmy key:{\"c\":1}\n\
                    <?xml version='1.0'?><Events xmlns='x'>\n<Event>{1}</Event>\n\
                    Jan 1 host sysmon[1]: <Event a='1'>2</Event><Event>3</Event>\n</Events>\n\
                    <EventData>\n<Event>torn";
        let expected = [
            ("{\"a\":1}", Syntax::Json),
            ("{\"b\":\"<Event>\"}", Syntax::Json),
            ("{\"c\":1}", Syntax::Json),
            ("<Event>{1}</Event>", Syntax::Xml),
            ("<Event a='1'>2</Event>", Syntax::Xml),
            ("<Event>3</Event>", Syntax::Xml),
            ("<EventData>", Syntax::Json),
            ("<Event>torn", Syntax::Xml),
        ];
        assert_eq!(records(text, Layout::Lines), expected);
        assert_eq!(records(text, Layout::Values), expected);
    }

    #[test]
    fn values_recover_after_a_broken_string() {
        let text = "[{\"a\":\"x\n{\"b\":1},\n{\"c\":{}}]";
        let expected = [
            ("{\"a\":\"x", Syntax::Json),
            ("{\"b\":1}", Syntax::Json),
            ("{\"c\":{}}", Syntax::Json),
        ];
        assert_eq!(records(text, Layout::Values), expected);
    }
}
