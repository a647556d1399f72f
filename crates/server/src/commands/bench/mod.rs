//! `tidelog bench …`: load from pre-built batches, so that the generator costs little and the figure is the cluster's.

mod consume;
mod cpu;
mod e2e;
mod latency;
mod produce;
mod topic;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// How fast batches are acknowledged
    Produce(produce::ProduceArgs),
    /// How fast records are read
    Consume(consume::ConsumeArgs),
    /// How long one record takes from producer to consumer, one at a time
    E2e(e2e::E2eArgs),
}

pub async fn run(session: Session, command: BenchCommand) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Produce(args) => produce::run(session, args).await,
        BenchCommand::Consume(args) => consume::run(session, args).await,
        BenchCommand::E2e(args) => e2e::run(session, args).await,
    }
}

const MIB: f64 = (1 << 20) as f64;
const GB: f64 = 1e9;
