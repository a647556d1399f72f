//! Finding offsets: the ends of partitions, and the first record at or after a time (ListOffsets).

use std::collections::BTreeMap;

use tidelog_wire::messages::ListOffsetsRequest;
use tidelog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::consumer::StartFrom;
use crate::error::ClientError;
use crate::metadata::TopicLeaders;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

impl Client {
    /// The offset that `from` stands for in each of `partitions`.
    pub async fn offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        from: StartFrom,
    ) -> Result<BTreeMap<i32, i64>, ClientError> {
        let timestamp = match from {
            StartFrom::Offset(offset) => return Ok(partitions.iter().map(|&index| (index, offset)).collect()),
            StartFrom::Earliest => EARLIEST,
            StartFrom::Latest => LATEST,
            StartFrom::Timestamp(timestamp_ms) => timestamp_ms,
        };
        let what = format!("cannot find offsets of topic {topic}");
        let mut found = BTreeMap::new();
        for &partition in partitions {
            let offset = self
                .retrying(&what, || async {
                    let asked = self.offset(&what, topic, partition, timestamp).await;
                    if asked.is_err() {
                        self.forget_leaders(topic);
                    }
                    asked
                })
                .await?;
            found.insert(partition, offset);
        }
        // No record that young: the end, where the next one will be.
        let without: Vec<i32> = found.iter().filter(|(_, offset)| **offset < 0).map(|(index, _)| *index).collect();
        if !without.is_empty() && timestamp >= 0 {
            found.extend(Box::pin(self.offsets(topic, &without, StartFrom::Latest)).await?);
        }
        Ok(found)
    }

    async fn offset(&self, what: &str, topic: &str, partition: i32, timestamp: i64) -> Result<i64, ClientError> {
        let leaders = self.leaders(topic, false).await?;
        let leader = leaders.leader(what, partition)?;
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: Str::from(topic.to_owned()),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    current_leader_epoch: leader.epoch,
                    timestamp,
                }],
            }],
            ..Default::default()
        };
        let response = self.broker(leader.node_id).await?.send(&request).await?;
        let answer = response.topics.first().and_then(|topic| topic.partitions.first());
        match answer {
            Some(answer) if answer.error_code.is_none() => Ok(answer.offset),
            Some(answer) => Err(ClientError::refused(what, answer.error_code)),
            None => Err(ClientError::refused(what, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        }
    }
}

impl TopicLeaders {
    /// Who leads `partition`; otherwise why nobody does.
    pub(crate) fn leader(&self, what: &str, partition: i32) -> Result<crate::Leader, ClientError> {
        let slot = usize::try_from(partition).ok().and_then(|index| self.partitions.get(index));
        let code = match slot {
            Some(Some(leader)) => return Ok(*leader),
            Some(None) => ErrorCode::LEADER_NOT_AVAILABLE,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        Err(ClientError::refused(format!("{what}: partition {partition}"), code))
    }
}
