//! Learners, wiped voters, snapshots for those who lag.

use tidelog_metadata::{CreateOrigin, Request};
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::{ErrorCode, Str};

use super::nodes::{Cluster, DEADLINE, active_of, eventually};
use super::{create_topic, error_of, serve_as_broker};

#[tokio::test]
async fn a_broker_that_is_no_voter_learns_everything_and_is_forgotten_when_dead() {
    let mut cluster = Cluster::new(1);
    let voter = cluster.start(1);
    let _session = serve_as_broker(&voter).await;
    assert_eq!(error_of(&voter.handle.submit(create_topic("before")).await.unwrap()), ErrorCode::NONE);
    let learner = cluster.start(4);
    learner.sees("the topic made before it came", |image| image.topic("before").is_some()).await;
    let asked_by_learner = learner.handle.submit(create_topic("asked-by-a-learner")).await.unwrap();
    assert_eq!(error_of(&asked_by_learner), ErrorCode::NONE);
    learner.sees("its topic", |image| image.topic("asked-by-a-learner").is_some()).await;
    let quorum = learner.handle.quorum().await.unwrap();
    assert_eq!((quorum.voters.len(), quorum.observers.len()), (1, 1));
    learner.kill();
    eventually("the dead learner is out", || async {
        voter.handle.quorum().await.is_ok_and(|quorum| quorum.observers.is_empty())
    })
    .await;
}

/// A broker that does not vote takes any free port for the quorum's messages, another one after each restart.
#[tokio::test]
async fn a_learner_that_comes_back_with_another_address_is_reached_there_at_once() {
    let mut cluster = Cluster::new(1);
    let patient = |options: &mut tidelog_controller::ControllerOptions| {
        options.timing.learner_expiry = 2 * DEADLINE;
    };
    let voter = cluster.start_with(1, patient).unwrap();
    let _session = serve_as_broker(&voter).await;
    let learner = cluster.start_with(4, patient).unwrap();
    learner.sees("the cluster", |image| image.cluster_id().is_some()).await;
    learner.kill();
    assert_eq!(error_of(&voter.handle.submit(create_topic("meanwhile")).await.unwrap()), ErrorCode::NONE);
    let back = cluster.start_with(4, patient).unwrap();
    back.sees("what came meanwhile", |image| image.topic("meanwhile").is_some()).await;
}

#[tokio::test]
async fn a_voter_that_comes_back_with_another_address_is_reached_there_by_the_same_leader() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let active = active_of(&nodes).await;
    let leader = nodes.swap_remove(active);
    let _session = serve_as_broker(&leader).await;
    let moved = nodes.remove(0);
    let id = moved.id();
    moved.kill();
    cluster.move_voter(id);
    assert_eq!(error_of(&leader.handle.submit(create_topic("meanwhile")).await.unwrap()), ErrorCode::NONE);
    let term = leader.handle.quorum().await.unwrap().leader_epoch;
    let back = cluster.start(id);
    back.sees("what came meanwhile", |image| image.topic("meanwhile").is_some()).await;
    assert_eq!(back.handle.quorum().await.unwrap().leader_epoch, term);
}

#[tokio::test]
async fn a_node_that_missed_more_than_the_log_still_holds_is_given_a_snapshot() {
    let mut cluster = Cluster::new(1);
    let often = |options: &mut tidelog_controller::ControllerOptions| options.timing.snapshot_every_entries = 20;
    let voter = cluster.start_with(1, often).unwrap();
    let _session = serve_as_broker(&voter).await;
    let learner = cluster.start_with(4, often).unwrap();
    learner.sees("the cluster", |image| image.cluster_id().is_some()).await;
    learner.kill();
    for number in 0..60 {
        voter.handle.submit(create_topic(&format!("topic-{number}"))).await.unwrap();
    }
    for node_id in [4, 5] {
        let late = cluster.start_with(node_id, often).unwrap();
        late.sees("all topics", |image| image.topic_count() == 60).await;
        late.kill();
        // What came by snapshot must also be there after a restart.
        let again = cluster.start_with(node_id, often).unwrap();
        again.sees("all topics again", |image| image.topic_count() == 60).await;
    }
}

