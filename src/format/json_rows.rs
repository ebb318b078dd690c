//! Rows as JSON objects: columns in order, NULL as `null`.

use crate::model::{RowRef, Schema, Type, json};

/// Writes rows of one schema.
pub struct JsonEncoder {
    /// `"NAME":` and the type, column by column.
    columns: Vec<(Vec<u8>, Type)>,
}

impl JsonEncoder {
    /// For rows of these columns.
    pub fn new(schema: &Schema) -> JsonEncoder {
        let name = |name: &str| {
            let mut member = vec![b'"'];
            json::escape_into(name, &mut member);
            member.extend_from_slice(b"\":");
            member
        };
        JsonEncoder {
            columns: schema
                .columns
                .iter()
                .map(|column| (name(&column.name), column.ty.clone()))
                .collect(),
        }
    }

    /// Appends all columns of the row as one object.
    pub fn encode(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        self.encode_columns(row, 0..self.columns.len(), out);
    }

    /// Appends some of its columns as one object.
    pub fn encode_columns(
        &self,
        row: RowRef<'_>,
        columns: impl Iterator<Item = usize>,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        for (n, i) in columns.enumerate() {
            if n > 0 {
                out.push(b',');
            }
            let (member, ty) = &self.columns[i];
            out.extend_from_slice(member);
            row.raw(i).write_json(ty, out);
        }
        out.push(b'}');
    }
}
