//! `VALUE_FORMAT='DELIMITED'`: records as comma-separated values, by ksqlDB's rules.
//!
//! Values stand in the order of the columns, quoted with `"` where they hold a delimiter, a quote (doubled) or a line break. An empty value is NULL.
//! Too few or too many values, and a value that does not fit its column, make the record a dead letter. An empty record has no value.

use super::convert::from_text;
use super::error::{DecodeError, utf8};
use crate::model::{RowWriter, Schema, Type, Value};

/// Decodes records of one relation.
pub struct DelimitedDecoder {
    columns: Vec<(String, Type)>,
    delimiter: u8,
}

impl DelimitedDecoder {
    /// For these columns, which must be of types that have a text form, and this ASCII delimiter.
    pub fn new(schema: &Schema, delimiter: u8) -> DelimitedDecoder {
        DelimitedDecoder {
            columns: schema
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.ty.clone()))
                .collect(),
            delimiter,
        }
    }

    /// Writes the columns of one record, in order; `false`, with nothing written, for a record without value. After an error nothing was written.
    pub fn decode(&self, record: &[u8], writer: &mut RowWriter<'_>) -> Result<bool, DecodeError> {
        utf8(record)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .buffer_capacity(record.len().clamp(1, 8192))
            .from_reader(record);
        let mut values = csv::StringRecord::new();
        if !reader.read_record(&mut values).expect("reading from memory, of text that is UTF-8") {
            return Ok(false);
        }
        if values.len() != self.columns.len() {
            return Err(DecodeError::ColumnCount {
                expected: self.columns.len(),
                found: values.len(),
            });
        }
        let read = self.columns.iter().zip(&values).map(|((name, ty), text)| match (ty, text) {
            (_, "") => Ok(Value::Null),
            (Type::Varchar, text) => Ok(Value::text(text)),
            (ty, text) => {
                from_text(text.trim(), ty).ok_or_else(|| DecodeError::misfit(name, ty, text))
            }
        });
        let read: Vec<Value<'_>> = read.collect::<Result<_, _>>()?;
        for value in &read {
            writer.value(value);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, RowRef};
    use proptest::prelude::*;

    fn read(
        types: &[Type],
        delimiter: u8,
        record: &[u8],
    ) -> Result<Option<Vec<Value<'static>>>, DecodeError> {
        let columns = types
            .iter()
            .enumerate()
            .map(|(i, ty)| Column::new(format!("C{i}"), ty.clone()))
            .collect();
        let decoder = DelimitedDecoder::new(&Schema { columns }, delimiter);
        let mut bytes = Vec::new();
        let mut writer = RowWriter::new(&mut bytes, types.len());
        if !decoder.decode(record, &mut writer)? {
            return Ok(None);
        }
        writer.finish();
        Ok(Some(
            RowRef::new(&bytes, types.len())
                .values(types)
                .into_iter()
                .map(Value::into_owned)
                .collect(),
        ))
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_reads_back(texts in proptest::collection::vec(any::<String>(), 1..5), tab: bool) {
            let delimiter = if tab { b'\t' } else { b',' };
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(&texts).unwrap();
            let record = writer.into_inner().unwrap();
            let row = read(&vec![Type::Varchar; texts.len()], delimiter, &record).unwrap().unwrap();
            let values = texts.iter().map(|text| if text.is_empty() { Value::Null } else { Value::text(text) });
            prop_assert_eq!(row, values.collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&[Type::Varchar, Type::Int], b',', &bytes);
        }
    }

    #[test]
    fn types_and_errors() {
        let types = [Type::BigInt, Type::Varchar, Type::Double];
        assert_eq!(
            read(&types, b'|', b"7|a \"b\"| 1.5 ").unwrap(),
            Some(vec![Value::BigInt(7), Value::text("a \"b\""), Value::Double(1.5)])
        );
        assert_eq!(
            read(&types, b',', b"7,,").unwrap(),
            Some(vec![Value::BigInt(7), Value::Null, Value::Null])
        );
        assert_eq!(read(&types, b',', b"").unwrap(), None);
        assert_eq!(
            read(&types, b',', b"7,a").unwrap_err(),
            DecodeError::ColumnCount { expected: 3, found: 2 }
        );
        assert_eq!(read(&types, b',', b"x,a,1").unwrap_err().code(), "misfit");
        assert_eq!(read(&types, b',', b"1,\xff,1").unwrap_err().code(), "invalid_utf8");
    }
}
