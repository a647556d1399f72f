//! DescribeQuorum, out of openraft's own bookkeeping of the leader.

use std::time::{SystemTime, UNIX_EPOCH};

use openraft::{Instant as _, LogIdOptionExt};
use tidelog_internal_api::controller as proto;

use crate::raft::{Metrics, NodeId, RaftNode, node_id_to_proto, node_to_proto};

const UNKNOWN: i64 = -1;

/// What the leader knows of the quorum. `metrics` are those of the leader itself.
pub(crate) fn describe(metrics: &Metrics) -> proto::Quorum {
    let membership = metrics.membership_config.membership();
    let replica = |id: NodeId| replica(metrics, &id, membership.get_node(&id).cloned().unwrap_or_default());
    proto::Quorum {
        leader: Some(node_id_to_proto(&metrics.id)),
        leader_epoch: metrics.current_term,
        high_watermark: metrics.local_committed.next_index() as i64,
        voters: membership.voter_ids().map(replica).collect(),
        observers: membership.learner_ids().map(replica).collect(),
    }
}

fn replica(metrics: &Metrics, id: &NodeId, node: RaftNode) -> proto::Replica {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let leader_end = metrics.last_log_index.map_or(0, |last| last as i64 + 1);
    let (log_end_offset, fetched_ms) = if *id == metrics.id {
        (leader_end, now_ms)
    } else {
        let matched = metrics.replication.as_ref().and_then(|replication| replication.get(id).cloned().flatten());
        let heard = metrics.heartbeat.as_ref().and_then(|heartbeat| heartbeat.get(id).cloned().flatten());
        let fetched_ms = heard.map_or(UNKNOWN, |heard| now_ms - heard.into_inner().elapsed().as_millis() as i64);
        (matched.map_or(UNKNOWN, |matched| matched.index as i64 + 1), fetched_ms)
    };
    let caught_up = log_end_offset == leader_end;
    proto::Replica {
        node: Some(node_to_proto(id, &node)),
        log_end_offset,
        last_fetch_timestamp_ms: fetched_ms,
        last_caught_up_timestamp_ms: if caught_up { fetched_ms } else { UNKNOWN },
    }
}
