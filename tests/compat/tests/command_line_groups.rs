//! `tidelog group` on groups of real consumers, of both protocols.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidelog_cluster_tests::{Cluster, scenario, wait};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::command::{json, refused, tidelog};
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::brisk_brokers;

const TOPIC: &str = "read";
const PARTITIONS: i32 = 3;
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_classic_group_is_seen_reset_and_deleted() {
    steer(Client::confluent("confluent", &[]), "classic");
}

#[test]
fn a_consumer_group_is_seen_reset_and_deleted() {
    steer(Client::confluent("confluent-consumer", &["protocol=consumer"]), "consumer");
}

fn steer(client: Client, kind: &str) {
    scenario(brisk_brokers(), |cluster| {
        client.command()?;
        cluster.create_topic(TOPIC, PARTITIONS)?;
        produce(cluster, 10)?;
        let mut group = Group::new(cluster, client, "steered", TOPIC);
        group.start("a", Commit::ByHand)?;
        group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
        group.wait("everything is read", |group| group.records() == 30)?;
        see_it_at_work(cluster, kind)?;
        group.leave_all()?;
        see_it_fall_behind(cluster)?;
        reset_it(cluster)?;
        group.start("b", Commit::ByHand)?;
        group.wait("everything is read again", |group| group.records() >= 45)?;
        let first = group.first_read("b", TOPIC, PARTITIONS)?;
        ensure!(first == [0, 0, 0], "the reset group began at {first:?}");
        group.leave_all()?;
        delete_it(cluster)
    });
}

/// So many records to each partition.
fn produce(cluster: &Cluster, count: usize) -> Result<()> {
    let lines = "something\n".repeat(count);
    (0..PARTITIONS).try_for_each(|partition| {
        tidelog(cluster, &format!("produce {TOPIC} --partition {partition}"), &lines, 0).map(drop)
    })
}

fn described(cluster: &Cluster) -> Result<Value> {
    json(cluster, "group describe steered")?.get(0).cloned().context("one group")
}

fn see_it_at_work(cluster: &Cluster, kind: &str) -> Result<()> {
    let listed = json(cluster, "group list")?;
    let listed = listed.as_array().context("groups")?.iter().find(|group| group["group"] == "steered");
    let listed = listed.context("the group is not listed")?;
    ensure!(listed["type"] == kind && listed["state"] == "Stable", "{listed}");
    wait::for_condition("every record is committed", SETTLE_LIMIT, || Ok(described(cluster)?["lag"] == 0))?;
    let seen = described(cluster)?;
    ensure!(seen["type"] == kind && seen["state"] == "Stable" && seen["lag_ms"] == 0, "{seen}");
    let members = seen["members"].as_array().context("members")?;
    ensure!(members.len() == 1 && members[0]["assignment"][TOPIC] == serde_json::json!([0, 1, 2]), "{seen}");
    let owners = seen["partitions"].as_array().context("partitions")?;
    ensure!(owners.iter().all(|partition| partition["member_id"] == members[0]["member_id"]), "{seen}");
    for view in ["--members", "--state", "--offsets"] {
        let printed = tidelog(cluster, &format!("group describe steered {view}"), "", 0)?;
        ensure!(printed.contains("Stable"), "{printed}");
    }
    let why = refused(cluster, "group reset-offsets steered --all-topics --to-earliest --execute", 1)?;
    ensure!(why.contains("it is Stable with 1 member"), "{why}");
    let why = refused(cluster, "group delete steered", 1)?;
    ensure!(why.contains("NON_EMPTY_GROUP") && why.contains("try: "), "{why}");
    let why = refused(cluster, &format!("group delete-offsets steered --topic {TOPIC}"), 1)?;
    ensure!(why.contains("GROUP_SUBSCRIBED_TO_TOPIC"), "{why}");
    Ok(())
}

