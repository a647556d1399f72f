//! An idempotent producer for each partition, one batch at a time, of one topic id: what was meant for a topic that is
//! deleted is not sent to the one that takes its name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tidelog_wire::messages::{InitProducerIdRequest, ProduceRequest};
use tidelog_wire::types::{ProducerEpoch, ProducerId};
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::time::{Instant, sleep};

use super::Stage;
use super::topics::{Identity, Topic, batch};

const ATTEMPT_AGAIN: Duration = Duration::from_millis(50);
/// A batch that is not acknowledged by then has an unknown outcome.
const DELIVERY_LIMIT: Duration = Duration::from_secs(30);
/// Debug builds are slower by as much.
const PAUSE_MS_MAX: u64 = if cfg!(debug_assertions) { 2_000 } else { 500 };

enum Delivery {
    Acked(Option<i64>),
    /// It may be there, or may appear yet.
    Unknown,
    /// The topic is.
    Gone,
}

struct Writer {
    stage: Stage,
    client: Client,
    topic: &'static Topic,
    partition: i32,
    rng: StdRng,
}

pub async fn write(stage: Stage, topic: &'static Topic, partition: i32, seed: u64) -> Result<()> {
    let client = stage.client()?;
    let mut writer = Writer { stage, client, topic, partition, rng: StdRng::seed_from_u64(seed) };
    while !writer.stage.is_over() {
        let topic_id = match writer.client.leaders(topic.name, false).await {
            Ok(leaders) => leaders.topic_id,
            Err(_) => {
                sleep(ATTEMPT_AGAIN).await;
                continue;
            }
        };
        match new_identity(&writer.client).await {
            Some(producer) => writer.write_as(producer, topic_id).await,
            None => sleep(ATTEMPT_AGAIN).await,
        }
    }
    Ok(())
}

async fn new_identity(client: &Client) -> Option<(ProducerId, ProducerEpoch)> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let answer = client.ask("cannot get a producer id", &request).await.ok()?;
    answer.error_code.is_none().then_some((ProducerId(answer.producer_id), ProducerEpoch(answer.producer_epoch)))
}

impl Writer {
    /// Until an outcome is unknown, or the topic gone.
    async fn write_as(&mut self, (id, epoch): (ProducerId, ProducerEpoch), topic_id: Uuid) {
        let ledger = self.stage.ledger.clone();
        let mut sequence = 0;
        while !self.stage.is_over() {
            sleep(Duration::from_millis(self.rng.random_range(0..PAUSE_MS_MAX))).await;
            let number = ledger.next_number(topic_id, self.partition);
            let first = Identity { topic_id, partition: self.partition, number, index: 0 };
            let (batch, count) = batch(&mut self.rng, self.topic, first, (id, epoch, sequence), now_ms());
            ledger.sending(topic_id, self.partition, count);
            match self.deliver(topic_id, &batch).await {
                Delivery::Acked(base_offset) => {
                    ledger.acked(self.topic, topic_id, self.partition, number, base_offset);
                    sequence += count as i32;
                }
                Delivery::Unknown | Delivery::Gone => return,
            }
        }
    }

    async fn deliver(&self, topic_id: Uuid, batch: &Bytes) -> Delivery {
        let deadline = Instant::now() + DELIVERY_LIMIT;
        while Instant::now() < deadline {
            match self.client.leaders(self.topic.name, false).await {
                Ok(leaders) if leaders.topic_id != topic_id => return Delivery::Gone,
                Err(ClientError::UnknownTopic(_)) => return Delivery::Gone,
                _ => {}
            }
            match self.attempt(topic_id, batch).await {
                Ok((ErrorCode::NONE, base_offset)) => return Delivery::Acked(Some(base_offset)),
                Ok((ErrorCode::DUPLICATE_SEQUENCE_NUMBER, _)) => return Delivery::Acked(None),
                Ok((code, _)) if !code.is_retriable() && code != ErrorCode::UNKNOWN_TOPIC_ID => {
                    let (name, partition) = (self.topic.name, self.partition);
                    self.stage.ledger.breach(format!("a good batch for {name}-{partition} was refused with {code:?}"));
                    return Delivery::Unknown;
                }
                _ => {}
            }
            self.client.forget_leaders(self.topic.name);
            sleep(ATTEMPT_AGAIN).await;
        }
        Delivery::Unknown
    }

    async fn attempt(&self, topic_id: Uuid, batch: &Bytes) -> Result<(ErrorCode, i64), ClientError> {
        let leaders = self.client.leaders(self.topic.name, false).await?;
        let leader = leaders.partitions.get(self.partition as usize).copied().flatten();
        let Some(leader) = leader else { return Ok((ErrorCode::LEADER_NOT_AVAILABLE, -1)) };
        let partition = PartitionProduceData { index: self.partition, records: Some(batch.clone()) };
        let topic = TopicProduceData { name: Str::from(self.topic.name), topic_id, partition_data: vec![partition] };
        let request = ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        let answer = self.client.broker(leader.node_id).await?.send(&request).await?;
        let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        Ok(answer.map_or((ErrorCode::UNKNOWN_SERVER_ERROR, -1), |answer| (answer.error_code, answer.base_offset)))
    }
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
