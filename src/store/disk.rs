//! Files, with errors that name them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::StoreError;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(StoreError::io("read", path))
}

pub(super) fn create_dir(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io("create", path))
}

/// Makes it so that files created, renamed or deleted in `dir` are so after a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync", dir))
}

/// The names of the files in `dir`, sorted. None when there is no such directory.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let failed = || StoreError::io("list", dir);
    let list = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list.map_err(failed())?,
    };
    let mut names = Vec::new();
    for entry in list {
        // no file of ours has a name that is not text
        names.extend(entry.map_err(failed())?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Deletes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("delete", path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file and syncs it.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = File::create(path).map_err(StoreError::io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("write", path))
}
