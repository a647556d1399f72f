//! First start, restart, and who may found.

use super::nodes::{Cluster, active_of};

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

#[tokio::test]
async fn a_single_voter_is_a_cluster() {
    let mut cluster = Cluster::new(1);
    let nodes = cluster.start_all();
    nodes[0].sees("the cluster id", |image| image.cluster_id().is_some()).await;
    active_of(&nodes).await;
}
