//! Errors that point at their place in the text.

use std::fmt;

use super::ast::written;

/// A stretch of the text, in bytes.
///
/// Spans say where a node came from, not what it is: all spans are equal, so that trees compare by meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end.max(self.start) }
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Eq for Span {}

/// A text that is not SQL, or SQL that means nothing.
///
/// Printed as a message, the line with a caret under the place, what was expected there, and a hint:
///
/// ```text
/// line 2, column 7: there is no column IMAG
///   |
/// 2 | WHERE imag LIKE '%\cmd.exe'
///   |       ^^^^
///   = did you mean IMAGE?
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What could have stood there instead.
    pub expected: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    excerpt: Option<Box<Excerpt>>,
}

#[derive(Clone, Debug)]
struct Excerpt {
    line: usize,
    column: usize,
    text: String,
    /// Columns to underline, at least one.
    width: usize,
}

/// More than this many alternatives say nothing.
const MAX_EXPECTED: usize = 10;
/// Lines longer than this are cut around the caret.
const MAX_LINE: usize = 120;

impl SqlError {
    /// An error at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> SqlError {
        SqlError { message: message.into(), span, expected: Vec::new(), hint: None, excerpt: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean …?" if one of the candidates is a near miss of `name`.
    #[must_use]
    pub fn near<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> SqlError {
        match nearest(name, candidates) {
            Some(candidate) => {
                let hint = format!("did you mean {candidate}?");
                self.hint(hint)
            }
            None => self,
        }
    }

    /// The same of streams, tables and columns, written as they must be typed.
    #[must_use]
    pub fn near_name<'a>(
        self,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> SqlError {
        match nearest(name, candidates) {
            Some(candidate) => self.hint(format!("did you mean {}?", written(candidate))),
            None => self,
        }
    }

    /// Says in which script the error is.
    #[must_use]
    pub fn of_script(mut self, name: &str) -> SqlError {
        self.message = format!("in {name}: {}", self.message);
        self
    }

    /// Adds the line of the text that the error is about; does nothing when that is known.
    #[must_use]
    ///
    /// An error that has its line already, because it is in a script that the text runs, keeps it.
    pub fn in_text(mut self, text: &str) -> SqlError {
        if self.excerpt.is_some() {
            return self;
        }
        let start = floor_char(text, self.span.start);
        let end = floor_char(text, self.span.end).max(start);
        let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let column = text[from..start].chars().count();
        let skip = column.saturating_sub(MAX_LINE / 2);
        self.excerpt = Some(Box::new(Excerpt {
            line: text[..from].matches('\n').count() + 1,
            column: column + 1,
            text: text[from..to]
                .trim_end()
                .chars()
                .skip(skip)
                .take(MAX_LINE)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            width: text[start..end.min(to)].chars().count().clamp(1, MAX_LINE / 2),
        }));
        self
    }

    /// Line and column, counted from 1, once the text is known.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.excerpt.as_ref().map(|excerpt| (excerpt.line, excerpt.column))
    }
}

fn floor_char(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = match &self.excerpt {
            None => {
                f.write_str(&self.message)?;
                String::new()
            }
            Some(excerpt) => {
                let number = excerpt.line.to_string();
                let margin = " ".repeat(number.len());
                let before = " ".repeat((excerpt.column - 1).min(MAX_LINE / 2));
                write!(f, "line {number}, column {}: {}", excerpt.column, self.message)?;
                write!(
                    f,
                    "\n{margin} |\n{number} | {}\n{margin} | {before}{}",
                    excerpt.text,
                    "^".repeat(excerpt.width)
                )?;
                margin
            }
        };
        if !self.expected.is_empty() {
            write!(f, "\n{margin} = expected ")?;
            let shown = &self.expected[..self.expected.len().min(MAX_EXPECTED)];
            for (i, what) in shown.iter().enumerate() {
                let last = i + 1 == shown.len() && shown.len() == self.expected.len();
                f.write_str(if i == 0 {
                    ""
                } else if last {
                    " or "
                } else {
                    ", "
                })?;
                f.write_str(what)?;
            }
            if shown.len() < self.expected.len() {
                f.write_str(", …")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{margin} = {hint}")?;
        }
        Ok(())
    }
}

/// The candidate that differs from `name` by the fewest typing errors, if there are few enough to be typing errors.
///
/// Letters count alike in both cases. A name shorter than three letters has no near misses.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.to_uppercase().chars().collect();
    let allowed = match name.len() {
        0..=2 => return None,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(errors, _)| *errors <= allowed)
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which exchanging two neighbours is one error ("optimal string alignment").
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.to_uppercase().chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && *x == b[j - 1] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn near_misses() {
        let names = ["IMAGE", "COMMAND_LINE", "PROCESS_GUID", "PID"];
        assert_eq!(nearest("imgae", names), Some("IMAGE"));
        assert_eq!(nearest("COMANDLINE", names), Some("COMMAND_LINE"));
        assert_eq!(nearest("GUID", names), None);
        assert_eq!(nearest("pd", names), None);
    }

    #[test]
    fn shows_the_line() {
        let text = "SELECT a\nFROM b\r\nWHERE imag = 1";
        let at = text.find("imag").unwrap();
        let error = SqlError::new(Span { start: at, end: at + 4 }, "there is no column IMAG")
            .near("IMAG", ["IMAGE"])
            .in_text(text);
        let shown = "line 3, column 7: there is no column IMAG\n  |\n3 | WHERE imag = 1\n  |       ^^^^\n  = did you mean IMAGE?";
        assert_eq!(error.to_string(), shown);
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text: String, start in 0usize..40, end in 0usize..40) {
            let shown = SqlError::new(Span { start, end }, "no").in_text(&text).to_string();
            prop_assert!(shown.lines().count() >= 3);
        }
    }
}
