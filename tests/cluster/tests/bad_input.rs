//! Peers that speak nonsense: each is answered with an error or disconnected, and everyone else is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use rustix::process::{Resource, getrlimit, setrlimit};
use tidelog_cluster_tests::probe::{Bytes, connect, exchange, metadata, request};
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, scenario};

const TOPIC: &str = "orderly";
const SOME: usize = 200;
const DISCONNECT_LIMIT: Duration = Duration::from_secs(10);
/// What one connection's nonsense may cost a broker.
const MEMORY_GROWTH_BYTES_MAX: u64 = 128 << 20;

/// Runs `attack` on node 1 while a writer is at work, and checks that nobody noticed.
fn attack_under_load(attack: impl FnOnce(&mut Cluster) -> Result<()>) {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, 3)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        let before = cluster.resident_bytes(1)?;
        attack(cluster)?;
        writer.wait_acked(SOME)?;
        let grown = cluster.resident_bytes(1)?.saturating_sub(before);
        ensure!(grown < MEMORY_GROWTH_BYTES_MAX, "node 1 grew by {grown} bytes");
        metadata(&cluster.address(1), Some(TOPIC))?;
        let history = writer.stop()?;
        report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
        history.check_no_failure()?;
        history.check(&read_all(cluster, TOPIC)?)
    });
}

/// Sends bytes and reads until the peer closes or resets the connection; returns what it answered.
fn answer_until_disconnected(address: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = connect(address)?;
    // The peer may have closed while we were still writing.
    let _ = stream.write_all(bytes);
    read_to_disconnect(&mut stream)
}

fn read_to_disconnect(stream: &mut TcpStream) -> Result<Vec<u8>> {
    stream.set_read_timeout(Some(DISCONNECT_LIMIT))?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(answer),
            Err(error) => return Err(error).context("the peer neither answers nor disconnects"),
        }
    }
}

/// Sends a frame that must be answered (with an error) or cost the connection.
fn refused(address: &str, name: &str, frame: &[u8]) -> Result<()> {
    let mut stream = connect(address)?;
    let _ = stream.write_all(frame);
    stream.set_read_timeout(Some(DISCONNECT_LIMIT))?;
    match stream.read(&mut [0; 4096]) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{name}: neither an answer nor a disconnect")),
    }
}

#[test]
fn frames_of_impossible_length_cost_the_connection() {
    attack_under_load(|cluster| {
        for length in [i32::MAX, 1 << 30, 3, 0, -1, i32::MIN] {
            let bytes = Bytes::default().int32(length).raw(&[0; 64]).0;
            answer_until_disconnected(&cluster.address(1), &bytes).with_context(|| format!("length {length}"))?;
        }
        Ok(())
    });
}

#[test]
fn a_frame_that_is_cut_off_costs_the_connection() {
    attack_under_load(|cluster| {
        let whole = request(3, 4).int32(-1).int8(0).frame();
        for kept in 0..whole.len() {
            let mut stream = connect(&cluster.address(1))?;
            stream.write_all(&whole[..kept])?;
            stream.shutdown(Shutdown::Write)?;
            ensure!(read_to_disconnect(&mut stream)?.is_empty(), "{kept} of {} bytes were answered", whole.len());
        }
        Ok(())
    });
}

#[test]
fn unknown_keys_and_versions_are_refused() {
    attack_under_load(|cluster| {
        let address = cluster.address(1);
        for (key, version) in
            [(9999, 0), (-1, 0), (i16::MAX, i16::MAX), (3, 99), (3, -1), (0, 0), (1, 3), (4, 0), (58, 0)]
        {
            let frame = request(key, version).raw(&[0; 16]).frame();
            refused(&address, &format!("key {key} version {version}"), &frame)?;
        }
        // ApiVersions alone answers a version it does not know: in its first form, with what it does know.
        let from_the_future = request(18, 99).int8(0).raw(&[2, b'n', 2, b'1', 0]);
        let answer = exchange(&mut connect(&address)?, &from_the_future.frame())?;
        ensure!(answer.starts_with(&[0, 35]), "ApiVersions answered {answer:?}");
        Ok(())
    });
}

