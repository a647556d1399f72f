//! AlterPartitionReassignments: replicas move to other brokers, or a move is called off (KIP-455).
//!
//! Here a move only begins. It ends in [`PartitionUpdate`], whichever change brings the last new replica into the ISR.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use tidelog_wire::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use tidelog_wire::types::{BrokerId, PartitionIndex};

use super::election::{PartitionUpdate, TopicRules};
use super::manual_assignment::check_replicas;
use super::replica_set::ReplicaSet;
use super::{Context, Round};
use crate::image::Partition;
use crate::record::PartitionChange;
use crate::response::RequestError;

impl Round {
    pub(super) fn alter_partition_reassignments(
        &mut self,
        request: &AlterPartitionReassignmentsRequest,
        context: &Context<'_>,
    ) -> AlterPartitionReassignmentsResponse {
        let may_change_factor = request.allow_replication_factor_change;
        let topics = request.topics.iter();
        AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: may_change_factor,
            error_message: None,
            responses: topics.map(|topic| self.reassign_topic(topic, may_change_factor, context)).collect(),
            ..AlterPartitionReassignmentsResponse::default()
        }
    }

    fn reassign_topic(
        &mut self,
        topic: &ReassignableTopic,
        may_change_factor: bool,
        context: &Context<'_>,
    ) -> ReassignableTopicResponse {
        let mut reassign = |wanted: &ReassignablePartition| {
            let outcome = self.reassign(&topic.name, wanted, may_change_factor, context);
            let (error_code, error_message) = RequestError::fields_of(outcome);
            ReassignablePartitionResponse { partition_index: wanted.partition_index, error_code, error_message }
        };
        let partitions = topic.partitions.iter().map(&mut reassign).collect();
        ReassignableTopicResponse { name: topic.name.clone(), partitions }
    }

    fn reassign(
        &mut self,
        topic: &str,
        wanted: &ReassignablePartition,
        may_change_factor: bool,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        self.check_room()?;
        let unknown = || RequestError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such partition");
        let topic = self.image.topic(topic).ok_or_else(unknown)?;
        let index = PartitionIndex(wanted.partition_index);
        let before = topic.partition(index).ok_or_else(unknown)?;
        let replicas = match &wanted.replicas {
            Some(target) => {
                let target = self.checked_target(before, target, may_change_factor)?;
                ReplicaSet::of(before).moving_to(&target)
            }
            None if before.is_reassigning() => ReplicaSet::of(before).reverted(),
            None => {
                let message = "no reassignment of the partition is under way";
                return Err(RequestError::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, message));
            }
        };
        let rules = TopicRules::of(&self.resolver(context), &topic.name);
        let update = PartitionUpdate::new(&self.image, topic.id_partition(index), before, rules);
        let had_members = !update.isr().is_empty();
        let update = update.with_replicas(replicas);
        let needs_unclean_election = had_members && update.isr().is_empty();
        let change = update.build();
        let forgets_all = change.as_ref().is_some_and(|change| leaves_nobody(before, change));
        if forgets_all || (needs_unclean_election && !rules.allow_unclean_election()) {
            let message = "only replicas that would be dropped are in sync; an unclean election would be needed";
            return Err(RequestError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        self.push_changes(Vec::from_iter(change));
        Ok(())
    }

    fn checked_target(
        &self,
        before: &Partition,
        target: &[i32],
        may_change_factor: bool,
    ) -> Result<Vec<BrokerId>, RequestError> {
        let target = check_replicas(&self.image, target)?;
        let present = ReplicaSet::of(before).reverted().all.len();
        if !may_change_factor && target.len() != present {
            let message = format!("the replication factor would change from {present} to {}", target.len());
            return Err(RequestError::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
        }
        Ok(target)
    }
}

/// Whether no replica would be left of which anything is known.
fn leaves_nobody(before: &Partition, change: &PartitionChange) -> bool {
    let pairs =
        [(&before.isr, &change.isr), (&before.elr, &change.elr), (&before.last_known_elr, &change.last_known_elr)];
    pairs.into_iter().all(|(before, after)| after.as_ref().unwrap_or(before).is_empty())
}
