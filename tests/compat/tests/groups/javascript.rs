//! Consumer groups of the JavaScript clients.
//!
//! platformatic's stream delivers what it fetched before a rebalance also after it, so that records are skipped and
//! offsets go back on any broker; it shares, commits and resumes, but takes no tour.

use anyhow::{Result, ensure};
use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::{Cluster, scenario, wait};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::{brisk_brokers, tour};

const TOPIC: &str = "streamed";
const PARTITIONS: i32 = 4;

#[test]
fn kafkajs_tours() {
    tour(&[Client::javascript("kafkajs", "kafkajs_member.js")]);
}

fn write(cluster: &Cluster, count: usize) -> Result<()> {
    let lines: String = (0..count).map(|n| format!("{n}:{n}\n")).collect();
    kcat(&["-P", "-b", &cluster.bootstrap(), "-t", TOPIC, "-K", ":", "-X", "acks=all"], &lines).map(|_| ())
}

fn wait_committed(cluster: &Cluster, group: &str, count: i64) -> Result<()> {
    wait::for_condition("everything is committed", cluster.target().recovery_limit(), || {
        Ok(cluster.committed_offsets(group, TOPIC, PARTITIONS)?.iter().sum::<i64>() == count)
    })
}

#[test]
fn platformatic_shares_commits_and_resumes() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let client = Client::javascript("platformatic", "platformatic_member.js");
        let mut group = Group::new(cluster, client, "platformatic", TOPIC);
        group.start("a", Commit::ByHand)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.start("b", Commit::ByHand)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        write(cluster, 200)?;
        wait_committed(cluster, "platformatic", 200)?;
        ensure!(group.member("a")?.records() > 0 && group.member("b")?.records() > 0, "one of them read nothing");
        group.crash("b")?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.leave_all()?;

        write(cluster, 100)?;
        group.start("c", Commit::ByHand)?;
        wait_committed(cluster, "platformatic", 300)?;
        ensure!(group.records() == 100, "{} records were read after 100 new ones", group.records());
        group.leave_all()
    });
}
