//! Clients that ask for much and take nothing: the broker's memory stays bounded, and everyone else is served.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::probe::{Bytes, answer, connect, exchange, request};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, scenario, wait};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;

const FAT: &str = "fat";
const BESIDE: &str = "beside";
const BATCH_BYTES: usize = 1 << 20;
const ASKED_BYTES: i32 = 8 << 20;
const SOME: usize = 50;
/// Of all connections together, in these tests.
const BUDGET_BYTES: u64 = 32 << 20;
const SEND_TIMEOUT: Duration = Duration::from_secs(4);
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

fn spec() -> Spec {
    Spec::brokers(3)
        .set("queued.max.response.bytes", &BUDGET_BYTES.to_string())
        .set("socket.send.timeout.ms", &SEND_TIMEOUT.as_millis().to_string())
        .set("message.max.bytes", "2000000")
}

/// A topic led by node 1 with more records than one Fetch asks for.
fn fill(cluster: &Cluster) -> Result<()> {
    cluster.create_topic_on(FAT, &[1, 2, 3])?;
    let mut stream = connect(&cluster.address(1))?;
    for _ in 0..10 {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(1, None, Some(&vec![b'x'; BATCH_BYTES]), &[]);
        let records = batch.build()?;
        let produce = request(0, 3).int16(-1).int16(-1).int32(10_000).int32(1).string(FAT).int32(1).int32(0);
        let produce = produce.int32(records.len() as i32).raw(&records);
        let answered = exchange(&mut stream, &produce.frame())?;
        // One topic, its name, one partition, its index, then the error.
        let error_at = 4 + 2 + FAT.len() + 4 + 4;
        ensure!(answered[error_at..error_at + 2] == [0, 0], "produce was answered {answered:?}");
    }
    Ok(())
}

/// Without a session, from the beginning.
fn fetch() -> Vec<u8> {
    let fetch = request(1, 4).int32(-1).int32(1_000).int32(1).int32(ASKED_BYTES).int8(0);
    fetch.int32(1).string(FAT).int32(1).int32(0).raw(&[0; 8]).int32(ASKED_BYTES).frame()
}

fn ask_often(cluster: &Cluster, requests: usize) -> Result<TcpStream> {
    let mut stream = connect(&cluster.address(1))?;
    stream.write_all(&fetch().repeat(requests))?;
    Ok(stream)
}

/// Asks node 1 for more than it may hold while a writer is at work beside, and checks that nobody noticed.
fn attack(greedy: impl FnOnce(&Cluster) -> Result<Vec<TcpStream>>, growth_bytes_max: u64) {
    scenario(spec(), |cluster| {
        if cluster.target() == Target::Kafka {
            return Ok(());
        }
        fill(cluster)?;
        cluster.create_topic(BESIDE, 3)?;
        let writer = Writer::own(cluster, BESIDE, 3);
        writer.wait_acked(SOME)?;
        let before = cluster.resident_bytes(1)?;
        let unread = greedy(cluster)?;
        let mut reader = connect(&cluster.address(1))?;
        for _ in 0..5 {
            let records = exchange(&mut reader, &fetch()).context("a client that does read")?;
            ensure!(records.len() > BATCH_BYTES, "it got {} bytes", records.len());
        }
        writer.wait_acked(SOME)?;
        let grown = cluster.resident_bytes(1)?.saturating_sub(before);
        ensure!(grown < growth_bytes_max, "node 1 grew by {grown} bytes");
        ensure!(cluster.leader(FAT, 0)? == 1, "node 1 lost its leaderships");
        wait::for_condition("those who take nothing are disconnected", NOTICED_WITHIN, || {
            Ok(open_connections(cluster)? < before_attack_at_most(unread.len()))
        })?;
        writer.stop()?.check_no_failure()
    });
}

/// Each node and each client of the test has a few; the greedy ones must be gone for there to be so few.
fn before_attack_at_most(greedy: usize) -> u64 {
    greedy.max(20) as u64
}

fn open_connections(cluster: &Cluster) -> Result<u64> {
    let metrics = cluster.metrics(1)?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("kafka_server_socketservermetrics_connection_count"));
    let count = line.and_then(|line| line.split_whitespace().last()).context("no count of connections")?;
    Ok(count.parse::<f64>()? as u64)
}

#[test]
fn pipelined_fetches_that_nobody_reads_are_bounded_for_a_connection() {
    attack(|cluster| Ok(vec![ask_often(cluster, 200)?]), 96 << 20);
}

#[test]
fn connections_that_do_not_read_are_bounded_together() {
    attack(|cluster| (0..40).map(|_| ask_often(cluster, 3)).collect(), BUDGET_BYTES + (128 << 20));
}

#[test]
fn a_slow_reader_gets_all_it_asked_for() {
    scenario(spec(), |cluster| {
        fill(cluster)?;
        let mut slow = ask_often(cluster, 6)?;
        for number in 0..6 {
            // Longer than nothing may be taken: what counts is that something is.
            wait::pass(SEND_TIMEOUT / 3);
            let records = answer(&mut slow).with_context(|| format!("answer {number}"))?;
            ensure!(records.len() > BATCH_BYTES, "answer {number} has {} bytes", records.len());
        }
        Ok(())
    });
}

/// Large requests are let in one after the other, each as a whole.
#[test]
fn half_of_many_large_requests_costs_little_and_a_whole_one_gets_through() {
    scenario(spec().set("queued.max.request.bytes", "8000000"), |cluster| {
        cluster.create_topic_on(FAT, &[1, 2, 3])?;
        let before = cluster.resident_bytes(1)?;
        let mut half = Vec::new();
        for _ in 0..12 {
            let mut stream = connect(&cluster.address(1))?;
            stream.set_write_timeout(Some(Duration::from_millis(200)))?;
            // The rest stays in the kernel's buffers, or here.
            let _ = stream.write_all(&Bytes::default().int32(50_000_000).raw(&vec![0; 20_000_000]).0);
            half.push(stream);
        }
        let grown = cluster.resident_bytes(1)?.saturating_sub(before);
        ensure!(grown < 128 << 20, "node 1 grew by {grown} bytes");
        drop(half);
        fill_more(cluster)
    });
}

fn fill_more(cluster: &Cluster) -> Result<()> {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(1, None, Some(&vec![b'x'; BATCH_BYTES * 3 / 2]), &[]);
    let records = batch.build()?;
    let produce = request(0, 3).int16(-1).int16(-1).int32(10_000).int32(1).string(FAT).int32(1).int32(0);
    exchange(&mut connect(&cluster.address(1))?, &produce.int32(records.len() as i32).raw(&records).frame())?;
    Ok(())
}
