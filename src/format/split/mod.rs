//! Where records begin and end in text.
//!
//! A record is found by what it is, not by how the file began: JSON objects, event XML, the
//! text forms of events, on lines of their own, over several lines or several to a line, in
//! any order in one file.
//!
//! # What a record is
//! * **JSON**: an object, from `{` to its `}`.
//! * **Event XML**: from `<Event` to `</Event>`, in any namespace prefix. Line breaks inside
//!   are data.
//! * **Text**: what Splunk, `wevtutil` and `Format-List` write, from its first line to the next
//!   line that begins a record; and a line that is nothing of all this, whole, for the decoder
//!   to refuse: the splitter drops nothing in silence.
//! * **Row** of a CSV table, when the first line of the member names its columns ([`csv`]).
//!
//! Not part of a record are blanks, byte-order marks, array brackets and commas between values,
//! `<?xml …?>`, `<Events …>` and its end; whatever precedes `<Event` on its line; a key of Kafka
//! that ends in `:` before the `{`; and any other header of at most [`MAX_HEADER`] bytes (of
//! syslog, of a console consumer) before a `{` whose value ends with the line. In a quoted cell
//! of a CSV line the quotes are doubled ([`Span::doubled`]).
//!
//! # Damage
//! A value that contradicts its syntax, or that the end of the member cuts short, is damaged. The
//! scanner goes back to the first line after the value's beginning that begins a record
//! ([`starts`]), and yields what precedes as one damaged span. So damage costs the record that has
//! it, whatever that record had opened. Bytes that are read again are paid for: each byte that is
//! read for the first time pays for [`AGAIN`] that are read again. When there is nothing left to
//! pay with, reading goes on behind the contradiction, so that time is linear whatever the input.
//!
//! # The usual case
//! JSON lines are most of all input. A line that begins with `{` and ends with `}`, with `{` or
//! nothing after it, is taken as one record without a look inside ([`Trust::Ends`]): no JSON value
//! can go on over such a place. Two values may share such a line; the decoder then refuses it, and
//! [`parts`] finds them.
//!
//! # Progress
//! Every span begins behind the beginning of the one before it: the scanner either consumes bytes,
//! or opens a value whose first byte it consumes, or after damage goes to a later line.

mod csv;
mod json;
mod look;
mod starts;
mod xml;

#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

pub use self::csv::{Header, Row, row_to_json};
use self::json::{Progress, Pushdown};
pub use self::look::{Layout, look};
pub use self::starts::undouble;
pub use self::starts::{BEFORE, LOOK, MAX_HEADER, is_cut};
use self::starts::{
    Between, Markup, Start, Style, begins_record, end_tag, find_event, find_start, markup,
    opens_event, opens_object, separators, text_start, trim_end,
};
use self::xml::is_balanced;

/// How many bytes may be read again for each byte of the input.
const AGAIN: usize = 16;

/// How many bytes may be read again at the beginning.
const CREDIT: usize = 1 << 20;

/// What the records of a topic are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Events in any form.
    #[default]
    Events,
    /// JSON, with a key before it or not.
    Json,
    /// A record on each line, whatever it is.
    Lines,
}

/// What a record's syntax is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// A JSON object; where only JSON is expected, or lines, also bytes that are nothing we know.
    Json,
    /// An `<Event>` element.
    Xml,
    /// Text: of one of the forms that events have, or a line that is nothing we know.
    Text,
    /// A row of a CSV table.
    Row,
}

/// What is known of a record's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Its line begins and ends as one record does.
    Ends,
    /// It was looked at as a whole.
    Whole,
    /// It is not complete, or contradicts its syntax.
    Damaged,
}

/// A record found in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where its bytes are; never empty.
    pub range: Range<usize>,
    /// How many line breaks precede it.
    pub line: u32,
    /// What its bytes are.
    pub syntax: Syntax,
    /// What is known of its bounds.
    pub trust: Trust,
    /// Whether it stands in a quoted cell, in which quotes are doubled.
    pub doubled: bool,
}

/// The records of a buffer that holds whole records, in order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    scanner: Scanner,
}

impl<'a> Records<'a> {
    /// Splits `bytes`; `separator` is that of the rows when they are those of a CSV table.
    pub fn new(bytes: &'a [u8], expect: Expect, separator: Option<u8>) -> Self {
        Self { bytes, scanner: Scanner::new(expect, separator) }
    }

    /// How many line breaks there are; known when all records have been taken.
    pub fn lines(&mut self) -> u32 {
        self.scanner.lines_to(self.bytes, self.bytes.len())
    }
}

