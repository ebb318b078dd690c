//! The identity of an event.
//!
//! Shippers deliver at least once, so an event may come twice, even in two shapes. Its identity is 128 bits of BLAKE3, printed as 32 lower-case hexadecimal
//! digits, over a list of texts. Each text is preceded by its length in bytes as a little-endian `u32`, an absent one is the length `FFFFFFFF` alone:
//!
//! * with a record number: `1`, host, channel, record number, UtcTime, event id;
//! * without: `2`, host, channel, event id, event time in milliseconds, then for every field that is present its name and its text, sorted by name.
//!
//! Host and channel are in lower case. The record number and numbers are decimal, GUIDs and booleans as they print, other text verbatim; the name of a
//! field is its column's, or for what is kept in `FIELDS` its own. So neither the order of JSON keys nor the spelling of a GUID matters.
//!
//! This is an interface: keys are stored in other systems. It does not change.

/// Collects the texts of one event after the other.
#[derive(Default)]
pub(super) struct Identity {
    bytes: Vec<u8>,
}

/// The printed form.
pub(super) type Key = [u8; 32];

const ABSENT: u32 = u32::MAX;

impl Identity {
    /// Begins another event.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    pub fn text(&mut self, text: Option<&str>) {
        let len = text.map_or(ABSENT, |text| text.len() as u32);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    pub fn lower_case(&mut self, text: Option<&str>) {
        match text {
            Some(text) if !text.is_ascii() => self.text(Some(&text.to_lowercase())),
            _ => {
                self.text(text);
                let start = self.bytes.len() - text.map_or(0, str::len);
                self.bytes[start..].make_ascii_lowercase();
            }
        }
    }

    pub fn number(&mut self, value: impl Into<i64>) {
        let mut digits = [0; 20];
        let value = value.into();
        let mut rest = value.unsigned_abs();
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.text(Some(std::str::from_utf8(&digits[at..]).expect("digits are ASCII")));
    }

    /// The key.
    pub fn key(&self) -> Key {
        let hash = blake3::hash(&self.bytes);
        let mut key = [0; 32];
        for (digits, byte) in key.as_chunks_mut::<2>().0.iter_mut().zip(hash.as_bytes()) {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
            *digits = [digit(byte >> 4), digit(byte & 15)];
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_are_written_as_they_print(number: i64, text: String) {
            let bytes = |of: &dyn Fn(&mut Identity)| {
                let mut identity = Identity::default();
                of(&mut identity);
                identity.bytes
            };
            prop_assert_eq!(bytes(&|identity| identity.number(number)), bytes(&|identity| identity.text(Some(&number.to_string()))));
            let lower = text.to_lowercase();
            prop_assert_eq!(bytes(&|identity| identity.lower_case(Some(&text))), bytes(&|identity| identity.text(Some(&lower))));
        }
    }

    #[test]
    fn a_key_is_the_beginning_of_the_hash() {
        let mut identity = Identity::default();
        identity.number(i64::MIN);
        identity.text(None);
        assert_eq!(&identity.key()[..], &blake3::hash(&identity.bytes).to_hex().as_bytes()[..32]);
    }
}
