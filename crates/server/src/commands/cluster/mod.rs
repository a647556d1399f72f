//! `tidelog cluster …`

mod disks;
mod health;
pub mod quorum;
mod status;
mod survey;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Brokers, what they lead and hold
    Status,
    /// Whether every partition has a leader and all its replicas; exit code 10 if not
    Health(health::HealthArgs),
    /// The controller quorum: leader, voters, observers and how far they are
    Quorum,
}

pub async fn run(session: Session, command: ClusterCommand) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::Status => status::run(session).await,
        ClusterCommand::Health(args) => health::run(session, args).await,
        ClusterCommand::Quorum => quorum::run(session).await,
    }
}
