//! What the policy says of one source, as text and as JSON. Data → bytes, no I/O, and nobody is asked.
//!
//! What was typed is from outside: it is escaped for the terminal here.

mod document;
mod schema;
mod terminal;

pub use document::{Explained, explained, json};
pub use schema::{EXPLANATION_SCHEMA, explanation_schema};
pub use terminal::text;
