//! The controllers cut off from each other, while brokers are not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::network::Plane;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, kafka_differs, probe, scenario, wait};

const TOPIC: &str = "quorum";
const PARTITIONS: i32 = 4;
const SOME: usize = 400;
/// Several times what a broker's session and an election take.
const LONG: Duration = Duration::from_secs(6);

fn cut_control(cluster: &Cluster, node: i32) {
    cluster
        .ids()
        .filter(|other| *other != node)
        .for_each(|other| cluster.network().cut_on(Plane::Control, node, other));
}

/// Nobody can take the leaders' place meanwhile, and all that have a say in what is committed are there.
#[test]
fn production_goes_on_without_any_controller_while_every_replica_is_there() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        if kafka_differs(cluster.target(), "its brokers are fenced then") {
            return Ok(());
        }
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let lone = ["acks=1", "enable.idempotence=false"];
        let writers = [
            Writer::confluent(cluster, TOPIC, Load::default().named("all"), &[])?,
            Writer::confluent(cluster, TOPIC, Load::default().named("one"), &lone)?,
        ];
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        cluster.ids().for_each(|node| cut_control(cluster, node));
        wait::pass(LONG);
        let is_refused = probe::create_topic(&cluster.address(1), "decided", 1, 3).is_err();
        ensure!(is_refused, "a topic was created, and nobody can decide that");
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        cluster.network().heal();
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
        wait_identical(cluster, TOPIC)?;
        let read = read_all(cluster, TOPIC)?;
        histories.iter().try_for_each(|history| history.check(&read))
    });
}

#[test]
fn a_voter_that_was_cut_off_changes_neither_leader_nor_term_when_it_returns() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        let limit = cluster.target().recovery_limit();
        let leader = cluster.controller()?;
        let quorum = |id: i32| probe::quorum_leader(&cluster.address(id));
        let before = quorum(leader)?;
        let victim = cluster.ids().find(|id| *id != leader).context("another voter")?;
        cut_control(cluster, victim);
        wait::pass(LONG);
        ensure!(quorum(leader)? == before, "without it, the quorum is another: {:?}", quorum(leader)?);
        cluster.network().heal();
        // What is decided now has reached it.
        cluster.create_topic(TOPIC, PARTITIONS)?;
        wait::for_condition("the voter follows again", limit, || {
            Ok(probe::metadata(&cluster.address(victim), Some(TOPIC))?.partitions.len() == PARTITIONS as usize)
        })?;
        for id in cluster.ids() {
            ensure!(quorum(id)? == before, "node {id} names {:?}; before the cut it was {before:?}", quorum(id)?);
        }
        Ok(())
    });
}
