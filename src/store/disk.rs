//! Files, with errors that name them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::StoreError;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(StoreError::io("read", path))
}

/// Creates a directory of the state, which nobody else may enter: rows are what hosts have logged. One that is there already is closed to others as well.
pub(super) fn create_dir(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(StoreError::io("create", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).map_err(StoreError::io("look at", path))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let mut own = metadata.permissions();
            own.set_mode(0o700);
            if let Err(error) = fs::set_permissions(path, own) {
                tracing::warn!("{} is open to others: {error}", path.display());
            }
        }
    }
    Ok(())
}

/// How files of the state are opened: those that are made nobody else may read.
pub(super) fn options() -> fs::OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
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
    let mut file = options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(StoreError::io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("write", path))
}
