//! The layers of ARCHITECTURE.md: who may use whom.
//!
//! Sources are read as Rust tokens, so comments, doc links and texts do not count.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// From the top down. A module uses its own layer and those after it.
const LAYERS: [&str; 12] = [
    "cli", "server", "engine", "connect", "dataflow", "sql", "plan", "expr", "sysmon", "format",
    "store", "model",
];

/// The only layer that names timely or differential.
const DATAFLOW: &str = "dataflow";

/// A file longer than this holds more than one concept.
const LINES: usize = 900;

/// A file of `src` that belongs to a layer.
struct Source {
    path: PathBuf,
    /// `["sysmon", "shape"]` for `src/sysmon/shape.rs`.
    module: Vec<String>,
    text: String,
}

impl Source {
    fn layer(&self) -> &str {
        &self.module[0]
    }

    fn tokens(&self) -> TokenStream {
        TokenStream::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }
}

/// All files of all layers; `lib.rs` and `main.rs` stand above them.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !(folder == root && is_crate_root(&path))
            {
                let relative = path.strip_prefix(&root).unwrap().with_extension("");
                let mut module: Vec<String> =
                    relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                module.pop_if(|name| name == "mod");
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path, module, text });
            }
        }
    }
    assert!(sources.len() > LAYERS.len(), "these are not our sources");
    sources
}

fn is_crate_root(path: &Path) -> bool {
    path.ends_with("lib.rs") || path.ends_with("main.rs")
}

/// The top-level modules that paths of `tokens`, inside `module`, lead to: `crate::x`, `crate::{x, y::z}`, and `super::` where it leads to the top.
fn used(tokens: TokenStream, module: &[String], found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let ident = |i: usize| match tokens.get(i) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let punct = |i: usize, c: char| matches!(tokens.get(i), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
    let path_goes_on = |i: usize| punct(i, ':') && punct(i + 1, ':');
    let mut i = 0;
    while i < tokens.len() {
        if let TokenTree::Group(group) = &tokens[i] {
            let inline = i
                .checked_sub(2)
                .and_then(ident)
                .filter(|word| word == "mod")
                .and_then(|_| ident(i - 1));
            let inner: Vec<String> = module.iter().cloned().chain(inline).collect();
            used(group.stream(), &inner, found);
        }
        let mut depth = match ident(i).as_deref() {
            Some("crate") => 0,
            Some("super") => module.len().saturating_sub(1),
            _ => usize::MAX,
        };
        i += 1;
        if depth == usize::MAX || !path_goes_on(i) {
            continue;
        }
        i += 2;
        while ident(i).as_deref() == Some("super") && path_goes_on(i + 1) {
            depth = depth.saturating_sub(1);
            i += 3;
        }
        if depth > 0 {
            continue;
        }
        match tokens.get(i) {
            Some(TokenTree::Ident(name)) => _ = found.insert(name.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let mut starts = true;
                for token in group.stream() {
                    if let TokenTree::Ident(name) = &token
                        && starts
                    {
                        found.insert(name.to_string());
                    }
                    starts = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
                }
            }
            _ => {}
        }
    }
}

/// All identifiers, however deep.
fn identifiers(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => identifiers(group.stream(), found),
            TokenTree::Ident(ident) => _ = found.insert(ident.to_string()),
            _ => {}
        }
    }
}

fn assert_none(wrong: &[String], what: &str) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn no_layer_uses_one_above_it() {
    let level = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = level(source.layer()) else {
            wrong.push(format!("{} is in no layer", source.path.display()));
            continue;
        };
        let mut layers = BTreeSet::new();
        used(source.tokens(), &source.module, &mut layers);
        for name in layers {
            match level(&name) {
                Some(other) if other >= own => {}
                Some(_) => wrong.push(format!("{} uses {name}", source.path.display())),
                None => wrong
                    .push(format!("{} uses {name}, which is in no layer", source.path.display())),
            }
        }
    }
    assert_none(&wrong, "imports from above");
}

#[test]
fn only_the_dataflow_layer_names_timely() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| source.layer() != DATAFLOW) {
        let mut names = BTreeSet::new();
        identifiers(source.tokens(), &mut names);
        for name in ["timely", "differential_dataflow"] {
            if names.contains(name) {
                wrong.push(format!("{} names {name}", source.path.display()));
            }
        }
    }
    assert_none(&wrong, "timely and differential are named outside of src/dataflow");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source.path.display(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert_none(&long, "files of more than one concept");
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = r#"
        //! See [`Above`](crate::cli::Above).
        use crate::{model::{Row, Type}, plan, sql::ast as tree};
        use super::sibling;
        use super::super::engine::Replay;
        const TEXT: &str = "crate::connect::files";
        fn f() -> crate::expr::Expr { g!(crate::format::scan) }
        pub(crate) fn h() {}
        mod tests { use super::super::other; use super::super::super::sysmon; }
    "#;
    let mut found = BTreeSet::new();
    used(
        TokenStream::from_str(text).unwrap(),
        &["dataflow".to_owned(), "join".to_owned()],
        &mut found,
    );
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["engine", "expr", "format", "model", "plan", "sql", "sysmon"]
    );
}
