//! SIGTERM to several nodes at the same moment, as `docker-compose stop` does it: none waits for another that is
//! leaving too.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario};

const TOPIC: &str = "shutdown";
const PARTITIONS: i32 = 12;
const SOME: usize = 400;
/// Who waits in vain waits for 8 s.
const PROMPT: Duration = Duration::from_secs(5);

fn stop_together(cluster: &mut Cluster, ids: &[i32]) -> Result<()> {
    let began = Instant::now();
    cluster.terminate_together(ids)?;
    report(&format!("{} nodes stopped within {} ms", ids.len(), began.elapsed().as_millis()));
    ensure!(began.elapsed() < PROMPT, "stopping took {:?}", began.elapsed());
    Ok(())
}

/// Stops `ids` under load, starts them again, and counts what was acknowledged.
fn stop_and_start(cluster: &mut Cluster, ids: &[i32]) -> Result<()> {
    cluster.create_topic(TOPIC, PARTITIONS)?;
    let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
    writer.wait_acked(SOME)?;
    stop_together(cluster, ids)?;
    ids.iter().try_for_each(|id| cluster.start_node(*id))?;
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    writer.wait_acked(SOME)?;
    let history = writer.stop()?;
    history.check(&read_all(cluster, TOPIC)?)?;
    wait_identical(cluster, TOPIC)
}

#[test]
fn two_nodes_that_stop_together_do_not_wait_for_each_other() {
    scenario(Spec::brokers(3), |cluster| {
        let controller = cluster.controller()?;
        let others: Vec<i32> = cluster.ids().filter(|id| *id != controller).collect();
        stop_and_start(cluster, &others)
    });
}

#[test]
fn a_whole_cluster_that_stops_at_once_waits_for_nobody() {
    scenario(Spec::brokers(3), |cluster| stop_and_start(cluster, &[1, 2, 3]));
}
