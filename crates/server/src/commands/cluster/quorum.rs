//! `tidelog cluster quorum`

use serde::Serialize;
use tidelog_wire::messages::DescribeQuorumRequest;
use tidelog_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use tidelog_wire::messages::describe_quorum_response::{PartitionData as Described, ReplicaState};
use tidelog_wire::{ErrorCode, Str};

use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

const METADATA_TOPIC: &str = "__cluster_metadata";

#[derive(Serialize)]
struct Quorum {
    leader: i32,
    leader_epoch: i32,
    high_watermark: i64,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Node {
    id: i32,
    role: &'static str,
    directory_id: String,
    log_end_offset: i64,
    lag: i64,
    last_caught_up_ms: i64,
}

pub async fn run(session: Session) -> Result<Exit, Failure> {
    let quorum = quorum(&ask(&session).await?);
    if session.printer.is_json() {
        session.printer.json(&quorum)?;
        return Ok(Exit::Ok);
    }
    session.printer.line(&format!(
        "leader {}, epoch {}, high watermark {}",
        quorum.leader, quorum.leader_epoch, quorum.high_watermark
    ))?;
    let mut table = Table::new(["NODE", "ROLE", "LOG END", "LAG", "DIRECTORY"]);
    for node in &quorum.nodes {
        let style = if node.role == "leader" { Style::Good } else { Style::Plain };
        table.row([
            Cell::number(node.id),
            Cell::text(node.role).styled(style),
            Cell::number(node.log_end_offset),
            Cell::number(node.lag),
            Cell::text(&node.directory_id),
        ]);
    }
    session.printer.table(&table)?;
    Ok(Exit::Ok)
}

/// Ids of the nodes that vote.
pub async fn voters(session: &Session) -> Result<Vec<i32>, Failure> {
    Ok(ask(session).await?.current_voters.iter().map(|voter| voter.replica_id).collect())
}

async fn ask(session: &Session) -> Result<Described, Failure> {
    const WHAT: &str = "cannot describe the controller quorum";
    let request = DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: Str::from_static(METADATA_TOPIC),
            partitions: vec![PartitionData { partition_index: 0 }],
        }],
    };
    let response = session.client.ask(WHAT, &request).await?;
    if !response.error_code.is_none() {
        return Err(Failure::refused(WHAT, response.error_code, response.error_message.as_deref()));
    }
    let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    match partition {
        Some(partition) if partition.error_code.is_none() => Ok(partition),
        Some(partition) => Err(Failure::refused(WHAT, partition.error_code, partition.error_message.as_deref())),
        None => Err(Failure::refused(WHAT, ErrorCode::UNKNOWN_SERVER_ERROR, None)),
    }
}

fn quorum(described: &Described) -> Quorum {
    let leader_end = described
        .current_voters
        .iter()
        .find(|voter| voter.replica_id == described.leader_id)
        .map_or(described.high_watermark, |voter| voter.log_end_offset);
    let node = |replica: &ReplicaState, role: &'static str| Node {
        id: replica.replica_id,
        role: if replica.replica_id == described.leader_id { "leader" } else { role },
        directory_id: replica.replica_directory_id.to_string(),
        log_end_offset: replica.log_end_offset,
        lag: (leader_end - replica.log_end_offset).max(0),
        last_caught_up_ms: replica.last_caught_up_timestamp,
    };
    let voters = described.current_voters.iter().map(|replica| node(replica, "voter"));
    let observers = described.observers.iter().map(|replica| node(replica, "observer"));
    Quorum {
        leader: described.leader_id,
        leader_epoch: described.leader_epoch,
        high_watermark: described.high_watermark,
        nodes: voters.chain(observers).collect(),
    }
}
