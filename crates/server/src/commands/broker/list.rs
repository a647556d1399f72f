//! `tidelog broker list`

use futures::future::join_all;
use serde::Serialize;
use tidelog_client::Client;
use tidelog_wire::messages::{DescribeLogDirsRequest, MetadataResponse};

use crate::commands::moves::cluster::{Broker, brokers};
use crate::commands::size::bytes_text;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

#[derive(Serialize)]
struct Listed {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    /// `alive`, or `fenced`: registered and not in service.
    state: &'static str,
    leaders: usize,
    replicas: usize,
    /// Of all its replicas; absent if the broker does not answer.
    bytes: Option<i64>,
    /// Left on its disks, where it tells.
    usable_bytes: Option<i64>,
}

pub async fn run(session: Session) -> Result<Exit, Failure> {
    let client = &session.client;
    let metadata = client.metadata(None, false).await?;
    let brokers = brokers(client, &metadata).await?;
    let listing = brokers.into_iter().map(|broker| listed(client, &metadata, broker));
    let brokers: Vec<Listed> = join_all(listing).await;
    if session.printer.is_json() {
        session.printer.json(&brokers)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["BROKER", "ADDRESS", "RACK", "STATE", "LEADS", "REPLICAS", "SIZE", "DISK LEFT"]);
    let size = |bytes: Option<i64>| Cell::number(bytes.map_or("-".to_owned(), bytes_text));
    for broker in &brokers {
        let style = if broker.state == ALIVE { Style::Good } else { Style::Bad };
        table.row([
            Cell::number(broker.id),
            Cell::text(format!("{}:{}", broker.host, broker.port)),
            Cell::text(broker.rack.as_deref().unwrap_or("-")),
            Cell::text(broker.state).styled(style),
            Cell::number(broker.leaders),
            Cell::number(broker.replicas),
            size(broker.bytes),
            size(broker.usable_bytes),
        ]);
    }
    session.printer.table(&table)?;
    Ok(Exit::Ok)
}

const ALIVE: &str = "alive";
const FENCED: &str = "fenced";

async fn listed(client: &Client, metadata: &MetadataResponse, broker: Broker) -> Listed {
    let partitions = || metadata.topics.iter().flat_map(|topic| &topic.partitions);
    let (bytes, usable_bytes) = if broker.is_alive { disk(client, broker.id).await } else { (None, None) };
    Listed {
        leaders: partitions().filter(|partition| partition.leader_id == broker.id).count(),
        replicas: partitions().filter(|partition| partition.replica_nodes.contains(&broker.id)).count(),
        id: broker.id,
        host: broker.host,
        port: broker.port,
        rack: broker.rack,
        state: if broker.is_alive { ALIVE } else { FENCED },
        bytes,
        usable_bytes,
    }
}

/// Bytes of the broker's replicas, and bytes left.
async fn disk(client: &Client, id: i32) -> (Option<i64>, Option<i64>) {
    let request = DescribeLogDirsRequest { topics: None };
    let asked = async { Ok::<_, Failure>(client.broker(id).await?.send(&request).await?) }.await;
    let Ok(response) = asked else { return (None, None) };
    let partitions = response.results.iter().flat_map(|dir| &dir.topics).flat_map(|topic| &topic.partitions);
    let usable: i64 = response.results.iter().map(|dir| dir.usable_bytes).filter(|bytes| *bytes >= 0).sum();
    let tells = response.results.iter().any(|dir| dir.usable_bytes >= 0);
    (Some(partitions.map(|partition| partition.partition_size).sum()), tells.then_some(usable))
}
