//! Kafka's own tools on groups: kafka-consumer-groups in all it does, and the console consumer with a group.

use std::fs;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{CONFLUENT_KAFKA, kafka_tool, kafka_tool_any};
use tidelog_cluster_tests::{Cluster, scenario};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::run_script;
use tidelog_compat_tests::tour::brisk_brokers;

const TOPIC: &str = "ledger";
/// They are a minute apart, all in partition 0.
const RECORDS: i64 = 60;

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

fn groups(cluster: &Cluster, args: &[&str]) -> Result<String> {
    Ok(kafka_tool(GROUPS, &[&["--bootstrap-server", &cluster.bootstrap()], args].concat(), "")?.text())
}

fn refused(cluster: &Cluster, args: &[&str]) -> Result<String> {
    Ok(kafka_tool_any(GROUPS, &[&["--bootstrap-server", &cluster.bootstrap()], args].concat(), "")?.text())
}

/// The words of the line about one partition, or of the only one about the group.
fn row<'a>(printed: &'a str, group: &str, partition: Option<&str>) -> Result<Vec<&'a str>> {
    let rows = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found =
        rows.filter(|row| row.first() == Some(&group)).find(|row| partition.is_none_or(|p| row.get(2) == Some(&p)));
    found.with_context(|| format!("nothing about {group} {partition:?} in:\n{printed}"))
}

fn expect(printed: &str, parts: &[&str]) -> Result<()> {
    let missing = parts.iter().find(|part| !printed.contains(**part));
    ensure!(missing.is_none(), "{missing:?} is missing in:\n{printed}");
    Ok(())
}

/// A topic of two partitions with all records in the first.
fn fill_topic(cluster: &Cluster) -> Result<()> {
    cluster.create_topic(TOPIC, 2)?;
    let count = RECORDS.to_string();
    run_script(CONFLUENT_KAFKA, "python/stamped_producer.py", &[&cluster.bootstrap(), TOPIC, &count]).map(|_| ())
}

/// Two members share the topic and have read and committed everything.
fn readers(cluster: &Cluster, client: Client) -> Result<Group> {
    let mut group = Group::new(cluster, client, client.name, TOPIC);
    group.start("a", Commit::ByHand)?;
    group.start("b", Commit::ByHand)?;
    group.wait_shared(&partitions_of(TOPIC, 2))?;
    group.wait("everything is read", |group| group.records() as i64 >= RECORDS)?;
    Ok(group)
}

fn check_living_group(cluster: &Cluster, name: &str, assignor: &str, kind: &str) -> Result<()> {
    let group = ["--group", name];
    let listed = groups(cluster, &["--list", "--state", "--type"])?;
    ensure!(row(&listed, name, None)?[1..] == [kind, "Stable"], "{listed}");
    let described = groups(cluster, &[&["--describe"], &group[..]].concat())?;
    let first = row(&described, name, Some("0"))?;
    ensure!(first[1..6] == [TOPIC, "0", "60", "60", "0"], "{described}");
    row(&described, name, Some("1"))?;
    let members = groups(cluster, &[&["--describe", "--members", "--verbose"], &group[..]].concat())?;
    ensure!(members.lines().filter(|line| line.starts_with(name)).count() == 2, "{members}");
    expect(&members, &["ledger"])?;
    let state = groups(cluster, &[&["--describe", "--state"], &group[..]].concat())?;
    let state = row(&state, name, None)?.join(" ");
    expect(&state, &[assignor, "Stable", " 2"])?;
    expect(&refused(cluster, &[&["--delete"], &group[..]].concat())?, &["is not empty"])?;
    let reset = ["--reset-offsets", "--topic", TOPIC, "--to-earliest", "--execute"];
    expect(&refused(cluster, &[&reset[..], &group].concat())?, &["inactive"])
}

#[test]
fn kafka_consumer_groups_shows_members_lag_and_state() {
    scenario(brisk_brokers().set("log.retention.ms", "-1"), |cluster| {
        fill_topic(cluster)?;
        let mut classic = readers(cluster, Client::confluent("classic", &["assignor=range"]))?;
        check_living_group(cluster, "classic", "range", "Classic")?;
        classic.leave_all()?;
        let mut consumer = readers(cluster, Client::confluent("consumer", &["protocol=consumer"]))?;
        check_living_group(cluster, "consumer", "uniform", "Consumer")?;
        consumer.leave_all()?;

        let listed = groups(cluster, &["--list", "--state", "Empty"])?;
        expect(&listed, &["classic", "consumer"])?;
        let empty = groups(cluster, &["--describe", "--group", "classic"])?;
        expect(&empty, &["has no active members"])?;
        ensure!(row(&empty, "classic", Some("0"))?[3..6] == ["60", "60", "0"], "{empty}");
        expect(&refused(cluster, &["--describe", "--group", "nobody"])?, &["nobody"])
    });
}

