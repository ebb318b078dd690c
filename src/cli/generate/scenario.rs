//! The clock of the scenario: a discrete-event simulation.
//!
//! ```text
//!   background ─┐                ┌─ record numbers
//!               ├─▶ queue by time ─▶ next event
//!   attack ─────┘
//! ```
//!
//! Activities (a browser visits a site, a service reads its keys) begin at a steady average pace and put their events into a
//! queue a few ms to a few s ahead; the queue gives them out by time, so the activities of all hosts interleave as they do
//! in a real collector. An attack step begins when a fixed share of the wanted events is out, so that the whole attack fits
//! into any scenario of some hundreds of events. The queue holds what is under way and nothing else.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::Rc;

use super::attack::Attack;
use super::background;
use super::event::{Channel, Event};
use super::facts;
use super::random::Rng;
use super::tables::WINDOWS_SERVICES;
use super::world::{Process, World};

/// Events per host and second, about what a Sysmon configuration for hunting gives.
const RATE: f64 = 6.0;
/// How many events an activity of the background has on average; a figure of `background`, for the pace alone.
const EVENTS_PER_ACTIVITY: f64 = 3.6;

/// What the scenario is made from.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The seed.
    pub seed: u64,
    /// How many events the attack spreads over.
    pub events: u64,
    /// How many hosts.
    pub hosts: usize,
    /// The first moment, in ms since 1970.
    pub start: i64,
    /// How far a host's clock may be off, in ms.
    pub skew: u64,
    /// Percentage of records from other channels.
    pub foreign: f64,
}

/// An event under way: ordered by time, then by the order in which they were thought of.
struct Queued {
    at: i64,
    number: u64,
    event: Event,
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

/// The stage that activities play on: the world, chance, and the events they cause.
pub struct Stage {
    /// The domain.
    pub world: World,
    /// The scenario's stream of random numbers.
    pub rng: Rng,
    /// Now, in ms since 1970 by the true clock.
    pub now: i64,
    queue: BinaryHeap<Reverse<Queued>>,
    number: u64,
}

impl Stage {
    /// The clock of a host, `after` ms from now.
    pub fn clock(&self, host: usize, after: i64) -> i64 {
        self.now + after + self.world.hosts[host].skew
    }

    /// Queues an event of a host; its own log time says when it happens.
    pub fn push(&mut self, event: Event) {
        let at = event.logged - self.world.hosts[event.host].skew;
        self.number += 1;
        self.queue.push(Reverse(Queued { at, number: self.number, event }));
    }

    /// When a process can do something: `after` ms from now but after its create event.
    pub fn moment(&self, host: usize, process: &Process, after: i64) -> i64 {
        self.clock(host, after).max(process.started + 15)
    }

    /// Queues what `make` builds at a moment of the process.
    pub fn act(
        &mut self,
        host: usize,
        process: &Rc<Process>,
        after: i64,
        make: impl FnOnce(&super::world::Host, &Process, i64, &mut Rng) -> Event,
    ) {
        let at = self.moment(host, process, after);
        let event = make(&self.world.hosts[host], process, at, &mut self.rng);
        self.push(event);
    }
}

/// The endless scenario.
pub struct Scenario {
    stage: Stage,
    attack: Attack,
    setting: Setting,
    given: u64,
    /// When the next activity begins, in µs since 1970.
    next: i64,
}

impl Scenario {
    /// The scenario of a setting, at its first moment.
    pub fn new(setting: Setting) -> Self {
        let mut rng = Rng::new(setting.seed, "scenario");
        let world = World::new(setting.hosts, setting.start, setting.skew, &mut rng);
        let attack = Attack::new(&world);
        let mut stage =
            Stage { world, rng, now: setting.start, queue: BinaryHeap::new(), number: 0 };
        background::begin(&mut stage);
        Self { stage, attack, setting, given: 0, next: setting.start * 1000 }
    }

    /// The domain as it is now.
    pub fn world(&self) -> &World {
        &self.stage.world
    }

    /// What the attacker has done so far.
    pub fn attack(&self) -> &Attack {
        &self.attack
    }

    /// The next event.
    pub fn next_event(&mut self) -> Event {
        self.given += 1;
        if self.attack.is_due(self.given, self.setting.events) {
            self.stage.now = self.next / 1000;
            self.attack.step(&mut self.stage);
        }
        if self.stage.rng.chance(self.setting.foreign) {
            return self.foreign();
        }
        let mean = EVENTS_PER_ACTIVITY * 1e6 / (RATE * self.setting.hosts as f64);
        while self.stage.queue.peek().is_none_or(|Reverse(first)| first.at * 1000 >= self.next) {
            self.stage.now = self.next / 1000;
            background::act(&mut self.stage);
            self.next += self.stage.rng.below((2.0 * mean) as u64 + 1) as i64;
        }
        let Reverse(Queued { event, .. }) =
            self.stage.queue.pop().expect("the loop above left an event in the queue");
        self.log(event)
    }

    /// A record of another channel, now.
    fn foreign(&mut self) -> Event {
        let host = self.stage.rng.below(self.stage.world.hosts.len() as u64) as usize;
        let at = self.next / 1000 + self.stage.world.hosts[host].skew;
        let (world, rng) = (&self.stage.world, &mut self.stage.rng);
        let process = Rc::clone(rng.pick(&world.hosts[host].processes));
        let service = *rng.pick(WINDOWS_SERVICES);
        let event = facts::foreign(&world.hosts[host], &process, service, at, rng);
        self.log(event)
    }

    /// The event log takes an event: it gets its number.
    fn log(&mut self, mut event: Event) -> Event {
        debug_assert!(event.channel != Channel::Sysmon || event.get("UtcTime").is_some());
        event.record = self.stage.world.hosts[event.host].record(event.channel);
        event
    }
}
