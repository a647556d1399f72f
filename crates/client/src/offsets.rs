//! Finding offsets: the ends of partitions, and the first record at or after a time (ListOffsets).
//! One request to each leader for all partitions it leads; partitions whose leader moved meanwhile are asked for again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::join_all;
use tidelog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tidelog_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::consumer::StartFrom;
use crate::error::ClientError;
use crate::metadata::TopicLeaders;

/// Partitions of one request: each costs the leader a look-up.
const PARTITIONS_MAX: usize = 2_000;

/// What is looked for in a partition; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetOf {
    Earliest,
    /// The high watermark, where the next committed record will be.
    Latest,
    /// The first record of this time (milliseconds since 1970) or later.
    Timestamp(i64),
}

impl OffsetOf {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::Timestamp(timestamp_ms) => timestamp_ms,
        }
    }
}

/// A topic's name and a partition's index.
type TopicPartition = (String, i32);
type Answers = BTreeMap<TopicPartition, Result<i64, ClientError>>;

impl Client {
    /// The offset that `from` stands for in each of `partitions`.
    pub async fn offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        from: StartFrom,
    ) -> Result<BTreeMap<i32, i64>, ClientError> {
        let of = match from {
            StartFrom::Offset(offset) => return Ok(partitions.iter().map(|&index| (index, offset)).collect()),
            StartFrom::Earliest => OffsetOf::Earliest,
            StartFrom::Latest => OffsetOf::Latest,
            StartFrom::Timestamp(timestamp_ms) => OffsetOf::Timestamp(timestamp_ms),
        };
        let wanted = partitions.iter().map(|&index| (topic.to_owned(), index)).collect();
        let found = self.list_offsets(wanted, of).await;
        found.into_iter().map(|((_, index), offset)| Ok((index, offset?))).collect()
    }

    /// The same for partitions of several topics, each with an answer of its own.
    pub async fn list_offsets(&self, wanted: BTreeSet<TopicPartition>, of: OffsetOf) -> Answers {
        let mut answers = self.list_until_settled(wanted, of).await;
        // No record that young: the end, where the next one will be.
        let is_missing = |answer: &Result<i64, ClientError>| matches!(answer, Ok(offset) if *offset < 0);
        let missing: BTreeSet<TopicPartition> =
            answers.iter().filter(|(_, answer)| is_missing(answer)).map(|(partition, _)| partition.clone()).collect();
        if !missing.is_empty() {
            answers.extend(self.list_until_settled(missing, OffsetOf::Latest).await);
        }
        answers
    }

    async fn list_until_settled(&self, wanted: BTreeSet<TopicPartition>, of: OffsetOf) -> Answers {
        let answers = std::sync::Mutex::new(Answers::new());
        let settled = self
            .retrying("cannot find offsets", || async {
                let open: BTreeSet<TopicPartition> = {
                    let answers = answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let is_open = |partition: &&TopicPartition| {
                        !matches!(answers.get(*partition), Some(answer) if is_settled(answer))
                    };
                    wanted.iter().filter(is_open).cloned().collect()
                };
                let round = self.list_once(&open, of).await;
                let failure = round.values().find(|answer| !is_settled(answer)).cloned();
                answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(round);
                failure.map_or(Ok(()), |failure| failure.map(|_| ()))
            })
            .await;
        if let Err(error) = settled {
            tracing::debug!(%error, "some offsets were not found in time");
        }
        answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks all leaders once, at the same time.
    async fn list_once(&self, wanted: &BTreeSet<TopicPartition>, of: OffsetOf) -> Answers {
        let mut answers = Answers::new();
        let mut by_leader: HashMap<i32, Vec<(TopicPartition, i32)>> = HashMap::new();
        for partition in wanted {
            let (topic, index) = partition;
            let what = format!("cannot find offsets of topic {topic}");
            let leader = self.leaders(topic, false).await.and_then(|leaders| leaders.leader(&what, *index));
            match leader {
                Ok(leader) => by_leader.entry(leader.node_id).or_default().push((partition.clone(), leader.epoch)),
                Err(error) => drop(answers.insert(partition.clone(), Err(error))),
            }
        }
        let chunks: Vec<(i32, Vec<(TopicPartition, i32)>)> = by_leader
            .into_iter()
            .flat_map(|(node_id, asked)| {
                let chunks: Vec<_> = asked.chunks(PARTITIONS_MAX).map(|chunk| (node_id, chunk.to_vec())).collect();
                chunks
            })
            .collect();
        let asking = chunks.iter().map(|(node_id, asked)| self.list_of_leader(*node_id, asked, of));
        for ((_, asked), outcome) in chunks.iter().zip(join_all(asking).await) {
            answers.extend(asked.iter().map(|(partition, _)| (partition.clone(), answer_in(&outcome, partition))));
        }
        for ((topic, _), answer) in &answers {
            if matches!(answer, Err(error) if error.is_retriable()) {
                self.forget_leaders(topic);
            }
        }
        answers
    }

    async fn list_of_leader(
        &self,
        node_id: i32,
        asked: &[(TopicPartition, i32)],
        of: OffsetOf,
    ) -> Result<ListOffsetsResponse, ClientError> {
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for ((topic, partition_index), epoch) in asked {
            topics.entry(topic).or_default().push(ListOffsetsPartition {
                partition_index: *partition_index,
                current_leader_epoch: *epoch,
                timestamp: of.timestamp(),
            });
        }
        let topic = |(name, partitions): (&str, _)| ListOffsetsTopic { name: Str::from(name.to_owned()), partitions };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        Ok(self.broker(node_id).await?.send(&request).await?)
    }
}

/// Whether asking again would change nothing.
fn is_settled(answer: &Result<i64, ClientError>) -> bool {
    !matches!(answer, Err(error) if error.is_retriable())
}

fn answer_in(
    outcome: &Result<ListOffsetsResponse, ClientError>,
    (topic, partition): &TopicPartition,
) -> Result<i64, ClientError> {
    let what = format!("cannot find offsets of topic {topic}");
    let topics = &outcome.as_ref().map_err(Clone::clone)?.topics;
    let named = topics.iter().find(|answer| answer.name == topic.as_str());
    let answer = named.and_then(|topic| topic.partitions.iter().find(|answer| answer.partition_index == *partition));
    match answer {
        Some(answer) if answer.error_code.is_none() => Ok(answer.offset),
        Some(answer) => Err(ClientError::refused(what, answer.error_code)),
        None => Err(ClientError::refused(what, ErrorCode::UNKNOWN_SERVER_ERROR)),
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
