//! From arguments to files.
//!
//! An argument is a file, which is read whatever it holds; a folder, of which all files are looked
//! at, subfolders included, and those are read whose first bytes say that they can be; a glob
//! pattern; or `-`, standard input. All are resolved before anything is read, so that a mistyped
//! name ends the run before it starts. Hidden files are left alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::format::container::{Content, HEAD};
use crate::format::split::Expect;

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The position of the argument that it comes from.
    pub argument: u32,
    /// Whether the user named it, and not only its folder.
    pub named: bool,
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
    /// Nothing in a folder can be read.
    #[error("{}: nothing to read in this folder: {saw}", path.display())]
    NoCaptures {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        saw: String,
    },
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

/// Extensions that promise events, or an archive.
const PROMISES: [&str; 13] =
    ["evtx", "json", "jsonl", "ndjson", "xml", "gz", "zst", "bz2", "xz", "zip", "7z", "tar", "tgz"];

/// How many names of files an error tells.
const NAMES: usize = 3;

/// Whether a file's name promises events: then it is worth a dead letter that it has none.
pub(super) fn promises_events(name: &str) -> bool {
    Path::new(name)
        .extension()
        .and_then(OsStr::to_str)
        .is_some_and(|ext| PROMISES.iter().any(|known| ext.eq_ignore_ascii_case(known)))
}

/// What a file holds, if that is nothing to read.
pub(super) fn left_out(content: &Content) -> Option<&'static str> {
    match content {
        Content::Text { layout, .. } if layout.in_vain.is_some() => Some("text without events"),
        Content::Binary => Some("binary data of no known format"),
        Content::Unsupported(_) => Some("an archive of a kind that is not read"),
        _ => None,
    }
}

/// Whether a name, or a folder in it, is hidden or is what macOS adds to archives.
pub(super) fn is_hidden(name: &Path) -> bool {
    name.components().any(|component| match component {
        Component::Normal(part) => part.as_encoded_bytes()[0] == b'.' || part == "__MACOSX",
        _ => false,
    })
}

/// Resolves arguments to inputs, in the order of the arguments and, within a folder or
/// pattern, of the bytes of the paths. Folders are looked through for files that hold what is
/// expected.
pub fn discover<P: AsRef<Path>>(
    arguments: &[P],
    expect: Expect,
) -> Result<Vec<Input>, DiscoverError> {
    let mut inputs = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        let sources = resolve(argument.as_ref(), expect)?;
        let is_stdin = |source: &Source| *source == Source::Stdin;
        if sources.iter().any(|(source, _)| is_stdin(source))
            && inputs.iter().any(|input: &Input| is_stdin(&input.source))
        {
            return Err(DiscoverError::OnlyOnce(Source::Stdin.name()));
        }
        let argument = position as u32;
        inputs.extend(sources.into_iter().map(|(source, named)| Input { argument, named, source }));
    }
    Ok(inputs)
}

/// Sources, and whether each was named.
type Sources = Vec<(Source, bool)>;

fn resolve(argument: &Path, expect: Expect) -> Result<Sources, DiscoverError> {
    if argument == Path::new("-") {
        return Ok(vec![(Source::Stdin, true)]);
    }
    match fs::metadata(argument) {
        Ok(metadata) => resolve_existing(argument, &metadata, expect),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match argument.to_str() {
            Some(pattern) if pattern.contains(['*', '?', '[']) => resolve_pattern(pattern, expect),
            _ => Err(DiscoverError::NotFound(argument.to_owned())),
        },
        Err(source) => Err(DiscoverError::Unreadable { path: argument.to_owned(), source }),
    }
}

fn resolve_existing(
    path: &Path,
    metadata: &fs::Metadata,
    expect: Expect,
) -> Result<Sources, DiscoverError> {
    if !metadata.is_dir() {
        let source = if metadata.is_file() { Source::File } else { Source::Pipe };
        return Ok(vec![(source(path.to_owned()), true)]);
    }
    let mut files = Vec::new();
    walk(path, &mut files)?;
    sort(&mut files);
    if let Some(saw) = nothing_to_read(&files, expect) {
        return Err(DiscoverError::NoCaptures { path: path.to_owned(), saw });
    }
    Ok(files.into_iter().map(|path| (Source::File(path), false)).collect())
}

