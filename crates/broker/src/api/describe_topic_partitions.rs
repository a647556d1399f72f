//! DescribeTopicPartitions (75, KIP-966): partitions with their eligible leader replicas, a page at a time.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use tidelog_metadata::{Image, Partition, Topic};
use tidelog_wire::messages::describe_topic_partitions_request::Cursor as From;
use tidelog_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use tidelog_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context, TOPIC_OPERATIONS, broker_ids, offline_replicas};

/// `max.request.partition.size.limit`
const PARTITIONS_MAX: usize = 2000;

pub(crate) struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    async fn answer(context: Context, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(1).clamp(1, PARTITIONS_MAX);
        page(&context.shard.image(), &names(&context, &request), request.cursor.as_ref(), limit)
    }
}

/// In the order of names, which is what makes a cursor meaningful between two requests.
fn names(context: &Context, request: &DescribeTopicPartitionsRequest) -> BTreeSet<Str> {
    if request.topics.is_empty() {
        return context.shard.image().topics().map(|topic| topic.name.clone()).collect();
    }
    request.topics.iter().map(|topic| topic.name.clone()).collect()
}

/// From the cursor's partition on, `limit` partitions at most.
fn page(image: &Image, names: &BTreeSet<Str>, cursor: Option<&From>, limit: usize) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = limit;
    for name in names {
        let first = match cursor {
            Some(cursor) if *name < cursor.topic_name => continue,
            Some(cursor) if *name == cursor.topic_name => cursor.partition_index,
            _ => 0,
        };
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name.clone(), partition_index: first });
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let described = describe(image, topic, first, left);
        let next = first.saturating_add(described.partitions.len() as i32);
        left -= described.partitions.len();
        response.topics.push(described);
        if (next as usize) < topic.partition_count() {
            response.next_cursor = Some(Cursor { topic_name: name.clone(), partition_index: next });
            break;
        }
    }
    response
}

fn unknown(name: &Str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        name: Some(name.clone()),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe(image: &Image, topic: &Topic, first: i32, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions().skip(usize::try_from(first).unwrap_or(0)).take(limit);
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.map(|(index, partition)| describe_partition(image, index, partition)).collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe_partition(
    image: &Image,
    index: PartitionIndex,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        error_code: match partition.has_leader() {
            true => ErrorCode::NONE,
            false => ErrorCode::LEADER_NOT_AVAILABLE,
        },
        partition_index: index.get(),
        leader_id: partition.leader.get(),
        leader_epoch: partition.leader_epoch.get(),
        replica_nodes: broker_ids(partition.replicas.iter()),
        isr_nodes: broker_ids(partition.isr.iter()),
        eligible_leader_replicas: Some(broker_ids(partition.elr.iter())),
        last_known_elr: Some(broker_ids(partition.last_known_elr.iter())),
        offline_replicas: offline_replicas(image, partition),
    }
}
