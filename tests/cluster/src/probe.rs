//! A blocking connection that speaks a few fixed versions of the Kafka protocol by hand.
//!
//! It shares no code with the system under test, so that a mistake of our codec cannot hide behind itself,
//! and lets bad-input tests send what no client would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CREATE_TIMEOUT_MS: i32 = 5_000;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Bytes of a request in the making.
#[derive(Clone, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn int8(self, value: i8) -> Bytes {
        self.raw(&value.to_be_bytes())
    }

    pub fn int16(self, value: i16) -> Bytes {
        self.raw(&value.to_be_bytes())
    }

    pub fn int32(self, value: i32) -> Bytes {
        self.raw(&value.to_be_bytes())
    }

    pub fn string(self, value: &str) -> Bytes {
        self.int16(value.len() as i16).raw(value.as_bytes())
    }

    pub fn raw(mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self
    }

    /// With the length in front, as it goes over the wire.
    pub fn frame(self) -> Vec<u8> {
        Bytes::default().int32(self.0.len() as i32).raw(&self.0).0
    }
}

/// A request's header in its first version; a flexible one has one more byte for its tagged fields.
pub fn request(key: i16, version: i16) -> Bytes {
    Bytes::default().int16(key).int16(version).int32(1).string("probe")
}

/// Reads a response's fields one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count).context("the answer ends too early")?;
        self.0 = tail;
        Ok(head)
    }

    fn int16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn int32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn int64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    fn string(&mut self) -> Result<String> {
        let length = self.int16()?.max(0);
        Ok(String::from_utf8(self.take(length as usize)?.to_vec())?)
    }

    fn array<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.int32()?).map(|_| element(self)).collect()
    }

    fn compact_string(&mut self) -> Result<String> {
        let length = self.varint()?.saturating_sub(1);
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }

    fn varint(&mut self) -> Result<usize> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = usize::from(self.take(1)?[0]);
            value |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                return Ok(value);
            }
        }
    }
}

/// One frame there, one frame back. The answer comes without length and correlation id.
pub fn exchange(stream: &mut TcpStream, frame: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(frame)?;
    answer(stream)
}

