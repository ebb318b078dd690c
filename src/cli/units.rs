//! Values of options: durations, times, sizes.

use std::time::Duration;

use crate::model::Timestamp;

/// Reads a time in ISO 8601; UTC unless it has a zone.
pub fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text.as_bytes())
        .map(|read| read.at)
        .ok_or_else(|| "expected a time as 2026-01-15T09:00:00Z".to_owned())
}

/// Reads `90s`, `15m`, `1h30m`: numbers with a unit of ms, s, m, h or d.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number with ms, s, m, h or d, as 90s or 1h30m".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(unit).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// Reads `512M`, `2G` or a number of bytes; units are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number of bytes, or one with K, M or G, as 512M".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match &text[digits..] {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => return Err(wrong()),
    };
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "5", "s", "5 s", "5w", "-5s", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("4K", 4096), ("512M", 512 << 20), ("2g", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1.5G", "5T", "-1", "99999999999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
