//! `tidelog config …`

pub mod entries;
mod get;
mod set;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the configuration of a topic, broker or group
    Get(get::GetArgs),
    /// Change the configuration of a topic, broker or group, live
    Set(set::SetArgs),
}

pub async fn run(session: Session, command: ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Get(args) => get::run(session, args).await,
        ConfigCommand::Set(args) => set::run(session, args).await,
    }
}
