//! Points in time in the forms of the tools that export event logs.
//!
//! ISO 8601 as [`Timestamp::parse`] has it comes first, since nearly all times are that. Then, in
//! this order:
//!
//! | form | example |
//! |---|---|
//! | a number since 1970 | `1705279002`, `1705279002.612`, `1705279002612`, µs, ns |
//! | a Windows FILETIME | `133497526026120000` |
//! | .NET's JSON | `/Date(1705279002612)/`, `/Date(1705279002612+0100)/` |
//! | compact ISO 8601 | `20240115T003642Z`, `20240115003642.612` |
//! | WMI (CIM), zone in minutes | `20240115003642.612000+060` |
//! | dates in numbers | `2024/01/15 00:36:42`, `1/15/2024 12:36:42 AM`, `15.01.2024 00:36:42` |
//! | names of months | `Jan 15, 2024 @ 00:36:42.612`, `Mon Jan 15 00:36:42 2024 UTC` |
//! | RFC 2822 and alike | `Mon, 15 Jan 2024 00:36:42 +0000`, `15/Jan/2024:00:36:42 +0000` |
//!
//! *The unit of a number* is told by its size: the one unit in which it lies in the years 2000 to
//! 2099. These ranges are apart from each other and from dates written as digits. A number outside
//! of them is no time.
//!
//! *The order of day and month*: with dots the day comes first. With slashes or hyphens the month
//! comes first, as in the United States, unless only the other order makes a date: the tools that
//! write such times do so wherever they run.
//!
//! *Zones* are `Z`, `UT`, `UTC`, `GMT`, an offset, or both, and the North American ones of RFC 2822.
//! A text with a zone of any other name is no time: to guess it would be wrong by hours. Names of
//! weekdays are not checked against the date.

use crate::model::Timestamp;
use crate::model::timestamp::{MONTHS, Read, WEEKDAYS, days_from_civil, days_in_month};

/// Reads a time in any of the forms.
///
/// ```
/// use helkflow::format::time::read;
///
/// let iso = read(b"2024-01-15T00:36:42.612Z");
/// assert!(iso.is_some());
/// assert_eq!(read(b"/Date(1705279002612)/"), iso);
/// assert_eq!(read(b"yesterday"), None);
/// ```
#[inline]
pub fn read(text: &[u8]) -> Option<Read> {
    Timestamp::parse(text).or_else(|| other(text))
}

/// Longer texts are no times.
const LONGEST: usize = 100;
/// The first second of 2000 and of 2100.
const PLAUSIBLE: std::ops::Range<u128> = 946_684_800..4_102_444_800;
/// Seconds from 1601, where FILETIME begins, to 1970.
const FILETIME_EPOCH: u128 = 11_644_473_600;

#[cold]
fn other(text: &[u8]) -> Option<Read> {
    if text.len() > LONGEST {
        return None;
    }
    // Windows and browsers put blanks and marks of their own into times
    let text = std::str::from_utf8(text).ok()?;
    let plain: String = text
        .chars()
        .filter(|char| !matches!(char, '\u{200e}' | '\u{200f}'))
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .collect();
    let text = plain.trim().as_bytes();
    let utc = |at: Option<i64>| at.map(|ms| Read { at: Timestamp(ms), zoned: true });
    let read = utc(number(text))
        .or_else(|| utc(dot_net(text)))
        .or_else(|| compact(text))
        .or_else(|| calendar(text))?;
    (Timestamp::MIN..=Timestamp::MAX).contains(&read.at).then_some(read)
}

/// A number since 1970, or a FILETIME, by its size; in ms.
fn number(text: &[u8]) -> Option<i64> {
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() || whole.len() + fraction.len() > 30 {
        return None;
    }
    let digits = whole.iter().chain(fraction).try_fold(0_u128, |number, b| {
        b.is_ascii_digit().then(|| number * 10 + u128::from(b - b'0'))
    })?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_u128.checked_pow(scale.unsigned_abs())?;
    let (number, down) = if scale >= 0 { (digits.checked_mul(power)?, 1) } else { (digits, power) };
    // how many there are in a second, and when they begin
    [(1, 0), (1000, 0), (1_000_000, 0), (1_000_000_000, 0), (10_000_000, FILETIME_EPOCH)]
        .into_iter()
        .find_map(|(per_second, epoch)| {
            let per_second = down.checked_mul(per_second)?;
            let seconds = (number / per_second).checked_sub(epoch)?;
            let ms = (number.checked_mul(1000)? / per_second).checked_sub(epoch * 1000)?;
            PLAUSIBLE.contains(&seconds).then_some(ms)
        })
        .and_then(|ms| i64::try_from(ms).ok())
}

