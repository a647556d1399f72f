//! Kafka's own command-line tools against the cluster.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{kafka_tool, kafka_tool_any, kcat};
use tidelog_cluster_tests::{Cluster, Spec, scenario, wait};

const SETTLE_LIMIT: Duration = Duration::from_secs(30);

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
const API_VERSIONS: &str = "org.apache.kafka.tools.BrokerApiVersionsCommand";
const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const FEATURES: &str = "org.apache.kafka.tools.FeatureCommand";
const ELECT: &str = "org.apache.kafka.tools.LeaderElectionCommand";

/// Runs a tool that takes `--bootstrap-server` first, and returns its standard output.
fn tool(cluster: &Cluster, class: &str, args: &[&str]) -> Result<String> {
    let bootstrap = cluster.bootstrap();
    Ok(kafka_tool(class, &[&["--bootstrap-server", &bootstrap], args].concat(), "")?.stdout)
}

fn expect(printed: &str, parts: &[&str]) -> Result<()> {
    let missing = parts.iter().find(|part| !printed.contains(**part));
    ensure!(missing.is_none(), "{missing:?} is missing in:\n{printed}");
    Ok(())
}

#[test]
fn kafka_topics_creates_describes_alters_and_deletes() {
    scenario(Spec::brokers(3), |cluster| {
        let named = ["--topic", "made"];
        let create = ["--create", "--partitions", "2", "--replication-factor", "3", "--config", "retention.ms=3600000"];
        tool(cluster, TOPICS, &[&create[..], &named].concat())?;
        expect(&tool(cluster, TOPICS, &["--list"])?, &["made"])?;
        let described = tool(cluster, TOPICS, &["--describe", "--topic", "made"])?;
        expect(
            &described,
            &["PartitionCount: 2", "ReplicationFactor: 3", "retention.ms=3600000", "Leader: ", "Isr: "],
        )?;
        let again =
            kafka_tool_any(TOPICS, &[&["--bootstrap-server", &cluster.bootstrap()], &create[..], &named].concat(), "")?;
        expect(&again.text(), &["already exists"])?;
        ensure!(!again.status.success(), "creating it twice succeeded");

        tool(cluster, TOPICS, &["--alter", "--topic", "made", "--partitions", "4"])?;
        expect(&tool(cluster, TOPICS, &["--describe", "--topic", "made"])?, &["PartitionCount: 4"])?;
        let troubled = tool(cluster, TOPICS, &["--describe", "--under-replicated-partitions"])?;
        ensure!(!troubled.contains("made"), "{troubled}");

        tool(cluster, TOPICS, &["--delete", "--topic", "made"])?;
        wait::for_condition("the topic is gone", SETTLE_LIMIT, || {
            Ok(!tool(cluster, TOPICS, &["--list"])?.contains("made"))
        })
    });
}

#[test]
fn kafka_configs_changes_topics() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("tuned", 1)?;
        let topic = ["--entity-type", "topics", "--entity-name", "tuned"];
        let configs = |args: &[&str]| tool(cluster, CONFIGS, &[&topic[..], args].concat());
        configs(&["--alter", "--add-config", "retention.ms=1234567,max.message.bytes=2000000"])?;
        expect(&configs(&["--describe"])?, &["retention.ms=1234567", "max.message.bytes=2000000"])?;
        configs(&["--alter", "--delete-config", "retention.ms"])?;
        wait::for_condition(
            "the setting is gone",
            SETTLE_LIMIT,
            || Ok(!configs(&["--describe"])?.contains("1234567")),
        )?;
        let all = configs(&["--describe", "--all"])?;
        expect(&all, &["cleanup.policy=delete", "segment.bytes=1073741824", "DEFAULT_CONFIG"])?;
        let refused = kafka_tool_any(
            CONFIGS,
            &[
                &["--bootstrap-server", &cluster.bootstrap()],
                &topic[..],
                &["--alter", "--add-config", "retention.ms=soon"],
            ]
            .concat(),
            "",
        )?;
        ensure!(!refused.status.success(), "a retention of `soon` was accepted");
        expect(&refused.text(), &["retention.ms"])
    });
}

