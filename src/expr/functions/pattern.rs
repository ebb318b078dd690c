//! Date and time patterns in the notation of Java's `DateTimeFormatter`, in English: `yyyy-MM-dd'T'HH:mm:ss.SSSX`.
//!
//! Understood are G y u M L d D E a H k K h m s S A n X x Z z V O, text in quotes, and optional sections in brackets (at the end of the pattern
//! or not, they are skipped as a whole where the text does not fit). Letters that stand for weeks and quarters are refused.
//!
//! Reading is strict on the calendar, lenient on case. What the pattern does not say is taken from 1970-01-01T00:00, in the zone given.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::expr::EvalError;
use crate::expr::cast::checked_days;
use crate::model::Timestamp;
use crate::model::timestamp::{MONTHS, WEEKDAYS, civil_from_days, days_from_civil};

const DAY_MS: i64 = 86_400_000;

/// One element of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    /// A letter and how often it stands there.
    Field(char, usize),
    Literal(String),
    Optional(Vec<Item>),
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Item>);

thread_local! {
    static COMPILED: RefCell<HashMap<String, Option<Rc<Pattern>>>> = RefCell::new(HashMap::new());
}

/// How many patterns a thread keeps compiled; statements have few, but patterns may come from columns.
const CACHED: usize = 64;

/// What the short names of zones mean that the time zone database does not know.
const SHORT_ZONES: [(&str, &str); 11] = [
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("MDT", "America/Denver"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("BST", "Europe/London"),
    ("CEST", "Europe/Paris"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("AEST", "Australia/Sydney"),
];

/// Where a wall clock is.
#[derive(Clone)]
pub(super) enum Zone {
    Fixed(i32),
    Named(TimeZone),
}

impl Zone {
    pub(super) const UTC: Zone = Zone::Fixed(0);

    /// An offset (`+02:00`, `+0200`, `UTC+2`, `Z`) or a name of the bundled time zone database.
    pub(super) fn named(name: &str) -> Result<Zone, EvalError> {
        let rest = ["UTC", "GMT", "UT"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        if rest.is_empty() || rest == "Z" {
            return Ok(Zone::UTC);
        }
        if let Some((seconds, "")) = read_offset(rest) {
            return Ok(Zone::Fixed(seconds));
        }
        TimeZoneDatabase::bundled().get(name).map(Zone::Named).map_err(|_| EvalError::BadTimeZone)
    }

    /// Seconds east of UTC at a point in time.
    fn offset_at(&self, ms: i64) -> Result<i32, EvalError> {
        match self {
            Zone::Fixed(seconds) => Ok(*seconds),
            Zone::Named(zone) => {
                let at =
                    jiff::Timestamp::from_millisecond(ms).map_err(|_| EvalError::OutOfRange)?;
                Ok(zone.to_offset(at).seconds())
            }
        }
    }

    /// The point in time at which the wall clock shows this many milliseconds since 1970. Of two, the earlier; in a gap, as if it had not been skipped.
    fn at_local(&self, local_ms: i64) -> Result<i64, EvalError> {
        match self {
            Zone::Fixed(seconds) => Ok(local_ms - i64::from(*seconds) * 1000),
            Zone::Named(zone) => {
                let utc = jiff::Timestamp::from_millisecond(local_ms)
                    .map_err(|_| EvalError::OutOfRange)?;
                let clock = Offset::UTC.to_datetime(utc);
                zone.to_timestamp(clock)
                    .map(jiff::Timestamp::as_millisecond)
                    .map_err(|_| EvalError::OutOfRange)
            }
        }
    }

    /// The same wall clock in another zone.
    pub(super) fn convert(&self, at: i64, to: &Zone) -> Result<i64, EvalError> {
        let moved = i64::from(to.offset_at(at)?) - i64::from(self.offset_at(at)?);
        Ok(at + moved * 1000)
    }

    fn abbreviation(&self, ms: i64) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_string(),
            Zone::Fixed(seconds) => offset_text(*seconds, "", true, false),
            Zone::Named(zone) => match jiff::Timestamp::from_millisecond(ms) {
                Ok(at) => zone.to_offset_info(at).abbreviation().to_string(),
                Err(_) => String::new(),
            },
        }
    }

    fn id(&self) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_string(),
            Zone::Fixed(seconds) => offset_text(*seconds, "Z", true, false),
            Zone::Named(zone) => zone.iana_name().unwrap_or("UTC").to_string(),
        }
    }
}

