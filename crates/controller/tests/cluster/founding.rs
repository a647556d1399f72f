//! First start, restart, and who may found.

use tidelog_controller::StartError;
use tidelog_wire::{ErrorCode, Str};

use super::nodes::{Cluster, active_of, eventually};
use super::{create_topic, error_of, serve_as_broker};

#[tokio::test]
async fn three_voters_found_one_cluster_and_all_learn_its_id() {
    let mut cluster = Cluster::new(3);
    let nodes = cluster.start_all();
    active_of(&nodes).await;
    let mut ids = Vec::new();
    for node in &nodes {
        node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
        ids.push(node.handle.image().borrow().cluster_id().cloned());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

/// A vote waits 200 ms for its answer, less than a connection takes here.
#[tokio::test]
async fn a_network_that_connects_slowly_founds_and_elects_all_the_same() {
    let mut cluster = Cluster::slow_to_connect(3, std::time::Duration::from_millis(450));
    let nodes = cluster.start_all();
    active_of(&nodes).await;
}

#[tokio::test]
async fn a_single_voter_is_a_cluster_with_the_id_it_was_given() {
    let mut cluster = Cluster::new(1);
    // As people set it: with padding, which makes no 16 bytes.
    let cluster_id = Str::from("ciWo7IWazngRchmPES6q5A==");
    let node = cluster.start_with(1, |options| options.cluster_id = Some(cluster_id.clone())).unwrap();
    node.sees("its cluster id", |image| image.cluster_id() == Some(&cluster_id)).await;
}

#[tokio::test]
async fn nobody_founds_while_a_configured_voter_is_missing() {
    let mut cluster = Cluster::new(3);
    let one = cluster.start(1);
    let two = cluster.start(2);
    // Twice the longest election timeout: enough for a wrong founder to show.
    let mut image = one.handle.image();
    let founding = image.wait_for(|image| image.cluster_id().is_some());
    let founded = tokio::time::timeout(std::time::Duration::from_secs(2), founding).await;
    assert!(founded.is_err(), "two of three founded a cluster");
    assert_eq!(two.handle.status().borrow().cluster_id, None);
    let three = cluster.start(3);
    for node in [&one, &two, &three] {
        node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    }
}

#[tokio::test]
async fn all_nodes_killed_at_once_come_back_with_everything() {
    let mut cluster = Cluster::new(3);
    let nodes = cluster.start_all();
    let sessions = [serve_as_broker(&nodes[0]).await, serve_as_broker(&nodes[1]).await];
    for topic in 0..20 {
        let response = nodes[topic % 3].handle.submit(create_topic(&format!("topic-{topic}"))).await.unwrap();
        assert_eq!(error_of(&response), ErrorCode::NONE);
    }
    let cluster_id = nodes[0].handle.image().borrow().cluster_id().cloned();
    drop(sessions);
    nodes.into_iter().for_each(super::Node::kill);

    let nodes = cluster.start_all();
    active_of(&nodes).await;
    for node in &nodes {
        node.sees("the topics", |image| image.topic_count() == 20).await;
        assert_eq!(node.handle.image().borrow().cluster_id().cloned(), cluster_id);
    }
}

#[tokio::test]
async fn another_nodes_directory_is_refused_with_a_sentence() {
    let mut cluster = Cluster::new(1);
    let node = cluster.start(1);
    node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    node.kill();
    let path = cluster.path(1);
    let other_node = cluster.start_with(7, |options| options.directory = path.clone()).err().unwrap();
    assert!(matches!(&other_node, StartError::WrongDirectory { reason } if reason.contains("node.id")), "{other_node}");
    let other_cluster = cluster.start_with(1, |options| options.cluster_id = Some(Str::from("other"))).err().unwrap();
    assert!(
        matches!(&other_cluster, StartError::WrongDirectory { reason } if reason.contains("cluster")),
        "{other_cluster}"
    );
}

#[tokio::test]
async fn a_damaged_store_of_the_only_voter_is_refused() {
    let mut cluster = Cluster::new(1);
    let node = cluster.start(1);
    node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    node.kill();
    damage(&cluster, 1);
    let refused = cluster.try_start(1).err().unwrap();
    assert!(matches!(refused, StartError::DamagedStore { .. }), "{refused}");
}

#[tokio::test]
async fn a_damaged_voter_sets_its_store_aside_and_gets_its_place_back() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    active_of(&nodes).await;
    for node in &nodes {
        node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    }
    let before = nodes[2].handle.node().directory_id;
    nodes.pop().unwrap().kill();
    damage(&cluster, 3);
    nodes.push(cluster.start(3));
    let after = nodes[2].handle.node().directory_id;
    assert_ne!(before, after);
    eventually("the new disk votes", || async {
        let quorum = nodes[0].handle.quorum().await;
        quorum.is_ok_and(|quorum| {
            let ids: Vec<_> = quorum.voters.iter().map(|voter| (voter.node_id, voter.directory_id)).collect();
            ids.len() == 3 && ids.contains(&(3, after)) && quorum.observers.is_empty()
        })
    })
    .await;
    let aside = std::fs::read_dir(cluster.path(3)).unwrap().filter_map(Result::ok);
    assert!(aside.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("damaged")));
}

/// Breaks the snapshot's checksum: the simplest damage that no store recovers from by itself.
fn damage(cluster: &Cluster, node_id: i32) {
    let snapshots = cluster.path(node_id).join("snapshots");
    std::fs::write(snapshots.join("00000000000000000001-00000000000000000001.snapshot"), b"not a snapshot").unwrap();
}
