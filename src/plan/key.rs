//! Keys of indexes and groups.

use std::fmt;

use crate::model::row::Raw;
use crate::model::{RowRef, Schema, Secret, Type, json};

/// Which columns of a row are its key, and how they compare.
///
/// Two rows have the same key when their columns are equal, text with `ignore_case` without regard to case. A NULL or a zero GUID in the key means that the row has
/// none: it joins nothing and makes no group.
///
/// [`digest`](Key::digest) gives 128 bits to search by, under the [secret](Key::keyed) of who runs the plan; after it [`equal`](Key::equal) decides. So equality never rests on a hash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Positions in the row, in the order of the key.
    pub columns: Vec<usize>,
    kinds: Vec<Kind>,
    secret: Secret,
}

/// Without the secret: [identities](super::Plan::identities) rest on it.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { columns, kinds, secret: _ } = self;
        f.debug_struct("Key").field("columns", columns).field("kinds", kinds).finish()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Exact,
    IgnoreCase,
    Guid,
}

impl Key {
    /// The key made of these columns of a relation.
    pub fn new(columns: Vec<usize>, schema: &Schema) -> Key {
        let kinds = columns
            .iter()
            .map(|&i| match &schema.columns[i] {
                column if column.ty == Type::Guid => Kind::Guid,
                column if column.ty == Type::Varchar && column.ignore_case => Kind::IgnoreCase,
                _ => Kind::Exact,
            })
            .collect();
        Key { columns, kinds, secret: Secret::default() }
    }

    /// The same key after columns have moved.
    #[must_use]
    pub fn remap(&self, to: &dyn Fn(usize) -> usize) -> Key {
        Key { columns: self.columns.iter().map(|&i| to(i)).collect(), ..self.clone() }
    }

    /// The same key of rows that consist of just their key columns, in the order of the key.
    #[must_use]
    pub fn positional(&self) -> Key {
        Key { columns: (0..self.columns.len()).collect(), ..self.clone() }
    }

    /// The same key with digests under a secret. What is planned has none.
    #[must_use]
    pub fn keyed(self, secret: Secret) -> Key {
        Key { secret, ..self }
    }

    /// What to search the row by; `None` when it has no key.
    #[inline]
    pub fn digest(&self, row: RowRef<'_>) -> Option<u128> {
        if let ([column], [Kind::Guid]) = (&*self.columns, &*self.kinds) {
            let bits = guid_bits(row.raw(*column)).filter(|bits| *bits != 0)?;
            return Some(self.secret.masked(bits));
        }
        let mut digester = self.secret.digester();
        for (&i, kind) in self.columns.iter().zip(&self.kinds) {
            let raw = row.raw(i);
            if raw == Raw::Null {
                return None;
            }
            match kind {
                Kind::Guid => {
                    digester.write(&guid_bits(raw).filter(|bits| *bits != 0)?.to_be_bytes())
                }
                Kind::Exact => {
                    let (Raw::Plain(bytes) | Raw::Escaped(bytes)) = raw else { return None };
                    digester.length(bytes.len());
                    digester.write(bytes);
                }
                Kind::IgnoreCase => match raw {
                    Raw::Plain(bytes) if bytes.is_ascii() => {
                        digester.length(bytes.len());
                        let mut folded = [0; 64];
                        for part in bytes.chunks(folded.len()) {
                            let folded = &mut folded[..part.len()];
                            folded.copy_from_slice(part);
                            folded.make_ascii_lowercase();
                            digester.write(folded);
                        }
                    }
                    raw => {
                        let folded = folded(raw);
                        digester.length(folded.len());
                        digester.write(&folded);
                    }
                },
            }
        }
        Some(digester.finish())
    }

    /// True when the row's key equals the other row's key by `other`; both must have one.
    #[inline]
    pub fn equal(&self, row: RowRef<'_>, other: &Key, other_row: RowRef<'_>) -> bool {
        self.columns.iter().zip(&self.kinds).zip(other.columns.iter().zip(&other.kinds)).all(
            |((&i, kind), (&j, other_kind))| {
                let (a, b) = (row.raw(i), other_row.raw(j));
                if a == b {
                    return true;
                }
                (*kind == Kind::IgnoreCase || *other_kind == Kind::IgnoreCase)
                    && match (a, b) {
                        (Raw::Plain(a), Raw::Plain(b)) if a.is_ascii() && b.is_ascii() => {
                            a.eq_ignore_ascii_case(b)
                        }
                        _ => folded(a) == folded(b),
                    }
            },
        )
    }
}

fn guid_bits(raw: Raw<'_>) -> Option<u128> {
    match raw {
        Raw::Plain(bytes) => {
            Some(u128::from_be_bytes(bytes.try_into().expect("a GUID is 16 bytes")))
        }
        _ => None,
    }
}

/// Lower-cased text; [`digest`](Key::digest) and [`equal`](Key::equal) need it only for what is not ASCII, which names of hosts hardly ever are.
fn folded(raw: Raw<'_>) -> Vec<u8> {
    match raw {
        Raw::Null => Vec::new(),
        Raw::Plain(bytes) => String::from_utf8_lossy(bytes).to_lowercase().into_bytes(),
        Raw::Escaped(content) => {
            json::unescape(content).expect("canonical content decodes").to_lowercase().into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid, Row, Value};
    use proptest::prelude::*;

    fn schema() -> Schema {
        Schema {
            columns: vec![
                Column { ignore_case: true, ..Column::new("HOST", Type::Varchar) },
                Column::new("GUID", Type::Guid),
            ],
        }
    }

    fn row(host: &str, guid: u128) -> Row {
        Row::from_values([Value::text(host), Value::Guid(Guid(guid))].into_iter())
    }

    proptest! {
        #[test]
        fn case_of_a_host_does_not_matter(host in any::<String>(), guid in 1u128..) {
            let key = Key::new(vec![0, 1], &schema());
            let (read, lower, other) = (row(&host, guid), row(&host.to_lowercase(), guid), row(&host, guid ^ 2));
            let (read, lower, other) = (RowRef::new(read.bytes(), 2), RowRef::new(lower.bytes(), 2), RowRef::new(other.bytes(), 2));
            prop_assert_eq!(key.digest(read), key.digest(lower));
            prop_assert!(key.equal(read, &key, lower));
            prop_assert!(!key.equal(read, &key, other));
        }
    }

    /// Whatever the columns: GUIDs are chosen by attackers as text is.
    #[test]
    fn digests_are_under_the_secret() {
        let row = row("A", 7);
        for columns in [vec![0], vec![1], vec![0, 1]] {
            let key = Key::new(columns, &schema());
            let digests: Vec<_> = (0..3)
                .map(|_| key.clone().keyed(Secret::random()))
                .map(|key| key.digest(RowRef::new(row.bytes(), 2)))
                .collect();
            assert!(digests.iter().all(Option::is_some));
            assert!(digests[0] != digests[1] && digests[1] != digests[2]);
        }
    }

    #[test]
    fn zero_guid_and_null_have_no_key() {
        let key = Key::new(vec![0, 1], &schema());
        assert_eq!(key.digest(RowRef::new(row("A", 0).bytes(), 2)), None);
        let null = Row::from_values([Value::Null, Value::Guid(Guid(7))].into_iter());
        assert_eq!(key.digest(RowRef::new(null.bytes(), 2)), None);
        let guid = Key::new(vec![1], &schema());
        assert!(guid.digest(RowRef::new(row("A", 7).bytes(), 2)).is_some());
        assert_eq!(guid.digest(RowRef::new(row("A", 0).bytes(), 2)), None);
    }
}
