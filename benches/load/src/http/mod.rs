//! HTTP/1.1 to a server on this machine: connections that are counted, credentials, and bodies made on the fly.

mod body;
mod challenge;
mod connection;
mod loopback;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use body::Payload;
pub(crate) use connection::{Call, Connection, Target, require};
pub(crate) use loopback::Origin;
pub(crate) use verify::{Verify, drain, read_blob};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything that means something in a query, and all that is not ASCII.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A value as it may stand in a query.
pub(crate) fn escape(value: &str) -> String {
    utf8_percent_encode(value, &RESERVED).to_string()
}
