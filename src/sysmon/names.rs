//! From a key's bytes to what it names.
//!
//! Records of one shape have the same keys in the same order, so the key that came last after the one before is tried first: one comparison with the bytes
//! that follow in the record. Only when it is another key, it is read and looked up, in one probe. In the same way an object that is passed over is compared
//! with the one that was there in the record before: what shippers say of themselves is the same in all their records.

use std::borrow::Cow;
use std::ops::Range;

use crate::format::scan::{Kind, Result, Scanner};
use crate::model::json;

/// A fixed set of names: open addressing, blind to case.
pub(super) struct Names<T: 'static> {
    entries: Vec<Entry<T>>,
    /// Positions in `entries`, or beyond its end.
    table: Vec<usize>,
}

struct Entry<T> {
    name: &'static str,
    ends: Ends,
    /// How the name looks as a key that is not the first: `,"name":`.
    key: String,
    value: T,
}

/// The length of a name and its first and last eight bytes; these are all of it unless it is longer than 16.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    len: usize,
    first: u64,
    last: u64,
}

impl<T: Copy> Names<T> {
    /// Builds the set. Of names that differ in case only, the first is found by other spellings.
    pub fn new(names: impl Iterator<Item = (&'static str, T)>) -> Names<T> {
        let entry = |(name, value): (&'static str, T)| Entry {
            name,
            ends: Ends::of(name.as_bytes()),
            key: format!(",\"{name}\":"),
            value,
        };
        let entries: Vec<_> = names.map(entry).collect();
        let mut table = vec![usize::MAX; (4 * entries.len()).next_power_of_two()];
        let mask = table.len() - 1;
        for (position, entry) in entries.iter().enumerate() {
            let mut at = entry.ends.hash() & mask;
            while table[at] != usize::MAX {
                at = (at + 1) & mask;
            }
            table[at] = position;
        }
        Names { entries, table }
    }

    /// What `key` names, and whether it is spelled exactly so.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<(T, bool)> {
        self.find(key).map(|(position, exact)| (self.entries[position].value, exact))
    }

    fn find(&self, key: &[u8]) -> Option<(usize, bool)> {
        let ends = Ends::of(key);
        let mask = self.table.len() - 1;
        let mut at = ends.hash() & mask;
        let mut similar = None;
        while let Some(entry) = self.entries.get(self.table[at]) {
            if entry.ends == ends && (ends.len <= 16 || entry.name.as_bytes() == key) {
                return Some((self.table[at], true));
            }
            if similar.is_none() && entry.name.as_bytes().eq_ignore_ascii_case(key) {
                similar = Some((self.table[at], false));
            }
            at = (at + 1) & mask;
        }
        similar
    }
}

/// A key that was read.
pub(super) struct Key<T> {
    /// Where its content is.
    pub range: Range<usize>,
    /// What it names, and whether it is spelled exactly so.
    pub named: Option<(T, bool)>,
}

/// The longest object that is remembered.
const LONGEST: usize = 512;

/// What the keys of an object were followed by in the records before.
pub(super) struct Order {
    /// By the position of a name; two more are for any other name, and for the beginning of the object.
    after: Vec<After>,
    last: usize,
}

#[derive(Clone)]
struct After {
    /// The position of the name that came next.
    next: usize,
    /// The object that was passed over.
    value: Vec<u8>,
}

impl Order {
    /// For objects with keys among these names.
    pub fn new<T: Copy>(names: &Names<T>) -> Order {
        Order {
            after: vec![After { next: usize::MAX, value: Vec::new() }; names.entries.len() + 2],
            last: 0,
        }
    }

    /// An object begins.
    pub fn start(&mut self) {
        self.last = self.after.len() - 1;
    }

    /// The next key of the object, whose keys are among the names that the order is for. `None` leaves the object.
    #[inline]
    pub fn key<T: Copy>(
        &mut self,
        names: &Names<T>,
        scanner: &mut Scanner<'_>,
    ) -> Result<Option<Key<T>>> {
        let next = self.after[self.last].next;
        if let Some(entry) = names.entries.get(next)
            && let Some(range) = scanner.expect_key(&entry.key)
        {
            self.last = next;
            return Ok(Some(Key { range, named: Some((entry.value, true)) }));
        }
        self.other(names, scanner)
    }

    fn other<T: Copy>(
        &mut self,
        names: &Names<T>,
        scanner: &mut Scanner<'_>,
    ) -> Result<Option<Key<T>>> {
        let Some(range) = scanner.key()? else { return Ok(None) };
        let found = names.find(&text(scanner, &range));
        let position = found.map_or(names.entries.len(), |(position, _)| position);
        self.after[self.last].next = position;
        self.last = position;
        Ok(Some(Key {
            range,
            named: found.map(|(position, exact)| (names.entries[position].value, exact)),
        }))
    }

    /// Passes over the value of the key that came last.
    #[inline]
    pub fn skip(&mut self, scanner: &mut Scanner<'_>) -> Result<()> {
        let known = &mut self.after[self.last].value;
        if scanner.expect_value(known) {
            return Ok(());
        }
        let token = scanner.value()?;
        known.clear();
        if token.kind == Kind::Object && token.range.len() <= LONGEST {
            known.extend_from_slice(scanner.bytes(&token.range));
        }
        Ok(())
    }
}

/// A key as text, or with escapes that none of our names needs.
#[inline]
pub(super) fn text<'a>(scanner: &Scanner<'a>, key: &Range<usize>) -> Cow<'a, [u8]> {
    let content = scanner.bytes(key);
    if scanner.canonical() || memchr::memchr(b'\\', content).is_none() {
        return Cow::Borrowed(content);
    }
    let text = json::unescape(content).expect("the scanner checked the escapes");
    Cow::Owned(text.into_owned().into_bytes())
}

impl Ends {
    #[inline]
    fn of(name: &[u8]) -> Ends {
        let len = name.len();
        let (first, last) = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk(), name.last_chunk()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Ends { len, first, last }
    }

    /// The same for names that differ in case only.
    #[inline]
    fn hash(self) -> usize {
        const LOWER: u64 = 0x2020_2020_2020_2020;
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mix = (self.first | LOWER).wrapping_mul(MIX) ^ (self.last | LOWER) ^ self.len as u64;
        (mix.wrapping_mul(MIX) >> 40) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysmon::catalogue::FIELD;

    #[test]
    fn finds_every_spelling() {
        let all = || {
            FIELD
                .iter()
                .enumerate()
                .flat_map(|(i, field)| field.names.iter().map(move |name| (*name, i)))
        };
        let names = Names::new(all());
        for (name, i) in all() {
            assert_eq!(names.get(name.as_bytes()), Some((i, true)));
            assert_eq!(names.get(name.to_uppercase().as_bytes()).map(|(found, _)| found), Some(i));
            assert_eq!(
                names.get(name.to_lowercase().as_bytes()),
                Some((i, name.to_lowercase() == name))
            );
        }
        assert_eq!(names.get(b""), None);
        assert_eq!(names.get(b"Processguids"), None);
    }
}