/// What is in these files, when nothing of it can be read. One that cannot be opened is reported
/// when its turn comes.
fn nothing_to_read(files: &[PathBuf], expect: Expect) -> Option<String> {
    let mut saw: BTreeMap<&str, Vec<&PathBuf>> = BTreeMap::new();
    for path in files {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
        let why = read.ok().and_then(|_| left_out(&Content::identify(&head, expect)))?;
        saw.entry(why).or_default().push(path);
    }
    let kinds = saw.into_iter().map(|(why, paths)| {
        let names = paths.iter().take(NAMES).filter_map(|path| path.file_name());
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        let more = if paths.len() > NAMES { ", …" } else { "" };
        format!("{} of {why} ({}{more})", paths.len(), names.join(", "))
    });
    let kinds: Vec<String> = kinds.collect();
    Some(if kinds.is_empty() { "it has no files".to_owned() } else { kinds.join(", ") })
}

fn resolve_pattern(pattern: &str, expect: Expect) -> Result<Sources, DiscoverError> {
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
        sources.extend(resolve_existing(&path, &metadata, expect)?);
    }
    Ok(sources)
}

/// Collects the regular files under a folder. Links to folders are not followed: they may form a
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
        } else if fs::metadata(&path).is_ok_and(|m| m.is_file()) {
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

    fn put(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn names(root: &Path, inputs: &[Input]) -> Vec<(u32, bool, String)> {
        inputs
            .iter()
            .map(|input| {
                let name = match &input.source {
                    Source::File(path) => path.strip_prefix(root).unwrap().display().to_string(),
                    other => other.name(),
                };
                (input.argument, input.named, name)
            })
            .collect()
    }

    #[test]
    fn folders_patterns_files_stdin() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let visible = ["a/log.1", "a/z.EVTX", "b.json", "odd.bin", "syslog"];
        let hidden = [".hidden.json", "._b.json", "__MACOSX/b.json", ".git/x.json"];
        for name in visible.iter().chain(&hidden) {
            put(&root.join(name), b"{\"a\":1}\n");
        }
        let arguments = [root.join("odd.bin"), root.to_owned(), root.join("*.json"), "-".into()];
        let inputs = discover(&arguments, Expect::Events).unwrap();
        let mut expected = vec![(0, true, "odd.bin")];
        expected.extend(visible.map(|name| (1, false, name)));
        expected.extend([(2, true, "b.json"), (3, true, "-")]);
        let expected: Vec<_> =
            expected.into_iter().map(|(n, named, name)| (n, named, name.to_owned())).collect();
        assert_eq!(names(root, &inputs), expected);
    }

    #[test]
    fn mistakes_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let error = |argument: PathBuf| discover(&[argument], Expect::Events).unwrap_err();
        assert!(matches!(error(root.join("no")), DiscoverError::NotFound(_)));
        assert!(matches!(error(root.join("n*")), DiscoverError::NoMatch(_)));
        assert!(matches!(error(root.join("[")), DiscoverError::Pattern { .. }));
        let twice = discover(&["-", "-"], Expect::Events).unwrap_err();
        assert!(matches!(twice, DiscoverError::OnlyOnce(_)));
        assert!(error(root.to_owned()).to_string().ends_with("it has no files"));
    }

    #[test]
    fn a_folder_with_nothing_to_read_says_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a.md", "b.json", "c", "d"] {
            put(&root.join(name), b"words and more words\n");
        }
        put(&root.join("x.png"), &[0x89, 1, 2, 0, 0, 7, 0, 255]);
        let error = discover(&[root], Expect::Events).unwrap_err().to_string();
        let saw = "1 of binary data of no known format (x.png), \
                   4 of text without events (a.md, b.json, c, …)";
        assert!(error.ends_with(saw), "{error}");
        // where any line is a record, all text is readable
        assert_eq!(discover(&[root], Expect::Lines).unwrap().len(), 5);
        put(&root.join("e"), b"<Event>");
        assert_eq!(discover(&[root], Expect::Events).unwrap().len(), 6);
    }
}
