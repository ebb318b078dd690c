//! Which event times are believed.
//!
//! Whoever writes events chooses their times. A live run knows when they came, so an event counts as no later than that, or an event of the year 9999 would keep its rows for ever, and as no earlier than an age that may be chosen, or one host
//! with times of 2010 would keep the rows of all others. What an event says of its time is data all the same, and stays as it is.
//!
//! The moment of arrival is part of a tick, so an event counts for the same in any life of a run.

use std::time::Duration;

use super::tick::Tick;

/// Counts event times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Ticks are no moments: every time is believed.
    Replay,
    /// Ticks are moments.
    Live {
        /// Milliseconds before its arrival that an event's time counts for at least.
        max_age: i64,
        /// Milliseconds after which a partition that stays far behind the others is left out.
        straggle: i64,
    },
}

impl Clock {
    /// A live run's.
    pub fn live(max_age: Duration, straggle: Duration) -> Clock {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Clock::Live { max_age: ms(max_age), straggle: ms(straggle) }
    }

    /// What a time counts for that came at a tick, in milliseconds since 1970. The latest of all stands for no time, and stays so.
    #[inline]
    pub fn counts(self, time: i64, arrived: Tick) -> i64 {
        match self {
            Clock::Live { max_age, .. } if time != i64::MAX => {
                let now = arrived.ms() as i64;
                time.clamp(now.saturating_sub(max_age), now)
            }
            _ => time,
        }
    }
}
