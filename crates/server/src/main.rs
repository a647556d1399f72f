//! The binary: parses arguments, runs one command, turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser;
use tidelog_server::args::CommandLine;

fn main() -> ExitCode {
    tidelog_server::run(CommandLine::parse())
}
