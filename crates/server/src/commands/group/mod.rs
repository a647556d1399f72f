//! `tidelog group …`

mod committed;
mod csv;
mod delete;
mod delete_offsets;
mod describe;
mod describe_view;
mod lag;
mod list;
mod listing;
mod member;
mod progress;
mod reset;
mod reset_offsets;
mod scope;
mod state;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups with their type, state and coordinator
    List(list::ListArgs),
    /// Show offsets and lag, members or state of groups
    Describe(describe::DescribeArgs),
    /// Move a group's committed offsets; shows what it would do unless told to --execute
    ResetOffsets(reset_offsets::ResetOffsetsArgs),
    /// Delete groups without members, and their offsets
    Delete(delete::DeleteArgs),
    /// Delete a group's offsets of some topics
    DeleteOffsets(delete_offsets::DeleteOffsetsArgs),
}

pub async fn run(session: Session, command: GroupCommand) -> Result<Exit, Failure> {
    match command {
        GroupCommand::List(args) => list::run(session, args).await,
        GroupCommand::Describe(args) => describe::run(session, args).await,
        GroupCommand::ResetOffsets(args) => reset_offsets::run(session, args).await,
        GroupCommand::Delete(args) => delete::run(session, args).await,
        GroupCommand::DeleteOffsets(args) => delete_offsets::run(session, args).await,
    }
}
