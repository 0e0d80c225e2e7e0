//! `granary`: the command line, and the server behind it.
//!
//! ```text
//! main → app (wiring) → http → formats → storage
//! ```

mod admin;
mod app;
mod auth;
mod cli;
mod commands;
mod config;
mod first_run;
mod http;
mod logs;
mod memory;
mod metrics;
mod workers;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::spare();
    commands::run(cli::Cli::parse())
}
