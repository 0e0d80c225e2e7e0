//! The command line: what can be typed. What it does is in `commands.rs` and `admin`.

use crate::config::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A registry for container images, Helm charts and build files.
#[derive(Parser)]
#[command(name = "granary", version, about, disable_version_flag = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do; serve when nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Args)]
pub(crate) struct Globals {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds everything.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address and port to listen on.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// How answers are written.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

impl Globals {
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Manage accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Manage projects and their members.
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Check that everything stored is whole; exit code 3 when something is lost or wrong.
    Fsck {
        /// Only look at what is there and how long it is; do not read and hash every byte.
        #[arg(long)]
        quick: bool,
    },
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
    /// Print the version.
    Version,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a file with every setting at its default.
    Default,
    /// Check the configuration and say what is wrong with it.
    Check,
    /// Print the settings in force.
    Show {
        /// Also where each comes from.
        #[arg(long)]
        origin: bool,
    },
    #[command(hide = true)]
    Limits,
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account.
    Create {
        name: String,
        #[command(flatten)]
        password: PasswordStdin,
        /// Make it an administrator of the whole system.
        #[arg(long)]
        admin: bool,
    },
    /// Set a password; ends every token of the account.
    Passwd {
        name: String,
        #[command(flatten)]
        password: PasswordStdin,
    },
    /// List the accounts.
    List,
    /// Switch an account off, from its next request on.
    Disable { name: String },
    /// Switch an account on again.
    Enable { name: String },
}

#[derive(Args)]
pub(crate) struct PasswordStdin {
    /// Read the password from standard input: it never stands on a command line.
    #[arg(long, required = true)]
    password_stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum ProjectCommand {
    /// Make a project.
    Create {
        name: String,
        /// Let everybody read it.
        #[arg(long)]
        public: bool,
    },
    /// List the projects.
    List,
    /// Give an account a role: viewer, developer or maintainer.
    Grant { project: String, principal: String, role: String },
    /// Take an account's role away.
    Revoke { project: String, principal: String },
    /// Open a project to everybody, or close it.
    Public { project: String, switch: Switch },
    /// Change a setting of a project, or several.
    #[command(group(clap::ArgGroup::new("settings").required(true).multiple(true)))]
    Set {
        project: String,
        /// Whether a chart version that was published may be replaced, by an upload that says so (`?force`) and comes from
        /// somebody who may overwrite.
        #[arg(long, group = "settings")]
        mutable_versions: Option<Switch>,
        /// Whether a file keeps its content for as long as it is there, also from who may overwrite.
        #[arg(long, group = "settings")]
        immutable_files: Option<Switch>,
    },
    /// List the members of a project.
    Members { project: String },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_forms_that_scripts_rely_on_are_understood() {
        for line in [
            "granary",
            "granary --data /d --listen 127.0.0.1:1",
            "granary serve --config f --data d --listen 127.0.0.1:1",
            "granary config default",
            "granary config check --config f",
            "granary config show --origin",
            "granary user create ci --password-stdin --admin --data d",
            "granary user passwd ci --password-stdin",
            "granary user list --output json",
            "granary user disable ci",
            "granary project create acme",
            "granary project grant acme ci developer",
            "granary project set acme --mutable-versions on",
            "granary fsck",
            "granary fsck --quick --data d --output json",
            "granary completions bash",
            "granary version",
        ] {
            Cli::try_parse_from(line.split(' ')).map(drop).unwrap();
        }
        for line in [
            "granary user create ci",
            "granary user create ci secret",
            "granary nonsense",
            "granary project set acme",
            "granary --default",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
