//! Points in time with millisecond resolution, and the text forms that event logs use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 00:00:00 UTC, as ksqlDB counts time.
///
/// Displayed as ISO 8601 with milliseconds and `Z`: `2020-09-18T17:06:27.631Z`. A year of more than
/// four digits, or before the year 0, has its sign, as Java writes it:
/// `+10000-01-01T00:00:00.000Z`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

/// A time as read from text: where on the line, and whether the text said so itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    /// The point in time; finer digits than milliseconds are cut.
    pub at: Timestamp,
    /// False when the text had no zone and was therefore read as UTC.
    pub zoned: bool,
}

/// The English names of the months, January first.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The English names of the days of the week, Monday first, as ISO 8601 counts them.
pub const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const DAY_MS: i64 = 86_400_000;
/// 400 years, in which the calendar repeats itself.
const CYCLE_MS: i64 = 146_097 * DAY_MS;

impl Timestamp {
    /// Earliest time that prints with a four-digit year.
    pub const MIN: Timestamp = Timestamp(-62_167_219_200_000);
    /// Latest time that prints with a four-digit year.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// Reads `YYYY-MM-DD`, then optionally `T` or a space, `HH:MM[:SS[.fraction]]`, then optionally `Z`, `UTC` or `±HH[:]MM`.
    ///
    /// Calendar and clock are checked; a second of 60 is not accepted.
    pub fn parse(text: &[u8]) -> Option<Read> {
        let text = text.trim_ascii();
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            text.get(range)?
                .iter()
                .try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
        };
        let byte = |at: usize| text.get(at).copied();
        if byte(4) != Some(b'-') || byte(7) != Some(b'-') {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let mut ms = days_from_civil(year, month, day) * DAY_MS;
        let mut at = 10;
        if matches!(byte(at), Some(b'T' | b't' | b' ')) {
            if byte(13) != Some(b':') {
                return None;
            }
            let (hour, minute) = (number(11..13)?, number(14..16)?);
            if hour > 23 || minute > 59 {
                return None;
            }
            ms += (hour * 60 + minute) * 60_000;
            at = 16;
            if byte(at) == Some(b':') {
                let second = number(17..19)?;
                if second > 59 {
                    return None;
                }
                ms += second * 1000;
                at = 19;
                if matches!(byte(at), Some(b'.' | b',')) {
                    let mut unit = 100;
                    at += 1;
                    let first = at;
                    while let Some(digit @ b'0'..=b'9') = byte(at) {
                        ms += i64::from(digit - b'0') * unit;
                        unit /= 10;
                        at += 1;
                    }
                    if at == first {
                        return None;
                    }
                }
            }
        }
        let zone = text[at..].trim_ascii_start();
        let offset = match zone {
            [] => return Some(Read { at: Timestamp(ms), zoned: false }),
            [b'Z' | b'z'] | b"UTC" | b"GMT" => 0,
            [sign @ (b'+' | b'-'), rest @ ..] => {
                let digits: Vec<u8> = rest.iter().copied().filter(|b| *b != b':').collect();
                if !digits.iter().all(u8::is_ascii_digit)
                    || !matches!((digits.len(), rest.len()), (2, 2) | (4, 4 | 5))
                {
                    return None;
                }
                let two =
                    |i: usize| i64::from(digits[i] - b'0') * 10 + i64::from(digits[i + 1] - b'0');
                let minutes = two(0) * 60 + if digits.len() == 4 { two(2) } else { 0 };
                if *sign == b'-' { -minutes } else { minutes }
            }
            _ => return None,
        };
        Some(Read { at: Timestamp(ms - offset * 60_000), zoned: true })
    }

