//! Clients that name their rack read from the follower there (KIP-392), as the brokers' counters of bytes tell.

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::cluster::rack;
use tidelog_cluster_tests::external::{kafka_tool, kcat};
use tidelog_cluster_tests::scenario::{kafka_differs, report};
use tidelog_cluster_tests::{Cluster, Spec, scenario};

const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const TOPIC: &str = "near";
const RECORDS: usize = 5_000;
const BYTES_OUT: &str = "kafka_server_brokertopicmetrics_bytesout_total";

#[test]
fn java_reads_from_the_follower_in_its_rack() {
    everybody_reads_nearby(|cluster, id| {
        let (bootstrap, client_rack, count) =
            (cluster.bootstrap(), format!("client.rack={}", rack(id)), RECORDS.to_string());
        let args = ["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--from-beginning", "--max-messages", &count];
        let patience = ["--timeout-ms", "30000", "--command-property", &client_rack];
        Ok(kafka_tool(CONSOLE_CONSUMER, &[&args[..], &patience].concat(), "")?.stdout)
    });
}

#[test]
fn librdkafka_reads_from_the_follower_in_its_rack() {
    everybody_reads_nearby(|cluster, id| {
        let client_rack = format!("client.rack={}", rack(id));
        let args = ["-b", &cluster.bootstrap(), "-t", TOPIC, "-X", &client_rack];
        Ok(kcat(&[&args[..], &["-C", "-q", "-e", "-o", "beginning"]].concat(), "")?.stdout)
    });
}

/// `read` reads the topic as a client in the rack of a node, once for each node.
fn everybody_reads_nearby(read: impl Fn(&Cluster, i32) -> Result<String>) {
    scenario(Spec::brokers(3).racked(), |cluster| {
        if kafka_differs(cluster.target(), "its counters are not asked for") {
            return Ok(());
        }
        cluster.create_topic(TOPIC, 1)?;
        let lines: String = (0..RECORDS).map(|n| format!("{n}-{}\n", "x".repeat(200))).collect();
        kcat(&["-b", &cluster.bootstrap(), "-t", TOPIC, "-P", "-X", "acks=all"], &lines)?;
        cluster.wait_in_sync(TOPIC, 1, 3)?;
        for id in cluster.ids() {
            let before = bytes_out(cluster)?;
            ensure!(read(cluster, id)? == lines, "something else came back");
            let after = bytes_out(cluster)?;
            let sent: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
            report(&format!("from {}, whose leader is {}: {sent:?} bytes", rack(id), cluster.leader(TOPIC, 0)?));
            let (here, all) = (sent[id as usize - 1], sent.iter().sum::<u64>());
            ensure!(here == all && here >= lines.len() as u64, "a client in {} was sent {sent:?}", rack(id));
        }
        Ok(())
    });
}

/// Record bytes that each node has sent to consumers.
fn bytes_out(cluster: &Cluster) -> Result<Vec<u64>> {
    let of = |id| -> Result<u64> {
        let metrics = cluster.metrics(id)?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(BYTES_OUT)).context("no bytes out")?;
        line.trim().parse().with_context(|| format!("{BYTES_OUT}{line}"))
    };
    cluster.ids().map(of).collect()
}
