//! One file per command.

pub mod bench;
pub mod broker;
pub mod cluster;
pub mod config;
pub mod consume;
pub mod dev;
pub mod group;
mod moves;
mod partitioner;
mod pattern;
pub mod produce;
mod redundancy;
pub mod server;
mod size;
mod text;
mod time;
pub mod topic;

use crate::args::{Command, CommandLine};
use crate::exit::{Exit, Failure};
use crate::session;

pub fn run(line: CommandLine) -> Result<Exit, Failure> {
    let CommandLine { global, command } = line;
    match command {
        Command::Server(args) => server::run(args),
        Command::Dev(args) => dev::run(args),
        Command::Topic(command) => session::run(&global, |session| topic::run(session, command)),
        Command::Produce(args) => session::run(&global, |session| produce::run(session, args)),
        Command::Consume(args) => session::run(&global, |session| consume::run(session, args)),
        Command::Group(command) => session::run(&global, |session| group::run(session, command)),
        Command::Config(command) => session::run(&global, |session| config::run(session, command)),
        Command::Broker(command) => session::run(&global, |session| broker::run(session, command)),
        Command::Cluster(command) => session::run(&global, |session| cluster::run(session, command)),
        Command::Bench(command) => session::run(&global, |session| bench::run(session, command)),
    }
}

/// `k=v` of a command line.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form key=value")),
    }
}

/// How a command over several items ends: one failure keeps its own exit code, failures among several are "failed".
fn outcome(items: usize, failures: Vec<Failure>) -> Result<Exit, Failure> {
    let mut failures = failures;
    match (failures.len(), items) {
        (0, _) => Ok(Exit::Ok),
        (1, 1) => Err(failures.remove(0)),
        (failed, items) => {
            let all: Vec<String> = failures.iter().map(ToString::to_string).collect();
            Err(Failure::new(Exit::Failed, format!("{failed} of {items} failed\n  {}", all.join("\n  "))))
        }
    }
}
