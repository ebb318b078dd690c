//! The constants of an `IN`, found by their hash: lists of indicators have a hundred thousand
//! items.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::model::Value;

/// Distinct values that are not NULL, and whether NULL was among the items. Copies share them.
#[derive(Clone)]
pub struct Set(Arc<Items>);

struct Items {
    /// In order, so that equal sets are equal lists.
    values: Vec<Value<'static>>,
    null: bool,
    /// Places in `values`.
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Set {
    /// Of these items.
    pub fn new(items: impl IntoIterator<Item = Value<'static>>) -> Set {
        let mut null = false;
        let mut values: Vec<Value<'static>> = items
            .into_iter()
            .filter(|item| {
                null |= item.is_null();
                !item.is_null()
            })
            .collect();
        values.sort_unstable();
        values.dedup();
        let hasher = RandomState::new();
        let mut index = HashTable::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let at = u32::try_from(at).expect("a statement is shorter than four billion items");
            let hash = |at: &u32| hasher.hash_one(&values[*at as usize]);
            index.insert_unique(hasher.hash_one(value), at, hash);
        }
        Set(Arc::new(Items { values, null, index, hasher }))
    }

    /// Whether a value that is not NULL is one of them; unknown when it is not and NULL was an
    /// item.
    pub fn contains(&self, value: &Value<'_>) -> Option<bool> {
        let Items { values, null, index, hasher } = &*self.0;
        let is = |at: &u32| values[*at as usize] == *value;
        let found = index.find(hasher.hash_one(value), is).is_some();
        (found || !null).then_some(found)
    }

    /// The values, in order.
    pub fn values(&self) -> &[Value<'static>] {
        &self.0.values
    }

    /// Whether NULL was an item.
    pub fn has_null(&self) -> bool {
        self.0.null
    }

    fn key(&self) -> (&[Value<'static>], bool) {
        (&self.0.values, self.0.null)
    }
}

// By the items alone: the index follows from them.
impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.key() == other.key()
    }
}

impl Eq for Set {}

impl PartialOrd for Set {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Set {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Set {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
