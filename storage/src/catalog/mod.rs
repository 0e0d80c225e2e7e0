//! What the bytes mean: projects, repositories, links, artifacts, tags, sessions,
//! accounts, and the numbered log of everything that changed.
//!
//! Two databases, SQLite and PostgreSQL, one text of queries. Callers see
//! [`Catalog`]: one async method for one unit of work, each atomic. Nothing here
//! decides who may do what.

mod cache;
mod charts;
#[cfg(test)]
mod contract;
mod facade;
mod fault;
// The same text of queries, once for each database.
#[allow(clippy::duplicate_mod, reason = "one text of queries, mounted for each database")]
mod lite;
mod model;
#[allow(clippy::duplicate_mod, reason = "one text of queries, mounted for each database")]
mod pg;
mod schema;
mod tus;

/// How long a unit of work waits for a connection: the pool's own half a minute would hide from
/// clients, and from whoever balances the load, that this node is in trouble.
const CONNECTION_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

pub use charts::*;
pub use facade::{Catalog, Database};
pub use model::*;
pub use tus::*;