impl Iterator for Records<'_> {
    type Item = Span;

    #[inline]
    fn next(&mut self) -> Option<Span> {
        self.scanner.next(self.bytes, true)
    }
}

/// The records on a line that was taken for one by its ends.
pub fn parts(line: &[u8], expect: Expect) -> Records<'_> {
    let mut scanner = Scanner::new(expect, None);
    scanner.strict = true;
    Records { bytes: line, scanner }
}

/// Finds records one after the other in a buffer that may still grow at its end.
///
/// The state is kept between calls, so that a value is looked at once, however often the buffer
/// grows. After the caller has dropped bytes at the front, [`Scanner::rebase`] follows.
#[derive(Clone, Debug)]
pub struct Scanner {
    expect: Expect,
    /// The separator of rows.
    separator: Option<u8>,
    /// Every line is looked into.
    strict: bool,
    state: State,
    /// First byte of the current record.
    start: usize,
    /// Next byte to look at.
    at: usize,
    /// How many line breaks are before `counted`.
    line: u32,
    counted: usize,
    /// Up to where contradictions have been found.
    furthest: usize,
    /// How many bytes may be read again.
    credit: usize,
    /// How many line breaks follow the last record: two are a blank line, as is the beginning.
    breaks: usize,
    /// Whether the rest of the line belongs to the CSV line that held the last record.
    after_cell: bool,
}

#[derive(Clone, Debug)]
enum State {
    Between,
    Json(Pushdown),
    Xml {
        doubled: bool,
    },
    Text(Style),
    Row,
    /// Looks for a line that begins a record; `within` a line until its end.
    Lost {
        syntax: Syntax,
        within: bool,
    },
}

/// What became of a step.
enum Step {
    Found(Span),
    Opened,
    More,
}

impl Scanner {
    /// Starts at the beginning of a text.
    pub fn new(expect: Expect, separator: Option<u8>) -> Self {
        Self {
            expect,
            separator,
            strict: false,
            state: State::Between,
            start: 0,
            at: 0,
            line: 0,
            counted: 0,
            furthest: 0,
            credit: CREDIT,
            breaks: 2,
            after_cell: false,
        }
    }

    fn events(&self) -> bool {
        self.expect == Expect::Events
    }

    /// The next record; `None` when more bytes are needed, or at the end of the input (`eof`).
    #[inline]
    pub fn next(&mut self, bytes: &[u8], eof: bool) -> Option<Span> {
        if matches!(self.state, State::Between)
            && !self.strict
            && let Some(span) = self.line_by_its_ends(bytes, eof)
        {
            return Some(span);
        }
        self.scan(bytes, eof)
    }

    /// A JSON line, of which only the ends are looked at.
    #[inline]
    fn line_by_its_ends(&mut self, bytes: &[u8], eof: bool) -> Option<Span> {
        let start = self.at;
        if bytes.get(start) != Some(&b'{') || self.expect == Expect::Lines {
            return None;
        }
        let (end, next) = match memchr(b'\n', &bytes[start..]) {
            Some(n) => (start + n, start + n + 1),
            None if eof => (bytes.len(), bytes.len()),
            None => return None,
        };
        let len = trim_end(&bytes[start..end]).len();
        let ends = bytes[start + len - 1] == b'}'
            && match bytes.get(next) {
                Some(byte) => *byte == b'{',
                None => eof,
            };
        if !ends {
            return None;
        }
        let line = self.lines_to(bytes, start);
        self.line += u32::from(next > end);
        (self.at, self.counted, self.start) = (next, next, start);
        Some(Span {
            range: start..start + len,
            line,
            syntax: Syntax::Json,
            trust: Trust::Ends,
            doubled: false,
        })
    }

    fn scan(&mut self, bytes: &[u8], eof: bool) -> Option<Span> {
        loop {
            let step = match &mut self.state {
                State::Between => self.between(bytes, eof),
                State::Json(pushdown) => match pushdown.scan(bytes, &mut self.at) {
                    Progress::End(end) => Step::Found(self.finish(bytes, end, Syntax::Json)),
                    Progress::Contradiction(at) => self.lose(at, Syntax::Json),
                    Progress::More if eof => self.lose(bytes.len(), Syntax::Json),
                    Progress::More => Step::More,
                },
                State::Xml { .. } => self.xml(bytes, eof),
                State::Text(style) => {
                    let style = *style;
                    self.text(bytes, eof, style)
                }
                State::Row => self.row(bytes, eof),
                State::Lost { syntax, within } => {
                    let (syntax, within) = (*syntax, *within);
                    self.lost(bytes, eof, syntax, within)
                }
            };
            match step {
                Step::Found(span) => return Some(span),
                Step::Opened => {}
                Step::More => return None,
            }
        }
    }

