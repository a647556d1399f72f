//! Cooperative rebalancing: who keeps a partition reads on, and gives up only what goes to somebody else.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Writer, scenario};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::event::Partition;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::{brisk_brokers, each};

const TOPIC: &str = "cooperative";
const PARTITIONS: i32 = 6;
const LOAD: Load = Load { name: "cooperative", records_per_second: 100, value_bytes: 32 };

/// What a member has given up since it owned `before` and had given up `count` partitions.
fn check_gave_up_only_what_went_away(
    group: &Group,
    member: &str,
    before: &BTreeSet<Partition>,
    count: usize,
) -> Result<()> {
    let member = group.member(member)?;
    let given_up: BTreeSet<Partition> = member.revoked().into_iter().skip(count).collect();
    let gone: BTreeSet<Partition> = before.difference(&member.owned()).cloned().collect();
    ensure!(given_up == gone, "{} gave up {given_up:?} and lost {gone:?} of {before:?}", member.name());
    Ok(())
}

fn a_third_takes_its_part(group: &mut Group) -> Result<()> {
    group.start("a", Commit::Automatic)?;
    group.start("b", Commit::Automatic)?;
    group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
    group.wait_reading()?;
    let before = ["a", "b"].map(|name| {
        let member = group.member(name).ok()?;
        Some((name, member.owned(), member.revoked().len()))
    });
    group.start("c", Commit::Automatic)?;
    group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
    group.wait_reading()?;
    for known in before {
        let (name, owned, count) = known.context("a member is gone")?;
        check_gave_up_only_what_went_away(group, name, &owned, count)?;
    }
    group.leave_all()
}

#[test]
fn members_keep_reading_what_they_keep() {
    let clients = [
        Client::java("java", &["assignor=cooperative-sticky"]),
        Client::java("java-consumer", &["protocol=consumer"]),
        Client::confluent("confluent", &["assignor=cooperative-sticky"]),
        Client::confluent("confluent-consumer", &["protocol=consumer"]),
        Client::go("kgo", &["client=kgo", "assignor=cooperative-sticky"]),
    ];
    scenario(brisk_brokers(), |cluster| {
        clients.iter().try_for_each(|client| client.command().map(|_| ()))?;
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut groups: Vec<_> =
            clients.iter().map(|client| Group::new(cluster, *client, client.name, TOPIC)).collect();
        each(&mut groups, a_third_takes_its_part)?;
        writer.stop().map(|_| ())
    });
}