/// Reads `±H`, `±HH`, `±HHMM`, `±HH:MM`, `±HHMMSS` or `±HH:MM:SS` at the start of a text: seconds, and the rest.
fn read_offset(text: &str) -> Option<(i32, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = |at: usize| {
        Some(i32::from(text.as_bytes().get(at)?.checked_sub(b'0').filter(|d| *d < 10)?))
    };
    let two = |at: usize| Some(digits(at)? * 10 + digits(at + 1)?);
    let (hours, mut at) = match two(1) {
        Some(hours) => (hours, 3),
        None => (digits(1)?, 2),
    };
    let mut seconds = hours * 3600;
    for unit in [60, 1] {
        let colon = usize::from(text.as_bytes().get(at) == Some(&b':'));
        let Some(value) = two(at + colon).filter(|value| *value < 60) else { break };
        seconds += value * unit;
        at += colon + 2;
    }
    (hours <= 18).then(|| (sign * seconds, &text[at..]))
}

/// An offset with or without a colon; `zero` for none; minutes left out where they are zero, if `short`.
fn offset_text(seconds: i32, zero: &str, colon: bool, short: bool) -> String {
    if seconds == 0 && !zero.is_empty() {
        return zero.to_string();
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (short && minutes == 0, colon) {
        (true, _) => format!("{sign}{hours:02}"),
        (_, true) => format!("{sign}{hours:02}:{minutes:02}"),
        (_, false) => format!("{sign}{hours:02}{minutes:02}"),
    }
}

/// What was read from a text.
#[derive(Default, Clone)]
struct Fields {
    before_christ: bool,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    milli_of_day: Option<i64>,
    zone: Option<Zone>,
}

/// What a pattern is applied to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Timestamp,
    Date,
    Time,
}

impl Pattern {
    /// Compiles, or finds compiled.
    pub(super) fn new(text: &str) -> Result<Rc<Pattern>, EvalError> {
        COMPILED.with_borrow_mut(|cache| {
            if let Some(known) = cache.get(text) {
                return known.clone().ok_or(EvalError::BadTimePattern);
            }
            if cache.len() >= CACHED {
                cache.clear();
            }
            let compiled = compile(text).map(|items| Rc::new(Pattern(items)));
            cache.insert(text.to_string(), compiled.clone());
            compiled.ok_or(EvalError::BadTimePattern)
        })
    }

    /// The text of a point in time on the wall clock of a zone.
    pub(super) fn format_timestamp(&self, at: i64, zone: &Zone) -> Result<String, EvalError> {
        // beyond these, years have more digits than the calendar functions are made for
        if !(Timestamp::MIN.0..=Timestamp::MAX.0).contains(&at) {
            return Err(EvalError::OutOfRange);
        }
        let offset = zone.offset_at(at)?;
        let local = at + i64::from(offset) * 1000;
        self.format(&Clock {
            at,
            days: local.div_euclid(DAY_MS),
            ms: local.rem_euclid(DAY_MS),
            offset,
            zone,
            kind: Kind::Timestamp,
        })
    }

    /// The text of a date.
    pub(super) fn format_date(&self, days: i32) -> Result<String, EvalError> {
        self.format(&Clock {
            at: 0,
            days: i64::from(days),
            ms: 0,
            offset: 0,
            zone: &Zone::UTC,
            kind: Kind::Date,
        })
    }

    /// The text of a time of day.
    pub(super) fn format_time(&self, ms: i32) -> Result<String, EvalError> {
        self.format(&Clock {
            at: 0,
            days: 0,
            ms: i64::from(ms),
            offset: 0,
            zone: &Zone::UTC,
            kind: Kind::Time,
        })
    }

    fn format(&self, clock: &Clock<'_>) -> Result<String, EvalError> {
        let mut out = String::new();
        clock.write(&self.0, &mut out)?;
        Ok(out)
    }

    /// The point in time that a text names, on the wall clock of `zone` unless the text has a zone of its own.
    pub(super) fn parse_timestamp(&self, text: &str, zone: &Zone) -> Result<i64, EvalError> {
        let fields = self.parse(text)?;
        let days = fields.days().ok_or(EvalError::BadTime)?;
        let local = i64::from(days) * DAY_MS + fields.ms_of_day().ok_or(EvalError::BadTime)?;
        fields.zone.as_ref().unwrap_or(zone).at_local(local)
    }