/// `/Date(ms)/`. An offset after the ms says where it was written and changes nothing.
fn dot_net(text: &[u8]) -> Option<i64> {
    let inside = text.strip_prefix(b"/Date(")?.strip_suffix(b")/")?;
    let offset = inside.iter().skip(1).position(|b| matches!(b, b'+' | b'-')).map(|at| at + 1);
    let (ms, offset) = inside.split_at(offset.unwrap_or(inside.len()));
    if !matches!(offset, [] | [_, b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9']) {
        return None;
    }
    std::str::from_utf8(ms).ok()?.parse().ok()
}

/// `YYYYMMDD[T]HHMM[SS[.fraction]]` and a zone.
fn compact(text: &[u8]) -> Option<Read> {
    let mut at = Cursor(text);
    let date = Date { year: at.digits(4)?, month: at.digits(2)?, day: at.digits(2)? };
    let _ = at.eat(b'T') || at.eat(b't') || at.eat(b' ');
    let mut ms = (at.digits(2).filter(|hour| *hour < 24)? * 60
        + at.digits(2).filter(|minute| *minute < 60)?)
        * 60_000;
    if at.0.first().is_some_and(u8::is_ascii_digit) {
        ms += at.digits(2).filter(|second| *second < 60)? * 1000 + at.fraction()?;
    }
    match at.0 {
        // WMI: minutes, or asterisks where it does not know
        [b'+' | b'-', b'*', b'*', b'*'] => date.read(ms, None),
        [sign @ (b'+' | b'-'), minutes @ ..] if minutes.len() == 3 => {
            let minutes = Cursor(minutes).digits(3)?;
            date.read(ms, Some(if *sign == b'-' { -minutes } else { minutes }))
        }
        _ => at.zone_to_end(&date, ms),
    }
}

/// A date by numbers or with the name of its month, then the time of day, then zone and year where
/// they come last.
fn calendar(text: &[u8]) -> Option<Read> {
    let mut at = Cursor(text);
    if at.peek_word().is_some_and(|word| is_name(word, &WEEKDAYS)) {
        at.word();
        let _ = at.eat(b',') || at.eat(b'.');
        at.spaces();
    }
    let (mut year, month, day) = at.date()?;
    at.spaces();
    let _ = at.eat(b',') || at.eat(b'@') || at.eat(b':') || at.eat_word(b"T") || at.eat_word(b"at");
    at.spaces();
    let ms = at.clock()?;
    at.spaces();
    if year.is_none() && at.0.first().is_some_and(u8::is_ascii_digit) {
        year = Some(at.digits(4)?);
        at.spaces();
    }
    if let Some(year) = year {
        return at.zone_to_end(&Date { year, month, day }, ms);
    }
    // `Mon Jan 15 00:36:42 UTC 2024`
    let zone = at.zone()?;
    at.spaces();
    let year = at.digits(4)?;
    at.0.is_empty().then(|| Date { year, month, day }.read(ms, Some(zone)))?
}

/// The name, or the first three letters of it or more.
fn position_of(word: &[u8], names: &[&str]) -> Option<usize> {
    let is = |name: &&str| {
        word.len() >= 3
            && name.as_bytes().get(..word.len()).is_some_and(|name| name.eq_ignore_ascii_case(word))
    };
    names.iter().position(is)
}

fn is_name(word: &[u8], names: &[&str]) -> bool {
    position_of(word, names).is_some()
}

fn month_named(word: &[u8]) -> Option<i64> {
    position_of(word, &MONTHS).map(|month| month as i64 + 1)
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    fn exists(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
    }

    /// The moment `ms` after the date's midnight in a zone that is so many minutes ahead of UTC.
    fn read(&self, ms: i64, zone: Option<i64>) -> Option<Read> {
        let midnight = days_from_civil(self.year, self.month, self.day) * 86_400_000;
        let at = Timestamp(midnight + ms - zone.unwrap_or(0) * 60_000);
        self.exists().then_some(Read { at, zoned: zone.is_some() })
    }
}

/// What is left to be read.
struct Cursor<'t>(&'t [u8]);

