//! Offsets that nobody has wanted for `offsets.retention.minutes` go, and then groups that hold nothing.
//!
//! The retention counts
//! - in a group without members, from when the last one left, or from a commit that came after that (for Kafka it does
//!   not count, and what an administrator sets in a group that is a week old is gone within minutes);
//! - in a stable group of consumers, from the commit, and only for topics that it is not subscribed to;
//! - in a "simple" group, which never had a member, from the commit;
//! - in other groups with members, not at all;
//! - in all of them, from what the client asked for, if it asked for a retention of its own.

use tidelog_wire::Str;

use super::{CommittedOffset, record};
use crate::TimerKey;
use crate::group::{self, Group, Groups, Kind};
use crate::turn::Turn;

/// Most tombstones of one round; the rest follows soon, but others get their turn in between.
const RECORDS_PER_ROUND_MAX: usize = 5_000;
const ROUND_PAUSE_MS: i64 = 20;

/// When an offset's retention began.
#[derive(Clone, Copy)]
pub(crate) enum RetentionStart {
    Commit,
    At(i64),
}

pub(crate) fn expire(groups: &mut Groups, turn: &mut Turn) {
    let mut next_ms = turn.now_ms.saturating_add(turn.config.offsets_retention_check_interval_ms);
    let group_ids: Vec<Str> = groups.by_id.keys().cloned().collect();
    for group_id in &group_ids {
        if turn.outcome.records.len() >= RECORDS_PER_ROUND_MAX {
            next_ms = turn.now_ms + ROUND_PAUSE_MS;
            break;
        }
        if let Some(group) = groups.get_mut(group_id) {
            expire_offsets(group, turn, group_id);
            if is_over(group) {
                group::remove(groups, turn, group_id);
            }
        }
    }
    turn.outcome.book(TimerKey::OffsetExpiry, next_ms);
}

fn expire_offsets(group: &mut Group, turn: &mut Turn, group_id: &Str) {
    let Some(start) = retention_start(group) else { return };
    let retention_ms = turn.config.offsets_retention_ms;
    let is_past = |start_ms: i64| turn.now_ms.saturating_sub(start_ms) >= retention_ms;
    let is_due = |offset: &CommittedOffset| match (offset.expire_timestamp_ms, start) {
        (Some(expire_ms), _) => turn.now_ms >= expire_ms,
        (None, RetentionStart::Commit) => is_past(offset.commit_timestamp_ms),
        (None, RetentionStart::At(start_ms)) => is_past(start_ms.max(offset.commit_timestamp_ms)),
    };
    let expired = group.offsets.iter().filter(|(topic, _, offset)| is_due(offset) && !group.is_subscribed_to(topic));
    let room = RECORDS_PER_ROUND_MAX.saturating_sub(turn.outcome.records.len());
    let expired: Vec<(Str, i32)> = expired.take(room).map(|(topic, index, _)| (topic.clone(), index)).collect();
    for (topic, index) in expired {
        group.offsets.remove(&topic, index);
        turn.outcome.records.push(record::tombstone(group_id, &topic, index));
    }
}

fn retention_start(group: &Group) -> Option<RetentionStart> {
    match &group.kind {
        Kind::Classic(group) => group.retention_start(),
        Kind::Consumer(_) => Some(RetentionStart::Commit),
    }
}

fn is_over(group: &Group) -> bool {
    group.offsets.is_empty()
        && match &group.kind {
            Kind::Classic(group) => group.is_empty() && !group.is_joined_soon(),
            Kind::Consumer(group) => group.is_empty(),
        }
}