    /// The date that a text names.
    pub(super) fn parse_date(&self, text: &str) -> Result<i32, EvalError> {
        self.parse(text)?.days().ok_or(EvalError::BadTime)
    }

    /// The time of day that a text names.
    pub(super) fn parse_time(&self, text: &str) -> Result<i32, EvalError> {
        self.parse(text)?.ms_of_day().map(|ms| ms as i32).ok_or(EvalError::BadTime)
    }

    fn parse(&self, text: &str) -> Result<Fields, EvalError> {
        let mut fields = Fields::default();
        match read(&self.0, text, &mut fields) {
            Some("") => Ok(fields),
            _ => Err(EvalError::BadTime),
        }
    }
}

fn compile(text: &str) -> Option<Vec<Item>> {
    let mut chars = text.chars().peekable();
    let mut open: Vec<Vec<Item>> = vec![Vec::new()];
    while let Some(c) = chars.next() {
        let mut literal = String::new();
        match c {
            '\'' => {
                // two quotes are one, inside quotes and outside
                if chars.next_if_eq(&'\'').is_some() {
                    literal.push('\'');
                } else {
                    loop {
                        match chars.next()? {
                            '\'' if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                            '\'' => break,
                            c => literal.push(c),
                        }
                    }
                }
            }
            '[' => {
                open.push(Vec::new());
                continue;
            }
            ']' => {
                let section = open.pop()?;
                open.last_mut()?.push(Item::Optional(section));
                continue;
            }
            '{' | '}' | '#' => return None,
            c if c.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                let most = match c {
                    'y' | 'u' | 'S' => 9,
                    'A' | 'n' => 19,
                    'G' | 'M' | 'L' | 'E' | 'X' | 'x' | 'Z' | 'z' | 'O' => 5,
                    'D' => 3,
                    'd' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'V' => 2,
                    'a' => 1,
                    _ => return None,
                };
                if count > most {
                    return None;
                }
                open.last_mut()?.push(Item::Field(c, count));
                continue;
            }
            c => literal.push(c),
        }
        match open.last_mut()?.last_mut() {
            Some(Item::Literal(before)) => before.push_str(&literal),
            _ => open.last_mut()?.push(Item::Literal(literal)),
        }
    }
    let items = open.pop()?;
    open.is_empty().then_some(items)
}

/// A date and time of day to be printed.
struct Clock<'z> {
    at: i64,
    days: i64,
    ms: i64,
    offset: i32,
    zone: &'z Zone,
    kind: Kind,
}