/// The next answer, without length and correlation id.
pub fn answer(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = i32::from_be_bytes(length);
    ensure!((4..1 << 26).contains(&length), "an answer of {length} bytes");
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

pub fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.parse()?, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn ask(address: &str, request: Bytes) -> Result<Vec<u8>> {
    exchange(&mut connect(address)?, &request.frame())
}

/// A partition as one broker sees it. `leader` is -1 if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// A broker's view of the cluster: ids of live brokers in order, and one topic's partitions in order.
#[derive(Clone, Debug)]
pub struct ClusterView {
    pub brokers: Vec<i32>,
    pub partitions: Vec<PartitionView>,
}

/// Metadata version 4, without auto-creation.
pub fn metadata(address: &str, topic: Option<&str>) -> Result<ClusterView> {
    let topics: Vec<&str> = topic.into_iter().collect();
    let mut body = request(3, 4).int32(topics.len() as i32);
    for topic in topics {
        body = body.string(topic);
    }
    let answer = ask(address, body.int8(0))?;
    let fields = &mut Fields(&answer);
    let _throttle_ms = fields.int32()?;
    let mut brokers = fields.array(|broker| {
        let id = broker.int32()?;
        let (_host, _port, _rack) = (broker.string()?, broker.int32()?, broker.string()?);
        Ok(id)
    })?;
    brokers.sort_unstable();
    let (_cluster_id, _controller) = (fields.string()?, fields.int32()?);
    let mut partitions = Vec::new();
    fields.array(|topic| {
        let (_error, _name, _internal) = (topic.int16()?, topic.string()?, topic.take(1)?);
        partitions.extend(topic.array(partition_view)?);
        Ok(())
    })?;
    partitions.sort_by_key(|(index, _)| *index);
    Ok(ClusterView { brokers, partitions: partitions.into_iter().map(|(_, view)| view).collect() })
}

fn partition_view(fields: &mut Fields) -> Result<(i32, PartitionView)> {
    let (_error, index, leader) = (fields.int16()?, fields.int32()?, fields.int32()?);
    let replicas = fields.array(Fields::int32)?;
    let in_sync = fields.array(Fields::int32)?;
    Ok((index, PartitionView { leader, replicas, in_sync }))
}

/// CreateTopics version 2; retried while the cluster is not ready for it.
pub fn create_topic(address: &str, topic: &str, partitions: i32, replicas: i16) -> Result<()> {
    create(address, topic, |body| body.int32(partitions).int16(replicas).int32(0))
}

/// CreateTopics version 2 with the replicas of its one partition given.
pub fn create_topic_on(address: &str, topic: &str, nodes: &[i32]) -> Result<()> {
    create(address, topic, |body| {
        let body = body.int32(-1).int16(-1).int32(1).int32(0).int32(nodes.len() as i32);
        nodes.iter().fold(body, |body, node| body.int32(*node))
    })
}

fn create(address: &str, topic: &str, layout: impl Fn(Bytes) -> Bytes) -> Result<()> {
    let named = request(19, 2).int32(1).string(topic);
    let body = layout(named).int32(0).int32(CREATE_TIMEOUT_MS).int8(0);
    let answer = ask(address, body)?;
    let fields = &mut Fields(&answer);
    let _throttle_ms = fields.int32()?;
    let results = fields.array(|topic| Ok((topic.string()?, topic.int16()?, topic.string()?)))?;
    match results.first().context("an answer about no topic")? {
        (_, 0 | TOPIC_ALREADY_EXISTS, _) => Ok(()),
        (_, error, message) => bail!("creating {topic} failed with error {error}: {message}"),
    }
}

/// DeleteTopics version 1.
pub fn delete_topic(address: &str, topic: &str) -> Result<()> {
    let answer = ask(address, request(20, 1).int32(1).string(topic).int32(CREATE_TIMEOUT_MS))?;
    let fields = &mut Fields(&answer);
    let _throttle_ms = fields.int32()?;
    let results = fields.array(|topic| Ok((topic.string()?, topic.int16()?)))?;
    let (_, error) = results.first().context("an answer about no topic")?;
    ensure!(*error == 0, "deleting {topic} failed with error {error}");
    Ok(())
}

/// AlterPartitionReassignments version 0 for one partition: moves it to `nodes`, or with `None` calls the move off.
pub fn reassign(address: &str, topic: &str, partition: i32, nodes: Option<&[i32]>) -> Result<()> {
    const NO_TAGS: i8 = 0;
    let counted = |count: usize| count as i8 + 1;
    let body = request(45, 0).int8(NO_TAGS).int32(CREATE_TIMEOUT_MS);
    let body = body.int8(counted(1)).int8(counted(topic.len())).raw(topic.as_bytes()).int8(counted(1)).int32(partition);
    let body = match nodes {
        None => body.int8(0),
        Some(nodes) => nodes.iter().fold(body.int8(counted(nodes.len())), |body, node| body.int32(*node)),
    };
    let answer = ask(address, body.int8(NO_TAGS).int8(NO_TAGS).int8(NO_TAGS))?;
    let fields = &mut Fields(&answer);
    let (_tags, _throttle_ms) = (fields.varint()?, fields.int32()?);
    let (error, message) = (fields.int16()?, fields.compact_string()?);
    ensure!(error == 0, "moving {topic}-{partition} failed with error {error}: {message}");
    let (_topics, _name, _partitions) = (fields.varint()?, fields.compact_string()?, fields.varint()?);
    let (_index, error, message) = (fields.int32()?, fields.int16()?, fields.compact_string()?);
    ensure!(error == 0, "moving {topic}-{partition} failed with error {error}: {message}");
    Ok(())
}

/// CreatePartitions version 0: the topic has `count` partitions afterwards.
pub fn create_partitions(address: &str, topic: &str, count: i32) -> Result<()> {
    const CHOSEN_BY_THE_BROKER: i32 = -1;
    let body = request(37, 0).int32(1).string(topic).int32(count).int32(CHOSEN_BY_THE_BROKER);
    let answer = ask(address, body.int32(CREATE_TIMEOUT_MS).int8(0))?;
    let fields = &mut Fields(&answer);
    let _throttle_ms = fields.int32()?;
    let results = fields.array(|topic| Ok((topic.string()?, topic.int16()?, topic.string()?)))?;
    match results.first().context("an answer about no topic")? {
        (_, 0, _) => Ok(()),
        (_, error, message) => bail!("adding partitions to {topic} failed with error {error}: {message}"),
    }
}

/// DescribeQuorum version 0: the id of the active controller, -1 if unknown, and its epoch.
pub fn quorum_leader(address: &str) -> Result<(i32, i32)> {
    let topic = "__cluster_metadata";
    let flexible = request(55, 0).int8(0).int8(2).int8(topic.len() as i8 + 1).raw(topic.as_bytes());
    let answer = ask(address, flexible.int8(2).int32(0).int8(0).int8(0).int8(0))?;
    let fields = &mut Fields(&answer);
    let (_tags, error) = (fields.varint()?, fields.int16()?);
    ensure!(error == 0, "DescribeQuorum failed with error {error}");
    let (_topics, _topic, _partitions) = (fields.varint()?, fields.compact_string()?, fields.varint()?);
    let (_index, error) = (fields.int32()?, fields.int16()?);
    ensure!(error == 0, "DescribeQuorum failed with error {error}");
    Ok((fields.int32()?, fields.int32()?))
}

/// FindCoordinator version 1: the node that coordinates a group.
pub fn coordinator(address: &str, group: &str) -> Result<i32> {
    const GROUP: i8 = 0;
    let answer = ask(address, request(10, 1).string(group).int8(GROUP))?;
    let fields = &mut Fields(&answer);
    let (_throttle_ms, error, _message) = (fields.int32()?, fields.int16()?, fields.string()?);
    ensure!(error == 0, "FindCoordinator failed with error {error}");
    fields.int32()
}

/// OffsetFetch version 2, asked of the coordinator: the committed offset of each of a topic's partitions,
/// -1 where there is none.
pub fn committed_offsets(address: &str, group: &str, topic: &str, partitions: i32) -> Result<Vec<i64>> {
    let mut body = request(9, 2).string(group).int32(1).string(topic).int32(partitions);
    for partition in 0..partitions {
        body = body.int32(partition);
    }
    let answer = ask(address, body)?;
    let fields = &mut Fields(&answer);
    let mut committed = Vec::new();
    fields.array(|topic| {
        topic.string()?;
        committed.extend(topic.array(|partition| {
            let (index, offset) = (partition.int32()?, partition.int64()?);
            let (_metadata, error) = (partition.string()?, partition.int16()?);
            ensure!(error == 0, "OffsetFetch of partition {index} failed with error {error}");
            Ok((index, offset))
        })?);
        Ok(())
    })?;
    let error = fields.int16()?;
    ensure!(error == 0, "OffsetFetch failed with error {error}");
    committed.sort_unstable();
    Ok(committed.into_iter().map(|(_, offset)| offset).collect())
}