#[test]
fn kafka_configs_changes_groups() {
    let brokers = Spec::brokers(3).set("group.consumer.min.session.timeout.ms", "6000");
    scenario(brokers, |cluster| {
        let group = ["--entity-type", "groups", "--entity-name", "readers"];
        let configs = |args: &[&str]| tool(cluster, CONFIGS, &[&group[..], args].concat());
        configs(&["--alter", "--add-config", "consumer.session.timeout.ms=7000"])?;
        expect(&configs(&["--describe"])?, &["consumer.session.timeout.ms=7000"])?;
        let bootstrap = cluster.bootstrap();
        let alter = ["--alter", "--add-config", "consumer.session.timeout.ms=5999"];
        let refused = [&["--bootstrap-server", &bootstrap], &group[..], &alter].concat();
        let refused = kafka_tool_any(CONFIGS, &refused, "")?;
        ensure!(!refused.status.success(), "a session of less than the least allowed was accepted");
        expect(&refused.text(), &["group.consumer.min.session.timeout.ms"])?;
        configs(&["--alter", "--delete-config", "consumer.session.timeout.ms"])?;
        wait::for_condition("the setting is gone", SETTLE_LIMIT, || Ok(!configs(&["--describe"])?.contains("7000")))
    });
}

#[test]
fn kafka_configs_describes_brokers() {
    scenario(Spec::brokers(3), |cluster| {
        let args = ["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"];
        expect(&tool(cluster, CONFIGS, &args)?, &["num.partitions", "log.dirs=", "node.id=1"])?;
        let all = ["--entity-type", "brokers", "--entity-default"];
        let set = ["--alter", "--add-config", "log.retention.ms=7200000,some.plugin.password=secret"];
        tool(cluster, CONFIGS, &[&all[..], &set].concat())?;
        let described = tool(cluster, CONFIGS, &[&all[..], &["--describe"]].concat())?;
        ensure!(!described.contains("secret"), "{described}");
        let known =
            "log.retention.ms=7200000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=";
        expect(
            &described,
            &[known, "some.plugin.password=null sensitive=true synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:"],
        )
    });
}

#[test]
fn kafka_metadata_quorum_describes_the_controllers() {
    scenario(Spec::brokers(3), |cluster| {
        let status = tool(cluster, QUORUM, &["describe", "--status"])?;
        expect(&status, &["ClusterId:", "LeaderId:", "LeaderEpoch:", "HighWatermark:", "CurrentVoters:"])?;
        let leader = status.lines().find_map(|line| line.strip_prefix("LeaderId:")).context("no leader")?;
        ensure!(leader.trim().parse() == Ok(cluster.controller()?), "{status}");
        let replication = tool(cluster, QUORUM, &["describe", "--replication"])?;
        ensure!(replication.matches("Leader").count() >= 1, "{replication}");
        ensure!(replication.matches("Follower").count() == 2, "{replication}");
        Ok(())
    });
}

#[test]
fn kafka_features_describes_what_is_served() {
    scenario(Spec::brokers(3), |cluster| {
        let described = tool(cluster, FEATURES, &["describe"])?;
        let value = |feature: &str, column: &str| -> Option<&str> {
            let line = described.lines().find(|line| line.split_whitespace().nth(1) == Some(feature))?;
            line.split_once(column)?.1.split_whitespace().next()
        };
        let level = |feature| value(feature, "FinalizedVersionLevel:");
        ensure!(level("metadata.version") == Some("4.1-IV1"), "{described}");
        ensure!(level("group.version") == Some("1"), "{described}");
        ensure!(level("transaction.version").is_none() && level("share.version").is_none(), "{described}");
        let epoch = value("group.version", "Epoch:");
        ensure!(epoch.is_some_and(|epoch| epoch.parse::<i64>().is_ok_and(|epoch| epoch > 0)), "{described}");
        Ok(())
    })
}

#[test]
fn offsets_and_records_can_be_asked_for_and_deleted() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("counted", 1)?;
        let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
        let bootstrap = cluster.bootstrap();
        kcat(&["-P", "-b", &bootstrap, "-t", "counted", "-X", "acks=all"], &lines)?;
        let offsets = |time: &str| tool(cluster, OFFSETS, &["--topic", "counted", "--time", time]);
        expect(&offsets("latest")?, &["counted:0:100"])?;
        expect(&offsets("earliest")?, &["counted:0:0"])?;
        expect(&offsets("max-timestamp")?, &["counted:0:"])?;

        let order = cluster.dir().join("delete.json");
        fs::write(&order, r#"{"partitions": [{"topic": "counted", "partition": 0, "offset": 40}], "version": 1}"#)?;
        let order = order.to_str().context("path")?;
        expect(&tool(cluster, DELETE_RECORDS, &["--offset-json-file", order])?, &["low_watermark: 40"])?;
        expect(&offsets("earliest")?, &["counted:0:40"])?;
        let rest = kcat(&["-C", "-q", "-e", "-b", &bootstrap, "-t", "counted", "-o", "beginning"], "")?;
        ensure!(rest.stdout.starts_with("40\n") && rest.stdout.ends_with("99\n"), "{}", rest.stdout);
        Ok(())
    });
}

