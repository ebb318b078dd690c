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

/// Collects the texts of one event.
#[derive(Default)]
pub(super) struct Identity {
    bytes: Vec<u8>,
}

impl Identity {
    pub fn text(&mut self, text: Option<&str>) {
        let len = text.map_or(u32::MAX, |text| text.len() as u32);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    pub fn lower_case(&mut self, text: Option<&str>) {
        match text {
            Some(text) if text.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) => self.text(Some(&text.to_lowercase())),
            _ => self.text(text),
        }
    }

    pub fn number(&mut self, value: impl std::fmt::Display) {
        self.text(Some(&value.to_string()));
    }

    /// The key.
    pub fn hex(&self) -> String {
        let hash = blake3::hash(&self.bytes);
        hash.to_hex().as_str()[..32].to_owned()
    }
}
