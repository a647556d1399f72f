//! `tidelog topic reassign execute`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::moves::cluster::{assignment, brokers, ongoing, targets};
use crate::commands::moves::execute::{ThrottleArgs, start, tidy_up};
use crate::commands::moves::plan::{Assignment, changes};
use crate::commands::moves::plan_file::{read, written};
use crate::commands::moves::show::plan_sentence;
use crate::commands::moves::watch::until_done;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ExecuteArgs {
    /// A plan of `generate` or of kafka-reassign-partitions; - is standard input
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    throttle: ThrottleArgs,
    /// Stay and show how far it is, until it is done
    #[arg(long, short = 'w')]
    watch: bool,
}

#[derive(Serialize)]
struct Executed {
    partitions: usize,
    done: bool,
    /// A plan that puts everything back.
    rollback: Option<serde_json::Value>,
}

pub async fn run(session: Session, args: ExecuteArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let planned = read(&args.plan)?;
    let metadata = client.metadata(None, false).await?;
    let under_way = ongoing(client).await?;
    if let Some((topic, partition)) = planned.keys().find(|partition| under_way.contains_key(*partition)) {
        return Err(Failure::new(Exit::Failed, format!("{topic}-{partition} is on the move already")).advising(
            "`tidelog topic reassign status` shows how far it is, `tidelog topic reassign cancel` puts it back",
        ));
    }
    let mut current = assignment(&metadata, &under_way);
    current.retain(|partition, _| planned.contains_key(partition));
    let in_service = targets(&brokers(client, &metadata).await?);
    check(&current, &planned, |id| in_service.contains_key(&id))?;
    let changed = changes(&current, &planned);
    current.retain(|partition, _| changed.contains_key(partition));
    if !changed.is_empty() {
        start(client, &current, &changed, args.throttle.throttle).await?;
    }
    print(&session, &args, &current, &changed)?;
    if args.watch && !changed.is_empty() {
        until_done(&session, |partition, _| changed.contains_key(partition)).await?;
        tidy_up(client, &changed.keys().map(|(topic, _)| topic.clone()).collect()).await?;
        if !session.printer.is_json() {
            session.printer.line("Done.")?;
        }
    }
    Ok(Exit::Ok)
}

fn check(current: &Assignment, planned: &Assignment, is_in_service: impl Fn(i32) -> bool) -> Result<(), Failure> {
    for (partition, replicas) in planned {
        let (topic, index) = partition;
        if !current.contains_key(partition) {
            let message = format!("the plan is for {topic}-{index}, which does not exist");
            return Err(
                Failure::new(Exit::NotFound, message).advising("`tidelog topic list` shows the topics there are")
            );
        }
        // A replica that is there already may be on a broker that is down.
        let is_new = |id: &&i32| !current[partition].contains(id);
        if let Some(id) = replicas.iter().filter(is_new).find(|id| !is_in_service(**id)) {
            let message = format!("the plan puts {topic}-{index} on broker {id}, which is not in service");
            return Err(
                Failure::new(Exit::NotFound, message).advising("`tidelog broker list` shows the brokers there are")
            );
        }
    }
    Ok(())
}

fn print(session: &Session, args: &ExecuteArgs, current: &Assignment, changed: &Assignment) -> Result<(), Failure> {
    let printer = &session.printer;
    let rollback = written(current);
    if printer.is_json() {
        let is_empty = changed.is_empty();
        let rollback = if is_empty { None } else { serde_json::from_str(&rollback).ok() };
        return Ok(printer.json(&Executed { partitions: changed.len(), done: is_empty, rollback })?);
    }
    if changed.is_empty() {
        return Ok(printer.line("Nothing to do: everything is where the plan puts it.")?);
    }
    printer.line(&format!("Started: {}.", plan_sentence(current, changed)))?;
    printer.line(&format!("A plan to go back: {rollback}"))?;
    if !args.watch {
        let (plan, kept) = (args.plan.display(), args.throttle.throttle.is_some());
        let throttle = if kept { ", and takes the throttle away once it is done" } else { "" };
        eprintln!("`tidelog topic reassign status {plan}` shows how far it is{throttle}.");
    }
    Ok(())
}
