//! Rendered messages: `Name: value` for every field, the source of last resort.
//!
//! Windows renders an event as its title and then a line for each field. The title is translated,
//! the names of Sysmon's fields never are. Some tools keep nothing else of an event. Some put it on
//! one line, with blanks or the escapes of syslog daemons (`#015#012`) for the line breaks.
//!
//! Values are written by attackers and may hold line breaks and names of fields. So names are
//! looked for in the order in which Sysmon writes the fields of the event, and of all readings the
//! one that finds most fields is taken; of two that find equally many, the one that ends later.

use std::sync::LazyLock;

use regex::Regex;

use super::super::catalogue::{FIELD, aliases, event};
use super::super::walk::field_named;

/// A field's name in the text: where it begins, where its value does, and its place in the order.
struct Mention {
    start: usize,
    value: usize,
    place: usize,
}

/// True when a text may be the message of an event: every event has this field.
pub fn is_rendered(text: &str) -> bool {
    text.contains("UtcTime:")
}

/// The fields of a rendered message, by index into the catalogue; empty when it has none.
pub fn fields(event_id: i32, text: &str) -> Vec<(usize, String)> {
    let Some(event) = event(event_id) else { return Vec::new() };
    let own = [at_line_starts as fn(&str, usize) -> bool, after_blanks];
    let readings = own.map(|begins| longest_in_order(mentions(event.fields, text, begins)));
    let in_lines = readings[0].len() >= 2;
    let [lines, line] = readings;
    let chosen = if in_lines { lines } else { line };
    if chosen.len() < 2 {
        return Vec::new();
    }
    let ends = chosen.iter().skip(1).map(|next| next.start).chain([text.len()]);
    let field = |mention: &Mention| {
        field_named(event.fields[mention.place].as_bytes()).expect("an event's fields are listed").0
    };
    chosen
        .iter()
        .zip(ends)
        .map(|(mention, end)| {
            let value = &text[mention.value..end];
            let value = if in_lines { to_line_end(value) } else { trimmed(value) };
            (field(mention), value.to_owned())
        })
        .collect()
}

/// The event that a message's English title names.
pub fn event_by_title(text: &str) -> Option<u8> {
    let found = aliases::TITLES.iter().filter_map(|(title, id)| Some((text.find(title)?, *id)));
    // titles may be the beginning of one another, of which the catalogue has the longer one later
    found.min_by_key(|(at, id)| (*at, u8::MAX - id)).map(|(_, id)| id)
}

fn mentions(names: &[&str], text: &str, begins: fn(&str, usize) -> bool) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        // events 8 and 10 spell GUIDs differently
        let (field, _) = field_named(name.as_bytes()).expect("an event's fields are listed");
        let spelled = FIELD[field].names.iter().flat_map(|name| text.match_indices(name));
        for (start, name) in spelled {
            let rest = &text[start + name.len()..];
            let Some(value) = rest.strip_prefix(':') else { continue };
            let ends = value.is_empty() || value.starts_with([' ', '\t', '\r', '\n', '#', '\\']);
            if ends && begins(text, start) {
                found.push(Mention { start, value: text.len() - value.len(), place });
            }
        }
    }
    found.sort_by_key(|mention| mention.start);
    found
}

/// Whether only blanks precede on the line.
fn at_line_starts(text: &str, at: usize) -> bool {
    text[..at].trim_end_matches([' ', '\t']).chars().next_back().is_none_or(|char| char == '\n')
}

/// Whether a blank, or what a syslog daemon makes of a line break, precedes.
fn after_blanks(text: &str, at: usize) -> bool {
    let before = &text[..at];
    before.ends_with(char::is_whitespace)
        || ["#012", "\\n", "\\t", "\""].iter().any(|end| before.ends_with(end))
}

