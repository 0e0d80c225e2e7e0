//! Everything of Granary that survives a restart.
//!
//! ```text
//! server → { formats } → storage
//! ```
//!
//! [`blob`] keeps bytes, [`catalog`] keeps what they mean, [`upload`] joins the two
//! in the order that loses nothing: bytes before names, names before acknowledgements.

pub mod access;
#[cfg(test)]
mod ailing_store;
pub mod archives;
pub mod ballast;
pub mod blob;
pub mod catalog;
pub mod clock;
pub mod digest;
pub mod downloads;
mod ending;
mod error;
mod failpoint;
pub mod fsck;
pub mod label;
pub mod limits;
pub mod name;
pub mod prefix;
pub mod release;
mod store;
pub mod sums;
pub mod sweep;
#[cfg(test)]
mod test_support;
pub mod upload;

pub use digest::{Algorithm, Digest, Hasher};
pub use error::{Error, ErrorKind, Result, What};
pub use store::Stores;