/// Topics whose configs take 240 KB in one entry.
fn create_fat_topics(name: &str) -> Request {
    let config = CreatableTopicConfig {
        name: Str::from("leader.replication.throttled.replicas"),
        value: Some(Str::from(vec!["0:1"; 7_500].join(","))),
    };
    let topic = |number| CreatableTopic {
        name: Str::from(format!("{name}-{number}")),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config.clone()],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: (0..8).map(topic).collect(), ..Default::default() };
    Request::CreateTopics { request, origin: CreateOrigin::Admin }
}

/// The other tests' entries and snapshots have a few KB.
#[tokio::test]
async fn a_node_that_missed_megabytes_catches_up_by_log_and_by_snapshot() {
    let mut cluster = Cluster::new(1);
    let often = |options: &mut tidelog_controller::ControllerOptions| options.timing.snapshot_every_entries = 40;
    let voter = cluster.start_with(1, often).unwrap();
    let _session = serve_as_broker(&voter).await;
    let mut topics = 0;
    for (how, entries) in [("log", 15), ("snapshot", 60)] {
        let learner = cluster.start_with(4, often).unwrap();
        learner.sees("what there was", |image| image.cluster_id().is_some() && image.topic_count() == topics).await;
        learner.kill();
        for entry in 0..entries {
            let request = create_fat_topics(&format!("{how}-{entry}"));
            assert_eq!(error_of(&voter.handle.submit(request).await.unwrap()), ErrorCode::NONE);
            topics += 8;
        }
        let late = cluster.start_with(4, often).unwrap();
        late.sees(how, |image| image.topic_count() == topics).await;
    }
}

#[tokio::test]
async fn a_dead_voter_is_described_with_the_time_at_which_it_last_held_everything() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let _session = serve_as_broker(&nodes[0]).await;
    let active = active_of(&nodes).await;
    let leader = nodes.swap_remove(active);
    eventually("all voters hold everything", || async {
        let quorum = leader.handle.quorum().await;
        quorum.is_ok_and(|quorum| quorum.voters.iter().all(|voter| voter.last_caught_up_timestamp_ms > 0))
    })
    .await;
    let dead = nodes.pop().unwrap();
    let id = dead.id();
    dead.kill();
    // Its broker's fencing, if it had one, or this: something that it does not have.
    leader.handle.submit(create_topic("after")).await.unwrap();
    let quorum = leader.handle.quorum().await.unwrap();
    let of = |id| quorum.voters.iter().find(|voter| voter.node_id == id).unwrap();
    assert!(of(id).log_end_offset < of(leader.id()).log_end_offset);
    let (missing, here) = (of(id).last_caught_up_timestamp_ms, of(leader.id()).last_caught_up_timestamp_ms);
    assert!(0 < missing && missing < here, "{missing} {here}");
}

#[tokio::test]
async fn a_wiped_voter_returns_as_somebody_else_and_gets_its_vote_back() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let _session = serve_as_broker(&nodes[0]).await;
    assert_eq!(error_of(&nodes[0].handle.submit(create_topic("kept")).await.unwrap()), ErrorCode::NONE);
    let wiped = nodes.remove((active_of(&nodes).await + 1) % 3);
    let (id, before) = (wiped.id(), wiped.handle.node().directory_id);
    wiped.kill();
    std::fs::remove_dir_all(cluster.path(id)).unwrap();
    let back = cluster.start(id);
    let after = back.handle.node().directory_id;
    assert_ne!(before, after);
    back.sees("what the cluster knew", |image| image.topic("kept").is_some()).await;
    eventually("the new disk votes in the old one's place", || async {
        back.handle.quorum().await.is_ok_and(|quorum| {
            let voters: Vec<_> = quorum.voters.iter().map(|voter| voter.directory_id).collect();
            voters.len() == 3 && voters.contains(&after) && !voters.contains(&before)
        })
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_raft_store_alone_was_lost_does_not_pretend_to_remember() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    active_of(&nodes).await;
    for node in &nodes {
        node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    }
    let lost = nodes.pop().unwrap();
    let before = lost.handle.node().directory_id;
    lost.kill();
    std::fs::remove_dir_all(cluster.path(3).join("raft")).unwrap();
    let back = cluster.start(3);
    assert_ne!(back.handle.node().directory_id, before);
    back.sees("the cluster id", |image| image.cluster_id().is_some()).await;
}
