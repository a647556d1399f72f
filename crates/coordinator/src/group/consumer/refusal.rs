//! Why a request is refused: the code for the client, and a sentence for who reads its log.

use tidelog_wire::messages::ConsumerGroupHeartbeatResponse;
use tidelog_wire::{ErrorCode, Str};

const MESSAGE_BYTES_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    /// What a client said may be quoted whole: a long sentence ends early.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { code, message }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, message)
    }

    pub fn unknown_member(group_id: &Str, member_id: &Str) -> Self {
        Self::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Member {member_id} is not a member of group {group_id}."))
    }

    pub fn unknown_group(group_id: &Str) -> Self {
        Self::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} is not a consumer group."))
    }

    /// The member must give up all its partitions and join again.
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::FENCED_MEMBER_EPOCH, message)
    }
}

impl From<Refusal> for ConsumerGroupHeartbeatResponse {
    fn from(refusal: Refusal) -> Self {
        Self { error_code: refusal.code, error_message: Some(refusal.message.into()), ..Self::default() }
    }
}
