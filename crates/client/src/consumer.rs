//! Reads one topic from given offsets, without a group: one Fetch on its way to each leader, for all partitions it leads.
//! [`crate::GroupConsumer`] reads with one too, and says which partitions.

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
use tokio::time::{Instant, sleep_until};

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
    /// Where each partition was to be read from.
    offsets: HashMap<i32, i64>,
    outcome: Result<FetchResponse, ClientError>,
}

pub struct Consumer {
    client: Client,
    topic: String,
    options: ConsumerOptions,
    positions: BTreeMap<i32, Position>,
    fetches: FuturesUnordered<BoxFuture<'static, Fetched>>,
    asked: HashSet<i32>,
    /// Where to go on in a partition whose position is outside its log; `None` is an error.
    reset_to: Option<StartFrom>,
    outside: Vec<i32>,
    /// Nobody is asked before.
    quiet_until: Option<Instant>,
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
        let positions = positions.collect();
        Ok(Self { positions, ..Self::idle(client, topic, None, options) })
    }

    /// Reads nothing until told to.
    pub(crate) fn idle(client: Client, topic: &str, reset_to: Option<StartFrom>, options: ConsumerOptions) -> Self {
        Self {
            client,
            topic: topic.to_owned(),
            options,
            positions: BTreeMap::new(),
            fetches: FuturesUnordered::new(),
            asked: HashSet::new(),
            reset_to,
            outside: Vec::new(),
            quiet_until: None,
        }
    }

    pub(crate) fn begin(&mut self, partition: i32, next_offset: i64) {
        self.positions.insert(partition, Position { next_offset, high_watermark: -1 });
    }

    /// What is on its way of the partition is dropped when it comes.
    pub(crate) fn end(&mut self, partition: i32) {
        self.positions.remove(&partition);
        self.outside.retain(|outside| *outside != partition);
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
        if let Some(until) = self.quiet_until {
            sleep_until(until).await;
            self.quiet_until = None;
        }
        self.come_back_inside().await?;
        self.ask_idle_leaders().await?;
        let Some(fetched) = self.fetches.next().await else {
            tokio::time::sleep(BACK_OFF).await;
            return Ok(Vec::new());
        };
        self.asked.remove(&fetched.node_id);
        match fetched.outcome {
            Ok(response) => self.take(&response, &fetched.offsets),
            Err(error) if error.is_retriable() => {
                self.look_again(&error);
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn come_back_inside(&mut self) -> Result<(), ClientError> {
        if let Some(from) = self.reset_to.filter(|_| !self.outside.is_empty()) {
            for (index, next_offset) in self.client.offsets(&self.topic, &self.outside, from).await? {
                self.begin(index, next_offset);
            }
            self.outside.clear();
        }
        Ok(())
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
                let offsets = partitions.iter().map(|asked| (asked.partition, asked.fetch_offset)).collect();
                let request = self.request(&leaders, partitions);
                let client = self.client.clone();
                self.fetches.push(Box::pin(async move {
                    let outcome = async { Ok(client.broker(node_id).await?.send(&request).await?) }.await;
                    Fetched { node_id, offsets, outcome }
                }));
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

    fn take(
        &mut self,
        response: &FetchResponse,
        asked: &HashMap<i32, i64>,
    ) -> Result<Vec<ConsumedRecord>, ClientError> {
        if !response.error_code.is_none() {
            let error = ClientError::refused(format!("cannot fetch from {}", self.topic), response.error_code);
            self.look_again(&error);
            return if error.is_retriable() { Ok(Vec::new()) } else { Err(error) };
        }
        let mut taken = Vec::new();
        let mut stale = None;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            // An answer about where it was read before it was given up and taken again would skip records.
            let position = self.positions.get(&partition.partition_index).map(|position| position.next_offset);
            if position != asked.get(&partition.partition_index).copied() {
                continue;
            }
            match self.take_partition(partition, &mut taken) {
                Ok(()) => {}
                Err(ClientError::Refused { code: ErrorCode::OFFSET_OUT_OF_RANGE, .. }) if self.reset_to.is_some() => {
                    self.outside.push(partition.partition_index);
                }
                Err(error) if error.is_retriable() => stale = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = stale {
            self.look_again(&error);
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

    fn look_again(&mut self, error: &ClientError) {
        tracing::debug!(topic = self.topic, %error, "looking for the leaders again");
        self.client.forget_leaders(&self.topic);
        self.quiet_until = Some(Instant::now() + BACK_OFF);
    }
}

#[cfg(test)]
mod tests {
    use tidelog_wire::messages::fetch_response::FetchableTopicResponse;

    use super::*;
    use crate::ClientOptions;

    fn reader(reset_to: Option<StartFrom>) -> Consumer {
        let client = Client::unconnected("localhost:1", ClientOptions::default()).expect("an address");
        let mut reader = Consumer::idle(client, "t", reset_to, ConsumerOptions::default());
        reader.begin(0, 5);
        reader
    }

    fn answer(error_code: ErrorCode) -> FetchResponse {
        let partition = PartitionData { error_code, high_watermark: 5, ..Default::default() };
        let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }

    #[test]
    fn an_answer_about_a_former_position_is_dropped() {
        for (asked, is_taken) in [(Some(9), false), (None, false), (Some(5), true)] {
            let mut reader = reader(None);
            let asked = asked.map(|offset| (0, offset)).into_iter().collect();
            assert_eq!(reader.take(&answer(ErrorCode::NONE), &asked), Ok(Vec::new()));
            assert_eq!(reader.is_at_end(), is_taken, "{asked:?}");
        }
    }

    #[test]
    fn a_position_outside_the_log_is_an_error_unless_there_is_a_place_to_go_on() {
        let asked = HashMap::from([(0, 5)]);
        assert!(reader(None).take(&answer(ErrorCode::OFFSET_OUT_OF_RANGE), &asked).is_err());
        let mut reader = reader(Some(StartFrom::Earliest));
        assert_eq!(reader.take(&answer(ErrorCode::OFFSET_OUT_OF_RANGE), &asked), Ok(Vec::new()));
        assert_eq!(reader.outside, [0]);
        reader.end(0);
        assert!(reader.outside.is_empty(), "what is given up is not looked for");
    }
}
