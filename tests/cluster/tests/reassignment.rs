//! Partitions move to other nodes under load: producers go on, and nothing is lost, doubled or left behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario, wait};

const TOPIC: &str = "moving";
const PARTITIONS: i32 = 4;
const NODES: usize = 4;
const SOME: usize = 400;
const MOVE_LIMIT: Duration = Duration::from_secs(60);

fn replicas(cluster: &Cluster, partition: i32) -> Result<Vec<i32>> {
    let partitions = cluster.partitions(TOPIC)?;
    Ok(partitions.get(partition as usize).context("the partition is known")?.replicas.clone())
}

/// The node that holds nothing of the partition, then all replicas but the preferred leader.
fn without_its_leader(cluster: &Cluster, partition: i32) -> Result<Vec<i32>> {
    let present = replicas(cluster, partition)?;
    let spare = cluster.ids().find(|id| !present.contains(id)).context("a node without a replica")?;
    Ok([&[spare], &present[1..]].concat())
}

fn wait_moved(cluster: &Cluster, partition: i32, target: &[i32]) -> Result<()> {
    wait::for_condition(&format!("{TOPIC}-{partition} is on {target:?}"), MOVE_LIMIT, || {
        let seen = cluster.partitions(TOPIC)?;
        let seen = seen.get(partition as usize).context("the partition is known")?;
        Ok(seen.replicas == target && seen.in_sync.len() == target.len() && target.contains(&seen.leader))
    })
}

#[test]
fn every_partition_moves_off_its_leader_under_load() {
    scenario(Spec::brokers(NODES), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writers =
            [Writer::confluent(cluster, TOPIC, Load::default(), &[])?, Writer::own(cluster, TOPIC, PARTITIONS)];
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        let mut left = Vec::new();
        for partition in 0..PARTITIONS {
            left.push((replicas(cluster, partition)?[0], partition));
            let target = without_its_leader(cluster, partition)?;
            cluster.reassign(TOPIC, partition, Some(&target))?;
            wait_moved(cluster, partition, &target)?;
            writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        }
        let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
        let read = read_all(cluster, TOPIC)?;
        for history in histories {
            report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
            history.check_no_failure()?;
            history.check(&read)?;
        }
        for (node, partition) in left {
            let dir = cluster.partition_dir(node, TOPIC, partition);
            ensure!(!dir.exists(), "{} is left behind", dir.display());
        }
        wait_identical(cluster, TOPIC)
    });
}

#[test]
fn a_move_that_is_called_off_leaves_nothing() {
    scenario(Spec::brokers(NODES), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::own(cluster, TOPIC, 1);
        writer.wait_acked(SOME)?;
        let before = replicas(cluster, 0)?;
        let target = without_its_leader(cluster, 0)?;
        let spare = target[0];
        cluster.kill(spare)?;
        cluster.reassign(TOPIC, 0, Some(&target))?;
        wait::for_condition("the move has begun", MOVE_LIMIT, || Ok(replicas(cluster, 0)?.contains(&spare)))?;
        writer.wait_acked(SOME)?;
        cluster.reassign(TOPIC, 0, None)?;
        wait_moved(cluster, 0, &before)?;
        cluster.start_node(spare)?;
        cluster.wait_ready()?;
        writer.wait_acked(SOME)?;
        let history = writer.stop()?;
        history.check_no_failure()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        let dir = cluster.partition_dir(spare, TOPIC, 0);
        ensure!(!dir.exists(), "{} was made", dir.display());
        wait_identical(cluster, TOPIC)
    });
}
