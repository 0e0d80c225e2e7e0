//! What the bytes mean: projects, repositories, links, artifacts, tags, sessions,
//! accounts, and the numbered log of everything that changed.
//!
//! Two databases, SQLite and PostgreSQL, one text of queries. Callers see
//! [`Catalog`]: one async method for one unit of work, each atomic. Nothing here
//! decides who may do what.

mod model;

pub use model::*;