/// The most mentions that can be had in the order of fields.
fn longest_in_order(mentions: Vec<Mention>) -> Vec<Mention> {
    // more than any message has; what is beyond is the work of somebody who wants us to be slow
    const LIMIT: usize = 2_000;
    let mentions: Vec<Mention> = mentions.into_iter().take(LIMIT).collect();
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(mentions.len());
    for (at, mention) in mentions.iter().enumerate() {
        let before = (0..at)
            .filter(|before| mentions[*before].place < mention.place)
            .max_by_key(|before| (best[*before].0, *before));
        best.push((before.map_or(1, |before| best[before].0 + 1), before));
    }
    let mut chosen = vec![false; mentions.len()];
    let mut last = (0..mentions.len()).max_by_key(|at| (best[*at].0, *at));
    while let Some(at) = last {
        chosen[at] = true;
        last = best[at].1;
    }
    mentions.into_iter().zip(chosen).filter_map(|(mention, keep)| keep.then_some(mention)).collect()
}

/// A value between its name and the line break, and the indentation of the next name, that end it.
fn to_line_end(value: &str) -> &str {
    let value = value.strip_prefix(' ').unwrap_or(value);
    let end = value.trim_end_matches([' ', '\t']);
    match end.strip_suffix('\n') {
        Some(line) => line.trim_end_matches(['\r', '\n']),
        None => value,
    }
}

/// A value without the blanks and escaped line breaks around it.
fn trimmed(value: &str) -> &str {
    static BREAKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:\s|#015|#012|\\r|\\n)+"?$"#).expect("the pattern is well-formed")
    });
    let value = value.trim();
    BREAKS.find(value).map_or(value, |end| &value[..end.start()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysmon::catalogue::{EVENTS, FIELD, index_of};
    use proptest::prelude::*;

    fn render(event: u8, values: &[String], line_break: &str) -> String {
        let event = EVENTS.iter().find(|known| known.id == event).unwrap();
        let fields = event.fields.iter().zip(values);
        fields.fold("Titel:".to_owned(), |text, (name, value)| {
            format!("{text}{line_break}{name}: {value}")
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read(
            event in (0..EVENTS.len()).prop_map(|at| &EVENTS[at]),
            values in proptest::collection::vec("[A-Za-z0-9{}:=. -]{0,12}[a-z0-9]", 24),
            line_break in proptest::sample::select(vec!["\r\n", "\n", " ", "#015#012", "\r\n\t"]),
        ) {
            let text = render(event.id, &values, line_break);
            let found = fields(event.id.into(), &text);
            prop_assert_eq!(found.len(), event.fields.len());
            for ((field, value), (name, rendered)) in found.iter().zip(event.fields.iter().zip(&values)) {
                prop_assert_eq!(FIELD[*field].names[0], *name);
                prop_assert_eq!(value.trim(), rendered.trim());
            }
        }

        #[test]
        fn any_text_is_read_or_left(event in 0..40, text in "(UtcTime: |Image:|User: |\\PC|\n){0,30}") {
            let _ = fields(event, &text);
        }
    }

    #[test]
    fn names_within_values_are_part_of_the_value() {
        let mut values: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        values[10] = "cmd\nUser: evil\nHashes: none".to_owned();
        let found = fields(1, &render(1, &values, "\n"));
        let value = |column| found.iter().find(|(field, _)| *field == column).unwrap().1.as_str();
        assert_eq!(value(const { index_of("COMMAND_LINE") }), values[10]);
        assert_eq!(value(const { index_of("USER") }), "12");
    }

    #[test]
    fn a_blank_at_the_end_of_a_line_is_the_values() {
        let found = fields(5, "T:\r\nUtcTime: t\r\nProcessGuid: \r\nImage: a b \r\nUser: u\r\n");
        let texts: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["t", "", "a b ", "u"]);
    }

    #[test]
    fn guids_are_found_in_both_spellings() {
        let found = fields(10, "T:\nUtcTime: t\nSourceProcessGUID: a\nTargetProcessGuid: b");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn titles_tell_the_event() {
        assert_eq!(event_by_title("<14>Process Create: RuleName: -"), Some(1));
        assert_eq!(event_by_title("File Delete logged: RuleName"), Some(26));
        assert_eq!(event_by_title("Processus: x"), None);
    }
}
