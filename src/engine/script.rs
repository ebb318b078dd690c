//! Where SQL comes from: the dataflows that are compiled in, and files.

use std::path::{Path, PathBuf};

use crate::sql::{Script, SqlError};

/// A dataflow that is compiled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shipped {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its SQL, with a header comment that explains it.
    pub sql: &'static str,
}

impl Shipped {
    /// What it is for: the first line of its header comment.
    pub fn about(&self) -> &'static str {
        self.sql.lines().next().unwrap_or_default().trim_start_matches("--").trim()
    }
}

/// The dataflows that are compiled in.
pub const SHIPPED: [Shipped; 4] = [
    Shipped { name: "process_network", sql: include_str!("../../dataflows/process_network.sql") },
    Shipped { name: "process_tree", sql: include_str!("../../dataflows/process_tree.sql") },
    Shipped { name: "processes", sql: include_str!("../../dataflows/processes.sql") },
    Shipped { name: "sysmon_join", sql: include_str!("../../dataflows/sysmon_join.sql") },
];

/// How much one process may add to each row of a shipped dataflow: attackers choose how long a command line is, and each connection of a process has its own and those of its ancestors. Statements say
/// `${COMMAND_LINE_BYTES}` and `${ANCESTOR_BYTES}` for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of a process's own command line.
    pub command_line: u32,
    /// Bytes of each text of an ancestor: its command line, its image.
    pub ancestor: u32,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { command_line: 32 << 10, ancestor: 8 << 10 }
    }
}

impl Bounds {
    /// These bounds, in bytes, or the defaults.
    pub fn of(command_line: Option<u64>, ancestor: Option<u64>) -> Bounds {
        // a length in SQL is an INT
        let bytes = |given: Option<u64>, default: u32| {
            given.map_or(default, |bytes| {
                u32::try_from(bytes).map_or(i32::MAX as u32, |bytes| bytes.min(i32::MAX as u32))
            })
        };
        let Bounds { command_line: own, ancestor: each } = Bounds::default();
        Bounds { command_line: bytes(command_line, own), ancestor: bytes(ancestor, each) }
    }

    /// Statements with the numbers in place.
    fn apply(self, sql: &str) -> String {
        sql.replace("${COMMAND_LINE_BYTES}", &self.command_line.to_string())
            .replace("${ANCESTOR_BYTES}", &self.ancestor.to_string())
    }
}

/// Why a dataflow cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Neither a shipped dataflow nor a file.
    #[error("there is no dataflow {name}: neither a file of that name nor one of {}", SHIPPED.map(|shipped| shipped.name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The statements are wrong.
    #[error("{name}: {source}")]
    Sql {
        /// Whose statements.
        name: String,
        /// What is wrong and where.
        source: SqlError,
    },
}

/// Binds the dataflow of that name, or the statements in that file. `RUN SCRIPT 'x'` in them runs the file `x`, beside the file that says so, or else the shipped dataflow `x`.
pub fn load(name: &str, bounds: Bounds) -> Result<Script, ScriptError> {
    let mut script = Script::default();
    add(&mut script, name, bounds)?;
    Ok(script)
}

/// Binds several, one after the other, as if they were one, for a run that shows nothing.
pub fn load_to_publish<'n>(
    names: impl IntoIterator<Item = &'n str>,
    bounds: Bounds,
) -> Result<Script, ScriptError> {
    let mut script = Script::to_publish();
    names.into_iter().try_for_each(|name| add(&mut script, name, bounds))?;
    Ok(script)
}

fn add(script: &mut Script, name: &str, bounds: Bounds) -> Result<(), ScriptError> {
    if let Some(shipped) = shipped(name) {
        return extend(script, name, shipped.sql, None, bounds);
    }
    let path = Path::new(name);
    match std::fs::read_to_string(path) {
        Ok(sql) => extend(script, name, &sql, path.parent(), bounds),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ScriptError::Unknown { name: name.to_string() })
        }
        Err(source) => Err(ScriptError::Read { path: path.to_path_buf(), source }),
    }
}

/// Binds statements; `folder` is where the files are that they run.
pub fn bind(name: &str, sql: &str, folder: Option<&Path>) -> Result<Script, ScriptError> {
    let mut script = Script::default();
    extend(&mut script, name, sql, folder, Bounds::default())?;
    Ok(script)
}

fn extend(
    script: &mut Script,
    name: &str,
    sql: &str,
    folder: Option<&Path>,
    bounds: Bounds,
) -> Result<(), ScriptError> {
    let library = |file: &str| -> Option<String> {
        let beside = folder.and_then(|folder| std::fs::read_to_string(folder.join(file)).ok());
        let sql = beside.or_else(|| {
            shipped(file.strip_suffix(".sql").unwrap_or(file))
                .map(|shipped| shipped.sql.to_string())
        });
        sql.map(|sql| bounds.apply(&sql))
    };
    script
        .extend(&bounds.apply(sql), &library)
        .map(drop)
        .map_err(|source| ScriptError::Sql { name: name.to_string(), source })
}

fn shipped(name: &str) -> Option<Shipped> {
    SHIPPED.into_iter().find(|shipped| shipped.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_dataflows_bind_and_list_their_columns() {
        for shipped in SHIPPED {
            let script =
                load(shipped.name, Bounds::default()).unwrap_or_else(|error| panic!("{error}"));
            let main = script.main_view().expect("it has a view");
            let listed: Vec<&str> = shipped
                .sql
                .lines()
                .skip_while(|line| !line.starts_with("-- Columns, in order"))
                .skip(1)
                .map_while(|line| line.strip_prefix("--   "))
                .filter_map(|line| line.split_whitespace().next())
                .collect();
            let columns: Vec<String> = script.views[main]
                .schema
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect();
            assert_eq!(listed, columns, "{}", shipped.name);
            assert!(shipped.about().starts_with(shipped.name), "{}", shipped.about());
        }
    }
}
