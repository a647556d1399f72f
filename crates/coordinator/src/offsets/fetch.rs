//! OffsetFetch 1-10, one group: what it has committed.
//!
//! Version 9 adds members of KIP-848 groups, 10 topic ids. `require_stable` changes nothing: offsets are committed
//! outside of transactions only.

use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use tidelog_wire::{ErrorCode, Str};

use super::resolve::{self, TOPIC_IDS_FROM, Topic};
use super::{CommittedOffset, Offsets};
use crate::group::{Groups, Kind};
use crate::turn::Turn;
use crate::{Caller, Response, Topics};

pub(crate) fn fetch(groups: &Groups, turn: &mut Turn, caller: &Caller, request: &OffsetFetchRequestGroup) {
    let (topics, error_code) = match may_fetch(groups, request) {
        Ok(()) => (committed(groups, turn.topics, caller.version, request), ErrorCode::NONE),
        Err(error_code) => (Vec::new(), error_code),
    };
    let group = OffsetFetchResponseGroup { group_id: request.group_id.clone(), topics, error_code };
    turn.outcome.reply(caller.request, Response::OffsetFetch(group));
}

fn may_fetch(groups: &Groups, request: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
    match groups.get(&request.group_id).map(|group| &group.kind) {
        Some(Kind::Consumer(group)) => group.may_fetch(request.member_id.as_deref(), request.member_epoch),
        Some(Kind::Classic(_)) | None => Ok(()),
    }
}

/// A group that does not exist has committed nothing; that is no error.
fn committed(
    groups: &Groups,
    topics: &dyn Topics,
    version: i16,
    request: &OffsetFetchRequestGroup,
) -> Vec<OffsetFetchResponseTopics> {
    let none = Offsets::default();
    let offsets = groups.get(&request.group_id).map_or(&none, |group| &group.offsets);
    match &request.topics {
        None => all_topics(offsets, topics, version),
        Some(wanted) => wanted.iter().map(|wanted| one_topic(offsets, topics, version, wanted)).collect(),
    }
}

/// Topics that are gone are left out where topics go by id.
fn all_topics(offsets: &Offsets, topics: &dyn Topics, version: i16) -> Vec<OffsetFetchResponseTopics> {
    let answers = offsets.topics.iter().filter_map(|(name, partitions)| {
        let id = topics.id(name);
        if version >= TOPIC_IDS_FROM && id.is_none() {
            return None;
        }
        let current = partitions.iter().filter(|(_, offset)| offset.belongs_to(id));
        let partitions: Vec<_> = current.map(|(index, offset)| found(*index, offset)).collect();
        let topic_id = id.unwrap_or_default();
        (!partitions.is_empty()).then(|| OffsetFetchResponseTopics { name: name.clone(), topic_id, partitions })
    });
    answers.collect()
}

fn one_topic(
    offsets: &Offsets,
    topics: &dyn Topics,
    version: i16,
    wanted: &OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let resolved = resolve::topic(topics, version, &wanted.name, wanted.topic_id);
    let answer = |index: &i32| match &resolved {
        Ok(Topic { name, id }) => match offsets.get(name, *index).filter(|offset| offset.belongs_to(Some(*id))) {
            Some(offset) => found(*index, offset),
            None => nothing(*index, ErrorCode::NONE),
        },
        Err(ErrorCode::UNKNOWN_TOPIC_ID) => nothing(*index, ErrorCode::UNKNOWN_TOPIC_ID),
        // By name, what was committed for a topic that is gone can still be seen.
        Err(_) => offsets.get(&wanted.name, *index).map_or(nothing(*index, ErrorCode::NONE), |o| found(*index, o)),
    };
    OffsetFetchResponseTopics {
        name: wanted.name.clone(),
        topic_id: wanted.topic_id,
        partitions: wanted.partition_indexes.iter().map(answer).collect(),
    }
}

fn found(partition_index: i32, offset: &CommittedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(offset.metadata.clone()),
        error_code: ErrorCode::NONE,
    }
}

fn nothing(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        error_code,
    }
}
