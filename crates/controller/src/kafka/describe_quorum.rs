//! DescribeQuorum (55): the metadata quorum in the terms of Kafka's metadata log.
//!
//! v1 adds the timestamps (KIP-836), v2 directory ids and the nodes' addresses (KIP-853). The one partition there is
//! to describe is `__cluster_metadata-0`.

use std::future::Future;

use tidelog_wire::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use tidelog_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use crate::quorum::{Quorum, QuorumError, QuorumReplica};

const METADATA_TOPIC: &str = "__cluster_metadata";
const CONTROLLER_LISTENER: &str = "CONTROLLER";

/// Answers a request of `version`; `quorum` asks the active controller.
pub async fn describe_quorum(
    request: DescribeQuorumRequest,
    version: i16,
    quorum: impl Future<Output = Result<Quorum, QuorumError>>,
) -> DescribeQuorumResponse {
    if !asks_for_the_metadata_log(&request) {
        return no_such_quorum(request);
    }
    match quorum.await {
        Ok(quorum) => described(&quorum, version),
        Err(reason) => DescribeQuorumResponse {
            error_code: ErrorCode::REQUEST_TIMED_OUT,
            error_message: Some(Str::from(reason.to_string())),
            ..DescribeQuorumResponse::default()
        },
    }
}

fn asks_for_the_metadata_log(request: &DescribeQuorumRequest) -> bool {
    let [topic] = request.topics.as_slice() else { return false };
    let [partition] = topic.partitions.as_slice() else { return false };
    topic.topic_name.as_str() == METADATA_TOPIC && partition.partition_index == 0
}

fn no_such_quorum(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = |partition_index| PartitionData {
        partition_index,
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        error_message: Some(Str::from_static("not part of the metadata quorum")),
        ..PartitionData::default()
    };
    let topics = request.topics.into_iter().map(|topic| TopicData {
        topic_name: topic.topic_name,
        partitions: topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect(),
    });
    DescribeQuorumResponse { topics: topics.collect(), ..DescribeQuorumResponse::default() }
}

fn described(quorum: &Quorum, version: i16) -> DescribeQuorumResponse {
    let has_addresses = version >= 2;
    let state = |replica| state(replica, has_addresses);
    let partition = PartitionData {
        partition_index: 0,
        leader_id: quorum.leader_id,
        leader_epoch: quorum.leader_epoch,
        high_watermark: quorum.high_watermark,
        current_voters: quorum.voters.iter().map(state).collect(),
        observers: quorum.observers.iter().map(state).collect(),
        ..PartitionData::default()
    };
    let topic = TopicData { topic_name: Str::from(METADATA_TOPIC), partitions: vec![partition] };
    let nodes = quorum.voters.iter().filter(|_| has_addresses).map(|voter| Node {
        node_id: voter.node_id,
        listeners: vec![Listener {
            name: Str::from(CONTROLLER_LISTENER),
            host: Str::from(voter.host.clone()),
            port: voter.port,
        }],
    });
    DescribeQuorumResponse { topics: vec![topic], nodes: nodes.collect(), ..DescribeQuorumResponse::default() }
}

fn state(replica: &QuorumReplica, has_addresses: bool) -> ReplicaState {
    ReplicaState {
        replica_id: replica.node_id,
        replica_directory_id: if has_addresses { replica.directory_id } else { Uuid::ZERO },
        log_end_offset: replica.log_end_offset,
        last_fetch_timestamp: replica.last_fetch_timestamp_ms,
        last_caught_up_timestamp: replica.last_caught_up_timestamp_ms,
    }
}
