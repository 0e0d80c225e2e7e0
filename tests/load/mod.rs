//! Many at once, and much at once.

mod concurrency;
mod memory;
mod races;
