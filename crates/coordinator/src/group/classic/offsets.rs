//! What a classic group's state says about its offsets.

use tidelog_wire::ErrorCode;

use super::ClassicGroup;
use super::state::State;
use crate::offsets::RetentionStart;

impl ClassicGroup {
    /// Members of the present generation may commit, and anybody while there are no members.
    ///
    /// A rebalance does not keep members from committing until the next generation stands.
    pub fn may_commit(&self, member_id: &str, instance_id: Option<&str>, generation: i32) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(member_id, instance_id)?;
        self.check_generation(generation)?;
        match self.state {
            State::CompletingRebalance { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// `None`: its offsets do not expire.
    pub fn retention_start(&self) -> Option<RetentionStart> {
        match self.state {
            _ if self.protocol_type.is_empty() => Some(RetentionStart::Commit),
            State::Empty => Some(self.state_since_ms.map_or(RetentionStart::Commit, RetentionStart::At)),
            State::Stable { .. } if self.subscribed.is_some() => Some(RetentionStart::Commit),
            _ => None,
        }
    }
}