impl Clock<'_> {
    fn write(&self, items: &[Item], out: &mut String) -> Result<(), EvalError> {
        for item in items {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Optional(section) => {
                    // a section that asks for what is not there is left out
                    let before = out.len();
                    if self.write(section, out).is_err() {
                        out.truncate(before);
                    }
                }
                Item::Field(letter, count) => self.field(*letter, *count, out)?,
            }
        }
        Ok(())
    }

    fn field(&self, letter: char, count: usize, out: &mut String) -> Result<(), EvalError> {
        let date = matches!(letter, 'G' | 'y' | 'u' | 'M' | 'L' | 'd' | 'D' | 'E');
        let zone = matches!(letter, 'X' | 'x' | 'Z' | 'z' | 'V' | 'O');
        let known = match self.kind {
            Kind::Timestamp => true,
            Kind::Date => date,
            Kind::Time => !date && !zone,
        };
        if !known {
            return Err(EvalError::BadTimePattern);
        }
        let (year, month, day) = civil_from_days(self.days);
        let of_era = if year > 0 { year } else { 1 - year };
        let hour = self.ms / 3_600_000;
        let number = |value: i64| format!("{value:0count$}");
        let text = match letter {
            'G' => if year > 0 { "AD" } else { "BC" }.to_string(),
            'y' | 'u' => {
                let value = if letter == 'y' { of_era } else { year };
                if count == 2 { format!("{:02}", value.rem_euclid(100)) } else { number(value) }
            }
            'M' | 'L' => match count {
                1 | 2 => number(month),
                3 => MONTHS[month as usize - 1][..3].to_string(),
                4 => MONTHS[month as usize - 1].to_string(),
                _ => MONTHS[month as usize - 1][..1].to_string(),
            },
            'd' => number(day),
            'D' => number(self.days - days_from_civil(year, 1, 1) + 1),
            'E' => {
                let name = WEEKDAYS[(self.days + 3).rem_euclid(7) as usize];
                match count {
                    1..=3 => name[..3].to_string(),
                    4 => name.to_string(),
                    _ => name[..1].to_string(),
                }
            }
            'a' => if hour < 12 { "AM" } else { "PM" }.to_string(),
            'H' => number(hour),
            'k' => number(if hour == 0 { 24 } else { hour }),
            'K' => number(hour % 12),
            'h' => number(if hour % 12 == 0 { 12 } else { hour % 12 }),
            'm' => number(self.ms / 60_000 % 60),
            's' => number(self.ms / 1000 % 60),
            'S' => format!("{:03}000000", self.ms % 1000)[..count].to_string(),
            'A' => number(self.ms),
            'n' => number(self.ms % 1000 * 1_000_000),
            'X' | 'x' => offset_text(
                self.offset,
                if letter == 'X' { "Z" } else { "" },
                count == 3 || count == 5,
                count == 1,
            ),
            'Z' => match count {
                1..=3 => offset_text(self.offset, "", false, false),
                4 => format!(
                    "GMT{}",
                    if self.offset == 0 {
                        String::new()
                    } else {
                        offset_text(self.offset, "", true, false)
                    }
                ),
                _ => offset_text(self.offset, "Z", true, false),
            },
            'O' => format!(
                "GMT{}",
                if self.offset == 0 {
                    String::new()
                } else {
                    offset_text(self.offset, "", true, false)
                }
            ),
            'z' => self.zone.abbreviation(self.at),
            'V' => self.zone.id(),
            _ => return Err(EvalError::BadTimePattern),
        };
        out.push_str(&text);
        Ok(())
    }
}

/// Reads the items from the start of a text; the rest, or `None` where it does not fit.
fn read<'t>(items: &[Item], mut text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    for (i, item) in items.iter().enumerate() {
        match item {
            Item::Literal(literal) => {
                let start = text
                    .get(..literal.len())
                    .filter(|start| start.eq_ignore_ascii_case(literal))?;
                text = &text[start.len()..];
            }
            Item::Optional(section) => {
                let mut tried = fields.clone();
                if let Some(rest) = read(section, text, &mut tried) {
                    *fields = tried;
                    text = rest;
                }
            }
            Item::Field(letter, count) => {
                let adjacent = matches!(items.get(i + 1), Some(Item::Field(next, width)) if is_number(*next, *width));
                text = read_field(*letter, *count, adjacent, text, fields)?;
            }
        }
    }
    Some(text)
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count < 3,
        letter => "yudDHkKhmsSAn".contains(letter),
    }
}

/// Reads one field. A number that is followed by another without anything between them has exactly its width.
fn read_field<'t>(
    letter: char,
    count: usize,
    adjacent: bool,
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    if is_number(letter, count) {
        let (least, most) = match (letter, count) {
            ('S', _) => (count, count),
            ('y' | 'u', 2) => (2, 2),
            ('y' | 'u' | 'A' | 'n', _) if adjacent => (count, count),
            ('y' | 'u' | 'A' | 'n', _) => (count, 18),
            ('D', 1) if !adjacent => (1, 3),
            (_, 1) if !adjacent => (1, 2),
            _ => (count, count),
        };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) if letter == 'u' => (-1, rest),
            _ => (1, text),
        };
        let len = digits.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if len < least {
            return None;
        }
        let value = sign * digits[..len].parse::<i64>().ok()?;
        fields.set(letter, count, value)?;
        return Some(&digits[len..]);
    }
    // the text starts with one of the names, in any case: which, and the rest
    let name = |names: &[&str]| {
        let at = names.iter().position(|name| {
            text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        })?;
        Some((at, &text[names[at].len()..]))
    };
    let short = |names: &[&'static str]| names.iter().map(|name| &name[..3]).collect::<Vec<_>>();
    match letter {
        'M' | 'L' => {
            let (month, rest) = if count == 3 { name(&short(&MONTHS))? } else { name(&MONTHS)? };
            fields.month = Some(month as i64 + 1);
            Some(rest)
        }
        'E' => Some(if count < 4 { name(&short(&WEEKDAYS))?.1 } else { name(&WEEKDAYS)?.1 }),
        'a' => {
            let (half, rest) = name(&["AM", "PM"])?;
            fields.afternoon = Some(half == 1);
            Some(rest)
        }
        'G' => {
            let (era, rest) = name(&["BC", "AD"])?;
            fields.before_christ = era == 0;
            Some(rest)
        }
        'X' | 'x' | 'Z' | 'O' | 'z' | 'V' => {
            let end = text
                .find(|c: char| !(c.is_ascii_alphanumeric() || "/_+-:".contains(c)))
                .unwrap_or(text.len());
            let named = match letter {
                'z' => Zone::named(
                    SHORT_ZONES
                        .iter()
                        .find(|(short, _)| *short == &text[..end])
                        .map_or(&text[..end], |(_, name)| name),
                )
                .ok(),
                'V' | 'O' => Zone::named(&text[..end]).ok(),
                _ => None,
            };
            if let Some(zone) = named {
                fields.zone = Some(zone);
                return Some(&text[end..]);
            }
            if let Some(rest) = text.strip_prefix(['Z', 'z']).filter(|_| letter != 'x') {
                fields.zone = Some(Zone::UTC);
                return Some(rest);
            }
            let (seconds, rest) = read_offset(text.strip_prefix("GMT").unwrap_or(text))?;
            fields.zone = Some(Zone::Fixed(seconds));
            Some(rest)
        }
        _ => None,
    }
}

