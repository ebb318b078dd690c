//! The language: KSQL's grammar plus table expressions, recursion and retroactive joins.
//!
//! ```text
//! text ──token──▶ tokens ──parser──▶ ast::Statement ──binder──▶ plan
//!                                      │  ▲
//!                                      └──┘  Display prints SQL that parses to the same tree
//! ```
//!
//! The tree holds the whole grammar; what cannot run yet is refused by the binder, at its place in the text, never by the parser.
//! Unquoted names are upper-cased when they are read, so that a name is the same string everywhere after the lexer.
//! Beyond KSQL: `WITH [RECURSIVE]`, `UNION ALL`, `SELECT DISTINCT ON`, subqueries in FROM,
//! `RETROACTIVE WITHIN` on stream–table joins, the type `GUID`,
//! and from KSQL 5.x a SELECT without EMIT is a push query as well.
//!
//! Errors are [`SqlError`]s: place, what was found, what was expected, and a near miss where there is one.
//! Nesting is bounded ([`ast::MAX_HEIGHT`]), so no text can exhaust the stack.

pub mod ast;
pub mod binder;
pub mod error;
pub mod parser;
pub mod token;

pub use binder::{Script, bind_script, bind_script_with};
pub use error::{Span, SqlError};
pub use parser::{parse, parse_one};