    /// Up to where everything belongs to records that were returned, or to none.
    pub fn settled(&self) -> usize {
        if matches!(self.state, State::Between) { self.at } else { self.start }
    }

    /// Gives up the record that is open, or the line, since `len` bytes of it are too many. Then
    /// [`Scanner::next`] looks for the next line that begins a record; until it has found it,
    /// bytes before [`Scanner::passed`] are needed no more.
    pub fn give_up(&mut self, len: usize) {
        if !matches!(self.state, State::Lost { .. }) {
            if matches!(self.state, State::Between) {
                self.start = self.at;
            }
            let syntax = self.syntax();
            self.lose(self.start + len, syntax);
        }
    }

    /// After [`Scanner::give_up`]: how far the search has come.
    pub fn passed(&self) -> usize {
        self.at
    }

    /// Bytes before this place have been dropped by the caller, who has asked for the line
    /// breaks up to there; lines are counted from there on.
    pub fn rebase(&mut self, n: usize) {
        self.start = self.start.saturating_sub(n);
        self.at = self.at.saturating_sub(n);
        self.furthest = self.furthest.saturating_sub(n);
        self.counted = self.counted.saturating_sub(n);
        self.line = 0;
    }

    /// How many line breaks precede a place that is not before one asked for earlier.
    pub fn lines_to(&mut self, bytes: &[u8], at: usize) -> u32 {
        if at > self.counted {
            self.line += memchr_iter(b'\n', &bytes[self.counted..at]).count() as u32;
            self.counted = at;
        }
        self.line
    }

    fn syntax(&self) -> Syntax {
        match &self.state {
            State::Between if self.events() => Syntax::Text,
            State::Between | State::Json(_) => Syntax::Json,
            State::Xml { .. } => Syntax::Xml,
            State::Text(_) => Syntax::Text,
            State::Row => Syntax::Row,
            State::Lost { syntax, .. } => *syntax,
        }
    }

    fn finish(&mut self, bytes: &[u8], end: usize, syntax: Syntax) -> Span {
        self.span(bytes, end, end, syntax, Trust::Whole)
    }

    /// The record from `start` to `end`, after which reading goes on at `next`.
    fn span(
        &mut self,
        bytes: &[u8],
        end: usize,
        next: usize,
        syntax: Syntax,
        trust: Trust,
    ) -> Span {
        let line = self.lines_to(bytes, self.start);
        let doubled = matches!(self.state, State::Xml { doubled: true });
        let text = &bytes[self.start..end];
        let len = match syntax {
            // a blank may be a cell
            Syntax::Row => text.iter().rposition(|b| !b"\r\n".contains(b)).map_or(1, |n| n + 1),
            _ => trim_end(text).len(),
        };
        let end = self.start + len;
        self.state = State::Between;
        self.at = next;
        self.breaks = 0;
        self.after_cell = doubled;
        Span { range: self.start..end, line, syntax, trust, doubled }
    }

    fn open(&mut self, at: usize, state: State) -> Step {
        self.start = at;
        self.at = at;
        self.state = state;
        Step::Opened
    }

    /// The record that is open contradicts itself at `at`.
    fn lose(&mut self, at: usize, syntax: Syntax) -> Step {
        self.credit = self.credit.saturating_add(AGAIN * at.saturating_sub(self.furthest));
        self.furthest = self.furthest.max(at);
        let paid = self.credit.checked_sub(at - self.start);
        self.at = if paid.is_some() { self.start } else { at };
        self.credit = paid.unwrap_or(self.credit);
        self.state = State::Lost { syntax, within: true };
        Step::Opened
    }

