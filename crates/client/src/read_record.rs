//! Reads one record: the first one of a partition at or after an offset.

use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use tidelog_wire::messages::fetch_response::PartitionData;
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::record::{Record, records};
use tidelog_wire::record_batch::batches;
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::error::ClientError;

/// A batch that takes more when decompressed is refused.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// Batches without a record for us (transaction markers, compacted ones) that are stepped over before giving up.
const ROUNDS_MAX: usize = 8;

enum Step {
    Found(Box<Record>),
    /// Nothing here; records may follow from this offset on.
    GoOn(i64),
    End,
}

impl Client {
    /// The first record at `offset` or later, with one batch on the wire. `None` at the end of the partition, and where only
    /// batches without records follow for longer than is worth looking.
    pub async fn read_record(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<Record>, ClientError> {
        let what = format!("cannot fetch from {topic}-{partition}");
        let mut next = offset;
        for _ in 0..ROUNDS_MAX {
            let step = self.retrying(&what, || async move {
                let stepped = self.step(topic, partition, next).await;
                if matches!(&stepped, Err(error) if error.is_retriable()) {
                    self.forget_leaders(topic);
                }
                stepped
            });
            match step.await? {
                Step::Found(record) => return Ok(Some(*record)),
                Step::GoOn(offset) => next = offset,
                Step::End => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn step(&self, topic: &str, partition: i32, offset: i64) -> Result<Step, ClientError> {
        let what = format!("cannot fetch from {topic}-{partition}");
        let leaders = self.leaders(topic, false).await?;
        let leader = leaders.leader(&what, partition)?;
        let asked = FetchPartition {
            partition,
            current_leader_epoch: leader.epoch,
            fetch_offset: offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            // The first batch comes whole, however large it is.
            partition_max_bytes: 1,
            ..Default::default()
        };
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 1,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: Str::from(topic.to_owned()),
                topic_id: leaders.topic_id,
                partitions: vec![asked],
            }],
            ..Default::default()
        };
        let response = self.broker(leader.node_id).await?.send(&request).await?;
        let data = only_partition(&what, response)?;
        first_record(&what, data, offset)
    }
}

fn only_partition(what: &str, response: FetchResponse) -> Result<PartitionData, ClientError> {
    if !response.error_code.is_none() {
        return Err(ClientError::refused(what, response.error_code));
    }
    let data = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
    match data {
        Some(data) if data.error_code.is_none() => Ok(data),
        Some(data) => Err(ClientError::refused(what, data.error_code)),
        None => Err(ClientError::refused(what, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    }
}

fn first_record(what: &str, data: PartitionData, offset: i64) -> Result<Step, ClientError> {
    let mut next = None;
    for (header, batch) in batches(data.records.unwrap_or_default()).map_while(Result::ok) {
        next = Some(header.next_offset().get());
        if header.attributes.is_control() {
            continue;
        }
        let read = records(&batch, DECOMPRESSED_BYTES_MAX).map_err(|error| ClientError::Refused {
            what: what.to_owned(),
            code: ErrorCode::CORRUPT_MESSAGE,
            message: Some(error.to_string()),
        })?;
        if let Some(record) = read.map_while(Result::ok).find(|record| record.offset.get() >= offset) {
            return Ok(Step::Found(Box::new(record)));
        }
    }
    Ok(next.filter(|next| *next > offset).map_or(Step::End, Step::GoOn))
}
