//! `tidelog bench …`
use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    Produce,
}

pub async fn run(_session: Session, _command: BenchCommand) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "not there yet"))
}
