//! Consumer groups: in some runs the simulated partition is one of the offsets topic, and the real
//! `tidelog-coordinator` runs on whichever node leads it. [`host`] gives it a life as a broker does, [`member`]s of both
//! protocols use it, and [`ledger`] holds every answer against all that was answered before.

mod host;
mod ledger;
mod member;

use std::sync::Arc;

use tidelog_coordinator::{Coordinator, GroupConfig, Response, Topics};
use tidelog_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest,
    SyncGroupRequest,
};
use tidelog_wire::{ErrorCode, Str, Uuid};

pub use host::Hosted;
pub use ledger::Ledger;
pub use member::Member;

/// Members have the places in the links from here on.
pub const MEMBERS_FROM: i32 = 100;
pub const MEMBERS_PER_GROUP: i32 = 3;
pub const CLASSIC_GROUP: &str = "classic";
pub const CONSUMER_GROUP: &str = "consumer";
/// The topic that the groups read.
pub const TOPIC: &str = "orders";
pub const TOPIC_ID: Uuid = Uuid::from_u128(0x77);
pub const PARTITIONS: i32 = 5;
pub const SESSION_TIMEOUT_MS: i32 = 2000;
pub const REBALANCE_TIMEOUT_MS: i32 = 1500;

#[derive(Clone, Debug)]
pub enum GroupRequest {
    Join(JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
    ConsumerHeartbeat(ConsumerGroupHeartbeatRequest),
    Commit(OffsetCommitRequest),
    Fetch(OffsetFetchRequestGroup),
}

/// Errors of the place, not of the operation: the coordinator is elsewhere, loads, or cannot write.
pub type GroupAnswer = Result<Response, ErrorCode>;

impl GroupRequest {
    /// Refused while records cannot be committed, as the broker's handlers have it.
    fn writes(&self) -> bool {
        match self {
            Self::Join(_) | Self::Sync(_) | Self::Leave(_) | Self::Commit(_) => true,
            Self::Heartbeat(_) | Self::ConsumerHeartbeat(_) | Self::Fetch(_) => false,
        }
    }

    fn version(&self) -> i16 {
        match self {
            Self::Join(_) => 7,
            Self::Sync(_) | Self::Leave(_) => 5,
            Self::Heartbeat(_) => 4,
            Self::ConsumerHeartbeat(_) => 1,
            Self::Commit(_) | Self::Fetch(_) => 9,
        }
    }
}

fn coordinator() -> Coordinator {
    Coordinator::new(Arc::new(GroupConfig {
        group_min_session_timeout_ms: 100,
        group_initial_rebalance_delay_ms: 100,
        consumer_session_timeout_ms: SESSION_TIMEOUT_MS,
        ..GroupConfig::default()
    }))
}

/// The only topic.
struct OneTopic;

impl Topics for OneTopic {
    fn id(&self, name: &str) -> Option<Uuid> {
        (name == TOPIC).then_some(TOPIC_ID)
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        (id == TOPIC_ID).then(|| Str::from(TOPIC))
    }

    fn partition_count(&self, id: Uuid) -> Option<i32> {
        (id == TOPIC_ID).then_some(PARTITIONS)
    }

    fn racks(&self, _: Uuid, _: i32) -> Vec<Str> {
        Vec::new()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid)) {
        visit(&Str::from(TOPIC), TOPIC_ID);
    }
}
