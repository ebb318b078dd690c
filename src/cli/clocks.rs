//! What is said of clocks: a line for each thing that is off on a host.

use std::time::Duration;

use indicatif::{HumanCount, HumanDuration};

use crate::sysmon::clock::{Clock, Clocks, Spread};

/// How many hosts are told of.
const SHOWN: usize = 5;

/// The lines, none where all clocks agree.
pub fn lines(clocks: &Clocks) -> Vec<String> {
    let notable: Vec<_> = clocks.hosts().filter(|(_, clock)| clock.is_notable()).collect();
    let mut lines = Vec::new();
    for (host, clock) in notable.iter().take(SHOWN) {
        lines.extend(facts(clock).into_iter().map(|fact| format!("{host}: {fact}")));
    }
    if notable.len() > SHOWN {
        lines.push(format!("… and {} hosts more", notable.len() - SHOWN));
    }
    if clocks.others() > 0 {
        let (most, others) = (Clocks::HOSTS, HumanCount(clocks.others()));
        lines.push(format!("{others} events are of hosts beyond the first {most} by name"));
    }
    lines
}

fn facts(clock: &Clock) -> Vec<String> {
    let mut facts = Vec::new();
    let offsets: Vec<String> = clock.offsets().map(|offset| offset.to_string()).collect();
    let arrived = range(clock.arrival);
    match &offsets[..] {
        [] => {}
        [one] => facts.push(format!("its local times are {one}, going by arrivals {arrived} them")),
        several => facts.push(format!(
            "its local times are of several zones ({}), going by arrivals {arrived} them: a change \
             of daylight saving time, or two machines of one name",
            several.join(", ")
        )),
    }
    if clock.apart > 0 {
        let count = HumanCount(clock.apart);
        facts.push(format!("{count} local times fit no zone, going by their arrival: it counts"));
    }
    if clock.logged.count > 0 {
        let (count, logged) = (HumanCount(clock.logged.count), range(clock.logged));
        facts.push(format!(
            "{count} processes have their start logged {logged} its UtcTime, by which they STARTED"
        ));
    }
    if clock.guid.count > 0 {
        let (count, off) = (HumanCount(clock.guid.count), range(clock.guid));
        facts.push(format!(
            "{count} processes have a UtcTime {off} the time in their GUID: they STARTED by the \
             GUID where the log agrees with it"
        ));
    }
    facts
}

/// `12s to 3m after`, `12s before to 3m after`
fn range(spread: Spread) -> String {
    let text = |ms: i64| format!("{:#}", HumanDuration(Duration::from_millis(ms.unsigned_abs())));
    let (least, greatest) = (text(spread.least), text(spread.greatest));
    match (spread.least < 0, spread.greatest < 0) {
        (true, false) => format!("{least} before to {greatest} after"),
        (true, true) if least == greatest => format!("{least} before"),
        (true, true) => format!("{greatest} to {least} before"),
        _ if least == greatest => format!("{least} after"),
        _ => format!("{least} to {greatest} after"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_from_the_near_to_the_far() {
        let texts =
            [(5, 50), (50, 50), (-50, -5), (-50, -50), (-5, 50)].map(|(least, greatest)| {
                range(Spread { count: 2, least: least * 1000, greatest: greatest * 1000 })
            });
        assert_eq!(
            texts,
            [
                "5s to 50s after",
                "50s after",
                "5s to 50s before",
                "50s before",
                "5s before to 50s after"
            ]
        );
    }
}
