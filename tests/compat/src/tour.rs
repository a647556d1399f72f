//! The tour of a group: what every client does with groups, on three brokers, with every fault of everyday life.
//!
//! All groups read one topic that is produced to throughout. They are coordinated by the same broker, so
//! that one kill -9 hits all of them at once; everything else each does on its own.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario, wait};

use crate::checker;
use crate::client::Client;
use crate::event::Partition;
use crate::group::{Commit, Group, partitions_of};

const TOPIC: &str = "tour";
const PARTITIONS: i32 = 6;
const LOAD: Load = Load { name: "tour", records_per_second: 100, value_bytes: 32 };

/// Brokers that let a group notice a crash within six seconds, whatever its protocol.
pub fn brisk_brokers() -> Spec {
    brokers_with_session_timeout_ms("6000")
}

/// Members of the consumer protocol have the brokers' session timeout; classic ones tell their own.
pub fn brokers_with_session_timeout_ms(session_timeout_ms: &str) -> Spec {
    let consumer_groups = [
        ("min.session.timeout.ms", "6000"),
        ("session.timeout.ms", session_timeout_ms),
        ("min.heartbeat.interval.ms", "500"),
        ("heartbeat.interval.ms", "500"),
    ];
    let brokers = Spec::brokers(3).set("group.initial.rebalance.delay.ms", "0");
    consumer_groups.iter().fold(brokers, |spec, (name, value)| spec.set(&format!("group.consumer.{name}"), value))
}

/// Takes one group of each client through the tour.
///
/// # Panics
/// If anything fails: this is the body of a test.
pub fn tour(clients: &[Client]) {
    scenario(brisk_brokers(), |cluster| {
        // Installed before anything waits for them.
        clients.iter().try_for_each(|client| client.command().map(|_| ()))?;
        let started = Instant::now();
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let victim = cluster.coordinator("any")?;
        let mut groups = groups_of(cluster, clients, victim)?;
        each(&mut groups, come_and_go)?;

        cluster.kill(victim)?;
        let killed = Instant::now();
        let without_victim = &*cluster;
        each(&mut groups, |group| go_on(without_victim, group, killed))?;
        cluster.start_node(victim)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;

        let cluster = &*cluster;
        each(&mut groups, |group| resume(cluster, group))?;
        let produced = writer.stop()?;
        let goal = produced.acked.len() as i64;
        each(&mut groups, |group| read_to_the_end(cluster, group, goal))?;
        for group in &groups {
            checker::check(group.stories()?, &produced).with_context(|| group.name.clone())?;
        }
        report(&format!("{} groups, {goal} records, {} s", groups.len(), started.elapsed().as_secs()));
        Ok(())
    });
}

fn partitions() -> BTreeSet<Partition> {
    partitions_of(TOPIC, PARTITIONS)
}

/// Runs a part of a story for all groups at the same time.
pub fn each(groups: &mut [Group], part: impl Fn(&mut Group) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let parts: Vec<_> = groups.iter_mut().map(|group| scope.spawn(|| part(group))).collect();
        let outcomes = parts.into_iter().map(|part| part.join().expect("a part of the tour"));
        let errors: Vec<String> = outcomes.filter_map(Result::err).map(|error| format!("{error:#}")).collect();
        ensure!(errors.is_empty(), "{}", errors.join("\n=== and "));
        Ok(())
    })
}

/// Names a group of each client such that node `coordinator` coordinates it.
fn groups_of(cluster: &Cluster, clients: &[Client], coordinator: i32) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for client in clients {
        for suffix in 0.. {
            let name = format!("{}-{suffix}", client.name);
            if cluster.coordinator(&name)? == coordinator {
                groups.push(Group::new(cluster, *client, &name, TOPIC));
                break;
            }
        }
    }
    Ok(groups)
}

/// Members share, one joins, one leaves, one crashes and one takes its place.
fn come_and_go(group: &mut Group) -> Result<()> {
    group.start("a", Commit::ByHand)?;
    group.start("b", Commit::Automatic)?;
    group.wait_shared(&partitions())?;
    group.wait_reading()?;

    group.start("c", Commit::ByHand)?;
    group.wait_shared(&partitions())?;
    group.wait_reading()?;

    group.leave("c")?;
    group.wait_shared(&partitions())?;
    group.wait_reading()?;

    group.crash("b")?;
    group.wait_shared(&partitions())?;
    group.start("d", Commit::Automatic)?;
    group.wait_shared(&partitions())?;
    group.wait_reading()
}

/// Commits reach the group's new coordinator, and its members keep their partitions or share them anew.
fn go_on(cluster: &Cluster, group: &mut Group, killed: Instant) -> Result<()> {
    let committed = || -> Result<i64> { Ok(cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)?.iter().sum()) };
    let first = committed()?;
    wait::for_condition(&format!("{} commits again", group.name), cluster.target().recovery_limit(), || {
        Ok(committed()? > first)
    })
    .with_context(|| group.tails())?;
    report(&format!("{} commits {} ms after its coordinator's end", group.name, killed.elapsed().as_millis()));
    group.wait_reading()?;
    group.wait_shared(&partitions())?;
    catch_up(cluster, group)
}

/// Who lost its commits with the coordinator reads again first; then everything that was read is committed.
fn catch_up(cluster: &Cluster, group: &Group) -> Result<()> {
    let read_to = group.read_to(TOPIC, PARTITIONS);
    let what = format!("{} commits what it has read, {read_to:?}", group.name);
    wait::for_condition(&what, cluster.target().recovery_limit(), || {
        let committed = cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)?;
        Ok(committed.iter().zip(&read_to).all(|(committed, read_to)| committed >= read_to))
    })
    .with_context(|| group.tails())
}

/// All leave; a new member begins exactly where they stopped.
fn resume(cluster: &Cluster, group: &mut Group) -> Result<()> {
    group.leave_all()?;
    let read_to = group.read_to(TOPIC, PARTITIONS);
    let committed = cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)?;
    let acknowledged = group.acknowledged(TOPIC, PARTITIONS);
    ensure!(
        acknowledged.iter().zip(&committed).all(|(acknowledged, committed)| acknowledged <= committed),
        "{} was told that {acknowledged:?} are committed, and {committed:?} are: {}\n{}",
        group.name,
        group.errors(),
        group.differences(TOPIC, &acknowledged, &committed)
    );
    ensure!(
        committed == read_to,
        "{} read to {read_to:?} and committed {committed:?}: {}\n{}",
        group.name,
        group.errors(),
        group.differences(TOPIC, &read_to, &committed)
    );
    group.start("e", Commit::Automatic)?;
    group.wait("the new member reads every partition", |group| {
        group.first_read("e", TOPIC, PARTITIONS).is_ok_and(|first| !first.contains(&-1))
    })?;
    let first = group.first_read("e", TOPIC, PARTITIONS)?;
    ensure!(first == committed, "{} committed {committed:?} and went on from {first:?}", group.name);
    Ok(())
}

/// The automatic commit reaches the end while the member runs, and the member leaves.
fn read_to_the_end(cluster: &Cluster, group: &mut Group, produced: i64) -> Result<()> {
    let limit = cluster.target().recovery_limit();
    wait::for_condition(&format!("{} commits everything it read", group.name), limit, || {
        let committed = cluster.committed_offsets(&group.name, TOPIC, PARTITIONS)?;
        Ok(committed.iter().sum::<i64>() == produced)
    })?;
    group.leave_all()
}
