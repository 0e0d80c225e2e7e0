//! Management from the command line: one set of commands, carried out by the running
//! server when there is one (over a Unix socket in the data folder), else directly on
//! the store under its lock. Never both.

mod command;
mod lock;
mod socket;

pub(crate) use command::{Admin, Command, Outcome, Table};
pub(crate) use lock::StoreLock;
pub(crate) use socket::{SOCKET_NAME, ask, listen};
