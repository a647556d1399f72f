//! ListPartitionReassignments (46): the moves under way, from this broker's image (KIP-455).

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use tidelog_metadata::Topic;
use tidelog_wire::Str;
use tidelog_wire::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use tidelog_wire::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::{Api, Context, broker_ids};

pub(crate) struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    async fn answer(
        context: Context,
        request: ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let image = context.shard.image();
        let topics: Vec<_> = match request.topics {
            None => image.topics().map(|topic| moves_of(topic, |_| true)).collect(),
            Some(asked) => {
                let mut by_topic: BTreeMap<Str, HashSet<i32>> = BTreeMap::new();
                for topic in asked {
                    by_topic.entry(topic.name).or_default().extend(topic.partition_indexes);
                }
                let known = by_topic.iter().filter_map(|(name, asked)| Some((image.topic(name)?, asked)));
                known.map(|(topic, asked)| moves_of(topic, |index| asked.contains(&index))).collect()
            }
        };
        ListPartitionReassignmentsResponse {
            error_message: None,
            topics: topics.into_iter().filter(|topic| !topic.partitions.is_empty()).collect(),
            ..ListPartitionReassignmentsResponse::default()
        }
    }
}

fn moves_of(topic: &Topic, is_asked: impl Fn(i32) -> bool) -> OngoingTopicReassignment {
    let moving = topic.partitions().filter(|(index, partition)| partition.is_reassigning() && is_asked(index.get()));
    let partitions = moving.map(|(index, partition)| OngoingPartitionReassignment {
        partition_index: index.get(),
        replicas: broker_ids(&partition.replicas),
        adding_replicas: broker_ids(&partition.adding_replicas),
        removing_replicas: broker_ids(&partition.removing_replicas),
    });
    OngoingTopicReassignment { name: topic.name.clone(), partitions: partitions.collect() }
}
