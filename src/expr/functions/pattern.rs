//! p
use crate::model::Timestamp;

/// `YYYY-MM-DD`
pub(in crate::expr) fn read_date(text: &str) -> Option<i32> {
    let read = Timestamp::parse(text.as_bytes())?;
    (text.len() == 10).then_some(read.at.0.div_euclid(86_400_000) as i32)
}

/// `HH:MM[:SS[.fraction]]`
pub(in crate::expr) fn read_time(text: &str) -> Option<i32> {
    let read = Timestamp::parse(format!("1970-01-01T{text}").as_bytes())?;
    (!read.zoned).then_some(read.at.0 as i32)
}
