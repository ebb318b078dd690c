//! Why state could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another run has the directory open.
    #[error("{} is in use by {}", dir.display(), holder(*.pid))]
    Locked {
        /// The state directory.
        dir: PathBuf,
        /// The process that has it, when it says so.
        pid: Option<u32>,
    },
    /// The file is not as it was written.
    #[error("{}, byte {byte}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        byte: u64,
        /// What is wrong there.
        problem: String,
    },
    /// The file is sound, but of a version of the format that this program does not know.
    #[error("{} has version {found} of the state format; this program knows version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// There is damage and nothing sound to go back to.
    #[error("the state cannot be recovered: {damage}. --reset deletes it and starts anew")]
    Lost {
        /// The damage, of the last checkpoint if there are several.
        damage: Box<StoreError>,
    },
    /// A merge was told to stop, since the store closes.
    #[error("the merge was stopped")]
    Stopped,
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StoreError {
    /// Wraps what the system says about `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path, source }
    }

    pub(super) fn damaged(path: &Path, byte: u64, problem: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), byte, problem: problem.into() }
    }

    /// Whether an earlier checkpoint may help: the file is damaged, or gone.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            StoreError::Damaged { .. } => true,
            StoreError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Says of damage that nothing is left to go back to.
    pub(super) fn lost(self) -> StoreError {
        if self.is_damage() { StoreError::Lost { damage: Box::new(self) } } else { self }
    }
}
