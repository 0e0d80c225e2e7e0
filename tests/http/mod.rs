//! HTTP itself: requests that are none, clients that are slow, and what every answer has.

mod bodies;
mod connections;
mod headers;
mod heads;
mod malformed;
mod probes;
