//! What is counted beside [`Stats`](super::Stats) where somebody wants to know what an input holds:
//! names of channels and hosts, and from when to when its events are.
//!
//! A replay does not ask: finding a name among others costs time for each event.
//!
//! While a reader counts, names are told apart by their spelling; what is taken from it is in order.
//!
//! *Bounds.* [`Names::MOST`] names of each kind, the first in order, of [`Names::LENGTH`] characters
//! each; events of all others are counted together. Which names are kept depends on the input alone.
//! A reader holds as many spellings besides.

use hashbrown::HashMap;

use crate::model::Timestamp;

/// Names and times of the events that were seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// Channels of all events, or providers where no channel is named.
    pub channels: Names,
    /// Hosts of Sysmon's events.
    pub hosts: Names,
    /// The earliest and the latest time of Sysmon's events.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl Survey {
    /// Adds another survey.
    pub(super) fn add(&mut self, other: &Survey) {
        self.channels.add(&other.channels);
        self.hosts.add(&other.hosts);
        for time in other.span.into_iter().flat_map(|(first, last)| [first, last]) {
            widen(&mut self.span, time);
        }
    }
}

fn widen(span: &mut Option<(Timestamp, Timestamp)>, time: Timestamp) {
    let (first, last) = span.unwrap_or((time, time));
    *span = Some((first.min(time), last.max(time)));
}

/// A survey that is being made.
#[derive(Default)]
pub(super) struct Surveyor {
    channels: Counter,
    hosts: Counter,
    span: Option<(Timestamp, Timestamp)>,
}

impl Surveyor {
    /// Sees the channel of an event.
    pub fn channel(&mut self, name: &str) {
        self.channels.see(name);
    }

    /// Sees a host and a time of Sysmon's events.
    pub fn event(&mut self, host: Option<&str>, time: Option<Timestamp>) {
        if let Some(host) = host {
            self.hosts.see(host);
        }
        if let Some(time) = time {
            widen(&mut self.span, time);
        }
    }

    /// What was seen since it was taken before.
    pub fn take(&mut self) -> Survey {
        let Surveyor { channels, hosts, span } = self;
        Survey { channels: channels.take(), hosts: hosts.take(), span: span.take() }
    }
}

/// Counts names by their spelling, which is quickly found.
#[derive(Default)]
struct Counter {
    spellings: HashMap<Box<str>, u64>,
    names: Names,
}

impl Counter {
    fn see(&mut self, name: &str) {
        let name = match name.len() {
            0..=Names::LENGTH => name,
            _ => beginning(name),
        };
        if let Some(count) = self.spellings.get_mut(name) {
            *count += 1;
            return;
        }
        if self.spellings.len() == Names::MOST {
            self.settle();
        }
        self.spellings.insert(name.into(), 1);
    }

    fn settle(&mut self) {
        self.spellings.drain().for_each(|(name, count)| self.names.count(&name, count));
    }

    fn take(&mut self) -> Names {
        self.settle();
        std::mem::take(&mut self.names)
    }
}

/// So much of a name as is kept.
fn beginning(name: &str) -> &str {
    let end = name.char_indices().nth(Names::LENGTH).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

/// How many events have which name. Names are compared without regard to case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// In the order of their keys.
    kept: Vec<Name>,
    others: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Name {
    /// In lower case.
    key: Box<str>,
    /// The least of its spellings, so that it does not depend on which came first.
    spelling: Box<str>,
    count: u64,
}

impl Names {
    /// So many names are kept.
    pub const MOST: usize = 1024;

    /// So many characters of a name are kept.
    pub const LENGTH: usize = 120;

    /// The names with how many events have them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.kept.iter().map(|name| (&*name.spelling, name.count))
    }

    /// How many events have a name that is not kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    fn add(&mut self, other: &Names) {
        self.others += other.others;
        other.iter().for_each(|(name, count)| self.count(name, count));
    }

    fn count(&mut self, name: &str, count: u64) {
        let key = || name.chars().flat_map(char::to_lowercase);
        match self.kept.binary_search_by(|kept| kept.key.chars().cmp(key())) {
            Ok(at) => {
                let kept = &mut self.kept[at];
                kept.count += count;
                if name < &*kept.spelling {
                    kept.spelling = name.into();
                }
            }
            Err(Self::MOST) => self.others += count,
            Err(at) => {
                let key = key().collect::<String>().into();
                self.kept.insert(at, Name { key, spelling: name.into(), count });
                if self.kept.len() > Self::MOST {
                    self.others += self.kept.pop().map_or(0, |last| last.count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_do_not_depend_on_who_saw_what(
            seen in proptest::collection::vec((0..2000_u32, any::<bool>()), 0..4000),
            readers in 1..4_usize,
        ) {
            let mut alone = Surveyor::default();
            let mut parts: Vec<_> = (0..readers).map(|_| Surveyor::default()).collect();
            let mut total = Survey::default();
            for (i, (number, upper)) in seen.iter().enumerate() {
                let name = format!("{}{number}", if *upper { "HOST" } else { "host" });
                for surveyor in [&mut alone, &mut parts[i % readers]] {
                    surveyor.event(Some(&name), Some(Timestamp(i64::from(*number))));
                }
                if i % 100 == 0 {
                    total.add(&parts[i % readers].take());
                }
            }
            for part in &mut parts {
                total.add(&part.take());
            }
            let alone = alone.take();
            let kept: u64 = alone.hosts.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(kept + alone.hosts.others(), seen.len() as u64);
            prop_assert_eq!(&alone.span, &total.span);
            prop_assert_eq!(alone.hosts.others(), total.hosts.others());
            prop_assert!(alone.hosts.iter().map(|(_, n)| n).eq(total.hosts.iter().map(|(_, n)| n)));
            prop_assert!(alone.hosts.kept.is_sorted_by(|a, b| a.key < b.key));
        }
    }

    #[test]
    fn names_are_one_whatever_their_case() {
        let mut counter = Counter::default();
        for name in ["ws01", "WS01", "Ws02", "ws01"] {
            counter.see(name);
        }
        assert_eq!(counter.take().iter().collect::<Vec<_>>(), [("WS01", 3), ("Ws02", 1)]);
        counter.see(&"é".repeat(500));
        assert_eq!(counter.take().iter().last().unwrap().0.chars().count(), Names::LENGTH);
    }
}
