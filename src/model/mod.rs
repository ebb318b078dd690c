//! Types, values, rows, schemas.
