//! Appends records to one topic: builds batches, finds leaders, tries again. Records of a partition keep their order, because
//! a partition has one batch on its way at a time; partitions are independent of each other.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tidelog_wire::compression::Compression;
use tidelog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tidelog_wire::messages::produce_response::PartitionProduceResponse;
use tidelog_wire::messages::{InitProducerIdRequest, ProduceRequest};
use tidelog_wire::record::{BatchBuilder, Record};
use tidelog_wire::types::{ProducerEpoch, ProducerId};
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::error::ClientError;

#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// -1 waits for all in-sync replicas, 1 for the leader, 0 for nobody.
    pub acks: i16,
    pub compression: Compression,
    /// With it a retry never appends twice.
    pub is_idempotent: bool,
    /// How long the leader may wait for the replicas.
    pub request_timeout: Duration,
    /// Whether asking for a topic may create it.
    pub may_create_topic: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: -1,
            compression: Compression::None,
            is_idempotent: true,
            request_timeout: Duration::from_secs(30),
            may_create_topic: true,
        }
    }
}

/// Where a batch went. Offsets are -1 with acks=0, and after a retry that found the batch in place already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i32,
    pub base_offset: i64,
    pub log_append_time_ms: i64,
}

pub struct Producer {
    client: Client,
    topic: String,
    options: ProducerOptions,
    identity: Option<(ProducerId, ProducerEpoch)>,
    next_sequences: HashMap<i32, i32>,
}

impl Producer {
    /// Finds (or makes) the topic; an idempotent producer gets its id.
    pub async fn new(client: Client, topic: &str, options: ProducerOptions) -> Result<Self, ClientError> {
        client.leaders(topic, options.may_create_topic).await?;
        let identity = match options.is_idempotent && options.acks != 0 {
            true => Some(new_identity(&client).await?),
            false => None,
        };
        Ok(Self { client, topic: topic.to_owned(), options, identity, next_sequences: HashMap::new() })
    }

    pub async fn partition_count(&self) -> Result<usize, ClientError> {
        Ok(self.client.leaders(&self.topic, self.options.may_create_topic).await?.partitions.len())
    }

    /// Appends one batch of at least one record and waits for the acknowledgement that `acks` asks for.
    pub async fn send(&mut self, partition: i32, records: &[Record]) -> Result<Delivered, ClientError> {
        let batch = self.batch(partition, records)?;
        self.deliver(partition, batch).await
    }

    /// Appends one batch to each of several partitions at the same time.
    pub async fn send_each(&mut self, batches: &[(i32, Vec<Record>)]) -> Vec<Result<Delivered, ClientError>> {
        let built: Vec<_> =
            batches.iter().map(|(partition, records)| (*partition, self.batch(*partition, records))).collect();
        let this = &*self;
        join_all(built.into_iter().map(|(partition, batch)| async move { this.deliver(partition, batch?).await })).await
    }

    fn batch(&mut self, partition: i32, records: &[Record]) -> Result<Bytes, ClientError> {
        let mut builder = BatchBuilder::new(self.options.compression);
        if let Some((id, epoch)) = self.identity {
            let next = self.next_sequences.entry(partition).or_default();
            builder = builder.producer(id, epoch, *next);
            // Sequences go round within the positive numbers.
            *next = next.wrapping_add(records.len() as i32) & i32::MAX;
        }
        for record in records {
            builder.append(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &record.headers);
        }
        builder.build().map_err(|error| ClientError::Refused {
            what: "cannot compress a batch".to_owned(),
            code: ErrorCode::UNKNOWN_SERVER_ERROR,
            message: Some(error.to_string()),
        })
    }

    async fn deliver(&self, partition: i32, batch: Bytes) -> Result<Delivered, ClientError> {
        let what = format!("cannot produce to {}-{partition}", self.topic);
        self.client
            .retrying(&what, || async {
                let delivered = self.try_deliver(&what, partition, batch.clone()).await;
                if delivered.is_err() {
                    self.client.forget_leaders(&self.topic);
                }
                delivered
            })
            .await
    }

    async fn try_deliver(&self, what: &str, partition: i32, batch: Bytes) -> Result<Delivered, ClientError> {
        let leaders = self.client.leaders(&self.topic, self.options.may_create_topic).await?;
        let leader = leaders.leader(what, partition)?;
        let request = ProduceRequest {
            acks: self.options.acks,
            timeout_ms: self.options.request_timeout.as_millis() as i32,
            topic_data: vec![TopicProduceData {
                name: Str::from(self.topic.clone()),
                topic_id: leaders.topic_id,
                partition_data: vec![PartitionProduceData { index: partition, records: Some(batch) }],
            }],
            ..Default::default()
        };
        let connection = self.client.broker(leader.node_id).await?;
        if self.options.acks == 0 {
            connection.send_unanswered(&request)?;
            return Ok(Delivered { partition, base_offset: -1, log_append_time_ms: -1 });
        }
        let response = connection.send(&request).await?;
        let answer = response.responses.first().and_then(|topic| topic.partition_responses.first());
        delivered(what, answer)
    }
}

fn delivered(what: &str, answer: Option<&PartitionProduceResponse>) -> Result<Delivered, ClientError> {
    let Some(answer) = answer else {
        return Err(ClientError::refused(what, ErrorCode::UNKNOWN_SERVER_ERROR));
    };
    match answer.error_code {
        ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Ok(Delivered {
            partition: answer.index,
            base_offset: answer.base_offset,
            log_append_time_ms: answer.log_append_time_ms,
        }),
        code => Err(ClientError::Refused {
            what: what.to_owned(),
            code,
            message: answer.error_message.as_ref().map(ToString::to_string),
        }),
    }
}

async fn new_identity(client: &Client) -> Result<(ProducerId, ProducerEpoch), ClientError> {
    const WHAT: &str = "cannot get a producer id";
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    client
        .retrying(WHAT, || async {
            let response = client.send(&request).await?;
            match response.error_code {
                ErrorCode::NONE => Ok((ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch))),
                code => Err(ClientError::refused(WHAT, code)),
            }
        })
        .await
}
