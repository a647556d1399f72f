//! OffsetFetch (9): the offsets a group has committed.
//!
//! Up to v7 one group; v2 null means all its topics and errors stand above them; v5 leader epochs, v6 flexible, v7 may
//! require that no transaction is pending (which none is: there are no transactions yet); v8 several groups; v9 members of
//! consumer groups; v10 topic ids. Older versions are put into the form of v8 and back.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use tidelog_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::set::{distinct, distinct_partitions};
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=10;

    async fn answer(context: Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
        if context.version >= 8 {
            let asked = distinct(request.groups, |group| group.group_id.clone());
            let groups = groups::each(&asked, |group| fetch(&context, group)).await;
            return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
        }
        let asked = in_newest_form(request);
        let topics = asked.topics.clone().unwrap_or_default();
        let found = fetch(&context, &asked).await;
        in_oldest_form(context.version, found, &topics)
    }
}

async fn fetch(context: &Context, asked: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let mut request = asked.clone();
    request.topics = request.topics.map(|topics| {
        distinct_partitions(
            topics,
            |topic| (topic.name.clone(), topic.topic_id),
            |topic| &mut topic.partition_indexes,
            |index| *index,
        )
    });
    let fetched = groups::ask(context, &request.group_id, Access::Reads, |coordinator, now_ms, topics, caller| {
        coordinator.offset_fetch(now_ms, topics, caller, &request)
    });
    let fetched = fetched.await;
    fetched.unwrap_or_else(|error_code| OffsetFetchResponseGroup {
        group_id: request.group_id,
        error_code,
        ..OffsetFetchResponseGroup::default()
    })
}

fn in_newest_form(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() }
}

fn in_oldest_form(
    version: i16,
    found: OffsetFetchResponseGroup,
    asked: &[OffsetFetchRequestTopics],
) -> OffsetFetchResponse {
    // v1 has no place for an error of the whole group.
    if version < 2 && found.error_code != ErrorCode::NONE {
        return OffsetFetchResponse { topics: all_refused(asked, found.error_code), ..OffsetFetchResponse::default() };
    }
    let topics = found.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: found.error_code, ..OffsetFetchResponse::default() }
}

fn all_refused(asked: &[OffsetFetchRequestTopics], error_code: ErrorCode) -> Vec<OffsetFetchResponseTopic> {
    let refused = |topic: &OffsetFetchRequestTopics| OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| OffsetFetchResponsePartition {
                partition_index: *index,
                committed_offset: -1,
                metadata: Some(Default::default()),
                error_code,
                ..OffsetFetchResponsePartition::default()
            })
            .collect(),
    };
    asked.iter().map(refused).collect()
}
