//! A Fetch response in the making.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bytes::Bytes;
use tidelog_commitlog::{ReadError, ReadJob, ReadStart};
use tidelog_replication::{ConsumerView, EpochEnd};
use tidelog_wire::messages::FetchResponse;
use tidelog_wire::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use tidelog_wire::types::{BrokerId, Offset, PartitionIndex};
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::sync::oneshot;

use super::slot::{Slot, TopicKey, find};
use crate::cluster_view::LeaderHint;
use crate::damage;
use crate::partition::{PartitionHandle, read_error_code};
use crate::shard::Shard;

/// A partition whose records are still to come from a disk thread.
struct ColdRead {
    asked: ReadFor,
    topic: usize,
    partition: usize,
    job: ReadJob,
}

/// What a read was begun for: one slot of the session as it was then.
#[derive(Clone)]
pub(super) struct ReadFor {
    pub slot: usize,
    pub topic: TopicKey,
    pub index: PartitionIndex,
    pub fetch_offset: Offset,
}

impl ReadFor {
    /// Whether the slot still stands for what was read.
    pub(super) fn is_for(&self, slot: &Slot) -> bool {
        slot.topic == self.topic && slot.index == self.index && slot.asked.fetch_offset == self.fetch_offset
    }
}

/// A slot of a follower that has no records to hear of, but a high watermark or log start.
pub(super) struct News {
    pub slot: usize,
    pub partition: PartitionHandle,
    pub marks: Marks,
}

#[derive(Default)]
pub(super) struct Draft {
    topics: Vec<FetchableTopicResponse>,
    by_topic: HashMap<TopicKey, usize>,
    endpoints: Vec<NodeEndpoint>,
    cold: Vec<ColdRead>,
    /// Of records, cold ones counted with what they may have at most.
    pub record_bytes: usize,
    /// Something a reader must hear at once: an error, a divergence.
    pub is_urgent: bool,
    pub news: Vec<News>,
}

/// Clients keep what they knew.
const NOT_TOLD: Offset = Offset(-1);

/// Offsets that go with every successful answer.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub high_watermark: Offset,
    pub log_start: Offset,
}

impl Marks {
    /// For a consumer. A high watermark that may seem to go back is not told.
    pub(super) fn of(view: ConsumerView) -> Self {
        let high_watermark = if view.is_settled { view.high_watermark } else { NOT_TOLD };
        Self { high_watermark, log_start: view.log_start }
    }
}

impl Draft {
    /// Adds what a read gave, or what it may give at most.
    pub(super) fn records(
        &mut self,
        asked: ReadFor,
        marks: Marks,
        read: Result<ReadStart, ReadError>,
        max_bytes: usize,
        read_committed: bool,
    ) {
        let (data, bytes, job) = match read {
            Ok(ReadStart::Ready(records)) => {
                let bytes = records.len();
                (with_records(marks, records, read_committed), bytes, None)
            }
            Ok(ReadStart::Cold(job)) => (with_records(marks, Bytes::new(), read_committed), max_bytes, Some(job)),
            Err(error) => {
                return self.error(&asked.topic, asked.index, read_error_code(&error), None, marks.log_start);
            }
        };
        let (topic, partition) = self.push(&asked.topic, asked.index, data);
        if let Some(job) = job {
            self.cold.push(ColdRead { asked, topic, partition, job });
        }
        self.record_bytes += bytes;
    }

    pub(super) fn marks(&mut self, topic: &TopicKey, index: PartitionIndex, marks: Marks, read_committed: bool) {
        self.push(topic, index, with_records(marks, Bytes::new(), read_committed));
    }

    /// The consumer is to read from this follower instead (KIP-392).
    pub(super) fn elsewhere(&mut self, topic: &TopicKey, index: PartitionIndex, marks: Marks, preferred: BrokerId) {
        self.is_urgent = true;
        let data =
            PartitionData { preferred_read_replica: preferred.get(), ..with_records(marks, Bytes::new(), false) };
        self.push(topic, index, data);
    }

    pub(super) fn diverging(&mut self, topic: &TopicKey, index: PartitionIndex, end: EpochEnd) {
        self.is_urgent = true;
        let data = PartitionData {
            high_watermark: -1,
            diverging_epoch: EpochEndOffset { epoch: end.leader_epoch.get(), end_offset: end.end_offset.get() },
            aborted_transactions: None,
            records: Some(Bytes::new()),
            ..PartitionData::default()
        };
        self.push(topic, index, data);
    }

