//! `tidelog topic reassign cancel`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::commands::moves::cluster::{ongoing, submit};
use crate::commands::moves::execute::{refusals, tidy_up};
use crate::commands::moves::plan_file::read;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct CancelArgs {
    /// The moves of this plan
    #[arg(value_name = "PLAN", group = "which")]
    plan: Option<PathBuf>,
    /// Every move under way
    #[arg(long, group = "which")]
    all: bool,
    /// Leave throttles as they are
    #[arg(long)]
    keep_throttle: bool,
}

#[derive(Serialize)]
struct Cancelled {
    topic: String,
    partition: i32,
}

pub async fn run(session: Session, args: CancelArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let plan = args.plan.as_deref().map(read).transpose()?;
    let mut moves = ongoing(client).await?;
    moves.retain(|partition, _| plan.as_ref().is_none_or(|plan| plan.contains_key(partition)));
    if !moves.is_empty() {
        let orders: BTreeMap<_, _> = moves.keys().map(|partition| (partition.clone(), None)).collect();
        refusals(submit(client, &orders).await?)?;
    }
    if !args.keep_throttle {
        let planned = plan.iter().flat_map(|plan| plan.keys());
        let topics: BTreeSet<String> = planned.chain(moves.keys()).map(|(topic, _)| topic.clone()).collect();
        tidy_up(client, &topics).await?;
    }
    let cancelled: Vec<Cancelled> =
        moves.into_keys().map(|(topic, partition)| Cancelled { topic, partition }).collect();
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(&cancelled)?;
    } else if cancelled.is_empty() {
        printer.line("Nothing was on the move.")?;
    }
    for item in cancelled.iter().filter(|_| !printer.is_json()) {
        printer.line(&format!("Cancelled the move of {}-{}.", item.topic, item.partition))?;
    }
    Ok(Exit::Ok)
}
