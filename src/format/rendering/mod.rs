//! Network views in the words of those who read them: `--as flat`, `helk` or `ecs`.
//!
//! ```text
//!  row of a network view ─▶ Connection: columns by name ─┬▶ flat   Sysmon's field names, one level        absent: left out
//!                                                        ├▶ helk   HELK's SYSMON_JOIN, in its order       absent: null
//!                                                        └▶ ecs    Elastic Common Schema, nested          absent: left out
//! ```
//!
//! A *network view* is one whose rows are connections with the processes behind them, as `process_network` is: [`Field`] lists its columns. They are found by name, so a view of one's own that selects from it,
//! filters it or leaves columns away is one too. Without the columns of [`REQUIRED`] it is not: there would be no connection to write, or no id for its document. A column that the view lacks is absent in each of its rows.
//!
//! Values are written as they are stored, whatever their type. What needs a certain type to be made, as a Community ID needs numbers for ports, is absent when a column is of another.
//!
//! One JSON object is written for each row, and nothing else: keys, tombstones and the order of records are those of the view.

mod community_id;
mod connection;
mod ecs;
mod flat;
mod helk;
mod object;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;

use self::connection::{Columns, Connection};
pub use self::connection::{Field, REQUIRED};
use crate::model::{RowRef, Schema};

/// The kinds of renderings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum As {
    /// Sysmon's field names, as Sigma rules and Splunk have them
    Flat,
    /// The columns of HELK's SYSMON_JOIN
    Helk,
    /// Elastic Common Schema
    Ecs,
}

impl fmt::Display for As {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            As::Flat => "flat",
            As::Helk => "helk",
            As::Ecs => "ecs",
        })
    }
}

/// The view is not a network view.
#[derive(Debug, thiserror::Error)]
#[error("not a network view, as process_network is: it has no {}", missing.join(", "))]
pub struct NotNetwork {
    /// The required columns that it lacks.
    pub missing: Vec<&'static str>,
}

/// Writes rows of one network view.
#[derive(Clone)]
pub struct Rendering {
    kind: As,
    columns: Columns,
}

impl Rendering {
    /// For rows of these columns.
    pub fn new(kind: As, schema: &Schema) -> Result<Rendering, NotNetwork> {
        Ok(Rendering { kind, columns: Columns::find(schema)? })
    }

    /// Appends the row as one JSON object.
    pub fn encode(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        let connection = Connection::new(&self.columns, row);
        match self.kind {
            As::Flat => flat::encode(connection, out),
            As::Helk => helk::encode(connection, out),
            As::Ecs => ecs::encode(connection, out),
        }
    }
}
