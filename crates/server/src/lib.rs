//! The `tidelog` binary's parts: arguments, configuration, the wiring of a node, the admin commands.

mod admin;
pub mod args;
mod commands;
pub mod config;
mod exit;
mod logging;
mod node;
mod output;
mod session;
mod signals;

use std::process::ExitCode;

use crate::args::CommandLine;

/// Runs the command. Complaints go to stderr.
pub fn run(line: CommandLine) -> ExitCode {
    match commands::run(line) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidelog: {failure}");
            failure.exit.into()
        }
    }
}
