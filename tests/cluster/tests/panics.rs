//! What a panic costs: the request that caused it, or a node that says so and ends. Debug builds panic where they are asked to.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tidelog_cluster_tests::probe::{Bytes, connect, metadata};
use tidelog_cluster_tests::scenario::finish;
use tidelog_cluster_tests::{Cluster, Spec, Target, wait};

const TOPIC: &str = "orderly";
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const DISCONNECT_LIMIT: Duration = Duration::from_secs(10);

fn cluster() -> Result<Option<Cluster>> {
    if !cfg!(debug_assertions) || Target::from_environment()? == Target::Kafka {
        return Ok(None);
    }
    let cluster = Cluster::start(Target::Tidelog, &Spec::brokers(3))?;
    cluster.create_topic(TOPIC, 3)?;
    Ok(Some(cluster))
}

/// Asks for Metadata as a client of that name, which costs the connection.
fn ask_as(cluster: &Cluster, id: i32, client: &str) -> Result<()> {
    let mut stream = connect(&cluster.address(id))?;
    let request = Bytes::default().int16(3).int16(4).int32(1).string(client).int32(-1).int8(0);
    stream.write_all(&request.frame())?;
    stream.set_read_timeout(Some(DISCONNECT_LIMIT))?;
    match stream.read(&mut [0; 64]) {
        Ok(0) => Ok(()),
        Ok(_) if client.ends_with("task") || client.ends_with("thread") => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Ok(_) => bail!("a request that panicked was answered"),
        Err(error) => Err(error).context("neither an answer nor a disconnect"),
    }
}

#[test]
fn a_request_that_panics_is_refused_and_nobody_else_notices() {
    let run = || {
        let Some(mut cluster) = cluster()? else { return Ok(()) };
        for _ in 0..3 {
            ask_as(&cluster, 1, "panic in a request")?;
            metadata(&cluster.address(1), Some(TOPIC))?;
        }
        cluster.check_running()?;
        let metrics = cluster.metrics(1)?;
        ensure!(metrics.contains("tidelog_request_panics_total 3"), "it is not counted: {metrics}");
        let log = fs::read_to_string(cluster.log_file(1))?;
        ensure!(log.contains("panicked at") && log.contains("dispatch.rs"), "the log does not say where: {log}");
        Ok(())
    };
    finish(run());
}

#[test]
fn a_panic_in_what_the_node_lives_by_ends_it_loudly_and_its_data_outlives_it() {
    let run = || {
        let Some(mut cluster) = cluster()? else { return Ok(()) };
        for (id, what) in [(1, "panic in a partition"), (2, "panic in a task"), (3, "panic on a disk thread")] {
            ask_as(&cluster, id, what)?;
            let status = cluster.wait_end(id, ENDS_WITHIN).with_context(|| what.to_owned())?;
            ensure!(status.code() == Some(1), "{what}: the node ended with {status}");
            let log = fs::read_to_string(cluster.log_file(id))?;
            ensure!(log.contains("panicked, and what it was changing"), "{what}: the log does not say why: {log}");
            cluster.start_node(id)?;
            cluster.wait_ready()?;
            let survivor = cluster.address(id % 3 + 1);
            wait::for_condition("all replicas are in sync again", ENDS_WITHIN, || {
                let topic = metadata(&survivor, Some(TOPIC))?;
                Ok(topic.partitions.iter().all(|partition| partition.in_sync.len() == 3))
            })?;
        }
        Ok(())
    };
    finish(run());
}
