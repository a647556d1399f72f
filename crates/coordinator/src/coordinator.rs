//! The face of the crate: one method per operation, whose body is a file of its own.

use std::sync::Arc;

use bytes::Bytes;
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest, offset_fetch_request::OffsetFetchRequestGroup,
};
use tidelog_wire::{Str, Uuid};

use crate::group::{Groups, classic, consumer};
use crate::record::ReplayError;
use crate::turn::Turn;
use crate::{Caller, GroupConfig, Outcome, Response, TimerKey, Topics, group, offsets, record};

/// All groups of one partition of the offsets topic.
///
/// Replay the log, call [`Coordinator::loaded`], then run operations. Calls are ordered: their outcomes' records
/// must reach the log in the order of the calls.
#[derive(Debug)]
pub struct Coordinator {
    config: Arc<GroupConfig>,
    pub(crate) groups: Groups,
}

impl Coordinator {
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Self { config, groups: Groups::default() }
    }

    /// Applies one record of the log, in log order. A value of `None` is a tombstone. What cannot be read comes
    /// back as an error and changes nothing; whether the replay can go on without it is for the host to say.
    pub fn replay(&mut self, key: Option<Bytes>, value: Option<Bytes>) -> Result<(), ReplayError> {
        record::replay(&mut self.groups, key, value)
    }

    /// After the replay: members get a whole session timeout from now to be heard of.
    pub fn loaded(&mut self, now_ms: i64, topics: &dyn Topics) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| {
            let first_ms = now_ms.saturating_add(turn.config.offsets_retention_check_interval_ms);
            turn.outcome.book(TimerKey::OffsetExpiry, first_ms);
            group::loaded(groups, turn);
        })
    }

    pub fn join_group(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| classic::join(groups, turn, caller, request))
    }

    pub fn sync_group(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &SyncGroupRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| classic::sync(groups, turn, caller, request))
    }

    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &HeartbeatRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| classic::heartbeat(groups, turn, caller, request))
    }

    pub fn leave_group(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &LeaveGroupRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| classic::leave(groups, turn, caller, request))
    }

    pub fn consumer_group_heartbeat(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| consumer::heartbeat(groups, turn, caller, request))
    }

    /// Topics that do not exist, by name or id, are answered here and not stored.
    pub fn offset_commit(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &OffsetCommitRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| offsets::commit(groups, turn, caller, request))
    }

    /// One group of an OffsetFetch, in the form of version 8 and later; the host puts older versions into it.
    pub fn offset_fetch(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &OffsetFetchRequestGroup,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| offsets::fetch(groups, turn, caller, request))
    }

    pub fn offset_delete(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &OffsetDeleteRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| offsets::delete(groups, turn, caller, request))
    }

    /// One group of DescribeGroups.
    pub fn describe_group(&mut self, now_ms: i64, topics: &dyn Topics, caller: &Caller, group_id: &Str) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| {
            let described = classic::describe(groups, caller.version, group_id);
            turn.outcome.reply(caller.request, Response::DescribeGroup(described));
        })
    }

    /// One group of ConsumerGroupDescribe.
    pub fn consumer_group_describe(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        group_id: &Str,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| consumer::describe(groups, turn, caller, group_id))
    }

    /// The groups of this partition that the request's filters let through.
    pub fn list_groups(
        &mut self,
        now_ms: i64,
        topics: &dyn Topics,
        caller: &Caller,
        request: &ListGroupsRequest,
    ) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| {
            turn.outcome.reply(caller.request, Response::ListGroups(group::list(groups, request)));
        })
    }

    /// One group of DeleteGroups, with its offsets.
    pub fn delete_group(&mut self, now_ms: i64, topics: &dyn Topics, caller: &Caller, group_id: &Str) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| group::delete(groups, turn, caller, group_id))
    }

    /// A timer that was booked is due. One that has been overtaken by events does nothing.
    pub fn timer_due(&mut self, now_ms: i64, topics: &dyn Topics, key: TimerKey) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| group::timer_due(groups, turn, key))
    }

    /// Topics were deleted: their offsets go. `topics` is the state after the deletion, so that a topic created
    /// anew under the name keeps what was committed to it.
    pub fn topics_deleted(&mut self, now_ms: i64, topics: &dyn Topics, deleted: &[(Str, Uuid)]) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| {
            offsets::topics_deleted(groups, turn, deleted);
            let names: Vec<Str> = deleted.iter().map(|(name, _)| name.clone()).collect();
            consumer::topics_changed(groups, turn, &names);
        })
    }

    /// Topics were created or changed their number of partitions or their replicas' racks.
    pub fn topics_changed(&mut self, now_ms: i64, topics: &dyn Topics, changed: &[Str]) -> Outcome {
        self.turn(now_ms, topics, |groups, turn| consumer::topics_changed(groups, turn, changed))
    }

    /// All groups, for metrics.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// All committed offsets, for metrics.
    pub fn offset_count(&self) -> usize {
        self.groups.offset_count()
    }

    #[cfg(test)]
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    fn turn(&mut self, now_ms: i64, topics: &dyn Topics, act: impl FnOnce(&mut Groups, &mut Turn)) -> Outcome {
        let mut turn = Turn::new(now_ms, topics, &self.config);
        act(&mut self.groups, &mut turn);
        turn.outcome
    }
}
