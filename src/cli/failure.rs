//! How a verb ends other than well.

use std::io::{self, Write};
use std::process::ExitCode;

use super::terminal;

/// Failed while running.
pub const FAILED: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// Above the memory limit; what supervises the process can tell it from other failures.
pub const MEMORY: u8 = 167;
/// Interrupted by a signal: 128 and the number of SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Why a verb did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the SQL is wrong; nothing was read.
    Usage(anyhow::Error),
    /// Something went wrong on the way.
    Failed(anyhow::Error),
    /// The user wanted it to stop.
    Interrupted,
    /// Too much memory.
    Memory(anyhow::Error),
    /// The reader of the output has gone, so there is nothing left to do: no failure to anybody.
    Closed,
}

impl Failure {
    /// Wrong usage, in words.
    pub fn misuse(text: impl Into<String>) -> Failure {
        Failure::Usage(anyhow::Error::msg(text.into()))
    }

    /// Tells the user and gives the exit code.
    pub fn report(&self, err: &mut impl Write) -> ExitCode {
        let (error, code) = match self {
            Failure::Usage(error) => (error, USAGE),
            Failure::Failed(error) => (error, FAILED),
            Failure::Memory(error) => (error, MEMORY),
            Failure::Interrupted => return ExitCode::from(INTERRUPTED),
            Failure::Closed => return ExitCode::SUCCESS,
        };
        // There is nobody to tell when stderr has gone.
        let _ = writeln!(err, "helkflow: {}", terminal::printable_lines(&chain(error)));
        ExitCode::from(code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}

/// The error and its causes on one line. A cause that the text before ends with already is not said again.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes to standard output.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Failed(anyhow::Error::new(error).context("cannot write to stdout")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_said_once() {
        let cause = io::Error::other("disk full");
        let error = Err::<(), _>(crate::model::SinkError::new("x", cause))
            .context("cannot go on")
            .unwrap_err();
        assert_eq!(chain(&error), "cannot go on: cannot write x: disk full");
    }
}
