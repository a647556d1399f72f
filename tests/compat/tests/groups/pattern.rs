//! Groups of a pattern: a new topic that matches and new partitions of an old one are read from their start.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::{Cluster, scenario};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::event::Partition;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::{brisk_brokers, each};

fn wait_owned(group: &mut Group, topics: &[(&str, i32)]) -> Result<()> {
    let expected: BTreeSet<Partition> = topics.iter().flat_map(|(topic, count)| partitions_of(topic, *count)).collect();
    group.wait_shared(&expected)
}

/// Writes one record to one partition and waits until it is read.
fn write_and_read(cluster: &Cluster, group: &mut Group, topic: &str, partition: i32) -> Result<()> {
    let before = group.records();
    let partition = partition.to_string();
    kcat(&["-P", "-b", &cluster.bootstrap(), "-t", topic, "-p", &partition, "-X", "acks=all"], "something\n")?;
    group.wait("the record is read", |group| group.records() > before)
}

fn follow_the_pattern(cluster: &Cluster, group: &mut Group) -> Result<()> {
    let prefix = group.name.clone();
    let [first, second, other] = [format!("{prefix}.one"), format!("{prefix}.two"), format!("other.{prefix}.")];
    cluster.create_topic(&first, 2)?;
    cluster.create_topic(&other, 1)?;
    group.start("a", Commit::ByHand)?;
    wait_owned(group, &[(&first, 2)])?;
    write_and_read(cluster, group, &first, 1)?;

    cluster.create_topic(&second, 2)?;
    wait_owned(group, &[(&first, 2), (&second, 2)])?;
    write_and_read(cluster, group, &second, 0)?;

    cluster.add_partitions(&first, 3)?;
    wait_owned(group, &[(&first, 3), (&second, 2)])?;
    write_and_read(cluster, group, &first, 2)?;
    group.leave_all()
}

#[test]
fn patterns_pick_up_new_topics_and_partitions() {
    let clients = [
        Client::java("java", &["assignor=range"]),
        Client::java("java-consumer", &["protocol=consumer", "matched_by=broker"]),
        Client::confluent("confluent", &["assignor=range"]),
        Client::confluent("confluent-consumer", &["protocol=consumer"]),
        Client::kafka_python("kafka-python-1", "kafka-python==1.4.7"),
        Client::kafka_python("kafka-python-2", "kafka-python==2.2.21"),
        Client::kafka_python("kafka-python-3", "kafka-python==3.0.12"),
        Client::aiokafka(),
        Client::go("kgo", &["client=kgo", "assignor=range"]),
    ];
    scenario(brisk_brokers(), |cluster| {
        clients.iter().try_for_each(|client| client.command().map(|_| ()))?;
        let cluster = &*cluster;
        let mut groups = Vec::new();
        for client in clients {
            // `.` ends the prefix: no client's pattern matches another's topics.
            let pattern = format!("^{}\\..*", client.name);
            groups.push(Group::of_pattern(cluster, client, client.name, &pattern));
        }
        each(&mut groups, |group| {
            follow_the_pattern(cluster, group).with_context(|| format!("{}\n{}", group.name, group.tails()))
        })
    });
}
