//! The same load, side by side, on any OCI registry or file store on this machine.
//!
//! `run` puts workloads on one server and writes down what they cost; `report`, `gates` and `growth` read that.
//! The README beside this folder says how far to trust it.

mod cli;
mod clock;
mod content;
mod drive;
mod gates;
mod growth;
mod http;
mod image;
mod limits;
mod measure;
mod options;
mod process;
mod ready;
mod record;
mod registry;
mod report;
mod results;
mod run;
mod workloads;

use anyhow::{Result, bail};
use clap::Parser as _;
use cli::{Cli, Command};
use results::Results;
use std::process::ExitCode;

fn main() -> ExitCode {
    match act(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("granary-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "what was asked for goes to the standard output")]
fn act(command: Command) -> Result<()> {
    match command {
        Command::Run(arguments) => run::run(&arguments)?,
        Command::List => {
            for workload in workloads::ALL {
                println!("{:<16} {}", workload.name, workload.about);
            }
        }
        Command::Report { files } => {
            let all: Vec<Results> = files.iter().map(|file| Results::load(file)).collect::<Result<_>>()?;
            print!("{}", report::report(&all)?);
        }
        Command::Gates { a, b, enforce } => {
            let judgement = gates::judge(&Results::load(&a)?, &Results::load(&b)?)?;
            print!("{}", judgement.table);
            if enforce && !judgement.passed {
                bail!("not every gate holds");
            }
        }
        Command::Growth { file } => print!("{}", growth::growth(&Results::load(&file)?)?),
        Command::Ready(arguments) => println!("{:.1}", ready::ready(&arguments)?),
        Command::Limits => println!("{}", limits::limits()),
    }
    Ok(())
}
