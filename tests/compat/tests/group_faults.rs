//! Groups whose coordinators are killed, restarted and moved while members read and commit.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Writer, scenario, wait};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::event::Partition;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::storm::storm;
use tidelog_compat_tests::tour::brisk_brokers;
use tidelog_compat_tests::verdict::judge;

const TOPIC: &str = "faults";
const PARTITIONS: i32 = 6;
const OFFSETS_TOPIC: &str = "__consumer_offsets";
const OFFSETS_PARTITIONS: i32 = 50;
const LOAD: Load = Load { name: "faults", records_per_second: 100, value_bytes: 32 };

fn partitions() -> BTreeSet<Partition> {
    partitions_of(TOPIC, PARTITIONS)
}

/// Members on librdkafka and on the Java client, who agree on an assignor.
fn mixed_group(cluster: &Cluster) -> Result<Group> {
    let mut group = Group::new(cluster, Client::confluent("mixed", &[]), "mixed", TOPIC);
    group.start("a", Commit::ByHand)?;
    group.start("b", Commit::Automatic)?;
    group.switch_to(Client::java("mixed", &["assignor=range"]));
    group.start("c", Commit::ByHand)?;
    group.wait_shared(&partitions())?;
    group.wait_reading()?;
    Ok(group)
}

fn committed(cluster: &Cluster, group: &Group) -> Result<Vec<i64>> {
    cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)
}

/// Commits come through again, and every member reads on.
fn wait_going_on(cluster: &Cluster, group: &mut Group, since: Instant) -> Result<()> {
    let first: i64 = committed(cluster, group)?.iter().sum();
    wait::for_condition("the group commits again", cluster.target().recovery_limit(), || {
        Ok(committed(cluster, group)?.iter().sum::<i64>() > first)
    })
    .with_context(|| group.tails())?;
    report(&format!("commits again {} ms after the fault", since.elapsed().as_millis()));
    group.wait_reading()?;
    group.wait_shared(&partitions())
}

fn wait_whole(cluster: &Cluster) -> Result<()> {
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    cluster.wait_in_sync(OFFSETS_TOPIC, OFFSETS_PARTITIONS, 3)
}

#[test]
fn a_group_survives_one_coordinator_after_the_other() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut group = mixed_group(cluster)?;
        for _ in 0..3 {
            let victim = cluster.coordinator(&group.name)?;
            let killed = Instant::now();
            cluster.kill(victim)?;
            wait_going_on(cluster, &mut group, killed)?;
            cluster.start_node(victim)?;
            wait_whole(cluster)?;
        }
        judge(cluster, TOPIC, PARTITIONS, vec![group], writer)
    });
}

#[test]
fn a_rolling_restart_keeps_groups_going() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut group = mixed_group(cluster)?;
        for id in cluster.ids() {
            let began = Instant::now();
            cluster.terminate(id)?;
            wait_going_on(cluster, &mut group, began)?;
            cluster.start_node(id)?;
            wait_whole(cluster)?;
        }
        judge(cluster, TOPIC, PARTITIONS, vec![group], writer)
    });
}

#[test]
fn offsets_and_members_outlive_a_power_cut_of_all_nodes() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut group = mixed_group(cluster)?;
        let before = committed(cluster, &group)?;
        let killed = Instant::now();
        cluster.kill_all()?;
        cluster.start_all()?;
        cluster.wait_ready()?;
        let after = committed(cluster, &group)?;
        ensure!(
            before.iter().zip(&after).all(|(before, after)| before <= after),
            "committed {before:?} before the power cut and {after:?} after it"
        );
        wait_going_on(cluster, &mut group, killed)?;
        judge(cluster, TOPIC, PARTITIONS, vec![group], writer)
    });
}

#[test]
fn groups_of_both_protocols_survive_a_storm_of_faults() {
    storm(5, Duration::from_secs(12));
}
