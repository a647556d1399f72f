//! kill -9 under load: production goes on by itself, and nothing acknowledged is missing or doubled.

use anyhow::{Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario};

const TOPIC: &str = "kill";
const PARTITIONS: i32 = 4;
/// Acknowledgements before and after each fault.
const SOME: usize = 400;

/// Kills `victim` under load, has it come back, and checks every promise.
fn kill_under_load(cluster: &mut Cluster, writers: Vec<Writer>, victim: i32) -> Result<()> {
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    cluster.kill(victim)?;
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    cluster.start_node(victim)?;
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
    let read = read_all(cluster, TOPIC)?;
    for history in histories {
        report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
        history.check_no_failure()?;
        history.check(&read)?;
    }
    wait_identical(cluster, TOPIC)
}

#[test]
fn production_survives_its_leader() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.leader(TOPIC, 0)?;
        let writers = vec![
            Writer::confluent(cluster, TOPIC, Load::default(), &[])?,
            Writer::java(cluster, TOPIC, Load::default())?,
            Writer::own(cluster, TOPIC, PARTITIONS),
        ];
        kill_under_load(cluster, writers, victim)
    });
}

#[test]
fn production_survives_a_follower() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let controller = cluster.controller()?;
        // Every node leads something with four partitions; the one that is not the controller is meant.
        let victim = (1..=3).find(|id| *id != controller).unwrap_or(1);
        let writers = vec![Writer::confluent(cluster, TOPIC, Load::default(), &[])?];
        kill_under_load(cluster, writers, victim)
    });
}

#[test]
fn production_survives_the_active_controller() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.controller()?;
        let writers = vec![Writer::confluent(cluster, TOPIC, Load::default(), &[])?];
        kill_under_load(cluster, writers, victim)?;
        ensure!(cluster.controller()? > 0, "a controller is active");
        Ok(())
    });
}

#[test]
fn killing_every_node_at_once_loses_nothing() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        cluster.kill_all()?;
        cluster.start_all()?;
        writer.wait_acked(SOME)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        let history = writer.stop()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}

#[test]
fn a_killed_leader_that_is_back_at_once_leads_no_other_history() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        for _ in 0..3 {
            writer.wait_acked(SOME)?;
            let victim = cluster.leader(TOPIC, 0)?;
            cluster.kill(victim)?;
            cluster.start_node(victim)?;
            writer.wait_acked(SOME)?;
            cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        }
        let history = writer.stop()?;
        history.check_no_failure()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}