#[test]
fn kafka_log_dirs_tells_sizes() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("sized", 1)?;
        kcat(&["-P", "-b", &cluster.bootstrap(), "-t", "sized", "-X", "acks=all"], "something\n")?;
        let printed = tool(cluster, LOG_DIRS, &["--describe", "--topic-list", "sized"])?;
        let json = printed.lines().find(|line| line.starts_with('{')).with_context(|| printed.clone())?;
        let answer: serde_json::Value = serde_json::from_str(json)?;
        let brokers = answer["brokers"].as_array().context("brokers")?;
        ensure!(brokers.len() == 3, "{json}");
        for broker in brokers {
            let partition = &broker["logDirs"][0]["partitions"][0];
            ensure!(partition["partition"] == "sized-0", "{json}");
            ensure!(partition["size"].as_u64().is_some_and(|size| (60..1000).contains(&size)), "{json}");
        }
        Ok(())
    });
}

#[test]
fn kafka_broker_api_versions_and_preferred_election_work() {
    scenario(Spec::brokers(3), |cluster| {
        let versions = tool(cluster, API_VERSIONS, &[])?;
        expect(
            &versions,
            &["Produce(0): ", "Fetch(1): ", "Metadata(3): ", "ApiVersions(18): ", "DescribeTopicPartitions(75): "],
        )?;
        ensure!(versions.matches("Produce(0): ").count() == 3, "{versions}");

        cluster.create_topic("elected", 1)?;
        let preferred = cluster.partitions("elected")?[0].replicas[0];
        cluster.terminate(preferred)?;
        cluster.wait_in_sync("elected", 1, 2)?;
        cluster.start_node(preferred)?;
        cluster.wait_in_sync("elected", 1, 3)?;
        ensure!(cluster.leader("elected", 0)? != preferred, "the leader moved back by itself at once");
        tool(cluster, ELECT, &["--election-type", "preferred", "--topic", "elected", "--partition", "0"])?;
        wait::for_condition("the preferred leader leads", SETTLE_LIMIT, || {
            Ok(cluster.leader("elected", 0)? == preferred)
        })
    });
}

#[test]
fn kafka_reassign_partitions_moves_a_replica() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic_on("moved", &[1, 2])?;
        let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
        kcat(&["-P", "-b", &cluster.bootstrap(), "-t", "moved", "-X", "acks=all"], &lines)?;
        let [topics, plan] = ["topics.json", "plan.json"].map(|name| cluster.dir().join(name));
        fs::write(&topics, r#"{"topics": [{"topic": "moved"}], "version": 1}"#)?;
        fs::write(&plan, r#"{"version": 1, "partitions": [{"topic": "moved", "partition": 0, "replicas": [3, 2]}]}"#)?;
        let [topics, plan] = [topics.to_str().context("path")?, plan.to_str().context("path")?];

        let generated = ["--generate", "--topics-to-move-json-file", topics, "--broker-list", "2,3"];
        expect(
            &tool(cluster, REASSIGN, &generated)?,
            &["Current partition replica assignment", r#""replicas":[1,2]"#],
        )?;
        let execute = ["--execute", "--reassignment-json-file", plan, "--throttle", "50000000"];
        expect(&tool(cluster, REASSIGN, &execute)?, &["Successfully started partition reassignment"])?;
        let verify = ["--verify", "--reassignment-json-file", plan];
        wait::for_condition("the move is complete", SETTLE_LIMIT, || {
            Ok(tool(cluster, REASSIGN, &verify)?.contains("moved-0 is completed"))
        })?;
        ensure!(cluster.partitions("moved")?[0].replicas == [3, 2], "{:?}", cluster.partitions("moved")?);
        expect(&tool(cluster, REASSIGN, &["--list"])?, &["No partition reassignments found"])?;
        let read = kcat(&["-C", "-q", "-e", "-b", &cluster.bootstrap(), "-t", "moved", "-o", "beginning"], "")?;
        ensure!(read.stdout == lines, "{}", read.stdout);
        Ok(())
    });
}
