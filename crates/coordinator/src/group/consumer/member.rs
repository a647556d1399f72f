//! A member: what it asked for and what it owns, in the parts in which the log keeps them.

use bytes::Bytes;
use tidelog_wire::Str;

use super::partitions::Partitions;

/// The epoch with which a member asks to join.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member says that it leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch of a static member that is away and is expected back.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub subscription: Subscription,
    pub current: Current,
}

/// What the member says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub instance_id: Option<Str>,
    pub rack_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    /// Ascending, without repeats.
    pub topic_names: Vec<Str>,
    /// Not empty.
    pub topic_regex: Option<Str>,
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<Str>,
    /// Of a member that came with the classic protocol.
    pub classic: Option<ClassicMember>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMember {
    pub session_timeout_ms: i32,
    /// Names of client-side assignors with the subscription each of them was given; in the order of preference.
    pub protocols: Vec<(Str, Bytes)>,
}

/// What the member owns, as far as it and the coordinator have agreed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    pub epoch: i32,
    /// The epoch before, with which a member may still come whose last answer was lost.
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Partitions,
    /// Given up by the coordinator, and still the member's until it says so.
    pub revoking: Partitions,
}

/// ```text
///            the target takes away            the member has given up
///  Stable ------------------------> UnrevokedPartitions ---------------+
///    ^  \                                                              |
///    |   \ a partition of the target is still another's                v
///    |    +------------------------------------------> UnreleasedPartitions, or Stable
///    +------------------ all are free <------------------------+
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// Owns all of the target of its epoch.
    #[default]
    Stable,
    /// Stays in its epoch until it has given up what `revoking` holds.
    UnrevokedPartitions,
    /// Is in the target's epoch and waits for partitions that others have not given up yet.
    UnreleasedPartitions,
    /// Written by a version that knows more states.
    Unknown,
}

impl MemberState {
    pub const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    pub const fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

impl Member {
    pub fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    /// A static member that left and may come back under another member id.
    pub fn is_away(&self) -> bool {
        self.current.epoch == STATIC_LEAVE_EPOCH
    }

    pub fn uses_classic_protocol(&self) -> bool {
        self.subscription.classic.is_some()
    }
}

impl Subscription {
    pub fn names_topic(&self, name: &str) -> bool {
        self.topic_names.binary_search_by(|topic| topic.as_str().cmp(name)).is_ok()
    }

    /// Whether a change from `before` to this may change anybody's assignment.
    pub fn assigns_differently_from(&self, before: &Self) -> bool {
        self.topic_names != before.topic_names
            || self.topic_regex != before.topic_regex
            || self.rack_id != before.rack_id
            || self.server_assignor != before.server_assignor
    }
}