impl<'t> Cursor<'t> {
    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn spaces(&mut self) {
        while self.eat(b' ') {}
    }

    /// The number of exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits
            .iter()
            .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))?;
        self.0 = rest;
        Some(number)
    }

    /// The number of all digits that follow, at most four; and how many there are.
    fn number(&mut self) -> Option<(i64, usize)> {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=4).contains(&count) {
            return None;
        }
        Some((self.digits(count)?, count))
    }

    fn peek_word(&self) -> Option<&'t [u8]> {
        let count = self.0.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        (count > 0).then(|| &self.0[..count])
    }

    fn word(&mut self) -> Option<&'t [u8]> {
        let word = self.peek_word()?;
        self.0 = &self.0[word.len()..];
        Some(word)
    }

    fn eat_word(&mut self, wanted: &[u8]) -> bool {
        let is = self.peek_word().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        if is {
            self.word();
        }
        is
    }

    /// Year (unless it comes later), month and day.
    fn date(&mut self) -> Option<(Option<i64>, i64, i64)> {
        if let Some(word) = self.word() {
            // `Jan 15, 2024`, `Jan 15` and later the year
            let month = month_named(word)?;
            self.eat(b'.');
            self.spaces();
            let (day, 1..=2) = self.number()? else { return None };
            let mut ahead = Cursor(self.0);
            ahead.eat(b',');
            ahead.spaces();
            let year = ahead.number().filter(|(_, digits)| *digits == 4).map(|(year, _)| year);
            if year.is_some() {
                self.0 = ahead.0;
            }
            return Some((year, month, day));
        }
        let (first, digits) = self.number()?;
        let between = *self.0.first().filter(|b| matches!(b, b'/' | b'-' | b'.' | b' '))?;
        self.0 = &self.0[1..];
        if let Some(word) = self.word() {
            // `15 Jan 2024`, `2024-Jan-15`
            let month = month_named(word)?;
            self.eat(between).then_some(())?;
            let (last, last_digits) = self.number()?;
            return match (digits, last_digits) {
                (4, 1..=2) => Some((Some(first), month, last)),
                (1..=2, 2 | 4) => Some((Some(full_year(last, last_digits)), month, first)),
                _ => None,
            };
        }
        let (second, 1..=2) = self.number()? else { return None };
        (between != b' ' && self.eat(between)).then_some(())?;
        let (last, last_digits) = self.number()?;
        match (digits, last_digits) {
            (4, 1..=2) => Some((Some(first), second, last)),
            (1..=2, 2 | 4) => {
                let day_first = between == b'.' || first > 12;
                let (month, day) = if day_first { (second, first) } else { (first, second) };
                Some((Some(full_year(last, last_digits)), month, day))
            }
            _ => None,
        }
    }

    /// `HH:MM[:SS[.fraction]] [AM|PM]`, in ms.
    fn clock(&mut self) -> Option<i64> {
        let (mut hour, 1..=2) = self.number()? else { return None };
        self.eat(b':').then_some(())?;
        let minute = self.digits(2)?;
        let mut ms = 0;
        if self.eat(b':') {
            let second = self.digits(2).filter(|second| *second < 60)?;
            ms = second * 1000 + self.fraction()?;
        }
        let mut ahead = Cursor(self.0);
        ahead.spaces();
        let (am, pm) = (ahead.eat_word(b"AM"), ahead.eat_word(b"PM"));
        if am || pm {
            self.0 = ahead.0;
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if pm { 12 } else { 0 };
        }
        (hour < 24 && minute < 60).then_some((hour * 60 + minute) * 60_000 + ms)
    }

    /// What follows whole seconds, in ms; finer digits are cut. A point without digits is an error.
    fn fraction(&mut self) -> Option<i64> {
        if !self.eat(b'.') && !self.eat(b',') {
            return Some(0);
        }
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let ms = |place: usize| digits.get(place).map_or(0, |b| i64::from(b - b'0'));
        (count > 0).then(|| ms(0) * 100 + ms(1) * 10 + ms(2))
    }

    /// A zone, in minutes ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        let named = match self.word() {
            None => None,
            Some(word) => Some(zone_named(word)?),
        };
        let sign = match self.0.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return named,
        };
        self.0 = &self.0[1..];
        let hours = self.digits(2)?;
        let colon = self.eat(b':');
        let minutes = if colon || self.0.first().is_some_and(u8::is_ascii_digit) {
            self.digits(2)?
        } else {
            0
        };
        (hours < 24 && minutes < 60 && named.unwrap_or(0) == 0)
            .then_some(sign * (hours * 60 + minutes))
    }

    /// The moment of a date and the ms of its day, in the zone that comes last, if any does. An
    /// offset's name, and a remark in brackets, may follow.
    fn zone_to_end(mut self, date: &Date, ms: i64) -> Option<Read> {
        self.spaces();
        if self.0.is_empty() {
            return date.read(ms, None);
        }
        let text = self.0;
        let zone = self.zone()?;
        let offset = text[..text.len() - self.0.len()].last().is_some_and(u8::is_ascii_digit);
        self.spaces();
        if offset {
            self.word();
            self.spaces();
        }
        let remark = matches!(self.0, [b'(', .., b')'] | [b'[', .., b']']);
        if self.0.is_empty() || remark { date.read(ms, Some(zone)) } else { None }
    }
}

