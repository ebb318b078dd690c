//! What one worker has changed since the last checkpoint, in memory.

use std::cmp::Ordering;

use super::Node;

/// Length of a value that is no value.
const DELETED: u32 = u32::MAX;

/// Changes of one worker, in the order in which they were made.
///
/// Keys and values lie in one allocation, so a change costs their bytes and 48 more.
///
/// ```
/// use helkflow::store::{Changes, Node};
///
/// let mut changes = Changes::default();
/// changes.put(4, Node(1), 0, b"lsass.exe", Some(b"644"));
/// changes.put(6, Node(1), 0, b"lsass.exe", None);
/// let sealed = changes.take_before(6);
/// assert_eq!((sealed.len(), changes.len()), (1, 1));
/// ```
#[derive(Default, Debug)]
pub struct Changes {
    bytes: Vec<u8>,
    entries: Vec<Change>,
    /// The least and the greatest tick of the entries.
    ticks: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    tick: u64,
    node: Node,
    place: u128,
    /// The key begins here, the value follows it.
    start: usize,
    key: u32,
    /// Length, or [`DELETED`].
    value: u32,
}

impl Changes {
    /// Notes that `node` has `value` for `key` since `tick`, or nothing any more.
    ///
    /// `place` is the digest by which workers share keys: entries are loaded in the order of (`place`, `key`), and equal keys have equal places.
    pub fn put(&mut self, tick: u64, node: Node, place: u128, key: &[u8], value: Option<&[u8]>) {
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len())
                .ok()
                .filter(|length| *length < DELETED)
                .expect("rows are shorter than 4 GiB")
        };
        let change = Change {
            tick,
            node,
            place,
            start: self.bytes.len(),
            key: length(key),
            value: value.map_or(DELETED, length),
        };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.entries.push(change);
        self.ticks = Some(
            self.ticks
                .map_or((tick, tick), |(least, greatest)| (least.min(tick), greatest.max(tick))),
        );
    }

    /// Takes out what belongs to ticks before `tick`. Costs nothing when that is all or nothing; otherwise what stays is copied.
    #[must_use]
    pub fn take_before(&mut self, tick: u64) -> Changes {
        match self.ticks {
            Some((least, _)) if least >= tick => return Changes::default(),
            Some((_, greatest)) if greatest >= tick => {}
            _ => return std::mem::take(self),
        }
        let mut taken = std::mem::take(self);
        for change in taken.entries.iter().filter(|change| change.tick >= tick) {
            self.put(
                change.tick,
                change.node,
                change.place,
                taken.key(change),
                taken.value(change),
            );
        }
        taken.entries.retain(|change| change.tick < tick);
        taken.ticks = taken.ticks.map(|(least, _)| (least, tick - 1));
        taken
    }

    /// Bytes of memory that they take, nearly.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Change>()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// No tick is after this one.
    pub(super) fn last_tick(&self) -> Option<u64> {
        self.ticks.map(|(_, greatest)| greatest)
    }

    fn key(&self, change: &Change) -> &[u8] {
        &self.bytes[change.start..][..change.key as usize]
    }

    fn value(&self, change: &Change) -> Option<&[u8]> {
        (change.value != DELETED)
            .then(|| &self.bytes[change.start + change.key as usize..][..change.value as usize])
    }
}

/// A change as a run has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Put<'a> {
    pub node: Node,
    pub place: u128,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// All changes by (node, place, key), of each key the last one.
///
/// The last one is that of the greatest tick, and in a tick the one made last: where checkpoints fell then makes no difference to what is stored in the end.
pub(super) fn sorted(changes: &[Changes]) -> impl Iterator<Item = Put<'_>> {
    let mut all: Vec<(&Changes, &Change)> = changes
        .iter()
        .flat_map(|part| part.entries.iter().map(move |change| (part, change)))
        .collect();
    let by_key = |(a, x): &(&Changes, &Change), (b, y): &(&Changes, &Change)| -> Ordering {
        (x.node, x.place).cmp(&(y.node, y.place)).then_with(|| a.key(x).cmp(b.key(y)))
    };
    // stable: what was made later stays later
    all.sort_by(|x, y| by_key(x, y).then_with(|| x.1.tick.cmp(&y.1.tick)));
    let mut all = all.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut last = all.next()?;
        while let Some(next) = all.next_if(|next| by_key(&last, next).is_eq()) {
            last = next;
        }
        let (part, change) = last;
        Some(Put {
            node: change.node,
            place: change.place,
            key: part.key(change),
            value: part.value(change),
        })
    })
}
