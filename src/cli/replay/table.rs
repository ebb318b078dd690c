//! `--format table`: rows for people.
//!
//! When the columns fit beside each other there is one table; otherwise each row is a block with a line for each column, as `psql` does with `\x auto`. Text is shown without
//! what a terminal would obey.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::encode::text;
use crate::cli::terminal::printable;
use crate::model::{Row, RowRef, Schema};

/// A column of a table gets at least this much of its longest value before rows become blocks.
const LEAST: usize = 24;

/// Writes the rows at a width; `each` is how often a row is in the content.
pub fn write(
    out: &mut impl Write,
    schema: &Schema,
    rows: &[(Row, i64)],
    width: u16,
) -> io::Result<()> {
    let cells = |row: &Row| -> Vec<String> {
        let row = RowRef::new(row.bytes(), schema.width());
        let cell = |(i, column): (usize, &crate::model::Column)| {
            text(row.raw(i), &column.ty)
                .map_or_else(|| "NULL".to_owned(), |text| printable(&text).into_owned())
        };
        schema.columns.iter().enumerate().map(cell).collect()
    };
    let rows = || {
        rows.iter()
            .flat_map(|(row, count)| std::iter::repeat_n(row, usize::try_from(*count).unwrap_or(0)))
    };
    let names: Vec<String> =
        schema.columns.iter().map(|column| printable(&column.name).into_owned()).collect();
    let mut least: Vec<usize> = names.iter().map(String::len).collect();
    for row in rows() {
        for (least, cell) in least.iter_mut().zip(cells(row)) {
            *least = (*least).max(cell.chars().count().min(LEAST));
        }
    }
    let borders = 3 * least.len() + 1;
    if least.iter().sum::<usize>() + borders <= usize::from(width) {
        let mut table = bare(width);
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(names);
        for row in rows() {
            table.add_row(cells(row));
        }
        return writeln!(out, "{table}");
    }
    for (number, row) in rows().enumerate() {
        let title = format!("── row {} ", number + 1);
        writeln!(
            out,
            "{title}{}",
            "─".repeat(usize::from(width).saturating_sub(title.chars().count()))
        )?;
        let mut table = bare(width);
        table.load_style(presets::NOTHING);
        for (name, cell) in names.iter().zip(cells(row)) {
            table.add_row([name, &cell]);
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    Ok(())
}

fn bare(width: u16) -> Table {
    let mut table = Table::new();
    table.force_no_tty().set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Type, Value};

    fn shown(width: u16) -> String {
        let schema = Schema {
            columns: vec![Column::new("IMAGE", Type::Varchar), Column::new("PID", Type::Int)],
        };
        let row =
            |image: &'static str, pid| Row::from_values([Value::text(image), pid].into_iter());
        let rows = [(row("C:\\a\u{1b}.exe", Value::Int(7)), 2), (row("", Value::Null), 1)];
        let mut out = Vec::new();
        write(&mut out, &schema, &rows, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn wide_enough() {
        let table = shown(80);
        assert_eq!(table.matches("C:\\a\\u{1b}.exe").count(), 2, "{table}");
        assert!(table.contains("NULL") && table.contains("IMAGE"), "{table}");
        assert!(!table.contains("── row"), "{table}");
    }

    #[test]
    fn too_narrow_for_columns() {
        let blocks = shown(20);
        assert!(blocks.starts_with("── row 1 ─"), "{blocks}");
        assert!(blocks.contains("── row 3 ─"), "{blocks}");
    }
}