/// A year by two digits is of this century.
fn full_year(year: i64, digits: usize) -> i64 {
    if digits == 2 { 2000 + year } else { year }
}

/// Minutes ahead of UTC.
fn zone_named(word: &[u8]) -> Option<i64> {
    const ZONES: [(&str, i64); 12] = [
        ("Z", 0),
        ("UT", 0),
        ("UTC", 0),
        ("GMT", 0),
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
    ];
    let is = |(name, _): &&(&str, i64)| name.as_bytes().eq_ignore_ascii_case(word);
    ZONES.iter().find(is).map(|(_, hours)| hours * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{Offset, TimeZone};
    use proptest::prelude::*;

    /// The forms that a pattern of `strftime` can say: the pattern, how many ms its last digit
    /// stands for, and whether it has a zone.
    const PATTERNS: [(&str, i64, bool); 34] = [
        ("%Y-%m-%d %H:%M:%S%.6f %z", 1, true),
        ("%Y-%m-%d %H:%M:%S%.6f %:z", 1, true),
        ("%Y-%m-%dT%H:%M:%S%.9f%:z", 1, true),
        ("%Y-%m-%dT%H:%M:%S%.7f", 1, false),
        ("%Y-%m-%d %H:%M:%S%.9f %z CET", 1, true),
        ("%Y-%m-%dT%H:%M:%S%.3f%:z[Europe/Paris]", 1, true),
        ("%Y-%m-%d %-I:%M:%S %p", 1000, false),
        ("%Y/%m/%d %H:%M:%S", 1000, false),
        ("%Y/%m/%d %H:%M:%S%.3f%:z", 1, true),
        ("%-m/%-d/%Y %-I:%M:%S %p", 1000, false),
        ("%m/%d/%Y %I:%M:%S%.3f %p", 1, false),
        ("%m/%d/%Y %H:%M:%S%.3f", 1, false),
        ("%m/%d/%Y, %-I:%M:%S\u{202f}%p", 1000, false),
        ("%m/%d/%y %-I:%M:%S%.3f %p", 1, false),
        ("%d.%m.%Y %H:%M:%S", 1000, false),
        ("%d.%m.%Y %H:%M", 60_000, false),
        ("%b %-d, %Y @ %H:%M:%S%.3f", 1, false),
        ("%b %d, %Y %H:%M:%S %z", 1000, true),
        ("%A, %B %-d, %Y %-I:%M:%S %p", 1000, false),
        ("%B %-d, %Y at %-I:%M:%S %p", 1000, false),
        ("%a %b %e %H:%M:%S %Y", 1000, false),
        ("%a %b %e %H:%M:%S %Y %z", 1000, true),
        ("%a %b %d %Y %H:%M:%S GMT%z (Some Time)", 1000, true),
        ("%a, %d %b %Y %H:%M:%S %z", 1000, true),
        ("%d %b %Y %H:%M:%S", 1000, false),
        ("%d-%b-%Y %H:%M:%S%.3f", 1, false),
        ("%d/%b/%Y:%H:%M:%S %z", 1000, true),
        ("%Y%m%dT%H%M%S%z", 1000, true),
        ("%Y%m%dT%H%M%S%.3f%z", 1, true),
        ("%Y%m%d%H%M%S", 1000, false),
        ("%Y%m%d%H%M%S%.6f", 1, false),
        ("%Y%m%d%H%M%S%.6f+***", 1, false),
        ("%Y%m%dT%H%M", 60_000, false),
        ("%s%.9f", 1, true),
    ];

    /// 2000 to 2099.
    fn plausible() -> std::ops::Range<i64> {
        946_684_800_000..4_102_444_800_000
    }

    fn at(text: &str) -> Option<(i64, bool)> {
        read(text.as_bytes()).map(|read| (read.at.0, read.zoned))
    }

    proptest! {
        #[test]
        fn every_pattern_reads_back(ms in plausible(), quarters in -48..=56_i32) {
            for (pattern, unit, zoned) in PATTERNS {
                let ahead = if zoned { quarters * 900 } else { 0 };
                let zone = TimeZone::fixed(Offset::from_seconds(ahead).unwrap());
                let moment = jiff::Timestamp::from_millisecond(ms).unwrap();
                let moment = jiff::ZonedDateTime::new(moment, zone);
                let text = moment.strftime(pattern).to_string();
                prop_assert_eq!(at(&text), Some((ms - ms.rem_euclid(unit), zoned)), "{}", text);
            }
        }

        #[test]
        fn every_number_reads_back(
            ms in plausible(), finer in 0..1_000_000_i64, quarters in -48..=56_i64,
        ) {
            let ns = i128::from(ms) * 1_000_000 + i128::from(finer);
            let (minutes, local) = (quarters * 15, Timestamp(ms + quarters * 900_000).text());
            let local: String = String::from_utf8_lossy(&local).replace(['-', ' ', ':'], "");
            for (text, unit) in [
                ((ms / 1000).to_string(), 1000),
                (format!("{}.{:03}", ms / 1000, ms % 1000), 1),
                (format!("{:e}", ms as f64 / 1000.0), 1),
                (ms.to_string(), 1),
                (format!("{ms}.0"), 1),
                ((ns / 1000).to_string(), 1),
                (ns.to_string(), 1),
                ((ns / 100 + 116_444_736_000_000_000).to_string(), 1),
                (format!("/Date({ms})/"), 1),
                (format!("/Date({ms}{:+03}{:02})/", quarters / 4, quarters.abs() % 4 * 15), 1),
                (format!("{local}000{minutes:+04}"), 1),
            ] {
                let (read, zoned) = at(&text).ok_or_else(|| TestCaseError::fail(text.clone()))?;
                let off = (ms - ms.rem_euclid(unit) - read).abs();
                prop_assert!(zoned && off <= unit % 1000, "{text}: {read}");
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_looks_like_a_time_is_read_or_refused(
            pattern in proptest::sample::select(PATTERNS.to_vec()),
            ms in plausible(),
            place: usize,
            piece in "[0-9A-Za-z/:.,+ ()*-]{0,6}",
        ) {
            let moment = jiff::Timestamp::from_millisecond(ms).unwrap();
            let moment = jiff::ZonedDateTime::new(moment, TimeZone::UTC);
            let mut text: Vec<char> = moment.strftime(pattern.0).to_string().chars().collect();
            let place = place % text.len();
            text.splice(place..(place + 1).min(text.len()), piece.chars());
            let text: String = text.into_iter().collect();
            if let Some(read) = read(text.as_bytes()) {
                prop_assert!((Timestamp::MIN..=Timestamp::MAX).contains(&read.at), "{}", text);
            }
        }
    }

    #[test]
    fn the_order_of_day_and_month() {
        let day = |text: &str| at(text).map(|(ms, _)| (ms - 1_704_067_200_000) / 86_400_000);
        assert_eq!(day("2/3/2024 00:00:00"), Some(33));
        assert_eq!(day("2.3.2024 00:00:00"), Some(61));
        assert_eq!(day("13/2/2024 00:00:00"), Some(43));
        assert_eq!(day("13/13/2024 00:00:00"), None);
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "-",
            "0",
            "1",
            "20240115",
            "-1705279002",
            "1.2.3",
            "946684799",
            "/Date()/",
            "/Date(x)/",
            "/Date(9999999999999999)/",
            "Jan 15 00:36:42",
            "30/2/2024 00:36:42",
            "2024-01-15 13:36:42 PM",
            "2024/01/15",
            "15 Jan 2024 00:36:60",
            "15 Jan 2024 00:36:42 MEZ",
            "20240115003660",
            "20241315003642",
            "1e999999999999",
            "9e24",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