    /// Goes on to the line that begins the next record.
    fn lost(&mut self, bytes: &[u8], eof: bool, syntax: Syntax, mut within: bool) -> Step {
        loop {
            if within {
                match memchr(b'\n', &bytes[self.at..]) {
                    Some(n) => self.at += n + 1,
                    None if eof => {
                        let end = bytes.len();
                        return Step::Found(self.span(bytes, end, end, syntax, Trust::Damaged));
                    }
                    None => {
                        self.at = bytes.len();
                        self.state = State::Lost { syntax, within: true };
                        return Step::More;
                    }
                }
            }
            let rest = &bytes[self.at..];
            let eol = memchr(b'\n', &rest[..rest.len().min(LOOK)]);
            let known = eof || rest.len() >= LOOK || eol.is_some_and(|n| rest.len() >= n + 10);
            if !known {
                self.state = State::Lost { syntax, within: false };
                return Step::More;
            }
            let line = &rest[..eol.unwrap_or(rest.len().min(LOOK))];
            let next = eol.map_or(&[][..], |n| &rest[n + 1..]);
            let begins = syntax == Syntax::Row
                || self.expect == Expect::Lines
                || begins_record(line, next, self.events(), true);
            if begins && !line.is_empty() {
                let at = self.at;
                return Step::Found(self.span(bytes, at, at, syntax, Trust::Damaged));
            }
            if rest.is_empty() {
                let end = bytes.len();
                return Step::Found(self.span(bytes, end, end, syntax, Trust::Damaged));
            }
            within = true;
        }
    }

    fn xml(&mut self, bytes: &[u8], eof: bool) -> Step {
        let tag = end_tag(&bytes[self.start..]);
        // nothing before was the end tag or another event, except what was torn
        let from = self.at.max(self.start + 1);
        let end = memmem::find(&bytes[from..], &tag).map(|n| from + n);
        let limit = end.unwrap_or(bytes.len());
        if let Some(next) = self.next_event(&bytes[..limit], from) {
            if memchr(b'\n', &bytes[self.start..next]).is_none() {
                return Step::Found(self.span(bytes, next, next, Syntax::Xml, Trust::Damaged));
            }
            return self.lose(next, Syntax::Xml);
        }
        match end {
            Some(end) => {
                let end = end + tag.len();
                let event = &bytes[self.start..end];
                // the end of another one, whose beginning is damaged
                if holds_beginnings(event) && !is_balanced(event) {
                    return self.lose(end, Syntax::Xml);
                }
                Step::Found(self.finish(bytes, end, Syntax::Xml))
            }
            None if eof => self.lose(bytes.len(), Syntax::Xml),
            None => {
                self.at = from.max(bytes.len().saturating_sub(tag.len().max(64)));
                Step::More
            }
        }
    }

    /// Where another event is opened within this one, outside of CDATA sections.
    fn next_event(&self, bytes: &[u8], mut from: usize) -> Option<usize> {
        loop {
            let next = from + find_event(&bytes[from..])?;
            let before = &bytes[self.start..next];
            let section = memmem::rfind(before, b"<![CDATA[")
                .filter(|open| memmem::find(&before[*open..], b"]]>").is_none());
            if section.is_none() {
                return Some(next);
            }
            from = next + memmem::find(&bytes[next..], b"]]>")?;
        }
    }

    fn text(&mut self, bytes: &[u8], eof: bool, style: Style) -> Step {
        loop {
            // `at` is within a line of the record
            let Some(n) = memchr(b'\n', &bytes[self.at..]) else {
                if eof {
                    let end = bytes.len();
                    return Step::Found(self.finish(bytes, end, Syntax::Text));
                }
                return Step::More;
            };
            let line = self.at + n + 1;
            let rest = &bytes[line..];
            let eol = memchr(b'\n', &rest[..rest.len().min(LOOK)]);
            if !(eof || rest.len() >= LOOK || eol.is_some_and(|n| rest.len() >= n + 10)) {
                return Step::More;
            }
            let head = &rest[..eol.unwrap_or(rest.len().min(LOOK))];
            let next = eol.map_or(&[][..], |n| &rest[n + 1..]);
            let blank = trim_end(&bytes[self.at..line]).is_empty();
            let same = text_start(head, next, blank)
                .is_some_and(|found| found != Style::List || style == Style::List);
            let dated =
                style == Style::Splunk && head.starts_with(b"LogName=") && self.at == self.start;
            if same && !dated || ends_text(head, next) {
                let span = self.span(bytes, line, line, Syntax::Text, Trust::Whole);
                self.breaks = if blank { 2 } else { 1 };
                return Step::Found(span);
            }
            self.at = line;
        }
    }

    fn row(&mut self, bytes: &[u8], eof: bool) -> Step {
        let separator = self.separator.unwrap_or(b',');
        match csv::row_end(bytes, self.start, separator, eof) {
            Progress::End(end) => {
                Step::Found(self.span(bytes, end, end, Syntax::Row, Trust::Whole))
            }
            Progress::Contradiction(at) => self.lose(at, Syntax::Row),
            Progress::More => Step::More,
        }
    }

