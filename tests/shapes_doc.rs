//! `docs/shapes.md` is true: it has every shape by its name and tool, and what `generate` writes is
//! read as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use helkflow::cli::generate;
use helkflow::sysmon::Shape;
use serde_json::Value;

const HELKFLOW: &str = env!("CARGO_BIN_EXE_helkflow");

/// The rows of the tables, as cells.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/shapes.md");
    let doc = fs::read_to_string(path).unwrap();
    doc.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect()
}

#[test]
fn every_shape_has_a_row_with_its_tool() {
    let rows: Vec<_> = rows().into_iter().filter(|row| row.len() == 4).collect();
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (&*row[0], &*row[1])).collect();
    let shapes: Vec<_> = Shape::ALL.iter().map(|shape| (shape.name(), shape.tool())).collect();
    assert_eq!(told, shapes);
    assert!(rows.iter().flatten().all(|cell| !cell.is_empty()));
}

#[test]
fn every_export_is_read_as_it_is_told() {
    let told: BTreeMap<String, String> = rows()
        .into_iter()
        .filter(|row| row.len() == 3)
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let names: BTreeSet<_> = generate::Shape::ALL.iter().map(|shape| shape.name()).collect();
    assert!(told.keys().map(String::as_str).eq(names.iter().copied()), "{:?}", told.keys());
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for name in names {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        let run = |args: &[&str]| {
            let out = Command::new(HELKFLOW).args(args).output().unwrap();
            assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
            out.stdout
        };
        run(&["generate", "--events", "400", "--shape", name, "-o", path]);
        let found: Value =
            serde_json::from_slice(&run(&["inspect", "--format", "json", path])).unwrap();
        let shapes = found["all"]["shapes"].as_array().unwrap();
        // an event without a field that tells the tool may be of another
        let most = shapes.iter().max_by_key(|shape| shape["events"].as_u64()).unwrap();
        if most["shape"] != *told[name] {
            wrong.push(format!("{name}: {}, not {}", most["shape"], told[name]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