fn see_it_fall_behind(cluster: &Cluster) -> Result<()> {
    wait::for_condition("the group is empty", SETTLE_LIMIT, || Ok(described(cluster)?["state"] == "Empty"))?;
    produce(cluster, 5)?;
    let seen = described(cluster)?;
    ensure!(seen["lag"] == 15 && seen["topics"][0]["lag"] == 15, "{seen}");
    let lag_ms = seen["lag_ms"].as_i64().context("lag in time")?;
    ensure!((1..60_000).contains(&lag_ms), "{seen}");
    wait::for_condition("the lag in time grows", SETTLE_LIMIT, || {
        Ok(described(cluster)?["lag_ms"].as_i64() > Some(lag_ms + 100))
    })
}

fn reset_it(cluster: &Cluster) -> Result<()> {
    let new = |words: &str| -> Result<Vec<i64>> {
        let resets = json(cluster, &format!("group reset-offsets steered {words}"))?;
        let offsets = resets[0]["offsets"].as_array().cloned().unwrap_or_default();
        offsets.iter().map(|offset| offset["new"].as_i64().context("an offset")).collect()
    };
    let all = format!("--topic {TOPIC}");
    let table = [
        ("--to-earliest", [0, 0, 0]),
        ("--to-latest", [15, 15, 15]),
        ("--to-current", [10, 10, 10]),
        ("--to-offset 7", [7, 7, 7]),
        ("--to-offset 70", [15, 15, 15]),
        ("--shift-by -4", [6, 6, 6]),
        ("--by-duration PT1H", [0, 0, 0]),
        ("--to-datetime 2001-02-03T04:05:06Z", [0, 0, 0]),
        ("--to-datetime 2901-02-03", [15, 15, 15]),
    ];
    for (goal, expected) in table {
        ensure!(new(&format!("{all} {goal}"))? == expected, "{goal}");
    }
    ensure!(new(&format!("--topic {TOPIC}:1 --to-earliest"))? == [0], "one partition");
    ensure!(described(cluster)?["lag"] == 15, "a dry run changed something");

    let exported = tidelog(cluster, "group reset-offsets steered --all-topics --shift-by -1 --export", "", 0)?;
    ensure!(exported == format!("{TOPIC},0,9\n{TOPIC},1,9\n{TOPIC},2,9\n"), "{exported}");
    let file = cluster.dir().join("offsets.csv");
    std::fs::write(&file, exported)?;
    let file = file.to_str().context("path")?;
    ensure!(new(&format!("--from-file {file} --execute"))? == [9, 9, 9], "from a file");
    ensure!(described(cluster)?["lag"] == 18, "the file's offsets were not committed");
    new("--all-topics --to-earliest --execute")?;
    ensure!(described(cluster)?["lag"] == 45, "{}", described(cluster)?);
    Ok(())
}

fn delete_it(cluster: &Cluster) -> Result<()> {
    wait::for_condition("the group is empty", SETTLE_LIMIT, || Ok(described(cluster)?["state"] == "Empty"))?;
    tidelog(cluster, &format!("group delete-offsets steered --topic {TOPIC}:0"), "", 0)?;
    let left = described(cluster)?["partitions"].as_array().map(Vec::len);
    ensure!(left == Some(2), "{left:?} partitions have offsets");
    tidelog(cluster, "group delete ste*", "", 0)?;
    let why = refused(cluster, "group describe steered", 5)?;
    ensure!(why.contains("there is no group steered"), "{why}");
    refused(cluster, "group delete steered", 5)?;
    tidelog(cluster, "group delete steered --if-exists", "", 0)?;
    tidelog(cluster, &format!("group reset-offsets fresh --topic {TOPIC} --to-latest --execute"), "", 0)?;
    let fresh = json(cluster, "group describe fresh")?;
    ensure!(fresh[0]["lag"] == 0 && fresh[0]["state"] == "Empty", "{fresh}");
    Ok(())
}