    /// The same, and years with a sign: `±Y…-MM-DD…`, with four to nine digits.
    pub fn parse_any(text: &[u8]) -> Option<Read> {
        let text = text.trim_ascii();
        let Some((sign @ (b'+' | b'-'), digits)) = text.split_first() else {
            return Timestamp::parse(text);
        };
        let end =
            digits.iter().position(|byte| *byte == b'-').filter(|end| (4..10).contains(end))?;
        let year: i64 = std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?;
        let year = if *sign == b'-' { -year } else { year };
        // The calendar repeats itself after 400 years, so the rest is read in a year of the same
        // kind.
        let cycles = (year - 2000).div_euclid(400);
        let mut same = format!("{:04}", year - 400 * cycles).into_bytes();
        same.extend_from_slice(&digits[end..]);
        let read = Timestamp::parse(&same)?;
        let ms = (cycles.checked_mul(CYCLE_MS)?).checked_add(read.at.0)?;
        Some(Read { at: Timestamp(ms), ..read })
    }

    /// `YYYY-MM-DD HH:MM:SS.mmm`, the form of Sysmon's UtcTime. Times outside `MIN..=MAX` are clamped.
    pub fn text(self) -> [u8; 23] {
        let ms = self.0.clamp(Self::MIN.0, Self::MAX.0);
        let (days, ms) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00 00:00:00.000";
        let mut put = |at: usize, len: usize, mut value: i64| {
            for slot in text[at..at + len].iter_mut().rev() {
                *slot = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, ms / 3_600_000);
        put(14, 2, ms / 60_000 % 60);
        put(17, 2, ms / 1000 % 60);
        put(20, 3, ms % 1000);
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_cycle = Timestamp(self.0.rem_euclid(CYCLE_MS));
        let in_range = (Self::MIN..=Self::MAX).contains(self);
        let mut text = if in_range { *self } else { in_cycle }.text();
        text[10] = b'T';
        let text = std::str::from_utf8(&text).expect("digits are ASCII");
        if in_range {
            return write!(f, "{text}Z");
        }
        let (year, ..) = civil_from_days(self.0.div_euclid(DAY_MS));
        write!(f, "{}{}Z", Year(year), &text[4..])
    }
}

/// A year as ISO 8601 and Java write it: four digits, or more with a sign.
pub struct Year(pub i64);

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..=9999 => write!(f, "{:04}", self.0),
            year => write!(f, "{}{:04}", if year < 0 { '-' } else { '+' }, year.abs()),
        }
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date. (H. Hinnant, "chrono-compatible low-level date algorithms".)
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day
        - 1
        - 719_468
}

/// Year, month, day of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month, day)
}

/// Days of a month of the proleptic Gregorian calendar.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_reads_back(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp(ms);
            prop_assert_eq!(Timestamp::parse(at.to_string().as_bytes()), Some(Read { at, zoned: true }));
            prop_assert_eq!(Timestamp::parse(&at.text()), Some(Read { at, zoned: false }));
        }

        #[test]
        fn any_time_prints_and_reads_back(ms: i64) {
            let read = Timestamp::parse_any(Timestamp(ms).to_string().as_bytes());
            prop_assert_eq!(read, Some(Read { at: Timestamp(ms), zoned: true }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Timestamp::parse_any(&text);
        }
    }

    #[test]
    fn zones_and_fractions() {
        let at = |text: &str| Timestamp::parse(text.as_bytes()).map(|read| read.at.0);
        assert_eq!(at("2018-04-11T05:25:02.955Z"), Some(1_523_424_302_955));
        assert_eq!(at("2018-04-11T07:25:02.955999900+02:00"), Some(1_523_424_302_955));
        assert_eq!(at("2018-04-11 05:25:02"), Some(1_523_424_302_000));
        assert_eq!(at("2018-04-11"), Some(1_523_404_800_000));
        let far = |ms| Timestamp(ms).to_string();
        assert_eq!(far(253_402_300_800_000), "+10000-01-01T00:00:00.000Z");
        assert_eq!(far(-62_167_219_200_001), "-0001-12-31T23:59:59.999Z");
        assert_eq!(far(i64::MAX), "+292278994-08-17T07:12:55.807Z");
        assert_eq!(Timestamp::parse_any(b"+999999999-01-01"), None);
        assert_eq!(at("2018-02-29 05:25:02"), None);
        assert_eq!(at("2018-04-11T05:25:02.Z"), None);
    }
}
