//! Cuts between brokers that clients do not see.

use anyhow::{Context, Result};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario};

const TOPIC: &str = "partition";
const PARTITIONS: i32 = 4;
const SOME: usize = 400;

/// Produces through a cut and its end, and checks every promise.
fn cut_under_load(cluster: &mut Cluster, cut: impl FnOnce(&Cluster)) -> Result<()> {
    let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
    writer.wait_acked(SOME)?;
    cut(cluster);
    // Acknowledgements of records that were replicated just before say nothing about the cut.
    writer.wait_acked(5 * SOME)?;
    cluster.network().heal();
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    writer.wait_acked(SOME)?;
    let history = writer.stop()?;
    report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
    history.check(&read_all(cluster, TOPIC)?)?;
    wait_identical(cluster, TOPIC)
}

#[test]
fn production_goes_on_without_an_isolated_broker() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let controller = cluster.controller()?;
        let victim = (1..=3).find(|id| *id != controller).context("a broker beside the controller")?;
        cut_under_load(cluster, |cluster| cluster.isolate(victim))
    });
}

#[test]
fn production_goes_on_without_an_isolated_controller() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.controller()?;
        cut_under_load(cluster, |cluster| cluster.isolate(victim))
    });
}

#[test]
fn production_goes_on_when_a_leader_and_a_follower_lose_sight_of_each_other() {
    // The follower stays alive for the controller, so that only its lag takes it out of the ISR.
    scenario(Spec::brokers(3).gated_network().set("replica.lag.time.max.ms", "3000"), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let (leader, follower) = (cluster.leader(TOPIC, 0)?, cluster.follower(TOPIC, 0)?);
        cut_under_load(cluster, |cluster| cluster.network().cut(leader, follower))
    });
}