impl Fields {
    fn set(&mut self, letter: char, count: usize, value: i64) -> Option<()> {
        let within = |least: i64, most: i64| (least..=most).contains(&value).then_some(value);
        match letter {
            'y' | 'u' => self.year = Some(if count == 2 { 2000 + value } else { value }),
            'M' | 'L' => self.month = Some(within(1, 12)?),
            'd' => self.day = Some(within(1, 31)?),
            'D' => self.day_of_year = Some(within(1, 366)?),
            'H' => self.hour = Some(within(0, 23)?),
            'k' => self.hour = Some(within(1, 24)? % 24),
            'K' => self.half_hour = Some(within(0, 11)?),
            'h' => self.half_hour = Some(within(1, 12)? % 12),
            'm' => self.minute = Some(within(0, 59)?),
            's' => self.second = Some(within(0, 59)?),
            'S' => self.nanos = Some(value * 10i64.pow(9 - count as u32)),
            'n' => self.nanos = Some(within(0, 999_999_999)?),
            'A' => self.milli_of_day = Some(within(0, DAY_MS - 1)?),
            _ => return None,
        }
        Some(())
    }

    fn days(&self) -> Option<i32> {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_christ { 1 - year } else { year };
        if let (Some(of_year), None, None) = (self.day_of_year, self.month, self.day) {
            let days = checked_days(year, 1, 1)?.checked_add(of_year as i32 - 1)?;
            return (civil_from_days(i64::from(days)).0 == year).then_some(days);
        }
        checked_days(year, self.month.unwrap_or(1), self.day.unwrap_or(1))
    }

    fn ms_of_day(&self) -> Option<i64> {
        if let Some(ms) = self.milli_of_day {
            return Some(ms);
        }
        let hour = match (self.hour, self.half_hour) {
            (Some(hour), _) => hour,
            (None, Some(half)) => half + if self.afternoon? { 12 } else { 0 },
            (None, None) => 0,
        };
        Some(
            ((hour * 60 + self.minute.unwrap_or(0)) * 60 + self.second.unwrap_or(0)) * 1000
                + self.nanos.unwrap_or(0) / 1_000_000,
        )
    }
}

/// `YYYY-MM-DD`, as in `CAST('2020-01-01' AS DATE)`.
pub(in crate::expr) fn read_date(text: &str) -> Option<i32> {
    let mut parts = text
        .splitn(3, '-')
        .map(|part| part.parse::<i64>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit())));
    checked_days(parts.next()??, parts.next()??, parts.next()??)
}

/// `HH:MM[:SS[.fraction]]`, as in `CAST('12:30' AS TIME)`.
pub(in crate::expr) fn read_time(text: &str) -> Option<i32> {
    let read = Timestamp::parse(format!("1970-01-01T{text}").as_bytes())?;
    (!read.zoned).then_some(read.at.0 as i32)
}
