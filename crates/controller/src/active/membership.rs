//! Keeps the Raft membership as it should be, one change at a time, while this node is the active controller.
//!
//! ```text
//! a change cut short    joint configuration of a leader that died in between -> what it was to become
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
        shared.caught_up.observe(&metrics);
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
        // Whoever asked for a change also takes its second step, and all ours are taken one after the other here.
        let nothing_more = Change::AddVoterIds(BTreeSet::new());
        return Some((nothing_more, false, "a change that was cut short is completed".to_owned()));
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::options::{ControllerOptions, Listener, Roles, Timing, Voter};
    use crate::{Controller, ControllerHandle};

    async fn start(directory: &std::path::Path, node_id: i32, voter: &std::net::TcpListener) -> ControllerHandle {
        let port = voter.local_addr().unwrap().port();
        let is_voter = node_id == 1;
        let listener = match is_voter {
            true => Listener::Bound(voter.try_clone().unwrap()),
            false => Listener::Bind(([127, 0, 0, 1], 0).into()),
        };
        let options = ControllerOptions {
            node_id,
            roles: Roles::COMBINED,
            directory: directory.join(node_id.to_string()),
            cluster_id: None,
            voters: vec![Voter { node_id: 1, host: "127.0.0.1".into(), port }],
            listener,
            advertised_host: "127.0.0.1".into(),
            advertised_port: if is_voter { port } else { 0 },
            static_configs: Default::default(),
            timing: Timing::default(),
        };
        Controller::start(options).await.unwrap()
    }

    /// Waits until the leader's membership is as wanted.
    async fn until(leader: &ControllerHandle, what: &str, is_so: impl Fn(&Membership) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !is_so(leader.shared.metrics().membership_config.membership()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {}", leader.shared.metrics().membership_config);
    }

    #[tokio::test]
    async fn a_change_whose_leader_died_between_its_two_steps_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let leader = start(directory.path(), 1, &port).await;
        let learner = start(directory.path(), 2, &port).await;
        let joining = learner.shared.this;
        until(&leader, "the learner is in", |membership| membership.get_node(&joining).is_some()).await;
        // Another change is refused until that one is committed.
        let mut applied = leader.shared.applied.clone();
        applied.wait_for(|applied| applied.membership.get_node(&joining).is_some()).await.unwrap();
        // Polled once: the first step is on its way, and nobody is left to take the second.
        let change = Change::AddVoterIds([joining].into());
        assert!(leader.shared.raft.change_membership(change, true).now_or_never().is_none());
        until(&leader, "the new voter votes, and not beside the old configuration", |membership| {
            membership.get_joint_config().len() == 1 && membership.voter_ids().any(|id| id == joining)
        })
        .await;
        leader.shutdown().await;
        learner.shutdown().await;
    }
}
