//! What is in a state directory, for people.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::bindings::{self, Scan};
use super::manifest::Checkpoint;
use super::recovery::{Found, holder};
use super::run::Run;
use super::{Manifest, NodeName, Offsets, StoreError, VERSION};

/// Damage that is still there when it is looked at for the third time is damage.
const ATTEMPTS: usize = 3;

/// What is in a state directory.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// Version of the format.
    pub version: u32,
    /// The process that opened it last; whether it still has it open is not known.
    pub process: Option<u32>,
    /// Number of the current checkpoint.
    pub sequence: Option<u64>,
    /// The current checkpoint.
    pub manifest: Option<Manifest>,
    /// The frontier of the checkpoint before it.
    pub previous_frontier: Option<u64>,
    /// What the nodes have.
    pub nodes: Vec<NodeContent>,
    /// From the oldest to the newest.
    pub runs: Vec<RunContent>,
    /// Bindings.
    pub bindings: BindingsContent,
    /// Everything that is damaged. What a crash leaves is not.
    pub damage: Vec<String>,
}

/// The state of a node.
#[derive(Debug, Serialize)]
pub struct NodeContent {
    /// Which node.
    #[serde(flatten)]
    pub node: NodeName,
    /// Keys that have a value.
    pub keys: u64,
    /// Bytes of these keys and values.
    pub bytes: u64,
    /// Entries in runs, superseded ones and deletions included.
    pub entries: u64,
}

/// A run.
#[derive(Debug, Serialize)]
pub struct RunContent {
    /// Its number.
    pub number: u64,
    /// The last checkpoint whose changes it has.
    pub until: u64,
    /// Its entries.
    pub entries: u64,
    /// Length of its file.
    pub bytes: u64,
}

/// The bindings.
#[derive(Debug, Default, Serialize)]
pub struct BindingsContent {
    /// Files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Ticks that are bound.
    pub ticks: usize,
    /// The first of them.
    pub first: Option<u64>,
    /// The last of them.
    pub last: Option<u64>,
}

/// Reads through the state in `dir`. Neither needs its lock nor changes anything, so it may be in use.
///
/// What is damaged is in the result; an error means that nothing can be said.
pub fn inspect(dir: &Path) -> Result<Inspection, StoreError> {
    fs::metadata(dir).map_err(StoreError::io("open", dir))?;
    // what has just been listed may be deleted since; then newer files have taken its place
    for _ in 1..ATTEMPTS {
        match inspect_once(dir) {
            Ok(inspection) if inspection.damage.is_empty() => return Ok(inspection),
            _ => {}
        }
    }
    inspect_once(dir)
}

fn inspect_once(dir: &Path) -> Result<Inspection, StoreError> {
    let mut damage = Vec::new();
    let found = match Found::read(dir) {
        Ok(found) => {
            damage.extend(found.damage.iter().chain(&found.older_damage).map(ToString::to_string));
            Some(found)
        }
        Err(StoreError::Lost { damage: lost }) => {
            damage.push(lost.to_string());
            None
        }
        Err(error) => return Err(error),
    };
    let mut inspection = Inspection {
        version: VERSION,
        process: holder(dir),
        sequence: None,
        manifest: None,
        previous_frontier: None,
        nodes: Vec::new(),
        runs: Vec::new(),
        bindings: bindings(dir, &mut damage)?,
        damage,
    };
    let Some(Found {
        current: Some(Checkpoint { sequence, manifest, .. }),
        previous,
        snapshot,
        ..
    }) = found
    else {
        return Ok(inspection);
    };
    for named in &manifest.nodes {
        let mut content = NodeContent { node: named.clone(), keys: 0, bytes: 0, entries: 0 };
        let sections = snapshot.runs.iter().filter_map(|run| run.section(named.node));
        content.entries = sections.map(|section| section.entries).sum();
        let mut entries = snapshot.load(named.node)?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            content.keys += 1;
            content.bytes += (entry.key.len() + entry.value.len()) as u64;
        }
        inspection.nodes.push(content);
    }
    let run = |run: &Arc<Run>| RunContent {
        number: run.name.number,
        until: run.name.until,
        entries: run.entries(),
        bytes: run.name.bytes,
    };
    inspection.runs = snapshot.runs.iter().map(run).collect();
    inspection.previous_frontier = previous.map(|previous| previous.manifest.frontier);
    inspection.sequence = Some(sequence);
    inspection.manifest = Some(manifest);
    Ok(inspection)
}

fn bindings(dir: &Path, damage: &mut Vec<String>) -> Result<BindingsContent, StoreError> {
    let mut content = BindingsContent::default();
    let mut ticks: BTreeMap<u64, Offsets> = BTreeMap::new();
    for path in bindings::segments(&bindings::folder(dir))? {
        content.segments += 1;
        content.bytes += path.metadata().map_or(0, |metadata| metadata.len());
        match Scan::read(&path) {
            Ok(scan) => scan.collect(&mut ticks),
            Err(error) => damage.push(error.to_string()),
        }
    }
    content.ticks = ticks.len();
    (content.first, content.last) =
        (ticks.keys().next().copied(), ticks.keys().next_back().copied());
    Ok(content)
}
