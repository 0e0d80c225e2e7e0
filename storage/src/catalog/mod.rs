//! What the bytes mean: projects, repositories, links, artifacts, tags, sessions,
//! accounts, and the numbered log of everything that changed.
//!
//! Two databases, SQLite and PostgreSQL, one text of queries. Callers see
//! [`Catalog`]: one async method for one unit of work, each atomic. Nothing here
//! decides who may do what.

mod facade;
mod fault;
// The same text of queries, once for each database.
#[allow(clippy::duplicate_mod, reason = "one text of queries, mounted for each database")]
mod lite;
mod model;
#[allow(clippy::duplicate_mod, reason = "one text of queries, mounted for each database")]
mod pg;
mod schema;

pub use facade::{Catalog, Database};
pub use model::*;
