//! Between openraft's types and the messages of `proto/raft.proto`, for the wire and the store alike.

use std::collections::{BTreeMap, BTreeSet};

use openraft::impls::leader_id_std::LeaderId;
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, Membership as OpenraftMembership};
use tidelog_internal_api::raft as proto;
use tidelog_wire::Uuid;

use super::{EncodedBatch, Entry, LogId, Membership, NodeId, RaftNode, StoredMembership, Vote};

/// A message lacks a part it must have, or a part makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

impl From<Malformed> for tonic::Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

pub(crate) fn node_id_to_proto(node: &NodeId) -> proto::NodeId {
    proto::NodeId { node_id: node.id, directory_id: node.directory.0.to_vec().into() }
}

pub(crate) fn node_id_from_proto(node: Option<proto::NodeId>) -> Result<NodeId, Malformed> {
    let node = node.ok_or(Malformed("node id"))?;
    let directory = node.directory_id.as_ref().try_into().map_err(|_| Malformed("directory id"))?;
    Ok(NodeId { id: node.node_id, directory: Uuid(directory) })
}

/// The node a request was meant for.
pub(crate) fn target_node(target: Option<proto::Target>) -> Result<NodeId, Malformed> {
    node_id_from_proto(target.ok_or(Malformed("target"))?.node)
}

pub(crate) fn node_to_proto(id: &NodeId, node: &RaftNode) -> proto::Node {
    proto::Node {
        id: Some(node_id_to_proto(id)),
        host: node.host.clone(),
        port: u32::from(node.port),
        broker: node.broker,
        controller: node.controller,
    }
}

pub(crate) fn node_from_proto(node: proto::Node) -> Result<(NodeId, RaftNode), Malformed> {
    let id = node_id_from_proto(node.id)?;
    let port = u16::try_from(node.port).map_err(|_| Malformed("port"))?;
    Ok((id, RaftNode { host: node.host, port, broker: node.broker, controller: node.controller }))
}

pub(crate) fn vote_to_proto(vote: &Vote) -> proto::Vote {
    proto::Vote {
        term: vote.leader_id().term(),
        node: Some(node_id_to_proto(vote.leader_id().node_id())),
        committed: vote.is_committed(),
    }
}

pub(crate) fn vote_from_proto(vote: Option<proto::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed("vote"))?;
    let node = node_id_from_proto(vote.node)?;
    Ok(if vote.committed { Vote::new_committed(vote.term, node) } else { Vote::new(vote.term, node) })
}

pub(crate) fn log_id_to_proto(log_id: &LogId) -> proto::LogId {
    proto::LogId { term: log_id.leader_id.term, index: log_id.index }
}

pub(crate) fn log_id_from_proto(log_id: proto::LogId) -> LogId {
    let leader = LeaderId::<u64, NodeId>::new(log_id.term, NodeId::default());
    LogId::new(leader.to_committed(), log_id.index)
}

fn membership_to_proto(membership: &Membership) -> proto::Membership {
    let configs = membership.get_joint_config().iter();
    proto::Membership {
        configs: configs
            .map(|voters| proto::VoterSet { voters: voters.iter().map(node_id_to_proto).collect() })
            .collect(),
        nodes: membership.nodes().map(|(id, node)| node_to_proto(id, node)).collect(),
    }
}

fn membership_from_proto(membership: proto::Membership) -> Result<Membership, Malformed> {
    let configs = membership.configs.into_iter().map(|set| {
        set.voters.into_iter().map(|node| node_id_from_proto(Some(node))).collect::<Result<BTreeSet<_>, _>>()
    });
    let configs = configs.collect::<Result<Vec<_>, _>>()?;
    let nodes = membership.nodes.into_iter().map(node_from_proto).collect::<Result<BTreeMap<_, _>, _>>()?;
    if configs.is_empty() {
        return Ok(Membership::default());
    }
    OpenraftMembership::new(configs, nodes).map_err(|_| Malformed("membership"))
}

pub(crate) fn stored_membership_to_proto(stored: &StoredMembership) -> proto::StoredMembership {
    proto::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_proto),
        membership: Some(membership_to_proto(stored.membership())),
    }
}

pub(crate) fn stored_membership_from_proto(
    stored: Option<proto::StoredMembership>,
) -> Result<StoredMembership, Malformed> {
    let stored = stored.ok_or(Malformed("stored membership"))?;
    let membership = membership_from_proto(stored.membership.ok_or(Malformed("membership"))?)?;
    Ok(StoredMembership::new(stored.log_id.map(log_id_from_proto), membership))
}

pub(crate) fn entry_to_proto(entry: &Entry) -> proto::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => proto::entry::Payload::Blank(proto::Blank {}),
        EntryPayload::Normal(batch) => proto::entry::Payload::Batch(batch.0.clone()),
        EntryPayload::Membership(membership) => proto::entry::Payload::Membership(membership_to_proto(membership)),
    };
    proto::Entry { log_id: Some(log_id_to_proto(&entry.log_id)), payload: Some(payload) }
}

pub(crate) fn entry_from_proto(entry: proto::Entry) -> Result<Entry, Malformed> {
    let log_id = log_id_from_proto(entry.log_id.ok_or(Malformed("log id"))?);
    let payload = match entry.payload.ok_or(Malformed("entry payload"))? {
        proto::entry::Payload::Blank(_) => EntryPayload::Blank,
        proto::entry::Payload::Batch(batch) => EntryPayload::Normal(EncodedBatch(batch)),
        proto::entry::Payload::Membership(membership) => EntryPayload::Membership(membership_from_proto(membership)?),
    };
    Ok(Entry { log_id, payload })
}
