//! OffsetDelete 0: forgets what a group has committed for topics that it does not read.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use tidelog_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::record;
use crate::group::{Group, Groups};
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn delete(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &OffsetDeleteRequest) {
    let response = match deletable(groups, request) {
        Ok(group) => {
            let topics = request.topics.iter().map(|topic| delete_topic(group, turn, request, topic)).collect();
            groups.remove_if_unused(&request.group_id);
            OffsetDeleteResponse { topics, ..Default::default() }
        }
        Err(error_code) => OffsetDeleteResponse { error_code, ..Default::default() },
    };
    turn.outcome.reply(caller.request, Response::OffsetDelete(response));
}

/// With members, only a group of consumers says what it reads.
fn deletable<'a>(groups: &'a mut Groups, request: &OffsetDeleteRequest) -> Result<&'a mut Group, ErrorCode> {
    let group = groups.get_mut(&request.group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    match group.as_classic() {
        Some(classic) if !classic.is_empty() && !classic.is_of_consumers() => Err(ErrorCode::NON_EMPTY_GROUP),
        _ => Ok(group),
    }
}

fn delete_topic(
    group: &mut Group,
    turn: &mut Turn,
    request: &OffsetDeleteRequest,
    topic: &OffsetDeleteRequestTopic,
) -> OffsetDeleteResponseTopic {
    let is_subscribed = group.is_subscribed_to(&topic.name);
    let is_known = turn.topics.id(&topic.name).is_some();
    let partitions = topic.partitions.iter().map(|partition| {
        let index = partition.partition_index;
        let error_code = if is_subscribed {
            ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
        } else if group.offsets.remove(&topic.name, index).is_some() {
            turn.outcome.records.push(record::tombstone(&request.group_id, &topic.name, index));
            ErrorCode::NONE
        } else if is_known {
            ErrorCode::NONE
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        };
        OffsetDeleteResponsePartition { partition_index: index, error_code }
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}
