//! Keeps the Raft membership as it should be, one change at a time, while this node is the active controller.
//!
//! ```text
//! joins                 unknown (node id, disk) -> learner; another address -> updated
//! a voter's new disk    a learner of a configured voter's id, caught up, its former self silent -> takes its place
//! former selves         learners whose node id has come back with another disk -> removed
//! dead learners         silent for Timing::learner_expiry -> removed; they ask back in by themselves
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{ChangeMembers, Instant as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::Join;
use crate::raft::{Membership, Metrics, NodeId, RaftNode};
use crate::shared::Shared;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A learner this close to the end of the log has caught up.
const CAUGHT_UP_ENTRIES: u64 = 16;
/// Only a voter that has been silent for as long can be replaced by a new disk of the same id.
const FORMER_SELF_SILENT: Duration = Duration::from_secs(1);

type Change = ChangeMembers<NodeId, RaftNode>;

/// Runs while this node leads.
pub(super) async fn keep(shared: Shared, mut joins: mpsc::Receiver<Join>) {
    let since = Instant::now();
    let mut wanted: BTreeMap<NodeId, RaftNode> = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            join = joins.recv() => match join {
                Some(join) => { wanted.insert(join.id, join.node); }
                None => return std::future::pending().await,
            },
            _ = ticks.tick() => {}
        }
        let metrics = shared.metrics();
        let membership = metrics.membership_config.membership();
        wanted.retain(|id, node| membership.get_node(id) != Some(node));
        let Some((change, retain, what)) = next_change(&shared, &metrics, &wanted, since) else { continue };
        tracing::info!(%what, "changing the quorum's membership");
        if let Err(error) = shared.raft.change_membership(change, retain).await {
            tracing::info!(%error, %what, "membership change failed; it is tried again");
        }
    }
}

/// The most useful single change, with openraft's `retain` (keep replaced voters as learners) and its reason.
fn next_change(
    shared: &Shared,
    metrics: &Metrics,
    wanted: &BTreeMap<NodeId, RaftNode>,
    since: Instant,
) -> Option<(Change, bool, String)> {
    let membership = metrics.membership_config.membership();
    if membership.get_joint_config().len() > 1 {
        return None;
    }
    if let Some((id, node)) = wanted.iter().next() {
        return Some(match membership.get_node(id) {
            None => (Change::AddNodes([(*id, node.clone())].into()), true, format!("node {id} joins as a learner")),
            Some(_) => (Change::SetNodes([(*id, node.clone())].into()), true, format!("node {id} has a new address")),
        });
    }
    replace_voter(shared, metrics, membership, since).or_else(|| remove_learner(shared, metrics, membership, since))
}

/// How long a node has not been heard; from the start of this term if never.
fn silence(metrics: &Metrics, id: &NodeId, since: Instant) -> Duration {
    let heard = metrics.heartbeat.as_ref().and_then(|heartbeat| heartbeat.get(id).cloned().flatten());
    heard.map_or_else(|| since.elapsed(), |heard| heard.into_inner().elapsed())
}

fn replace_voter(
    shared: &Shared,
    metrics: &Metrics,
    membership: &Membership,
    since: Instant,
) -> Option<(Change, bool, String)> {
    let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
    let replication = metrics.replication.as_ref()?;
    for learner in membership.learner_ids().filter(|learner| shared.is_configured_voter(learner.id)) {
        let Some(former) = voters.iter().find(|voter| voter.id == learner.id) else { continue };
        let matched = replication.get(&learner).cloned().flatten();
        let caught_up =
            matched.is_some_and(|matched| matched.index + CAUGHT_UP_ENTRIES >= metrics.last_log_index.unwrap_or(0));
        if caught_up
            && silence(metrics, &learner, since) < FORMER_SELF_SILENT
            && silence(metrics, former, since) >= FORMER_SELF_SILENT
        {
            let mut replaced = voters.clone();
            replaced.remove(former);
            replaced.insert(learner);
            return Some((
                Change::ReplaceAllVoters(replaced),
                false,
                format!("voter {learner} takes the place of {former}"),
            ));
        }
    }
    None
}

fn remove_learner(
    shared: &Shared,
    metrics: &Metrics,
    membership: &Membership,
    since: Instant,
) -> Option<(Change, bool, String)> {
    let silent = |id: &NodeId| silence(metrics, id, since);
    let has_successor = |id: &NodeId| {
        membership.nodes().any(|(other, _)| other.id == id.id && other != id && silent(other) < FORMER_SELF_SILENT)
    };
    let is_gone = |id: &NodeId| {
        (silent(id) >= FORMER_SELF_SILENT && has_successor(id)) || silent(id) >= shared.timing.learner_expiry
    };
    let gone = membership.learner_ids().find(|id| *id != shared.this && is_gone(id))?;
    Some((Change::RemoveNodes([gone].into()), false, format!("learner {gone} is gone")))
}