#[test]
fn forged_counts_cost_neither_memory_nor_the_broker() {
    attack_under_load(|cluster| {
        let address = cluster.address(1);
        let endless = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let forged = [
            ("Metadata v4: topics", request(3, 4).int32(i32::MAX)),
            ("Metadata v4: negative count", request(3, 4).int32(-2)),
            ("Metadata v9: topics", request(3, 9).int8(0).raw(&endless)),
            ("Metadata v9: tagged fields", request(3, 9).raw(&endless)),
            ("Metadata v9: size of a tagged field", request(3, 9).int8(1).int8(9).raw(&endless)),
            ("Produce v3: topics", request(0, 3).int16(-1).int16(-1).int32(1000).int32(i32::MAX)),
            (
                "Produce v3: partitions",
                request(0, 3).int16(-1).int16(-1).int32(1000).int32(1).string("t").int32(i32::MAX),
            ),
            ("Produce v3: records", produce_with_records_of(i32::MAX)),
            ("Fetch v4: topics", request(1, 4).int32(-1).int32(100).int32(1).int32(1 << 20).int8(0).int32(i32::MAX)),
            ("CreateTopics v2: topics", request(19, 2).int32(i32::MAX)),
            ("ApiVersions v3: name", request(18, 3).int8(0).raw(&endless)),
            ("a client id longer than the frame", Bytes::default().int16(3).int16(4).int32(1).int16(i16::MAX)),
        ];
        // Kafka never answers this one.
        let unanswered = ("Produce v3: negative records", produce_with_records_of(-7));
        let ours = (cluster.target() == Target::Tidelog).then_some(unanswered);
        for (name, body) in forged.into_iter().chain(ours) {
            refused(&address, name, &body.frame())?;
        }
        Ok(())
    });
}

fn produce_with_records_of(length: i32) -> Bytes {
    request(0, 3).int16(-1).int16(-1).int32(1000).int32(1).string(TOPIC).int32(1).int32(0).int32(length).raw(&[1; 40])
}

#[test]
fn random_bytes_disturb_nobody() {
    attack_under_load(|cluster| {
        let mut random = StdRng::seed_from_u64(7);
        let address = cluster.address(1);
        for round in 0..300 {
            let mut bytes = vec![0; random.random_range(1..600)];
            random.fill_bytes(&mut bytes);
            let mut stream = connect(&address)?;
            // Every other time with a true length and a true key in front, so that it gets further.
            if round % 2 == 0 {
                let (key, version) = (random.random_range(0..76), random.random_range(0..14));
                bytes = request(key, version).raw(&bytes).frame();
            }
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            read_to_disconnect(&mut stream).with_context(|| format!("round {round}"))?;
        }
        Ok(())
    });
}

#[test]
fn half_sent_frames_keep_nobody_waiting() {
    attack_under_load(|cluster| {
        let mut held = Vec::new();
        for _ in 0..200 {
            let mut stream = connect(&cluster.address(1))?;
            stream.write_all(&Bytes::default().int32(100_000).raw(&[0; 50]).0)?;
            held.push(stream);
        }
        metadata(&cluster.address(1), Some(TOPIC))?;
        let late = Writer::confluent(cluster, TOPIC, Load::default().named("late"), &[])?;
        late.wait_acked(SOME)?;
        late.stop()?.check_no_failure()
    });
}

#[test]
fn thousands_of_connections_leave_room_for_more() {
    attack_under_load(|cluster| {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?;
        // Our own half of each connection counts too, and the broker needs files for its logs.
        let connections = limit.maximum.map_or(10_000, |files| (files * 2 / 3).min(10_000));
        report(&format!("{connections} connections"));
        let mut held = Vec::new();
        for number in 0..connections {
            held.push(connect(&cluster.address(1)).with_context(|| format!("connection {number}"))?);
        }
        metadata(&cluster.address(1), Some(TOPIC))?;
        let late = Writer::confluent(cluster, TOPIC, Load::default().named("late"), &[])?;
        late.wait_acked(SOME)?;
        late.stop()?.check_no_failure()
    });
}