/// Resets partition 0, or says what it would do.
fn reset(cluster: &Cluster, how: &[&str], mode: &str) -> Result<String> {
    let partition = format!("{TOPIC}:0");
    let common = ["--reset-offsets", "--group", "reset", "--topic", &partition, mode];
    groups(cluster, &[&common[..], how].concat())
}

fn reset_to(cluster: &Cluster, how: &[&str], expected: i64) -> Result<()> {
    let printed = reset(cluster, how, "--execute")?;
    ensure!(row(&printed, "reset", Some("0"))?[3] == expected.to_string(), "{how:?}: {printed}");
    let after = cluster.committed_offsets("reset", TOPIC, 1)?;
    ensure!(after == [expected], "{how:?}: {after:?} instead of {expected}");
    Ok(())
}

#[test]
fn kafka_consumer_groups_resets_and_deletes() {
    scenario(brisk_brokers().set("log.retention.ms", "-1"), |cluster| {
        fill_topic(cluster)?;
        readers(cluster, Client::confluent("reset", &["assignor=range"]))?.leave_all()?;
        let dry = reset(cluster, &["--to-earliest"], "--dry-run")?;
        ensure!(row(&dry, "reset", Some("0"))?[3] == "0", "{dry}");
        ensure!(cluster.committed_offsets("reset", TOPIC, 1)? == [RECORDS], "a dry run changed something");
        reset_to(cluster, &["--to-earliest"], 0)?;
        reset_to(cluster, &["--to-offset", "17"], 17)?;
        reset_to(cluster, &["--shift-by", "5"], 22)?;
        reset_to(cluster, &["--shift-by", "-30"], 0)?;
        reset_to(cluster, &["--to-datetime", "2020-01-01T00:29:30.000"], 30)?;
        reset_to(cluster, &["--to-current"], 30)?;
        reset_to(cluster, &["--by-duration", "PT1H"], RECORDS)?;
        reset_to(cluster, &["--to-latest"], RECORDS)?;
        let plan = cluster.dir().join("plan.csv");
        fs::write(&plan, format!("{TOPIC},0,41\n"))?;
        reset_to(cluster, &["--from-file", plan.to_str().context("path")?], 41)?;

        groups(cluster, &["--delete-offsets", "--group", "reset", "--topic", TOPIC])?;
        ensure!(cluster.committed_offsets("reset", TOPIC, 1)? == [-1], "the offsets are still there");
        let read_back = ["--reset-offsets", "--group", "reset", "--topic", TOPIC, "--to-latest", "--execute"];
        groups(cluster, &read_back)?;
        expect(&groups(cluster, &["--delete", "--group", "reset"])?, &["was successful"])?;
        ensure!(!groups(cluster, &["--list"])?.contains("reset"), "the group is still listed");
        expect(&refused(cluster, &["--delete", "--group", "reset"])?, &["reset"])
    });
}

#[test]
fn the_console_consumer_resumes_its_group() {
    scenario(brisk_brokers().set("log.retention.ms", "-1"), |cluster| {
        fill_topic(cluster)?;
        let bootstrap = cluster.bootstrap();
        let read = |group: &str, settings: &[&str], count: i64| -> Result<Vec<String>> {
            let count = count.to_string();
            let common = ["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--group", group, "--from-beginning"];
            let limits = ["--max-messages", &count, "--timeout-ms", "30000"];
            let printed = kafka_tool(CONSOLE_CONSUMER, &[&common[..], settings, &limits].concat(), "")?;
            Ok(printed.stdout.lines().map(str::to_owned).collect())
        };
        for (group, settings) in [("console", &[][..]), ("new", &["--command-property", "group.protocol=consumer"])] {
            let first = read(group, settings, 25)?;
            ensure!(first.first().is_some_and(|line| line == "record 0") && first.len() == 25, "{first:?}");
            ensure!(cluster.committed_offsets(group, TOPIC, 1)? == [25], "{group} committed something else");
            let rest = read(group, settings, RECORDS - 25)?;
            ensure!(rest.first().is_some_and(|line| line == "record 25") && rest.len() == 35, "{rest:?}");
        }
        Ok(())
    });
}
