//! Merging runs.

use super::StoreError;

/// A key and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The digest by which workers share keys.
    pub place: u128,
    /// The key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Entries in order, each borrowed until the next one is read.
pub struct Entries {}

impl Entries {
    /// The next entry, or the damage that keeps it from being read; after damage there is nothing more.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend")]
    pub fn next(&mut self) -> Option<Result<Entry<'_>, StoreError>> {
        todo!()
    }
}
