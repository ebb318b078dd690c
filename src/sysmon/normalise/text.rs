//! Events as lines of text: head lines with a name and a value, then the rendered message.
//!
//! | tool | a head line | the message |
//! |---|---|---|
//! | Splunk | `EventCode=1` | after `Message=` |
//! | `wevtutil /f:text` | `  Event ID: 1` | after `Description:` |
//! | `Get-WinEvent \| Format-List` | `Id      : 1` | after `Message :` |
//! | Snare in syslog | columns between tabs | the last columns |
//! | syslog | what stands before the message | the rest of the line |

use serde_json::{Map, Value};

use super::message;

/// Names of head lines that the message follows.
const MESSAGE: [&str; 3] = ["Message", "Description", "RenderedDescription"];

/// The longest name of a head line.
const MAX_NAME: usize = 32;

/// The parts of an event that a text names; `None` when it is nothing of the kind.
pub fn parts(text: &str) -> Option<Value> {
    let parts = snare(text).or_else(|| head_lines(text));
    parts.or_else(|| syslog(text).filter(|_| message::is_rendered(text))).map(Value::Object)
}

fn text_value(text: &str) -> Value {
    Value::String(text.trim().to_owned())
}

/// Lines of names and values up to the message.
fn head_lines(text: &str) -> Option<Map<String, Value>> {
    let mut parts = Map::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some((name, value)) = head_line(line.trim()) {
            if MESSAGE.contains(&name) {
                let value = at + line.find(['=', ':']).expect("a head line has one") + 1;
                let message = &text[value..];
                parts.insert("Message".to_owned(), text_value(message));
                // fewer are words before a colon in a line of some other log
                return (parts.len() >= 4).then_some(parts);
            }
            parts.entry(name).or_insert_with(|| text_value(value));
        } else if at == 0 && line.starts_with(|first: char| first.is_ascii_digit()) {
            parts.insert("Date".to_owned(), text_value(line));
        }
        at += line.len();
    }
    None
}

/// A line's name and value. The value of an empty one is the end of the line.
fn head_line(line: &str) -> Option<(&str, &str)> {
    let end = line.find(['=', ':'])?;
    let name = line[..end].trim_end();
    let is_name = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_'))
        && name.starts_with(|first: char| first.is_ascii_alphabetic());
    is_name.then(|| (name, line[end + 1..].trim_start()))
}

/// Snare's columns, which follow its marker.
fn snare(text: &str) -> Option<Map<String, Value>> {
    const COLUMNS: [&str; 13] = [
        "",
        "Criticality",
        "LogName",
        "",
        "DateTime",
        "EventID",
        "SourceName",
        "",
        "",
        "",
        "Computer",
        "Category",
        "Data",
    ];
    let at = text.find("MSWinEventLog")?;
    // syslog daemons write a tab as an octal number
    let columns = text[at..].replace("#011", "\t");
    let mut values = columns.splitn(COLUMNS.len() + 1, '\t');
    let mut parts = Map::new();
    for name in COLUMNS {
        let value = values.next()?;
        if !name.is_empty() {
            parts.insert(name.to_owned(), text_value(value));
        }
    }
    parts.insert("Message".to_owned(), text_value(values.next()?));
    Some(parts)
}

/// A line of syslog: the host stands in its header, the event is known by the message's title.
fn syslog(text: &str) -> Option<Map<String, Value>> {
    let id = message::event_by_title(text)?;
    // a line of JSON that is cut off has a message too
    if text.find("UtcTime:").is_some_and(|at| text[..at].contains('{')) {
        return None;
    }
    let header = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(text, |r| r.1);
    let mut words = header.split_ascii_whitespace();
    let mut parts = Map::new();
    parts.insert("EventID".to_owned(), Value::String(id.to_string()));
    parts.insert("ProviderName".to_owned(), text_value("Microsoft-Windows-Sysmon"));
    let first = words.next()?;
    // RFC 5424 begins with its version and a time in one word, RFC 3164 with a time in three
    let host = if first == "1" {
        parts.insert("TimeCreated".to_owned(), text_value(words.next()?));
        words.next()
    } else if first.len() == 3 && first.bytes().all(|b| b.is_ascii_alphabetic()) {
        words.nth(2)
    } else {
        None
    };
    if let Some(host) = host.filter(|host| *host != "-") {
        parts.insert("Computer".to_owned(), text_value(host));
    }
    parts.insert("Message".to_owned(), text_value(text));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "RuleName: -\nUtcTime: 2026-01-15 08:00:00.000\nImage: C:\\a.exe";

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parts(text).unwrap();
        for (name, value) in expected {
            assert_eq!(found[*name], *value, "{name} of {text}");
        }
    }

    #[test]
    fn head_lines_of_each_tool() {
        let splunk = format!(
            "01/15/2026 08:00:00 AM\nLogName=L\nEventCode=5\nComputerName=ws\nMessage=Title:\n{FIELDS}"
        );
        check(&splunk, &[("LogName", "L"), ("EventCode", "5"), ("ComputerName", "ws")]);
        check(&splunk, &[("Date", "01/15/2026 08:00:00 AM")]);
        assert!(parts(&splunk).unwrap()["Message"].as_str().unwrap().starts_with("Title:\nRule"));
        let wevtutil = format!(
            "Event[0]:\n  Log Name: L\n  Source: S\n  Event ID: 5\n  User Name: \n  Description: \nTitle:\n{FIELDS}"
        );
        check(&wevtutil, &[("Log Name", "L"), ("Event ID", "5"), ("User Name", "")]);
        assert!(parts(&wevtutil).unwrap()["Message"].as_str().unwrap().starts_with("Title:\nRule"));
        let list =
            format!("Id           : 5\nLogName : L\nMachineName : ws\nMessage : Title:\n{FIELDS}");
        check(&list, &[("Id", "5"), ("LogName", "L"), ("MachineName", "ws")]);
    }

    #[test]
    fn headers_of_syslog() {
        let line = FIELDS.replace('\n', " ");
        let old = format!("<14>Jan 15 08:00:00 ws sysmon[7]: Process terminated: {line}");
        check(&old, &[("EventID", "5"), ("Computer", "ws")]);
        let new = format!("<14>1 2026-01-15T08:00:00Z ws app 7 - - Process terminated: {line}");
        check(&new, &[("Computer", "ws"), ("TimeCreated", "2026-01-15T08:00:00Z")]);
        let snare = format!(
            "<14>Jan 15 08:00:00 x MSWinEventLog\t1\tL\t7\tThu Jan 15 08:00:00 2026\t5\tS\tu\tt\ti\tws\tc\t\tTitle: {line}"
        );
        check(&snare, &[("EventID", "5"), ("Computer", "ws"), ("LogName", "L")]);
        assert_eq!(parts("Jan 15 08:00:00 ws sshd[7]: UtcTime: x"), None);
        assert_eq!(parts("LogName=L"), None);
        let other = "LogName=Security\nEventCode=4624\nComputerName=ws\nMessage=An account";
        check(other, &[("LogName", "Security"), ("EventCode", "4624")]);
    }
}
