//! `tidelog broker drain`: everything a broker holds moves to others.

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use crate::commands::moves::cluster::{Ongoing, assignment, brokers, ongoing, targets};
use crate::commands::moves::execute::{ThrottleArgs, start, tidy_up};
use crate::commands::moves::plan::{Assignment, Spread, Targets, changes, plan};
use crate::commands::moves::show::{plan_sentence, plan_table};
use crate::commands::moves::watch::until_done;
use crate::exit::{Exit, Failure};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct DrainArgs {
    #[arg(value_name = "BROKER")]
    pub id: i32,
    #[command(flatten)]
    pub throttle: ThrottleArgs,
    /// Only these brokers take over; default: all others that are in service
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub to_brokers: Vec<i32>,
    /// Show what would move, and move nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Start the moves and do not wait for their end; run it again to see how far they are
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Serialize)]
struct Drained {
    broker: i32,
    partitions: usize,
    done: bool,
}

/// What there is to do.
pub struct Work {
    pub current: Assignment,
    /// Only what changes.
    pub planned: Assignment,
    /// Topics that are leaving the broker already.
    leaving: BTreeSet<String>,
}

pub async fn run(session: Session, args: DrainArgs) -> Result<Exit, Failure> {
    let work = prepare(&session, &args).await?;
    let printer = &session.printer;
    if args.dry_run {
        if printer.is_json() {
            printer.json(&Drained { broker: args.id, partitions: work.planned.len(), done: false })?;
        } else {
            if !work.planned.is_empty() {
                printer.table(&plan_table(&work.current, &work.planned))?;
            }
            printer.line(&format!("{}; nothing was moved.", plan_sentence(&work.current, &work.planned)))?;
        }
        return Ok(Exit::Ok);
    }
    carry_out(&session, &args, &work).await?;
    let (broker, done) = (args.id, !args.no_wait);
    if printer.is_json() {
        printer.json(&Drained { broker, partitions: work.planned.len(), done })?;
    } else if done {
        printer.line(&format!("Broker {broker} holds no partitions any more."))?;
    } else {
        printer.line(&format!("Started: {}.", plan_sentence(&work.current, &work.planned)))?;
    }
    Ok(Exit::Ok)
}

/// Plans the moves, and refuses where the others cannot hold what is there.
pub async fn prepare(session: &Session, args: &DrainArgs) -> Result<Work, Failure> {
    let (client, id) = (&session.client, args.id);
    let metadata = client.metadata(None, false).await?;
    let brokers = brokers(client, &metadata).await?;
    let under_way = ongoing(client).await?;
    let current = assignment(&metadata, &under_way);
    let is_known = brokers.iter().any(|broker| broker.id == id) || current.values().any(|r| r.contains(&id));
    let mut others = targets(&brokers);
    let unknown = args.to_brokers.iter().copied().find(|to| !others.contains_key(to));
    if let Some(unknown) = if is_known { unknown } else { Some(id) } {
        let message = match unknown == id {
            true => format!("the cluster has no broker {id}"),
            false => format!("broker {unknown} is not in service"),
        };
        return Err(Failure::new(Exit::NotFound, message).advising("`tidelog broker list` shows the brokers there are"));
    }
    others.retain(|to, _| *to != id && (args.to_brokers.is_empty() || args.to_brokers.contains(to)));
    let leaving = under_way.iter().filter(|(_, ongoing)| ongoing.removing.contains(&id));
    let leaving = leaving.map(|((topic, _), _)| topic.clone()).collect();
    Ok(Work { planned: evacuated(&current, id, &others)?, current, leaving })
}

fn evacuated(current: &Assignment, id: i32, others: &Targets) -> Result<Assignment, Failure> {
    let planned = plan(current, others, Spread::Evacuate(&BTreeSet::from([id]))).map_err(|why| {
        Failure::new(Exit::Failed, format!("cannot drain broker {id}: {why}"))
            .advising("add a broker first, or lower the replication factor of what it holds")
    })?;
    Ok(changes(current, &planned))
}

/// Starts the moves and, unless told not to, waits for the last one.
pub async fn carry_out(session: &Session, args: &DrainArgs, work: &Work) -> Result<(), Failure> {
    let client = &session.client;
    if !work.planned.is_empty() {
        start(client, &work.current, &work.planned, args.throttle.throttle).await?;
    }
    if args.no_wait {
        return Ok(());
    }
    let is_leaving = |partition: &(String, i32), ongoing: &Ongoing| {
        ongoing.removing.contains(&args.id) || work.planned.contains_key(partition)
    };
    until_done(session, is_leaving).await?;
    let topics = work.planned.keys().map(|(topic, _)| topic.clone()).chain(work.leaving.iter().cloned()).collect();
    tidy_up(client, &topics).await?;
    let left = held_by(session, args.id).await?;
    match left.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, format!("broker {} still holds {}", args.id, left.join(", ")))
            .advising("were moves cancelled, or topics created meanwhile? Run it again")),
    }
}

/// Partitions with a replica on the broker.
async fn held_by(session: &Session, id: i32) -> Result<Vec<String>, Failure> {
    let metadata = session.client.metadata(None, false).await?;
    let held = metadata.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter().filter(|partition| partition.replica_nodes.contains(&id));
        partitions
            .map(|partition| format!("{}-{}", topic.name.as_deref().unwrap_or_default(), partition.partition_index))
    });
    Ok(held.collect())
}
