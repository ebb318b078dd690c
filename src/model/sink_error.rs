//! Why results could not be written.

/// The error of a sink.
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
