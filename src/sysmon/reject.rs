//! Tells by a byte search, before anything is parsed, that a record can only be of events that no
//! tap wants.
//!
//! In nearly all shapes of JSON records the event's number is the value of a key that ends in
//! `event_id`, `EventID` or `eventID`. A record is rejected when
//!
//! * it begins with `{` and ends with `}`,
//! * such a key stands in it as it is, in its quotes,
//! * **each** one that does has as its value a plain decimal number that no tap wants, bare or as a
//!   string,
//! * so has each element `<EventID>` of XML that is text in the record, and these words are nowhere
//!   else, and
//! * no escape in it stands for an ASCII letter or `_`, so that none of these keys is spelled in
//!   another way.
//!
//! Then the event number that [`Decoder::decode`](super::Decoder::decode) would find, if any, is one
//! of those seen, and no tap gets a row. Everything else is decoded: numbers written in any other
//! way (`1.0`, `0x1`, `"01"`, escaped digits), records that are XML or text, EVTX. The converse does
//! not hold, and need not. XML is no evidence of its own, since an attacker may have written it.
//!
//! The price is that a record passed over is not checked: it may be malformed, or no event at all.
//! Nothing is known of it but that it cannot matter.

use memchr::memmem::Finder;

use super::{EventSet, Tap};

/// Events of which a log may have so many that looking for them pays: image loads, process access, file and registry events.
const BULK: [i32; 5] = [7, 10, 11, 12, 13];

/// A search for records that no tap wants.
pub(super) struct Search {
    wanted: EventSet,
    /// How `event_id` ends as a key, whatever names are put before it.
    lower: Finder<'static>,
    /// What `EventID`, `EventId` and `eventID` have in common.
    upper: Finder<'static>,
    escape: Finder<'static>,
}

impl Search {
    /// The search for these taps; `None` when it would reject too little to pay. It depends on nothing else, so that counts do not either.
    pub fn new(taps: &[Tap]) -> Option<Search> {
        let wanted =
            taps.iter().try_fold(EventSet::default(), |all, tap| Some(all.union(tap.events?)))?;
        BULK.iter().any(|event| !wanted.contains(*event)).then(|| Search {
            wanted,
            lower: Finder::new(b"event_id"),
            upper: Finder::new(b"ventI"),
            escape: Finder::new(br"\u00"),
        })
    }

    /// True when the record cannot be of an event that a tap wants.
    pub fn rejects(&self, record: &[u8]) -> bool {
        if record.first() != Some(&b'{') || record.last() != Some(&b'}') {
            return false;
        }
        let mut seen = false;
        for at in self.lower.find_iter(record) {
            let [b'"', rest @ ..] = &record[at + self.lower.needle().len()..] else { return false };
            if !self.is_unwanted(rest) {
                return false;
            }
            seen = true;
        }
        for at in self.upper.find_iter(record) {
            match &record[at + self.upper.needle().len()..] {
                [b'D' | b'd', b'"', rest @ ..] if self.is_unwanted(rest) => seen = true,
                [b'D', b'>', ..] if at > 1 && record[at - 2] == b'/' => {}
                [b'D', b'>', rest @ ..] if self.is_unwanted_element(rest) => {}
                _ => return false,
            }
        }
        seen && !self
            .escape
            .find_iter(record)
            .any(|at| matches!(record.get(at + self.escape.needle().len()), Some(b'4'..=b'7')))
    }

    /// Whether what follows a start tag is the plain number of an event that no tap wants.
    fn is_unwanted_element(&self, rest: &[u8]) -> bool {
        let Some(end) = rest.iter().take(6).position(|byte| *byte == b'<') else { return false };
        let digits = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let number = digits.parse::<u16>().ok().filter(|number| number.to_string() == digits);
        number.is_some_and(|number| !self.wanted.contains(number.into()))
    }

    /// Whether what follows a key is the plain number of an event that no tap wants.
    fn is_unwanted(&self, rest: &[u8]) -> bool {
        let [b':', rest @ ..] = rest.trim_ascii_start() else { return false };
        let rest = rest.trim_ascii_start();
        let (rest, quoted) = match rest {
            [b'"', rest @ ..] => (rest, true),
            _ => (rest, false),
        };
        // more digits are no event's
        let len = rest.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(len);
        let canonical = matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && len < 6;
        let ends = match rest.first() {
            Some(b'"') => quoted,
            Some(b',' | b'}') => !quoted,
            Some(byte) => !quoted && byte.is_ascii_whitespace(),
            None => false,
        };
        let number = digits.iter().fold(0, |number, digit| 10 * number + i32::from(digit - b'0'));
        canonical && ends && !self.wanted.contains(number)
    }
}