    pub(super) fn error(
        &mut self,
        topic: &TopicKey,
        index: PartitionIndex,
        code: ErrorCode,
        leader: Option<LeaderHint>,
        log_start: Offset,
    ) {
        self.is_urgent = true;
        let mut data = PartitionData {
            error_code: code,
            high_watermark: -1,
            log_start_offset: log_start.get(),
            aborted_transactions: None,
            records: Some(Bytes::new()),
            ..PartitionData::default()
        };
        if let Some(hint) = leader {
            data.current_leader = LeaderIdAndEpoch { leader_id: hint.leader.get(), leader_epoch: hint.epoch.get() };
            self.add_endpoint(hint);
        }
        self.push(topic, index, data);
    }

    fn add_endpoint(&mut self, hint: LeaderHint) {
        let is_known = self.endpoints.iter().any(|endpoint| endpoint.node_id == hint.leader.get());
        if let Some(endpoint) = hint.endpoint
            && !is_known
        {
            self.endpoints.push(NodeEndpoint {
                node_id: hint.leader.get(),
                host: endpoint.host,
                port: endpoint.port.into(),
                rack: endpoint.rack,
            });
        }
    }

    fn push(&mut self, topic: &TopicKey, index: PartitionIndex, mut data: PartitionData) -> (usize, usize) {
        data.partition_index = index.get();
        let topics = &mut self.topics;
        let place = *self.by_topic.entry(topic.clone()).or_insert_with(|| {
            let (topic_id, name) = match topic {
                TopicKey::Id(topic_id) => (*topic_id, Str::default()),
                TopicKey::Name(name) => (Uuid::ZERO, name.clone()),
            };
            topics.push(FetchableTopicResponse { topic: name, topic_id, ..FetchableTopicResponse::default() });
            topics.len() - 1
        });
        self.topics[place].partitions.push(data);
        (place, self.topics[place].partitions.len() - 1)
    }

    /// All that are in the answer by now.
    pub(super) fn partitions(&self) -> HashSet<(TopicKey, PartitionIndex)> {
        let of_topic = |(key, place): (&TopicKey, &usize)| {
            let key = key.clone();
            self.topics[*place].partitions.iter().map(move |data| (key.clone(), PartitionIndex(data.partition_index)))
        };
        self.by_topic.iter().flat_map(of_topic).collect()
    }

    /// The response, and what is still to be read into it.
    pub(super) fn finish(self, session_id: i32) -> (FetchResponse, ColdReads) {
        let response = FetchResponse {
            session_id,
            responses: self.topics,
            node_endpoints: self.endpoints,
            ..FetchResponse::default()
        };
        (response, ColdReads(self.cold))
    }
}

fn with_records(marks: Marks, records: Bytes, read_committed: bool) -> PartitionData {
    PartitionData {
        high_watermark: marks.high_watermark.get(),
        // Without transactions everything committed is stable.
        last_stable_offset: marks.high_watermark.get(),
        log_start_offset: marks.log_start.get(),
        aborted_transactions: read_committed.then(Vec::new),
        records: Some(records),
        ..PartitionData::default()
    }
}

/// Reads that wait for the device.
pub(super) struct ColdReads(Vec<ColdRead>);

impl ColdReads {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs them side by side on the disk threads and fills the response. Returns the reads that brought nothing: the
    /// first batch was larger than what other partitions had left of the answer.
    pub(super) async fn fill(self, shard: &Rc<Shard>, response: &mut FetchResponse) -> Vec<ReadFor> {
        type Pending = (ReadFor, usize, usize, oneshot::Receiver<Result<Bytes, ReadError>>);
        let pending: Vec<Pending> = self
            .0
            .into_iter()
            .map(|read| (read.asked, read.topic, read.partition, shard.disk.read(move || read.job.run())))
            .collect();
        let mut empty = Vec::new();
        for (asked, topic, partition, result) in pending {
            let data = &mut response.responses[topic].partitions[partition];
            match result.await {
                Ok(Ok(records)) if records.is_empty() => empty.push(asked),
                Ok(Ok(records)) => data.records = Some(records),
                Ok(Err(error)) => {
                    if let ReadError::Storage(error) = &error {
                        match find(shard, &asked.topic, asked.index) {
                            Some(host) => damage::met(shard, &host, error),
                            None => shard.storage_error(error),
                        }
                    }
                    data.error_code = read_error_code(&error);
                }
                Err(_) => data.error_code = ErrorCode::KAFKA_STORAGE_ERROR,
            }
        }
        empty
    }
}
