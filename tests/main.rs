//! Black-box tests: the real binary, over real HTTP, as operators and clients meet it.
//!
//! Each test starts a server of its own on a free loopback port and tells one story about it. With
//! `GRANARY_TEST_POSTGRES` set, the same stories run on PostgreSQL. Real clients are under `clients/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod access;
mod crash;
mod documents;
mod faults;
mod generic;
mod helm;
mod http;
mod load;
mod oci;
mod overload;
mod start;
mod support;
