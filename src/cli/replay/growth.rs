//! What grows: the part of the dataflow that has the most rows, and the memory that all of it
//! takes.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanCount;

use crate::cli::{failure, output, terminal};
use crate::engine::resident_bytes;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// Tells which operator has the most rows.
#[derive(Clone)]
pub struct Growth(Arc<dyn Fn() -> Option<(String, usize)> + Send + Sync>);

impl Growth {
    /// By what the engine says of its largest operator.
    pub fn new(largest: impl Fn() -> Option<(String, usize)> + Send + Sync + 'static) -> Growth {
        Growth(Arc::new(largest))
    }

    /// The operator with the most rows, if any has some.
    pub fn most(&self) -> Option<String> {
        let (name, rows) = (self.0)().filter(|(_, rows)| *rows > 0)?;
        Some(format!("most rows: {} in {}", HumanCount(rows as u64), terminal::printable(&name)))
    }

    /// Ends the process when its resident memory is above the limit.
    pub fn limit(&self, limit: u64) {
        let growth = self.clone();
        std::thread::spawn(move || {
            loop {
                let resident = resident_bytes();
                if resident > limit {
                    let most = growth.most().map_or_else(String::new, |most| format!("; {most}"));
                    // There is nobody to tell when stderr has gone.
                    let _ = writeln!(
                        std::io::stderr(),
                        "helkflow: resident memory of {} MiB is above the limit of {} MiB{most}",
                        resident >> 20,
                        limit >> 20
                    );
                    output::abandon();
                    std::process::exit(failure::MEMORY.into());
                }
                std::thread::sleep(EVERY);
            }
        });
    }
}
