//! From arguments to files.
//!
//! An argument is a file, which is read whatever its name; a folder, of which all files with
//! the name of a capture are read, subfolders included; a glob pattern; or `-`, standard
//! input. All are resolved before anything is read, so that a mistyped name ends the run
//! before it starts.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The position of the argument that it comes from.
    pub argument: u32,
    /// Where its bytes come from.
    pub source: Source,
}

/// Where the bytes of an input come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A regular file, read at any position.
    File(PathBuf),
    /// A pipe or device, read once from its beginning.
    Pipe(PathBuf),
}

impl Source {
    /// The name that users know it by.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) | Self::Pipe(path) => path.display().to_string(),
        }
    }
}

/// Why the arguments cannot be read.
#[derive(Debug, Error)]
pub enum DiscoverError {
    /// Nothing of that name exists.
    #[error("{}: no such file or folder", .0.display())]
    NotFound(PathBuf),
    /// A pattern matches nothing.
    #[error("{0}: no file matches this pattern")]
    NoMatch(String),
    /// A pattern is malformed.
    #[error("{pattern}: not a valid pattern")]
    Pattern {
        /// The argument.
        pattern: String,
        /// What is wrong.
        source: glob::PatternError,
    },
    /// A folder has no captures.
    #[error("{}: no captures in this folder (looked for {})", .0.display(), EXTENSIONS.join(", "))]
    NoCaptures(PathBuf),
    /// A file or folder cannot be looked at.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// Its name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input or a pipe is named twice, or two readings of its records are wanted.
    #[error("{} can be read only once", if .0 == "-" { "standard input (-)" } else { .0 })]
    OnlyOnce(String),
}

/// Extensions of captures. `.1` and the like of rotated logs are not among them: name such
/// files yourself.
const EXTENSIONS: [&str; 12] =
    ["json", "ndjson", "jsonl", "log", "txt", "evtx", "xml", "gz", "zst", "zip", "tgz", "tar"];

/// Whether a file has the name of a capture.
pub(super) fn is_capture_name(name: &Path) -> bool {
    name.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|ext| EXTENSIONS.iter().any(|known| ext.eq_ignore_ascii_case(known)))
}

/// Whether a name, or a folder in it, is hidden or is what macOS adds to archives.
pub(super) fn is_hidden(name: &Path) -> bool {
    name.components().any(|component| match component {
        Component::Normal(part) => part.as_encoded_bytes()[0] == b'.' || part == "__MACOSX",
        _ => false,
    })
}

/// Resolves arguments to inputs, in the order of the arguments and, within a folder or
/// pattern, of the bytes of the paths.
pub fn discover<P: AsRef<Path>>(arguments: &[P]) -> Result<Vec<Input>, DiscoverError> {
    let mut inputs = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        let mut sources = resolve(argument.as_ref())?;
        let stdin_twice =
            sources == [Source::Stdin] && inputs.iter().any(|i: &Input| i.source == Source::Stdin);
        if stdin_twice {
            return Err(DiscoverError::OnlyOnce(Source::Stdin.name()));
        }
        inputs.extend(sources.drain(..).map(|source| Input { argument: position as u32, source }));
    }
    Ok(inputs)
}

