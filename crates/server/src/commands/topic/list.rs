//! `tidelog topic list`

use clap::Args;
use serde::Serialize;

use crate::commands::redundancy::Redundancy;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Show the cluster's own topics too
    #[arg(long)]
    internal: bool,
}

#[derive(Serialize)]
struct Listed {
    topic: String,
    topic_id: String,
    partitions: usize,
    replication_factor: usize,
    under_replicated: usize,
    internal: bool,
}

pub async fn run(session: Session, args: ListArgs) -> Result<Exit, Failure> {
    let metadata = session.client.metadata(None, false).await?;
    let redundancy = Redundancy::of(&session.client, &metadata).await;
    let shown = metadata.topics.iter().filter(|topic| args.internal || !topic.is_internal);
    let mut topics: Vec<Listed> = shown
        .map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default();
            let factor = |partition| redundancy.replication_factor(name, partition);
            Listed {
                topic: name.to_owned(),
                topic_id: topic.topic_id.to_string(),
                partitions: topic.partitions.len(),
                replication_factor: topic.partitions.first().map_or(0, factor),
                under_replicated: topic.partitions.iter().filter(|p| redundancy.is_short(name, p)).count(),
                internal: topic.is_internal,
            }
        })
        .collect();
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    if session.printer.is_json() {
        session.printer.json(&topics)?;
        return Ok(Exit::Ok);
    }
    if topics.is_empty() {
        eprintln!("No topics yet; `tidelog topic create NAME` makes one.");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["TOPIC", "PARTITIONS", "REPLICATION", "UNDER-REPLICATED"]);
    for topic in &topics {
        let style = if topic.under_replicated > 0 { Style::Bad } else { Style::Faint };
        table.row([
            Cell::text(&topic.topic),
            Cell::number(topic.partitions),
            Cell::number(topic.replication_factor),
            Cell::number(topic.under_replicated).styled(style),
        ]);
    }
    session.printer.table(&table)?;
    Ok(Exit::Ok)
}
