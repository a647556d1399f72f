//! openraft, fitted to this product: our identities, our entries, our wire.
//!
//! A node of the quorum is (node id, directory id). A node that lost its disk is somebody else, so its
//! old votes can never be counted for a log that does not hold what they vouched for.

mod config;
mod convert;
mod network;
mod service;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidelog_wire::Uuid;

pub(crate) use config::raft_config;
pub(crate) use convert::{entry_from_proto, entry_to_proto, log_id_from_proto, log_id_to_proto};
pub(crate) use convert::{node_from_proto, node_id_to_proto, node_to_proto};
pub(crate) use convert::{stored_membership_from_proto, stored_membership_to_proto, vote_from_proto, vote_to_proto};
pub(crate) use network::{NetworkFactory, raft_client};
pub(crate) use service::RaftService;

use crate::machine::Machine;

openraft::declare_raft_types!(
    /// The types openraft is instantiated with.
    pub(crate) TypeConfig:
        D = EncodedBatch,
        R = Written,
        NodeId = NodeId,
        Node = RaftNode,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>,
        AsyncRuntime = openraft::impls::TokioRuntime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, Machine>;
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<NodeId, RaftNode>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;

/// Which node, and which disk of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct NodeId {
    pub(crate) id: i32,
    #[serde(with = "uuid_as_number")]
    pub(crate) directory: Uuid,
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.directory)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// openraft's storage suite numbers its nodes.
#[cfg(test)]
impl From<u64> for NodeId {
    fn from(number: u64) -> Self {
        Self { id: number as i32, directory: Uuid::from_u128(u128::from(number) + 1) }
    }
}

/// Where a node of the membership is reached and what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RaftNode {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) broker: bool,
    pub(crate) controller: bool,
}

/// One encoded `tidelog.metadata.Batch`. Decoded when it is applied, not before.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EncodedBatch(pub(crate) Bytes);

impl fmt::Display for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} bytes", self.0.len())
    }
}

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EncodedBatch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EncodedBatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

/// What became of an entry when it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Written {
    /// Its records are in the image.
    Applied,
    /// It was decided on an image that another batch had overtaken: nothing was changed.
    Overtaken,
    /// Blank or membership entry.
    NotABatch,
}

mod uuid_as_number {
    use serde::{Deserialize, Deserializer, Serializer};
    use tidelog_wire::Uuid;

    pub(super) fn serialize<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u128(uuid.as_u128())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        u128::deserialize(deserializer).map(Uuid::from_u128)
    }
}
