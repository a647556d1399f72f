//! DescribeQuorum, out of openraft's own bookkeeping of the leader.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use openraft::{Instant as _, LogIdOptionExt};
use tidelog_internal_api::controller as proto;

use crate::raft::{Metrics, NodeId, node_id_to_proto, node_to_proto};

const UNKNOWN: i64 = -1;

/// When each node was last seen to hold the leader's whole log, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct CaughtUp(Mutex<BTreeMap<NodeId, i64>>);

impl CaughtUp {
    /// Asked often enough while this node leads, so that it is known of nodes that are gone.
    pub(super) fn observe(&self, metrics: &Metrics) {
        let membership = metrics.membership_config.membership();
        let mut known = self.known();
        known.retain(|id, _| membership.get_node(id).is_some());
        for (id, _) in membership.nodes() {
            let progress = progress(metrics, id);
            if progress.is_caught_up {
                known.insert(*id, progress.fetched_ms);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the leader knows of the quorum. `metrics` are those of the leader itself.
pub(crate) fn describe(metrics: &Metrics, caught_up: &CaughtUp) -> proto::Quorum {
    caught_up.observe(metrics);
    let caught_up = caught_up.known();
    let membership = metrics.membership_config.membership();
    let replica = |id: NodeId| {
        let Progress { log_end_offset, fetched_ms, .. } = progress(metrics, &id);
        let node = membership.get_node(&id).cloned().unwrap_or_default();
        proto::Replica {
            node: Some(node_to_proto(&id, &node)),
            log_end_offset,
            last_fetch_timestamp_ms: fetched_ms,
            last_caught_up_timestamp_ms: caught_up.get(&id).copied().unwrap_or(UNKNOWN),
        }
    };
    proto::Quorum {
        leader: Some(node_id_to_proto(&metrics.id)),
        leader_epoch: metrics.current_term,
        high_watermark: metrics.local_committed.next_index() as i64,
        voters: membership.voter_ids().map(replica).collect(),
        observers: membership.learner_ids().map(replica).collect(),
    }
}

/// How far a node is.
struct Progress {
    log_end_offset: i64,
    fetched_ms: i64,
    is_caught_up: bool,
}

fn progress(metrics: &Metrics, id: &NodeId) -> Progress {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let leader_end = metrics.last_log_index.map_or(0, |last| last as i64 + 1);
    if *id == metrics.id {
        return Progress { log_end_offset: leader_end, fetched_ms: now_ms, is_caught_up: true };
    }
    let matched = metrics.replication.as_ref().and_then(|replication| replication.get(id).cloned().flatten());
    let heard = metrics.heartbeat.as_ref().and_then(|heartbeat| heartbeat.get(id).cloned().flatten());
    let fetched_ms = heard.map_or(UNKNOWN, |heard| now_ms - heard.into_inner().elapsed().as_millis() as i64);
    let log_end_offset = matched.map_or(UNKNOWN, |matched| matched.index as i64 + 1);
    Progress { log_end_offset, fetched_ms, is_caught_up: log_end_offset == leader_end && fetched_ms != UNKNOWN }
}
