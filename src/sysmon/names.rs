//! From a key's bytes to what it names, in one probe.

/// A fixed set of names: open addressing over a hash of the length and three bytes, blind to case.
pub(super) struct Names<T: 'static> {
    table: Vec<Option<(&'static str, T)>>,
}

impl<T: Copy> Names<T> {
    /// Builds the set. Of names that differ in case only, the first is found by other spellings.
    pub fn new(names: impl Iterator<Item = (&'static str, T)>) -> Names<T> {
        let names: Vec<_> = names.collect();
        let mut table = vec![None; (4 * names.len()).next_power_of_two()];
        let mask = table.len() - 1;
        for entry in names {
            let mut at = hash(entry.0.as_bytes()) & mask;
            while table[at].is_some() {
                at = (at + 1) & mask;
            }
            table[at] = Some(entry);
        }
        Names { table }
    }

    /// What `key` names, and whether it is spelled exactly so.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<(T, bool)> {
        let mask = self.table.len() - 1;
        let mut at = hash(key) & mask;
        let mut similar = None;
        while let Some((name, value)) = self.table[at] {
            if name.as_bytes() == key {
                return Some((value, true));
            }
            if similar.is_none() && name.as_bytes().eq_ignore_ascii_case(key) {
                similar = Some((value, false));
            }
            at = (at + 1) & mask;
        }
        similar
    }
}

#[inline]
fn hash(key: &[u8]) -> usize {
    let lower = |at: usize| key.get(at).map_or(0, |byte| usize::from(byte | 0x20));
    let len = key.len();
    let mix = len ^ lower(0) << 8 ^ lower(len / 2) << 16 ^ lower(len.wrapping_sub(1)) << 24;
    mix.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysmon::catalogue::FIELD;

    #[test]
    fn finds_every_spelling() {
        let all = || FIELD.iter().enumerate().flat_map(|(i, field)| field.names.iter().map(move |name| (*name, i)));
        let names = Names::new(all());
        for (name, i) in all() {
            assert_eq!(names.get(name.as_bytes()), Some((i, true)));
            assert_eq!(names.get(name.to_uppercase().as_bytes()).map(|(found, _)| found), Some(i));
            assert_eq!(names.get(name.to_lowercase().as_bytes()), Some((i, name.to_lowercase() == name)));
        }
        assert_eq!(names.get(b""), None);
        assert_eq!(names.get(b"Processguids"), None);
    }
}
