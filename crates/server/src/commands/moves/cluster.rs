//! What a plan needs to know of a cluster: brokers, racks, who holds what, what is moving already.

use std::collections::BTreeMap;

use tidelog_client::{Client, ClientError, Connection};
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::{
    AlterPartitionReassignmentsRequest, DescribeClusterRequest, ListPartitionReassignmentsRequest, MetadataResponse,
};
use tidelog_wire::{ErrorCode, Str};

use super::plan::{Assignment, Targets, TopicPartition};
use crate::exit::Failure;

const TIMEOUT_MS: i32 = 60_000;
/// The first version that lists brokers that are registered and not in service.
const FENCED_FROM: i16 = 2;

#[derive(Clone, Debug)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
    /// In service; otherwise registered only.
    pub is_alive: bool,
}

/// One partition's move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

impl Ongoing {
    /// Where the replicas will be.
    pub fn target(&self) -> Vec<i32> {
        self.replicas.iter().copied().filter(|id| !self.removing.contains(id)).collect()
    }
}

/// Every broker the cluster knows of; those out of service too, where the cluster tells.
pub async fn brokers(client: &Client, metadata: &MetadataResponse) -> Result<Vec<Broker>, Failure> {
    let mut brokers: BTreeMap<i32, Broker> = BTreeMap::new();
    let connection: Connection = client.any().await?;
    if connection.version::<DescribeClusterRequest>().is_ok_and(|version| version >= FENCED_FROM) {
        let request = DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() };
        let response = client.ask("cannot describe the cluster", &request).await?;
        for broker in response.brokers {
            let rack = broker.rack.map(Into::into);
            let (id, host, port) = (broker.broker_id, broker.host.into(), broker.port);
            brokers.insert(id, Broker { id, host, port, rack, is_alive: !broker.is_fenced });
        }
    }
    for broker in &metadata.brokers {
        let rack = broker.rack.as_ref().map(ToString::to_string);
        let (id, host, port) = (broker.node_id, broker.host.to_string(), broker.port);
        brokers.entry(id).or_insert(Broker { id, host, port, rack, is_alive: true });
    }
    Ok(brokers.into_values().collect())
}

pub fn targets(brokers: &[Broker]) -> Targets {
    brokers.iter().filter(|broker| broker.is_alive).map(|broker| (broker.id, broker.rack.clone())).collect()
}

/// Replicas as they are; of partitions on the move, as they will be.
pub fn assignment(metadata: &MetadataResponse, ongoing: &BTreeMap<TopicPartition, Ongoing>) -> Assignment {
    let mut assignment = Assignment::new();
    for topic in metadata.topics.iter().filter(|topic| topic.error_code.is_none()) {
        let name = topic.name.as_deref().unwrap_or_default();
        for partition in &topic.partitions {
            let key = (name.to_owned(), partition.partition_index);
            let replicas = ongoing.get(&key).map_or_else(|| partition.replica_nodes.clone(), Ongoing::target);
            assignment.insert(key, replicas);
        }
    }
    assignment
}

/// All moves under way.
pub async fn ongoing(client: &Client) -> Result<BTreeMap<TopicPartition, Ongoing>, Failure> {
    const WHAT: &str = "cannot list the moves under way";
    let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics: None };
    let response = client
        .retrying(WHAT, || async {
            let response = client.send(&request).await?;
            match response.error_code {
                ErrorCode::NONE => Ok(response),
                code => {
                    let message = response.error_message.map(Into::into);
                    Err(ClientError::Refused { what: WHAT.to_owned(), code, message })
                }
            }
        })
        .await?;
    let mut moves = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let key = (topic.name.to_string(), partition.partition_index);
            let (replicas, adding, removing) =
                (partition.replicas, partition.adding_replicas, partition.removing_replicas);
            moves.insert(key, Ongoing { replicas, adding, removing });
        }
    }
    Ok(moves)
}

/// Partitions and what became of the order to move them.
pub type Submitted = Vec<(TopicPartition, Result<(), Failure>)>;

/// Starts moves, or cancels those whose replicas are `None`.
pub async fn submit(client: &Client, moves: &BTreeMap<TopicPartition, Option<Vec<i32>>>) -> Result<Submitted, Failure> {
    let what = "cannot move partitions";
    let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
    for ((topic, partition_index), replicas) in moves {
        let partition = ReassignablePartition { partition_index: *partition_index, replicas: replicas.clone() };
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, _)| ReassignableTopic { name: Str::from(name.to_owned()), partitions };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: TIMEOUT_MS,
        allow_replication_factor_change: true,
        topics: topics.into_iter().map(topic).collect(),
    };
    let response = client.send(&request).await?;
    if !response.error_code.is_none() {
        return Err(Failure::refused(what, response.error_code, response.error_message.as_deref()));
    }
    let mut submitted = Submitted::new();
    for topic in &response.responses {
        for answer in &topic.partitions {
            let key = (topic.name.to_string(), answer.partition_index);
            let verb = if moves.get(&key).is_some_and(Option::is_none) { "cancel the move of" } else { "move" };
            let what = format!("cannot {verb} {}-{}", key.0, key.1);
            let outcome = match answer.error_code {
                ErrorCode::NONE => Ok(()),
                code => Err(Failure::refused(what, code, answer.error_message.as_deref())),
            };
            submitted.push((key, outcome));
        }
    }
    Ok(submitted)
}
