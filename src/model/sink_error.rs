//! Why there are no results: they could not be written, or do not end.

/// The error of a sink, or of what should have come to it.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The reader of a pipe has gone: no failure, there is nobody to write for.
    #[error("nobody reads the output any more")]
    Closed,
    /// Writing failed.
    #[error("cannot write {what}: {source}")]
    Write {
        /// What was written.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A recursion does not end.
    #[error(
        "the recursion {name} has not ended after {rounds} rounds: let its step end by a condition, on a depth say, or raise the limit by SET 'helkflow.recursion.rounds' = '…'"
    )]
    Endless {
        /// The table expression.
        name: String,
        /// The limit.
        rounds: u64,
    },
}

impl SinkError {
    /// Classifies an error of writing `what`.
    pub fn new(what: &str, source: std::io::Error) -> SinkError {
        if source.kind() == std::io::ErrorKind::BrokenPipe {
            SinkError::Closed
        } else {
            SinkError::Write { what: what.to_string(), source }
        }
    }
}
