//! Ctrl-C and SIGTERM.
//!
//! The first signal asks the run to stop, which is said at once. The second ends the process, and
//! so does [`PATIENCE`]: an operator may be busy for longer than anybody wants to wait, in a
//! recursion that goes on and on or a join that explodes, and looks at nothing meanwhile.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{failure, output};

/// How long a run may take to end.
const PATIENCE: Duration = Duration::from_secs(4);

/// Listens from now on. The first signal calls `first`, which says what to tell the user; with
/// `at_once` it ends the process. `late` is told when patience has ended.
pub fn listen(
    at_once: bool,
    first: impl Fn() -> String + Send + 'static,
    late: &'static str,
) -> Result<()> {
    let asked = AtomicBool::new(false);
    let handler = move || {
        if asked.swap(true, Ordering::SeqCst) || at_once {
            end();
        }
        tell(&first());
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            tell(late);
            end();
        });
    };
    ctrlc::set_handler(handler).context("cannot listen to signals")
}

/// Ends the process as interrupted, with nothing half-written left behind.
fn end() -> ! {
    output::abandon();
    std::process::exit(failure::INTERRUPTED.into())
}

fn tell(text: &str) {
    // There is nobody to tell when stderr has gone.
    let _ = writeln!(std::io::stderr(), "helkflow: {text}");
}
