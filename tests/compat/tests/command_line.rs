//! Tidelog's own command line against a running cluster; any that speaks Kafka's protocol will do.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tidelog_cluster_tests::process::run_any;
use tidelog_cluster_tests::target::tidelog_binary;
use tidelog_cluster_tests::{Spec, scenario, wait};
use tidelog_compat_tests::command::{any_tidelog, json, refused, tidelog};

const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn topics_are_created_listed_described_altered_and_deleted() {
    scenario(Spec::brokers(3), |cluster| {
        let create = "topic create sample --partitions 2 --replication-factor 3 --config retention.ms=3600000";
        tidelog(cluster, create, "", 0)?;
        tidelog(cluster, create, "", 6)?;
        tidelog(cluster, &format!("{create} --if-not-exists"), "", 0)?;
        ensure!(tidelog(cluster, "topic list", "", 0)?.contains("sample"), "it is not listed");
        cluster.wait_in_sync("sample", 2, 3)?;

        let described = &json(cluster, "topic describe sample")?[0];
        let partitions = described["partitions"].as_array().context("partitions")?;
        ensure!(partitions.len() == 2 && described["configs"]["retention.ms"] == "3600000", "{described}");
        ensure!(partitions.iter().all(|p| p["isr"].as_array().is_some_and(|isr| isr.len() == 3)), "{described}");

        tidelog(cluster, "topic alter sample --partitions 4", "", 0)?;
        cluster.wait_in_sync("sample", 4, 3)?;
        tidelog(cluster, "topic delete sample", "", 0)?;
        wait::for_condition("the topic is gone", SETTLE_LIMIT, || {
            Ok(any_tidelog(cluster, "topic describe sample", "")?.status.code() == Some(5))
        })
    });
}

#[test]
fn a_groups_configuration_is_shown_set_and_reset() {
    scenario(Spec::brokers(3), |cluster| {
        let shown_as = |value: &str, source: &str| {
            wait::for_condition(&format!("{value} is shown"), SETTLE_LIMIT, || {
                let entry = &json(cluster, "config get group readers consumer.session.timeout.ms")?[0];
                Ok(entry["value"] == value && entry["source"] == source)
            })
        };
        shown_as("45000", "default")?;
        tidelog(cluster, "config set group readers consumer.session.timeout.ms=50000", "", 0)?;
        shown_as("50000", "group")?;
        let why = refused(cluster, "config set group readers consumer.session.timeout.ms=60001", 1)?;
        ensure!(why.contains("INVALID_CONFIG") && why.contains("group.consumer.max.session.timeout.ms"), "{why}");
        tidelog(cluster, "config set group readers --delete consumer.session.timeout.ms", "", 0)?;
        shown_as("45000", "default")
    });
}

#[test]
fn what_goes_in_on_standard_input_comes_out_on_standard_output() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("sample", 1)?;
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let produce = format!("produce sample --key-separator : --compression {codec}");
            tidelog(cluster, &produce, &format!("{codec}:one\n{codec}:two\n"), 0)?;
        }
        let all = tidelog(cluster, "consume sample --from-beginning --exit-at-end --key-separator :", "", 0)?;
        let expected: String = ["none", "gzip", "snappy", "lz4", "zstd"]
            .iter()
            .map(|codec| format!("{codec}:one\n{codec}:two\n"))
            .collect();
        ensure!(all == expected, "{all}");
        let last = tidelog(cluster, "consume sample --offset 9 --max-messages 1 --format json", "", 0)?;
        let last: Value = serde_json::from_str(&last)?;
        ensure!(last["offset"] == 9 && last["key"] == "zstd" && last["value"] == "two", "{last}");
        Ok(())
    });
}

#[test]
fn status_quorum_and_health_follow_the_cluster() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("watched", 3)?;
        ensure!(tidelog(cluster, "cluster status", "", 0)?.lines().count() >= 3, "a line per broker");
        ensure!(!tidelog(cluster, "cluster quorum", "", 0)?.is_empty(), "the quorum");
        tidelog(cluster, "cluster health", "", 0)?;
        let victim = cluster.follower("watched", 0)?;
        cluster.kill(victim)?;
        cluster.wait_in_sync("watched", 3, 2)?;
        tidelog(cluster, "cluster health", "", 10)?;
        let troubled = tidelog(cluster, "topic describe --under-replicated", "", 0)?;
        ensure!(troubled.contains("watched"), "{troubled}");
        cluster.start_node(victim)?;
        cluster.wait_in_sync("watched", 3, 3)?;
        tidelog(cluster, "cluster health", "", 0)?;
        Ok(())
    });
}

#[test]
fn nobody_there_is_an_exit_code_of_its_own() {
    let run = || {
        let mut command = Command::new(tidelog_binary()?);
        command.args(["topic", "list", "--bootstrap-server", "127.0.0.1:1"]);
        let output = run_any(command, "", COMMAND_LIMIT)?;
        ensure!(output.status.code() == Some(3), "{}: {}", output.status, output.text());
        Ok(())
    };
    tidelog_cluster_tests::scenario::finish(run());
}
