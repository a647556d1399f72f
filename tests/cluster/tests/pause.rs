//! SIGSTOP: a node that is silent without being dead, and wakes up believing in its old role.

use anyhow::Result;
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario};

const TOPIC: &str = "pause";
const PARTITIONS: i32 = 4;
const SOME: usize = 400;

fn pause_under_load(cluster: &mut Cluster, victim: i32) -> Result<()> {
    // A paused process keeps its connections, so only its own request timeout moves a client on.
    let writer = Writer::confluent(cluster, TOPIC, Load::default(), &["socket.timeout.ms=1000"])?;
    writer.wait_acked(SOME)?;
    cluster.pause(victim)?;
    writer.wait_acked(SOME)?;
    let late = Writer::confluent(cluster, TOPIC, Load::default().named("late"), &[])?;
    late.wait_acked(SOME)?;
    cluster.resume(victim)?;
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    writer.wait_acked(SOME)?;
    let histories = [writer.stop()?, late.stop()?];
    let read = read_all(cluster, TOPIC)?;
    for history in histories {
        report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
        history.check(&read)?;
    }
    wait_identical(cluster, TOPIC)
}

#[test]
fn production_survives_a_paused_leader() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.leader(TOPIC, 0)?;
        pause_under_load(cluster, victim)
    });
}

#[test]
fn production_survives_a_paused_controller() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let victim = cluster.controller()?;
        pause_under_load(cluster, victim)
    });
}
