//! The program as a command that runs to its end.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The real program with an empty environment.
pub(crate) fn granary(arguments: &[&str]) -> Command {
    launched(&[], arguments)
}

/// The same, started by another program that becomes it.
pub(crate) fn launched(launcher: &[String], arguments: &[&str]) -> Command {
    let mut words = launcher.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_granary")]);
    let mut command = Command::new(words.next().unwrap());
    command.env_clear().args(words).args(arguments).stdin(Stdio::null());
    command
}

/// What a command of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its data.
    pub(crate) stdout: String,
    /// Its talk.
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end, with `input` on its standard input.
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // One that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        Self {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// The same, which must have this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}