fn resolve(argument: &Path) -> Result<Vec<Source>, DiscoverError> {
    if argument == Path::new("-") {
        return Ok(vec![Source::Stdin]);
    }
    match fs::metadata(argument) {
        Ok(metadata) => resolve_existing(argument, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match argument.to_str() {
            Some(pattern) if pattern.contains(['*', '?', '[']) => resolve_pattern(pattern),
            _ => Err(DiscoverError::NotFound(argument.to_owned())),
        },
        Err(source) => Err(DiscoverError::Unreadable { path: argument.to_owned(), source }),
    }
}

fn resolve_existing(path: &Path, metadata: &fs::Metadata) -> Result<Vec<Source>, DiscoverError> {
    if !metadata.is_dir() {
        return Ok(vec![if metadata.is_file() {
            Source::File(path.to_owned())
        } else {
            Source::Pipe(path.to_owned())
        }]);
    }
    let mut files = Vec::new();
    walk(path, &mut files)?;
    if files.is_empty() {
        return Err(DiscoverError::NoCaptures(path.to_owned()));
    }
    sort(&mut files);
    Ok(files.into_iter().map(Source::File).collect())
}

fn resolve_pattern(pattern: &str) -> Result<Vec<Source>, DiscoverError> {
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matches = glob::glob_with(pattern, options)
        .map_err(|source| DiscoverError::Pattern { pattern: pattern.to_owned(), source })?;
    let mut paths = Vec::new();
    for found in matches {
        paths.push(found.map_err(|error| DiscoverError::Unreadable {
            path: error.path().to_owned(),
            source: error.into(),
        })?);
    }
    if paths.is_empty() {
        return Err(DiscoverError::NoMatch(pattern.to_owned()));
    }
    sort(&mut paths);
    let mut sources = Vec::new();
    for path in paths {
        let metadata = metadata(&path)?;
        sources.extend(resolve_existing(&path, &metadata)?);
    }
    Ok(sources)
}

/// Collects the captures under a folder. Links to folders are not followed: they may form a
/// cycle.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DiscoverError> {
    let unreadable = |source| DiscoverError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if is_hidden(Path::new(&entry.file_name())) {
            continue;
        }
        let path = entry.path();
        if entry.file_type().map_err(unreadable)?.is_dir() {
            walk(&path, files)?;
        } else if is_capture_name(&path) && fs::metadata(&path).is_ok_and(|m| m.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<fs::Metadata, DiscoverError> {
    fs::metadata(path).map_err(|source| DiscoverError::Unreadable { path: path.to_owned(), source })
}

fn sort(paths: &mut [PathBuf]) {
    paths.sort_by(|a, b| {
        let (a, b) = (a.as_os_str(), b.as_os_str());
        a.as_encoded_bytes().cmp(b.as_encoded_bytes())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn names(root: &Path, inputs: &[Input]) -> Vec<(u32, String)> {
        inputs
            .iter()
            .map(|input| match &input.source {
                Source::File(path) => {
                    let path = path.strip_prefix(root).unwrap();
                    (input.argument, path.display().to_string())
                }
                other => (input.argument, other.name()),
            })
            .collect()
    }

    #[test]
    fn folders_patterns_files_stdin() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in [
            "b.json",
            "a/z.EVTX",
            "a/x.md",
            "a.zip",
            ".hidden.json",
            "._b.json",
            "__MACOSX/b.json",
            ".git/x.json",
            "odd.bin",
        ] {
            touch(&root.join(name));
        }
        let inputs =
            discover(&[root.join("odd.bin"), root.to_owned(), root.join("*.json"), "-".into()]);
        let expected: [(u32, &str); 6] =
            [(0, "odd.bin"), (1, "a.zip"), (1, "a/z.EVTX"), (1, "b.json"), (2, "b.json"), (3, "-")];
        let expected = expected.map(|(n, name)| (n, name.to_owned()));
        assert_eq!(names(root, &inputs.unwrap()), expected);
    }

    #[test]
    fn mistakes_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        touch(&root.join("x.md"));
        let error = |argument: PathBuf| discover(&[argument]).unwrap_err();
        assert!(matches!(error(root.join("no")), DiscoverError::NotFound(_)));
        assert!(matches!(error(root.join("n*")), DiscoverError::NoMatch(_)));
        assert!(matches!(error(root.join("[")), DiscoverError::Pattern { .. }));
        let empty = error(root.to_owned());
        assert!(empty.to_string().contains("no captures in this folder"));
        assert!(matches!(discover(&["-", "-"]).unwrap_err(), DiscoverError::OnlyOnce(_)));
    }
}
