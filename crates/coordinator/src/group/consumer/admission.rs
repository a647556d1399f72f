//! Whether who commits or fetches offsets is the member it says it is, in the epoch it is in.

use tidelog_wire::ErrorCode;

use super::ConsumerGroup;
use super::member::Member;

/// Earlier versions of OffsetCommit do not know member epochs.
const MEMBER_EPOCH_COMMIT_VERSION: i16 = 9;

impl ConsumerGroup {
    /// Without an epoch it is an administrator or a consumer outside of the group, for whom the group must be empty.
    pub fn may_commit(&self, member_id: &str, member_epoch: i32, api_version: i16) -> Result<(), ErrorCode> {
        if member_epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if !member.uses_classic_protocol() && api_version < MEMBER_EPOCH_COMMIT_VERSION {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        check_epoch(member, member_epoch)
    }

    /// Without an id and an epoch it is an administrator or an older client, who may always look.
    pub fn may_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        if member_epoch < 0 && member_id.is_none_or(str::is_empty) {
            return Ok(());
        }
        let member = self.members.get(member_id.unwrap_or_default()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        check_epoch(member, member_epoch)
    }
}

fn check_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    if member.current.epoch == epoch {
        return Ok(());
    }
    // Members of the classic protocol call their epoch a generation.
    match member.uses_classic_protocol() {
        true => Err(ErrorCode::ILLEGAL_GENERATION),
        false => Err(ErrorCode::STALE_MEMBER_EPOCH),
    }
}
