//! Cuts between brokers that clients do not see.

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, probe, scenario, wait};

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
        let before = cluster.controller_and_epoch()?;
        let victim = (1..=3).find(|id| *id != before.0).context("a broker beside the controller")?;
        cut_under_load(cluster, |cluster| cluster.isolate(victim))?;
        let after = cluster.controller_and_epoch()?;
        ensure!(after == before, "the isolated voter's return changed the controller: {before:?}, {after:?}");
        Ok(())
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

/// It goes on following its leader all the time; in topics without traffic nothing else tells that leader of it.
#[test]
fn an_idle_replica_that_only_the_controller_lost_sight_of_is_in_sync_again() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let controller = cluster.controller()?;
        let follower = cluster.ids().find(|id| *id != controller).context("a broker beside the controller")?;
        cluster.network().cut(controller, follower);
        wait::for_condition("it is out of every ISR", cluster.target().recovery_limit(), || {
            let seen = cluster.partitions(TOPIC)?;
            Ok(seen.iter().all(|partition| partition.leader > 0 && !partition.in_sync.contains(&follower)))
        })?;
        cluster.network().heal();
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)
    });
}

#[test]
fn a_broker_that_is_cut_off_sends_clients_to_the_others() {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.controller()?;
        let address = cluster.address(victim);
        let seen = || probe::metadata(&address, Some(TOPIC));
        ensure!(seen()?.brokers.contains(&victim), "a broker in good order does not name itself");
        let led_by_others = |view: &probe::ClusterView| view.partitions.iter().filter(|led| led.leader > 0).count();
        let of_others = cluster.partitions(TOPIC)?.iter().filter(|led| led.leader != victim).count();

        cluster.isolate(victim);
        let limit = cluster.target().recovery_limit();
        let names_only_others = || Ok(!seen()?.brokers.contains(&victim));
        wait::for_condition("the broker that is cut off names only others", limit, names_only_others)?;
        // Its own connections to them run into timeouts now, which says nothing of them.
        wait::for_condition("its fetches time out", limit, || {
            Ok(std::fs::read_to_string(cluster.log_file(victim))?.contains("did not answer in time"))
        })?;
        let view = seen()?;
        ensure!(view.brokers.len() == 2, "it sends clients to {:?}", view.brokers);
        ensure!(view.partitions.iter().all(|led| led.leader != victim), "it calls itself a leader");
        ensure!(led_by_others(&view) == of_others, "it calls leaders dead that it cannot see: {:?}", view.partitions);

        cluster.network().heal();
        wait::for_condition("it names itself again", limit, || Ok(seen()?.brokers.contains(&victim)))?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)
    });
}
