//! `tidelog topic …`

mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod reassign;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create topics
    Create(create::CreateArgs),
    /// List topics
    List(list::ListArgs),
    /// Show leader, replicas and in-sync replicas of each partition
    Describe(describe::DescribeArgs),
    /// Add partitions, change configuration
    Alter(alter::AlterArgs),
    /// Delete topics and their data
    Delete(delete::DeleteArgs),
    /// Move partitions between brokers
    #[command(subcommand)]
    Reassign(reassign::ReassignCommand),
}

pub async fn run(session: Session, command: TopicCommand) -> Result<Exit, Failure> {
    match command {
        TopicCommand::Create(args) => create::run(session, args).await,
        TopicCommand::List(args) => list::run(session, args).await,
        TopicCommand::Describe(args) => describe::run(session, args).await,
        TopicCommand::Alter(args) => alter::run(session, args).await,
        TopicCommand::Delete(args) => delete::run(session, args).await,
        TopicCommand::Reassign(command) => reassign::run(session, command).await,
    }
}
