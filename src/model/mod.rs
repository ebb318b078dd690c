//! Types, values, packed rows and schemas: the words that every other layer speaks.

pub mod base64;
pub mod big;
pub mod dead_letter;
pub mod guid;
pub mod json;
pub mod origin;
pub mod row;
pub mod schema;
mod secret;
mod shorten;
mod sink_error;
pub mod timestamp;
pub mod types;
pub mod value;

pub use dead_letter::{DeadLetter, Reason};
pub use guid::Guid;
pub use origin::Origin;
pub use row::{Arena, Row, RowRef, RowWriter};
pub use schema::{Column, Schema};
pub use secret::{Digester, Secret};
pub use shorten::shorten;
pub use sink_error::SinkError;
pub use timestamp::Timestamp;
pub use types::Type;
pub use value::Value;
