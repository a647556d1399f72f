//! What an operator is told when something is wrong, by Tidelog's own commands, its admin listeners and Kafka's tools.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::kafka_tool_any;
use tidelog_cluster_tests::{Cluster, Spec, kafka_differs, scenario, wait};
use tidelog_compat_tests::command::{any_tidelog, tidelog};

const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// Kafka's tools give up after a minute.
const AT_ONCE: Duration = Duration::from_secs(25);

const QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
const FEATURES: &str = "org.apache.kafka.tools.FeatureCommand";
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn health(cluster: &Cluster) -> Result<String> {
    Ok(any_tidelog(cluster, "cluster health", "")?.stdout)
}

fn sample(metrics: &str, name: &str) -> Result<i64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no {name} in:\n{metrics}"))?.parse()?)
}

#[test]
fn a_lost_quorum_leaves_no_active_controller_and_leaders_that_are_up_are_told_from_those_that_are_gone() {
    scenario(Spec::brokers(3), |cluster| {
        if kafka_differs(cluster.target(), "it has no such command") {
            return Ok(());
        }
        for id in cluster.ids() {
            cluster.create_topic_on(&format!("alone-on-{id}"), &[id])?;
        }
        cluster.create_topic_on("shared", &[1, 2, 3])?;
        ensure!(cluster.leader("shared", 0)? == 1);
        cluster.kill(2)?;
        cluster.kill(3)?;
        wait::for_condition("the lost quorum is noticed", SETTLE_LIMIT, || {
            Ok(health(cluster)?.contains("no active controller"))
        })?;
        wait::for_condition("partitions are told apart", SETTLE_LIMIT, || {
            let said = health(cluster)?;
            let line = |what: &str| said.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
            let (gone, waiting) = (line("without a leader"), line("waiting for a controller"));
            Ok(gone.contains("alone-on-2-0")
                && gone.contains("alone-on-3-0")
                && !gone.contains("shared")
                && !said.contains("alone-on-1-0")
                && waiting.contains("shared-0")
                && line("do not answer").ends_with("2, 3"))
        })
        .with_context(|| health(cluster).unwrap_or_default())?;
        tidelog(cluster, "cluster health", "", 10)?;
        ensure!(tidelog(cluster, "cluster status", "", 0)?.contains("active controller none"));
        cluster.start_node(2)?;
        cluster.start_node(3)?;
        wait::for_condition("the cluster is healthy again", SETTLE_LIMIT, || {
            Ok(health(cluster)?.contains("\n  brokers: 3, active"))
        })
    });
}

#[test]
fn a_full_disk_is_named_with_its_reserve() {
    // More than any disk has: it is full from the beginning.
    let spec = Spec::brokers(1).set("log.dir.reserve.bytes", &(1_u64 << 61).to_string());
    scenario(spec, |cluster| {
        if kafka_differs(cluster.target(), "it fills its disk and ends") {
            return Ok(());
        }
        cluster.create_topic("full", 1)?;
        let said = tidelog(cluster, "cluster health", "", 10)?;
        ensure!(said.contains("producers refused: broker 1") && said.contains("2097152.0 TiB in reserve"), "{said}");
        let ready = cluster.admin(1, "/readyz")?;
        ensure!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("producers are refused"), "{ready}");
        ensure!(ready.contains("2199023255552 MiB"), "{ready}");
        ensure!(sample(&cluster.metrics(1)?, "tidelog_log_full_log_directories")? == 1);
        let produced = any_tidelog(cluster, "produce full", "a record\n")?;
        ensure!(produced.text().contains("is full: its last 2199023255552 MiB are reserved"), "{}", produced.text());
        Ok(())
    });
}

#[test]
fn a_node_that_is_a_controller_only_has_metrics_and_probes() {
    scenario(Spec::brokers(1).controllers(3), |cluster| {
        if kafka_differs(cluster.target(), "it has no admin listener") {
            return Ok(());
        }
        cluster.create_topic("counted", 2)?;
        let active = cluster.controller()?;
        wait::for_condition("the active controller counts", SETTLE_LIMIT, || {
            let metrics = cluster.metrics(active)?;
            let count = |name: &str| sample(&metrics, &format!("kafka_controller_kafkacontroller_{name}"));
            Ok(count("activecontrollercount")? == 1
                && count("activebrokercount")? == 1
                && count("fencedbrokercount")? == 0
                && count("globaltopiccount")? == 1
                && count("globalpartitioncount")? == 2
                && count("offlinepartitionscount")? == 0
                && count("lastappliedrecordoffset")? > 0
                && sample(&metrics, "tidelog_controller_under_replicated_partitions")? == 0
                && sample(&metrics, "kafka_controller_controllerstats_uncleanleaderelections_total")? == 0
                && sample(&metrics, "kafka_server_raft_metrics_current_epoch")? > 0
                && sample(&metrics, "kafka_server_raft_metrics_current_leader")? == i64::from(active))
        })?;
        for id in 2..=4 {
            for path in ["/livez", "/readyz"] {
                let answer = cluster.admin(id, path)?;
                ensure!(answer.starts_with("HTTP/1.1 200 "), "{path} of node {id}: {answer}");
            }
        }
        let broker = cluster.metrics(1)?;
        ensure!(sample(&broker, "kafka_server_broker_metadata_metrics_last_applied_record_offset")? > 0);
        ensure!(!broker.contains("kafka_controller_kafkacontroller"), "a broker is no controller");
        cluster.kill(1)?;
        wait::for_condition("the broker is missed", SETTLE_LIMIT, || {
            let offline = "kafka_controller_kafkacontroller_offlinepartitionscount";
            Ok(sample(&cluster.metrics(active)?, offline)? == 2)
        })?;
        let others: Vec<i32> = (2..=4).filter(|id| *id != active).collect();
        cluster.kill(active)?;
        cluster.kill(others[0])?;
        wait::for_condition("a controller alone is not ready", SETTLE_LIMIT, || {
            Ok(cluster.admin(others[1], "/readyz")?.contains("no active controller with a quorum"))
        })?;
        ensure!(cluster.admin(others[1], "/livez")?.starts_with("HTTP/1.1 200 "));
        Ok(())
    });
}

#[test]
fn kafkas_tools_are_answered_at_the_controllers_port() {
    scenario(Spec::brokers(3), |cluster| {
        let at_controller = |class: &str, option: &str, args: &[&str]| -> Result<String> {
            let began = Instant::now();
            let address = cluster.controller_address(2);
            let output = kafka_tool_any(class, &[&[option, &address], args].concat(), "")?;
            ensure!(began.elapsed() < AT_ONCE, "{class} took {:?}:\n{}", began.elapsed(), output.text());
            Ok(output.text())
        };
        let status = at_controller(QUORUM, "--bootstrap-controller", &["describe", "--status"])?;
        let leader = status.lines().find_map(|line| line.strip_prefix("LeaderId:"));
        let leader = leader.with_context(|| status.clone())?.trim().parse::<i32>()?;
        ensure!(leader == cluster.controller()?, "{status}");
        let features = at_controller(FEATURES, "--bootstrap-controller", &["describe"])?;
        ensure!(features.contains("group.version"), "{features}");
        // Not served, and said at once.
        let topics = at_controller(TOPICS, "--bootstrap-server", &["--list"])?;
        ensure!(
            topics.contains("METADATA") || topics.contains("UnsupportedVersion") || topics.contains("endpoint"),
            "{topics}"
        );
        Ok(())
    });
}
