//! What all tasks of a node have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::vote::RaftLeaderId;
use tidelog_metadata::Image;
use tidelog_metadata::config::StaticConfigs;
use tidelog_panics::Panics;
use tidelog_wire::Str;
use tokio::sync::watch;

use crate::active::{ActiveQueue, CaughtUp};
use crate::failover::Sight;
use crate::identity::ClusterId;
use crate::machine::Applied;
use crate::net::{Dialer, Peer};
use crate::options::{Timing, Voter};
use crate::raft::{Metrics, NodeId, Raft, RaftNode};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) this: NodeId,
    pub(crate) node: RaftNode,
    pub(crate) listening_on: SocketAddr,
    pub(crate) voters: Vec<Voter>,
    pub(crate) timing: Timing,
    pub(crate) static_configs: StaticConfigs,
    pub(crate) cluster_id: ClusterId,
    /// What to call a cluster that this node founds.
    pub(crate) founding_cluster_id: Option<Str>,
    pub(crate) dialer: Dialer,
    pub(crate) raft: Raft,
    pub(crate) applied: watch::Receiver<Arc<Applied>>,
    pub(crate) image: watch::Receiver<Arc<Image>>,
    pub(crate) panics: Panics,
    /// Set while this node is the active controller and has proved it to a quorum.
    pub(crate) active: watch::Sender<Option<ActiveQueue>>,
    /// The last leader that did not resign: the next one leads because it died or fell silent, and gives its
    /// broker no benefit of the doubt.
    pub(crate) lost_leader: watch::Sender<Option<NodeId>>,
    /// What this voter sees of the leader's process.
    pub(crate) sight: watch::Sender<Sight>,
    pub(crate) unclean_elections: AtomicU64,
    pub(crate) caught_up: CaughtUp,
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Shared {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(crate) fn is_configured_voter(&self, node_id: i32) -> bool {
        self.voters.iter().any(|voter| voter.node_id == node_id)
    }

    /// Where to reach a node of the membership. This very node is reached without leaving the machine.
    pub(crate) fn peer(&self, id: &NodeId, node: &RaftNode) -> Peer {
        if *id != self.this {
            return Peer { host: node.host.clone(), port: node.port };
        }
        let host = if self.listening_on.ip().is_unspecified() {
            "127.0.0.1".into()
        } else {
            self.listening_on.ip().to_string()
        };
        Peer { host, port: self.listening_on.port() }
    }

    /// The leader this node knows of, with its address.
    pub(crate) fn leader(&self) -> Option<(NodeId, RaftNode)> {
        leader_of(&self.metrics())
    }
}

/// A leader that a quorum has elected, as far as these metrics know.
pub(crate) fn leader_of(metrics: &Metrics) -> Option<(NodeId, RaftNode)> {
    let leader = metrics.current_leader?;
    let elected = metrics.vote.is_committed() && *metrics.vote.leader_id().node_id() == leader;
    let node = metrics.membership_config.get_node(&leader)?;
    elected.then(|| (leader, node.clone()))
}
