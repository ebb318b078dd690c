//! Where results go: standard output, or a file that is there as a whole or not at all.
//!
//! A file is written under a name of its own beside the target and renamed when everything is in it, so a run that fails or is interrupted leaves what was there before.
//! Devices and pipes are written directly. A link is followed: its target is replaced, not the link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::model::SinkError;

/// Unfinished files of this process, for [`abandon`].
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes unfinished files: for an exit that runs no destructors.
pub fn abandon() {
    for path in UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // What cannot be removed stays behind; there is nothing else to do about it.
        let _ = fs::remove_file(path);
    }
}

/// An open output.
pub struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    name: String,
    /// What is written, and the name that it gets at the end.
    unfinished: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Output {
        Output::direct(Box::new(io::stdout()), "to stdout".to_owned())
    }

    /// A file, device or pipe.
    pub fn create(path: &Path) -> io::Result<Output> {
        let name = path.display().to_string();
        let target = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Output::direct(Box::new(file), name));
            }
            Ok(_) => path.canonicalize()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(target.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        hidden.push(format!(".{}.unfinished", std::process::id()));
        let unfinished = target.with_file_name(hidden);
        let file = File::create(&unfinished)?;
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(unfinished.clone());
        let mut output = Output::direct(Box::new(file), name);
        output.unfinished = Some((unfinished, target));
        Ok(output)
    }

    fn direct(writer: Box<dyn Write + Send>, name: String) -> Output {
        Output { writer: BufWriter::with_capacity(1 << 18, writer), name, unfinished: None }
    }

    /// An error of writing here.
    pub fn error(&self, source: io::Error) -> SinkError {
        SinkError::new(&self.name, source)
    }

    /// Writes what is in memory and gives the file its name.
    pub fn commit(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        if let Some((unfinished, target)) = &self.unfinished {
            fs::rename(unfinished, target)?;
            forget(unfinished);
            self.unfinished = None;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((unfinished, _)) = &self.unfinished {
            let _ = fs::remove_file(unfinished);
            forget(unfinished);
        }
    }
}

fn forget(path: &Path) {
    UNFINISHED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|unfinished| unfinished != path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        fs::write(&path, "before").unwrap();
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(folder.path()), ["rows"]);
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"whole").unwrap();
        output.commit().unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["rows"]);
    }

    #[test]
    fn no_folder_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::create(&folder.path().join("no/rows")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(
            Output::create(folder.path()).err().unwrap().kind(),
            io::ErrorKind::IsADirectory
        );
    }
}
