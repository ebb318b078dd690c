//! Named and typed columns.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Type;

/// One column. Names are stored as they print: unquoted SQL names arrive here upper-case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Column {
    /// The name as printed.
    pub name: String,
    /// The type of its values.
    pub ty: Type,
    /// Part of the relation's key.
    pub key: bool,
    /// Text that compares without regard to case in joins, groups and comparisons, and prints as read: the names of hosts.
    pub ignore_case: bool,
}

impl Column {
    /// A column that is no key and compares exactly.
    pub fn new(name: impl Into<String>, ty: Type) -> Column {
        Column { name: name.into(), ty, key: false, ignore_case: false }
    }
}

/// The columns of a relation, in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Schema {
    /// Key columns need not come first.
    pub columns: Vec<Column>,
}

impl Schema {
    /// Number of columns, which is the width of its rows.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Position of the column with exactly this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Positions of the key columns, in column order.
    pub fn key(&self) -> Vec<usize> {
        (0..self.width()).filter(|&i| self.columns[i].key).collect()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(
                f,
                "{comma}{} {}{}",
                quoted(&column.name),
                column.ty,
                if column.key { " KEY" } else { "" }
            )?;
        }
        Ok(())
    }
}

/// A name as it must be written in SQL to mean itself: bare when it is an upper-case identifier, else in backquotes.
pub fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let bare = chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if bare { name.to_string() } else { format!("`{}`", name.replace('`', "``")) }
}