    /// Skips what stands between records.
    fn between(&mut self, bytes: &[u8], eof: bool) -> Step {
        loop {
            if self.after_cell {
                match memchr(b'\n', &bytes[self.at..]) {
                    Some(n) => self.at += n,
                    None if eof => self.at = bytes.len(),
                    None => return Step::More,
                }
                self.after_cell = false;
            }
            let between = match self.expect {
                _ if self.separator.is_some() => Between::Rows,
                Expect::Lines => Between::Lines,
                Expect::Events | Expect::Json => Between::Values,
            };
            let Some(skipped) = separators(&bytes[self.at..], between, eof) else {
                return Step::More;
            };
            let passed = &bytes[self.at..self.at + skipped];
            self.breaks += memchr_iter(b'\n', passed).count();
            self.at += skipped;
            let rest = &bytes[self.at..];
            if rest.is_empty() {
                return Step::More;
            }
            if self.expect != Expect::Lines
                && rest[0] == b'{'
                && (self.separator.is_none() || opens_object(&rest[1..]))
            {
                if !self.strict && skipped > 0 {
                    // the line may be one that is taken by its ends
                    if let Some(span) = self.line_by_its_ends(bytes, eof) {
                        return Step::Found(span);
                    }
                }
                // the line may be one to take by its ends: what follows it is not here yet
                if !eof && !self.strict && memchr(b'\n', rest) == Some(rest.len() - 1) {
                    return Step::More;
                }
                return self.open(self.at, State::Json(Pushdown::new()));
            }
            let eol = memchr(b'\n', rest);
            if self.events() && rest[0] == b'<' {
                match opens_event(rest) {
                    Some(true) => return self.open(self.at, State::Xml { doubled: false }),
                    None if !eof => return Step::More,
                    _ => {}
                }
                match markup(rest) {
                    Some(Markup::Whole(len)) => {
                        self.at += len;
                        continue;
                    }
                    Some(Markup::Torn) if !eof => return Step::More,
                    Some(Markup::Torn) | None => {}
                }
            }
            if eol.is_none() && !eof {
                return Step::More;
            }
            let line = &rest[..eol.unwrap_or(rest.len())];
            return self.line_of_something(bytes, line.len(), eof);
        }
    }

    /// What a line holds that begins with neither `{` nor markup.
    fn line_of_something(&mut self, bytes: &[u8], len: usize, eof: bool) -> Step {
        let line = &bytes[self.at..self.at + len];
        if self.separator.is_some() {
            return self.open(self.at, State::Row);
        }
        let whole = |scanner: &mut Self, syntax, from: usize, to: usize, next: usize| {
            scanner.start = from;
            Step::Found(scanner.span(bytes, to, next, syntax, Trust::Whole))
        };
        let base = self.at;
        if self.expect != Expect::Lines {
            match find_start(line, self.events()) {
                Some(Start::Json(at)) => {
                    return self.open(base + at, State::Json(Pushdown::new()));
                }
                Some(Start::JsonToEnd(at)) => {
                    return whole(self, Syntax::Json, base + at, base + len, base + len);
                }
                Some(Start::JsonInCell(from, to)) => {
                    self.start = base + from;
                    let mut span =
                        self.span(bytes, base + to, base + len, Syntax::Json, Trust::Whole);
                    span.doubled = true;
                    return Step::Found(span);
                }
                Some(Start::Event(at, doubled)) => {
                    return self.open(base + at, State::Xml { doubled });
                }
                None => {}
            }
        }
        if self.events() {
            let next = &bytes[(base + len + 1).min(bytes.len())..];
            if !eof && next.len() < 8 {
                return Step::More;
            }
            if let Some(style) = text_start(line, next, self.breaks > 1) {
                return self.open(base, State::Text(style));
            }
        }
        let syntax = if self.events() { Syntax::Text } else { Syntax::Json };
        whole(self, syntax, base, base + len, base + len)
    }
}

/// Whether a line after the first looks like the beginning of a record.
fn holds_beginnings(event: &[u8]) -> bool {
    let mut lines = event.split(|&byte| byte == b'\n').skip(1);
    lines.any(|line| begins_record(&line[..line.len().min(LOOK)], b"", true, true))
}

/// Whether a line after text begins something else. What is written in a command line must not
/// look like it: JSON behind a header does not count, and events have to have their system part.
fn ends_text(line: &[u8], next: &[u8]) -> bool {
    match line.first() {
        Some(b'{' | b'<') => begins_record(line, next, true, false),
        _ => find_event(line).is_some_and(|at| memmem::find(&line[at..], b"System>").is_some()),
    }
}
