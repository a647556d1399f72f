//! `tidelog cluster quorum`

use serde::Serialize;
use tidelog_wire::messages::DescribeQuorumRequest;
use tidelog_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use tidelog_wire::messages::describe_quorum_response::{PartitionData as Described, ReplicaState};
use tidelog_wire::{ErrorCode, Str};

use crate::commands::time::duration_text;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table};
use crate::session::Session;

const METADATA_TOPIC: &str = "__cluster_metadata";
/// Nodes that follow ask many times in this time.
const SILENCE_MS: i64 = 2_000;

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
    /// By how much its last question is older than the answer; unknown of one that never asked this leader.
    heard_ms_ago: Option<i64>,
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
    let mut table = Table::new(["NODE", "ROLE", "LOG END", "LAG", "LAST HEARD OF", "DIRECTORY"]);
    for node in &quorum.nodes {
        let style = if node.role == "leader" { Style::Good } else { Style::Plain };
        let heard = node.heard_ms_ago.map_or("never".to_owned(), |ms| format!("{} ago", duration_text(ms)));
        let is_silent = node.heard_ms_ago.is_none_or(|ms| ms > SILENCE_MS);
        table.row([
            Cell::number(node.id),
            Cell::text(node.role).styled(style),
            Cell::number(node.log_end_offset),
            Cell::number(node.lag),
            Cell::text(heard).styled(if is_silent { Style::Bad } else { Style::Plain }),
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
    let leader = described.current_voters.iter().find(|voter| voter.replica_id == described.leader_id);
    let leader_end = leader.map_or(described.high_watermark, |voter| voter.log_end_offset);
    let heard_ms_ago = |replica: &ReplicaState| match (leader?.last_fetch_timestamp, replica.last_fetch_timestamp) {
        (now_ms, at_ms) if now_ms > 0 && at_ms > 0 => Some((now_ms - at_ms).max(0)),
        _ => None,
    };
    let node = |replica: &ReplicaState, role: &'static str| Node {
        id: replica.replica_id,
        role: if replica.replica_id == described.leader_id { "leader" } else { role },
        directory_id: replica.replica_directory_id.to_string(),
        log_end_offset: replica.log_end_offset,
        lag: (leader_end - replica.log_end_offset).max(0),
        last_caught_up_ms: replica.last_caught_up_timestamp,
        heard_ms_ago: heard_ms_ago(replica),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_that_fell_silent_is_told_from_one_that_follows() {
        let replica = |replica_id, log_end_offset, last_fetch_timestamp| ReplicaState {
            replica_id,
            log_end_offset,
            last_fetch_timestamp,
            ..ReplicaState::default()
        };
        let described = Described {
            leader_id: 1,
            current_voters: vec![
                replica(1, 10, 60_000),
                replica(2, 10, 59_900),
                replica(3, 9, 53_000),
                replica(4, 0, -1),
            ],
            ..Described::default()
        };
        let heard: Vec<_> = quorum(&described).nodes.iter().map(|node| node.heard_ms_ago).collect();
        assert_eq!(heard, [Some(0), Some(100), Some(7_000), None]);
    }
}
