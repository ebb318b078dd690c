//! Types, values, packed rows and schemas: the words that every other layer speaks.

pub mod guid;
pub mod json;
pub mod row;
pub mod schema;
pub mod timestamp;
pub mod types;
pub mod value;

pub use guid::Guid;
pub use row::{Arena, Row, RowRef, RowWriter};
pub use schema::{Column, Schema};
pub use timestamp::Timestamp;
pub use types::Type;
pub use value::Value;
