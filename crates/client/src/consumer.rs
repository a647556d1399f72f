//! Reads one topic from given offsets, without a group: one Fetch on its way to each leader, for all partitions it leads.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use tidelog_wire::messages::fetch_response::PartitionData;
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::record::{Record, records};
use tidelog_wire::record_batch::batches;
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::error::ClientError;
use crate::metadata::TopicLeaders;

/// A batch that takes more when decompressed is refused.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;
/// Pause after an answer that only says "not now", so that a partition without a leader is not asked in a tight loop.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Where to begin reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record of this time (milliseconds since 1970) or later.
    Timestamp(i64),
}

#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// How long a leader holds an answer without data.
    pub max_wait: Duration,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self { max_wait: Duration::from_millis(500), max_bytes: 50 << 20, partition_max_bytes: 1 << 20 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    pub partition: i32,
    pub record: Record,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    next_offset: i64,
    /// -1 until a leader has told it.
    high_watermark: i64,
}

struct Fetched {
    node_id: i32,
    outcome: Result<FetchResponse, ClientError>,
}

pub struct Consumer {
    client: Client,
    topic: String,
    options: ConsumerOptions,
    positions: BTreeMap<i32, Position>,
    fetches: FuturesUnordered<BoxFuture<'static, Fetched>>,
    asked: HashSet<i32>,
}

impl Consumer {
    /// `partitions` empty means all of them.
    pub async fn new(
        client: Client,
        topic: &str,
        partitions: &[i32],
        from: StartFrom,
        options: ConsumerOptions,
    ) -> Result<Self, ClientError> {
        let leaders = client.leaders(topic, false).await?;
        let all: Vec<i32> = (0..leaders.partitions.len() as i32).collect();
        if let Some(missing) = partitions.iter().find(|index| !all.contains(index)) {
            return Err(ClientError::UnknownTopic(format!("{topic}, partition {missing},")));
        }
        let wanted = if partitions.is_empty() { &all } else { partitions };
        let offsets = client.offsets(topic, wanted, from).await?;
        let positions =
            offsets.into_iter().map(|(index, next_offset)| (index, Position { next_offset, high_watermark: -1 }));
        Ok(Self {
            client,
            topic: topic.to_owned(),
            options,
            positions: positions.collect(),
            fetches: FuturesUnordered::new(),
            asked: HashSet::new(),
        })
    }

    /// The offset of the record to be read next, by partition.
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.positions.iter().map(|(index, position)| (*index, position.next_offset)).collect()
    }

    /// Everything that was committed when last asked has been read.
    pub fn is_at_end(&self) -> bool {
        self.positions
            .values()
            .all(|position| position.high_watermark >= 0 && position.next_offset >= position.high_watermark)
    }

    /// The next records of some partitions, in order within each; none if there were none for `max_wait`.
    /// Cancel safe: an answer that is not taken now is taken by the next call.
    pub async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, ClientError> {
        self.ask_idle_leaders().await?;
        let Some(fetched) = self.fetches.next().await else {
            tokio::time::sleep(BACK_OFF).await;
            return Ok(Vec::new());
        };
        self.asked.remove(&fetched.node_id);
        match fetched.outcome {
            Ok(response) => self.take(response).await,
            Err(error) if error.is_retriable() => {
                self.look_again(&error).await;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn ask_idle_leaders(&mut self) -> Result<(), ClientError> {
        let leaders = self.client.leaders(&self.topic, false).await?;
        let mut by_leader: HashMap<i32, Vec<FetchPartition>> = HashMap::new();
        for (&index, position) in &self.positions {
            let Some(leader) = leaders.partitions.get(index as usize).copied().flatten() else {
                self.client.forget_leaders(&self.topic);
                continue;
            };
            by_leader.entry(leader.node_id).or_default().push(FetchPartition {
                partition: index,
                current_leader_epoch: leader.epoch,
                fetch_offset: position.next_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.options.partition_max_bytes,
                ..Default::default()
            });
        }
        for (node_id, partitions) in by_leader {
            if self.asked.insert(node_id) {
                let request = self.request(&leaders, partitions);
                self.fetches.push(Box::pin(fetch(self.client.clone(), node_id, request)));
            }
        }
        Ok(())
    }

    fn request(&self, leaders: &TopicLeaders, partitions: Vec<FetchPartition>) -> FetchRequest {
        FetchRequest {
            replica_id: -1,
            max_wait_ms: self.options.max_wait.as_millis() as i32,
            min_bytes: 1,
            max_bytes: self.options.max_bytes,
            session_id: 0,
            session_epoch: -1,
            topics: vec![FetchTopic { topic: Str::from(self.topic.clone()), topic_id: leaders.topic_id, partitions }],
            ..Default::default()
        }
    }

    async fn take(&mut self, response: FetchResponse) -> Result<Vec<ConsumedRecord>, ClientError> {
        if !response.error_code.is_none() {
            let error = ClientError::refused(format!("cannot fetch from {}", self.topic), response.error_code);
            self.look_again(&error).await;
            return if error.is_retriable() { Ok(Vec::new()) } else { Err(error) };
        }
        let mut taken = Vec::new();
        let mut stale = None;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            match self.take_partition(partition, &mut taken) {
                Ok(()) => {}
                Err(error) if error.is_retriable() => stale = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = stale {
            self.look_again(&error).await;
        }
        Ok(taken)
    }

    fn take_partition(&mut self, data: &PartitionData, taken: &mut Vec<ConsumedRecord>) -> Result<(), ClientError> {
        let index = data.partition_index;
        let what = || format!("cannot fetch from {}-{index}", self.topic);
        if !data.error_code.is_none() {
            return Err(ClientError::refused(what(), data.error_code));
        }
        let Some(position) = self.positions.get_mut(&index) else { return Ok(()) };
        position.high_watermark = data.high_watermark;
        for batch in batches(data.records.clone().unwrap_or_default()) {
            // The last batch may be cut off by the size limit.
            let Ok((header, batch)) = batch else { break };
            if !header.attributes.is_control() {
                let read = records(&batch, DECOMPRESSED_BYTES_MAX).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let read = read.map_err(|error| ClientError::Refused {
                    what: what(),
                    code: ErrorCode::CORRUPT_MESSAGE,
                    message: Some(error.to_string()),
                })?;
                let new = read.into_iter().filter(|record| record.offset.get() >= position.next_offset);
                taken.extend(new.map(|record| ConsumedRecord { partition: index, record }));
            }
            position.next_offset = position.next_offset.max(header.next_offset().get());
        }
        Ok(())
    }

    async fn look_again(&mut self, error: &ClientError) {
        tracing::debug!(topic = self.topic, %error, "looking for the leaders again");
        self.client.forget_leaders(&self.topic);
        tokio::time::sleep(BACK_OFF).await;
    }
}

async fn fetch(client: Client, node_id: i32, request: FetchRequest) -> Fetched {
    let outcome = async { Ok(client.broker(node_id).await?.send(&request).await?) }.await;
    Fetched { node_id, outcome }
}
