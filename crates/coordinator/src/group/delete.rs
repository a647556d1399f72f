//! DeleteGroups: removes a group without members, with its offsets.

use tidelog_wire::messages::delete_groups_response::DeletableGroupResult;
use tidelog_wire::{ErrorCode, Str};

use super::{Groups, Kind, classic};
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn delete(groups: &mut Groups, turn: &mut Turn, caller: &Caller, group_id: &Str) {
    let error_code = delete_group(groups, turn, group_id).err().unwrap_or(ErrorCode::NONE);
    let result = DeletableGroupResult { group_id: group_id.clone(), error_code };
    turn.outcome.reply(caller.request, Response::DeleteGroup(result));
}

fn delete_group(groups: &mut Groups, turn: &mut Turn, group_id: &Str) -> Result<(), ErrorCode> {
    let group = groups.get(group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    if !group.is_empty() {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    remove(groups, turn, group_id);
    Ok(())
}

/// Takes an empty group out of memory and, by tombstones, out of the log.
pub(crate) fn remove(groups: &mut Groups, turn: &mut Turn, group_id: &Str) {
    let Some(group) = groups.by_id.remove(group_id) else { return };
    let records = &mut turn.outcome.records;
    group.offsets.tombstones(group_id, records);
    match &group.kind {
        Kind::Classic(group) => classic::tombstone(group, &mut turn.outcome),
        Kind::Consumer(group) => group.tombstones(group_id, records),
    }
}
