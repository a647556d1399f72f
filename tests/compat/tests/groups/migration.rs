//! A group moves from the classic protocol to the consumer protocol and back, member by member, while it reads.

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::kafka_tool;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Writer, scenario, wait};
use tidelog_compat_tests::checker;
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::brisk_brokers;

const TOPIC: &str = "migrated";
const PARTITIONS: i32 = 6;
const LOAD: Load = Load { name: "migrated", records_per_second: 100, value_bytes: 32 };
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

fn check_type(cluster: &Cluster, group: &Group, expected: &str) -> Result<()> {
    let listed = kafka_tool(GROUPS, &["--bootstrap-server", &cluster.bootstrap(), "--list", "--type"], "")?.stdout;
    let line = listed.lines().find(|line| line.starts_with(&group.name)).with_context(|| listed.clone())?;
    ensure!(line.contains(expected), "{line:?} is not {expected}");
    Ok(())
}

/// One member of the new kind joins, then each old one leaves and another new one takes its place.
fn roll(group: &mut Group, client: Client, old: [&str; 2], new: [&str; 2]) -> Result<()> {
    group.switch_to(client);
    for (old, new) in old.into_iter().zip(new) {
        group.start(new, Commit::ByHand)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.wait_reading()?;
        group.leave(old)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.wait_reading()?;
    }
    Ok(())
}

#[test]
fn a_group_migrates_to_the_consumer_protocol_and_back() {
    scenario(brisk_brokers(), |cluster| {
        let classic = Client::java("java-classic", &["assignor=range"]);
        let consumer = Client::java("java-consumer", &["protocol=consumer"]);
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut group = Group::new(cluster, classic, "migrating", TOPIC);
        group.start("a", Commit::ByHand)?;
        group.start("b", Commit::ByHand)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.wait_reading()?;
        check_type(cluster, &group, "Classic")?;

        roll(&mut group, consumer, ["a", "b"], ["c", "d"])?;
        check_type(cluster, &group, "Consumer")?;
        roll(&mut group, classic, ["c", "d"], ["e", "f"])?;
        check_type(cluster, &group, "Classic")?;

        let produced = writer.stop()?;
        let goal = produced.acked.len() as i64;
        wait::for_condition("everything is committed", cluster.target().recovery_limit(), || {
            let committed = cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)?;
            Ok(committed.iter().sum::<i64>() == goal)
        })?;
        group.leave_all()?;
        checker::check(group.stories()?, &produced)
    });
}
