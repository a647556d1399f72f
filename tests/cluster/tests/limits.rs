//! Limits of connections: clients that use up theirs stop neither replication nor, once they go, other clients.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::probe::{connect, metadata};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, scenario, wait};

const TOPIC: &str = "limited";
const CONNECTIONS_MAX: usize = 20;
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// More connections to node 1 than it takes; the kernel holds those that wait.
fn flood(cluster: &Cluster) -> Result<Vec<TcpStream>> {
    (0..CONNECTIONS_MAX * 3).map(|_| connect(&cluster.address(1))).collect()
}

/// Brokers reach each other by a listener of their own.
fn spec() -> Spec {
    Spec::brokers(3).gated_network()
}

/// Waits until node 3 sees so many replicas in sync.
fn wait_in_sync(cluster: &Cluster, count: usize) -> Result<()> {
    wait::for_condition(&format!("{count} replicas are in sync"), SERVED_WITHIN, || {
        let topic = metadata(&cluster.address(3), Some(TOPIC))?;
        Ok(topic.partitions.first().context("no partition")?.in_sync.len() == count)
    })
}

#[test]
fn clients_that_use_up_all_connections_do_not_stop_replication() {
    scenario(spec().set("max.connections", &CONNECTIONS_MAX.to_string()), |cluster| {
        if cluster.target() == Target::Kafka {
            return Ok(());
        }
        cluster.create_topic_on(TOPIC, &[1, 2, 3])?;
        let held = flood(cluster)?;
        // Its fetcher needs a new connection to node 1.
        cluster.kill(2)?;
        wait_in_sync(cluster, 2)?;
        cluster.start_node(2)?;
        wait_in_sync(cluster, 3)?;
        drop(held);
        wait::for_condition("a client is served", SERVED_WITHIN, || {
            metadata(&cluster.address(1), Some(TOPIC)).map(|_| true)
        })
    });
}

#[test]
fn a_listener_has_a_limit_of_its_own() {
    scenario(spec().set("listener.name.plaintext.max.connections", &CONNECTIONS_MAX.to_string()), |cluster| {
        if cluster.target() == Target::Kafka {
            return Ok(());
        }
        cluster.create_topic_on(TOPIC, &[1, 2, 3])?;
        let writer = Writer::own(cluster, TOPIC, 1);
        writer.wait_acked(10)?;
        let held = flood(cluster)?;
        writer.wait_acked(10)?;
        let open = cluster.metrics(1)?;
        let open =
            open.lines().find_map(|line| line.strip_prefix("kafka_server_socketservermetrics_connection_count "));
        let open: usize = open.context("no count of connections")?.trim().parse()?;
        // Those of the other brokers count too.
        ensure!((CONNECTIONS_MAX..CONNECTIONS_MAX + 10).contains(&open), "{open} connections are open");
        drop(held);
        wait::for_condition("a client is served", SERVED_WITHIN, || {
            metadata(&cluster.address(1), Some(TOPIC)).map(|_| true)
        })?;
        writer.stop()?.check_no_failure()
    });
}
