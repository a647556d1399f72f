//! CreatePartitions: more partitions for existing topics (KIP-195).
//!
//! Not for internal ones: a group's offsets are looked for in the partition that its id's hash, modulo their number, says.

use std::collections::BTreeSet;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use tidelog_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use tidelog_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use tidelog_wire::types::{BrokerId, PartitionIndex};

use super::manual_assignment::check_assignment;
use super::new_topic::{PARTITIONS_MAX, new_partition};
use super::placement::Placer;
use super::room::TOO_MUCH_AT_ONCE;
use super::{Context, Round};
use crate::response::RequestError;

impl Round {
    pub(super) fn create_partitions(
        &mut self,
        request: &CreatePartitionsRequest,
        context: &mut Context<'_>,
    ) -> CreatePartitionsResponse {
        if request.validate_only {
            return self.clone().grow_each(&request.topics, context);
        }
        self.grow_each(&request.topics, context)
    }

    fn grow_each(&mut self, topics: &[CreatePartitionsTopic], context: &mut Context<'_>) -> CreatePartitionsResponse {
        let mut seen = BTreeSet::new();
        let twice = || Err(RequestError::new(ErrorCode::INVALID_REQUEST, "the request names the topic twice"));
        let mut partitions_left = PARTITIONS_MAX;
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let outcome = match seen.insert(topic.name.as_str()) {
                true => self.grow_one(topic, &mut partitions_left, context),
                false => twice(),
            };
            let (error_code, error_message) = RequestError::fields_of(outcome);
            results.push(CreatePartitionsTopicResult { name: topic.name.clone(), error_code, error_message });
        }
        CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
    }

    fn grow_one(
        &mut self,
        wanted: &CreatePartitionsTopic,
        partitions_left: &mut usize,
        context: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        self.check_room()?;
        let Some(topic) = self.image.topic(&wanted.name).cloned() else {
            return Err(RequestError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such topic"));
        };
        if topic.is_internal() {
            let message = format!("groups and the like are found in {} by its number of partitions", topic.name);
            return Err(RequestError::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        let present = topic.partition_count();
        let added = additional(present, wanted.count)?;
        *partitions_left = partitions_left
            .checked_sub(added)
            .ok_or_else(|| RequestError::new(ErrorCode::THROTTLING_QUOTA_EXCEEDED, TOO_MUCH_AT_ONCE))?;
        let replication_factor = topic.replication_factor();
        let replicas = match &wanted.assignments {
            Some(assignments) => {
                let assignments = assignments.iter().map(|assignment| assignment.broker_ids.as_slice());
                self.assigned_partitions(assignments.collect(), added, replication_factor)?
            }
            None => self.placed_partitions(added, replication_factor, context)?,
        };
        let records: Vec<_> = replicas
            .iter()
            .zip(present as i32..)
            .map(|(replicas, index)| new_partition(&self.image, topic.id, PartitionIndex(index), replicas))
            .collect();
        self.push_all(records);
        Ok(())
    }

    fn assigned_partitions(
        &self,
        assignments: Vec<&[i32]>,
        added: usize,
        replication_factor: usize,
    ) -> Result<Vec<Vec<BrokerId>>, RequestError> {
        if assignments.len() != added {
            let message = format!("{added} partitions are added, but {} are assigned", assignments.len());
            return Err(RequestError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        let checked =
            assignments.into_iter().map(|replicas| check_assignment(&self.image, replicas, Some(replication_factor)));
        checked.collect()
    }

    fn placed_partitions(
        &self,
        added: usize,
        replication_factor: usize,
        context: &mut Context<'_>,
    ) -> Result<Vec<Vec<BrokerId>>, RequestError> {
        let mut placer = Placer::new(&self.image, context.random);
        let placed: Result<Vec<_>, String> = (0..added).map(|_| placer.place(replication_factor)).collect();
        placed.map_err(|message| RequestError::new(ErrorCode::INVALID_REPLICATION_FACTOR, message))
    }
}

/// How many partitions are to be added.
fn additional(present: usize, count: i32) -> Result<usize, RequestError> {
    let refuse = |message: String| Err(RequestError::new(ErrorCode::INVALID_PARTITIONS, message));
    let wanted = usize::try_from(count).unwrap_or(0);
    if wanted == present {
        return refuse(format!("the topic has {present} partitions already"));
    }
    match wanted.checked_sub(present) {
        None => refuse(format!("the topic has {present} partitions; {count} would not be an increase")),
        Some(added) if added > PARTITIONS_MAX => {
            refuse(format!("at most {PARTITIONS_MAX} partitions can be added at once, not {added}"))
        }
        Some(added) => Ok(added),
    }
}
