//! SIGSTOP: a node that is silent without being dead, and wakes up believing in its old role.

use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use tidelog_cluster_tests::probe::{self, Bytes};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario, wait};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;

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

/// A client may learn of a topic before the topic's leader does; one that never sends again must not lose its records.
#[test]
fn a_leader_takes_records_of_a_topic_that_it_is_about_to_hear_of() {
    scenario(Spec::brokers(3), |cluster| {
        let controller = cluster.controller()?;
        let leader = cluster.ids().find(|id| *id != controller).expect("three nodes");
        let mut producer = probe::connect(&cluster.address(leader))?;
        cluster.pause(leader)?;
        probe::create_topic_on(&cluster.address(controller), TOPIC, &[leader])?;
        for value in ["first", "second", "third"] {
            producer.write_all(&produce_request(value)?)?;
        }
        cluster.resume(leader)?;
        for offset in 0..3 {
            let answer = probe::answer(&mut producer)?;
            // One topic, one partition: count, name, count, index, and then the error and the offset.
            let outcome = &answer[4 + 2 + TOPIC.len() + 4 + 4..];
            ensure!(outcome[..2] == [0, 0], "refused with error {}", outcome[1]);
            ensure!(outcome[2..10] == i64::to_be_bytes(offset), "record {offset} went to another offset");
        }
        Ok(())
    });
}

/// Version 3 with acks=1.
fn produce_request(value: &str) -> Result<Vec<u8>> {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(0, None, Some(value.as_bytes()), &[]);
    let batch = batch.build()?;
    let request = probe::request(0, 3).int16(-1).int16(1).int32(1000);
    let topic = Bytes::default().int32(1).string(TOPIC).int32(1).int32(0);
    Ok(request.raw(&topic.0).int32(batch.len() as i32).raw(&batch).frame())
}

/// Its controller heard nothing meanwhile, but not because its broker was silent.
#[test]
fn a_lone_node_that_was_paused_goes_on_as_before() {
    scenario(Spec::brokers(1), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        for _ in 0..2 {
            cluster.pause(1)?;
            wait::pass(Duration::from_secs(3));
            cluster.resume(1)?;
            wait::pass(Duration::from_secs(2));
        }
        let log = fs::read_to_string(cluster.log_file(1))?;
        ensure!(!log.contains("session over"), "it fenced itself");
        Ok(())
    });
}
