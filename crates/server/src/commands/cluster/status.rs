//! `tidelog cluster status`

use serde::Serialize;
use tidelog_wire::messages::MetadataResponse;
use tidelog_wire::messages::metadata_response::MetadataResponseTopic;

use crate::commands::redundancy::Redundancy;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, counted};
use crate::session::Session;

#[derive(Serialize)]
struct Status {
    cluster_id: String,
    controller: Option<i32>,
    brokers: Vec<Broker>,
    topics: usize,
    partitions: usize,
    under_replicated: usize,
    offline: usize,
}

#[derive(Serialize)]
struct Broker {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    leaders: usize,
    replicas: usize,
    in_sync: usize,
}

pub async fn run(session: Session) -> Result<Exit, Failure> {
    let metadata = session.client.metadata(None, false).await?;
    let status = status(&metadata, &Redundancy::of(&session.client, &metadata).await);
    if session.printer.is_json() {
        session.printer.json(&status)?;
        return Ok(Exit::Ok);
    }
    let printer = &session.printer;
    let controller = status.controller.map_or("none".to_owned(), |id| id.to_string());
    printer.line(&format!("cluster {}, active controller {controller}", status.cluster_id))?;
    let troubles = status.under_replicated + status.offline;
    let style = if troubles > 0 { Style::Bad } else { Style::Plain };
    printer.styled_line(
        &format!(
            "{}, {}, {} under-replicated, {} offline",
            counted(status.topics, "topic"),
            counted(status.partitions, "partition"),
            status.under_replicated,
            status.offline
        ),
        style,
    )?;
    let mut table = Table::new(["BROKER", "ADDRESS", "RACK", "LEADS", "REPLICAS", "IN SYNC"]);
    for broker in &status.brokers {
        let style = if broker.in_sync < broker.replicas { Style::Bad } else { Style::Plain };
        table.row([
            Cell::number(broker.id),
            Cell::text(format!("{}:{}", broker.host, broker.port)),
            Cell::text(broker.rack.as_deref().unwrap_or("-")),
            Cell::number(broker.leaders),
            Cell::number(broker.replicas),
            Cell::number(broker.in_sync).styled(style),
        ]);
    }
    printer.table(&table)?;
    Ok(Exit::Ok)
}

fn status(metadata: &MetadataResponse, redundancy: &Redundancy) -> Status {
    let partitions: Vec<_> = metadata.topics.iter().flat_map(|topic| &topic.partitions).collect();
    let mut brokers: Vec<Broker> = metadata
        .brokers
        .iter()
        .map(|broker| Broker {
            id: broker.node_id,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
            leaders: partitions.iter().filter(|partition| partition.leader_id == broker.node_id).count(),
            replicas: partitions.iter().filter(|partition| partition.replica_nodes.contains(&broker.node_id)).count(),
            in_sync: partitions.iter().filter(|partition| partition.isr_nodes.contains(&broker.node_id)).count(),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let short = |topic: &MetadataResponseTopic| {
        let name = topic.name.as_deref().unwrap_or_default();
        topic.partitions.iter().filter(|partition| redundancy.is_short(name, partition)).count()
    };
    Status {
        cluster_id: metadata.cluster_id.as_deref().unwrap_or("unknown").to_owned(),
        controller: (metadata.controller_id >= 0).then_some(metadata.controller_id),
        brokers,
        topics: metadata.topics.len(),
        partitions: partitions.len(),
        under_replicated: metadata.topics.iter().map(short).sum(),
        offline: partitions.iter().filter(|partition| partition.leader_id < 0).count(),
    }
}
