//! What a terminal can take: text without control, its width, styles.

use std::borrow::Cow;
use std::io::IsTerminal;

use comfy_table::Table;

/// Columns of text where there is no terminal to ask.
const WIDTH: u16 = 120;

/// True for characters that change what a terminal shows around them: control characters, and marks of writing direction, by which a file name can look like another.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with characters that a terminal would obey as escapes. Logs hold what attackers wrote.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_hostile)
}

/// The same for text of several lines.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_hostile(c) && c != '\n')
}

fn escape(text: &str, hostile: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hostile(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Width of the terminal behind standard output, of `COLUMNS`, or a usual one.
pub fn output_width() -> u16 {
    width_of(&Table::new())
}

/// The same for standard error.
pub fn error_width() -> u16 {
    width_of(Table::new().use_stderr())
}

fn width_of(table: &Table) -> u16 {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    table.width().or_else(columns).unwrap_or(WIDTH).max(40)
}

/// Whether text on standard error may be styled.
pub fn styles() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("C:\\Täst\\x.exe"), "C:\\Täst\\x.exe");
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\\n\\u{9b}");
        assert_eq!(printable("fdp\u{202e}exe"), "fdp\\u{202e}exe");
        assert_eq!(printable_lines("a\nb\r"), "a\nb\\r");
    }
}
