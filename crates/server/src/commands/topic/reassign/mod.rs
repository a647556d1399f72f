//! `tidelog topic reassign …`

mod cancel;
mod execute;
mod generate;
mod status;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum ReassignCommand {
    /// Print a plan that spreads topics evenly over brokers and racks and copies as little as that takes
    Generate(generate::GenerateArgs),
    /// Start the moves of a plan
    Execute(execute::ExecuteArgs),
    /// Show how far moves are; with a plan, take its throttle away once it is done
    Status(status::StatusArgs),
    /// Cancel moves: partitions go back to where they were
    Cancel(cancel::CancelArgs),
}

pub async fn run(session: Session, command: ReassignCommand) -> Result<Exit, Failure> {
    match command {
        ReassignCommand::Generate(args) => generate::run(session, args).await,
        ReassignCommand::Execute(args) => execute::run(session, args).await,
        ReassignCommand::Status(args) => status::run(session, args).await,
        ReassignCommand::Cancel(args) => cancel::run(session, args).await,
    }
}
