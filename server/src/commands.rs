//! What each command does, and the exit codes that scripts rely on: 0 done, 1 failed, 2 usage, 3 findings.

use crate::admin::{self, Admin, Command, Outcome, Table};
use crate::cli::{Cli, Command as Typed, ConfigCommand, Globals, Output, ProjectCommand, Switch, UserCommand};
use crate::config::{Config, Loaded, default_toml, limits_page};
use crate::{app, logs};
use anyhow::Context as _;
use clap::CommandFactory as _;
use std::io::{Read as _, Write};
use std::process::ExitCode;

/// Done.
const DONE: u8 = 0;
/// Failed.
const FAILED: u8 = 1;
/// The configuration or the command line is wrong.
const USAGE: u8 = 2;
/// Something is lost or wrong.
const FINDINGS: u8 = 3;
/// Bytes of a password read from standard input, at most.
const PASSWORD_INPUT_MAX: u64 = 4096;

/// Runs a command line.
pub(crate) fn run(cli: Cli) -> ExitCode {
    // Whatever is written holds keys, hashes or somebody's content: it is for its owner alone, also in a folder that is not.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let done = match cli.command.unwrap_or(Typed::Serve) {
        Typed::Version => print(&format!("granary {}\n", env!("CARGO_PKG_VERSION"))),
        Typed::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "granary", &mut script);
            std::io::stdout().write_all(&script).map(|()| DONE).map_err(Into::into)
        }
        Typed::Config(ConfigCommand::Default) => print(&default_toml()),
        Typed::Config(ConfigCommand::Limits) => print(&limits_page()),
        typed => match Loaded::from_process(&cli.globals.flags()) {
            Ok(loaded) => with_config(typed, loaded, &cli.globals),
            Err(problems) => {
                problems.iter().for_each(|problem| complain(problem));
                return USAGE.into();
            }
        },
    };
    match done {
        Ok(code) => code.into(),
        // A reader that has seen enough (`granary … | head`) is no failure.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            DONE.into()
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            FAILED.into()
        }
    }
}

fn with_config(typed: Typed, loaded: Loaded, globals: &Globals) -> anyhow::Result<u8> {
    let command = match typed {
        Typed::Serve => {
            logs::start(&loaded.config.log)?;
            actix_web::rt::System::new().block_on(app::serve(loaded.config))?;
            return Ok(DONE);
        }
        Typed::Config(ConfigCommand::Show { origin }) => {
            let columns = ["KEY", "VALUE", "ORIGIN"]
                .into_iter()
                .take(if origin { 3 } else { 2 })
                .map(str::to_owned)
                .collect();
            return show(
                Outcome::Rows(Table {
                    columns,
                    rows: loaded.show(origin),
                }),
                globals.output,
            );
        }
        Typed::Config(_) => return show(Outcome::Done("the configuration is valid".into()), globals.output),
        Typed::User(UserCommand::Create { name, admin, .. }) => Command::UserCreate {
            name,
            password: password()?,
            admin,
        },
        Typed::User(UserCommand::Passwd { name, .. }) => Command::UserPasswd {
            name,
            password: password()?,
        },
        Typed::User(UserCommand::List) => Command::UserList,
        Typed::User(UserCommand::Disable { name }) => Command::UserDisable { name, disabled: true },
        Typed::User(UserCommand::Enable { name }) => Command::UserDisable { name, disabled: false },
        Typed::Project(ProjectCommand::Create { name, public }) => Command::ProjectCreate { name, public },
        Typed::Project(ProjectCommand::List) => Command::ProjectList,
        Typed::Project(ProjectCommand::Grant { project, principal, role }) => Command::ProjectGrant {
            project,
            account: principal,
            role,
        },
        Typed::Project(ProjectCommand::Revoke { project, principal }) => Command::ProjectRevoke {
            project,
            account: principal,
        },
        Typed::Project(ProjectCommand::Public { project, switch }) => Command::ProjectPublic {
            name: project,
            public: switch == Switch::On,
        },
        Typed::Project(ProjectCommand::Set {
            project,
            mutable_versions,
            immutable_files,
        }) => Command::ProjectSet {
            name: project,
            mutable_versions: mutable_versions.map(|switch| switch == Switch::On),
            immutable_files: immutable_files.map(|switch| switch == Switch::On),
        },
        Typed::Project(ProjectCommand::Members { project }) => Command::ProjectMembers { name: project },
        Typed::Fsck { quick } => Command::Fsck { quick },
        // Answered before a configuration was read.
        Typed::Version | Typed::Completions { .. } => return Ok(DONE),
    };
    show(manage(&loaded.config, command)?, globals.output)
}

/// Through the running server when there is one, else on the store under its lock.
fn manage(config: &Config, command: Command) -> anyhow::Result<Outcome> {
    let data = &config.storage.path;
    anyhow::ensure!(
        data.is_dir(),
        "there is no data folder {}; start the server once, or name the folder with --data",
        data.display()
    );
    if let Some(outcome) = admin::ask(data, &command).context("the running server did not answer")? {
        return Ok(outcome);
    }
    let _lock = app::lock_data(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let catalog = app::open_catalog(config)?;
    let passwords = app::passwords(config, &catalog)?;
    let admin = Admin {
        stores: app::open_stores(config, catalog)?,
        orphan_age: config.sweep.orphan_age,
        passwords,
    };
    Ok(runtime.block_on(admin.run(command)))
}

fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(PASSWORD_INPUT_MAX)
        .read_to_string(&mut text)
        .context("the password on standard input")?;
    // As typed or piped: one line ending does not belong to it.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn show(outcome: Outcome, output: Output) -> anyhow::Result<u8> {
    match (outcome, output) {
        (Outcome::Failed(why), _) => {
            complain(&why);
            Ok(FAILED)
        }
        (Outcome::Done(what), Output::Table) => {
            // Talk, not data.
            complain(&what);
            Ok(DONE)
        }
        (Outcome::Done(what), Output::Json) => print(&format!("{}\n", serde_json::json!({"done": what}))),
        (Outcome::Rows(table), Output::Json) => print(&format!("{}\n", objects(&table))),
        (Outcome::Checked { findings, loss, summary }, output) => {
            match output {
                Output::Json => print(&format!(
                    "{}\n",
                    serde_json::json!({"findings": objects(&findings), "summary": summary})
                ))?,
                Output::Table if findings.rows.is_empty() => DONE,
                Output::Table => print(&aligned(&findings))?,
            };
            complain(&summary);
            Ok(if loss { FINDINGS } else { DONE })
        }
        (Outcome::Rows(table), Output::Table) => print(&aligned(&table)),
    }
}

/// The rows as JSON objects under the columns' names.
fn objects(table: &Table) -> serde_json::Value {
    let object = |row: &Vec<String>| {
        let keys = table.columns.iter().map(|column| column.to_ascii_lowercase());
        keys.zip(row.iter().map(|cell| serde_json::json!(cell)))
            .collect::<serde_json::Map<_, _>>()
    };
    table.rows.iter().map(object).map(serde_json::Value::Object).collect()
}

fn aligned(table: &Table) -> String {
    let lines = || std::iter::once(&table.columns).chain(&table.rows);
    let width = |column: usize| {
        lines()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut text = String::new();
    for line in lines() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn print(text: &str) -> anyhow::Result<u8> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(DONE)
}

/// To standard error: data goes to standard output, talk does not.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
