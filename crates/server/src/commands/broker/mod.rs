//! `tidelog broker …`

mod decommission;
mod drain;
mod list;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// List brokers with what they lead and hold
    List,
    /// Move all replicas and leaderships to other brokers
    Drain(drain::DrainArgs),
    /// Drain a broker, wait until it has been stopped, and make the cluster forget it
    Decommission(decommission::DecommissionArgs),
}

pub async fn run(session: Session, command: BrokerCommand) -> Result<Exit, Failure> {
    match command {
        BrokerCommand::List => list::run(session).await,
        BrokerCommand::Drain(args) => drain::run(session, args).await,
        BrokerCommand::Decommission(args) => decommission::run(session, args).await,
    }
}
