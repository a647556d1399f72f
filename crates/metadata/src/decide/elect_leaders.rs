//! ElectLeaders, and the periodic return of leaderships to preferred replicas (KIP-460).

use tidelog_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use tidelog_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{ErrorCode, Str};

use super::election::{Election, PartitionUpdate, TopicRules};
use super::room::TOO_MUCH_AT_ONCE;
use super::{Context, Round};
use crate::image::LeaderRecovery;
use crate::record::Record;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;
/// Leaderships that one check moves at most; the next check goes on.
const BALANCED_MAX: usize = 1000;

impl Round {
    pub(super) fn elect_leaders(
        &mut self,
        request: &ElectLeadersRequest,
        context: &Context<'_>,
    ) -> ElectLeadersResponse {
        let election = match request.election_type {
            PREFERRED => Election::Preferred,
            UNCLEAN => Election::Unclean,
            _ => {
                let error_code = ErrorCode::INVALID_REQUEST;
                return ElectLeadersResponse { error_code, ..ElectLeadersResponse::default() };
            }
        };
        let replica_election_results = match &request.topic_partitions {
            Some(topics) => topics
                .iter()
                .map(|topic| (topic.topic.clone(), topic.partitions.clone()))
                .map(|(topic, partitions)| self.elect_in_topic(topic, &partitions, election, context))
                .collect(),
            None => self.elect_everywhere(election, context),
        };
        ElectLeadersResponse { replica_election_results, ..ElectLeadersResponse::default() }
    }

    /// Partitions that need no election are not mentioned.
    fn elect_everywhere(&mut self, election: Election, context: &Context<'_>) -> Vec<ReplicaElectionResult> {
        let topics: Vec<(Str, i32)> =
            self.image.topics().map(|topic| (topic.name.clone(), topic.partition_count() as i32)).collect();
        let needed = |result: &PartitionResult| result.error_code != ErrorCode::ELECTION_NOT_NEEDED;
        let mut results = Vec::new();
        for (name, count) in topics {
            let partitions: Vec<i32> = (0..count).collect();
            let mut result = self.elect_in_topic(name, &partitions, election, context);
            result.partition_result.retain(needed);
            results.extend(Some(result).filter(|result| !result.partition_result.is_empty()));
        }
        results
    }

    fn elect_in_topic(
        &mut self,
        topic: Str,
        partitions: &[i32],
        election: Election,
        context: &Context<'_>,
    ) -> ReplicaElectionResult {
        let partition_result = partitions
            .iter()
            .map(|&partition_id| match self.elect_one(&topic, PartitionIndex(partition_id), election, context) {
                Ok(()) => PartitionResult { partition_id, error_message: None, ..PartitionResult::default() },
                Err((error_code, message)) => {
                    PartitionResult { partition_id, error_code, error_message: Some(Str::from_static(message)) }
                }
            })
            .collect();
        ReplicaElectionResult { topic, partition_result }
    }

    fn elect_one(
        &mut self,
        topic: &str,
        index: PartitionIndex,
        election: Election,
        context: &Context<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        let unknown = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such partition");
        let topic = self.image.topic(topic).ok_or(unknown)?;
        let partition = topic.partition(index).ok_or(unknown)?;
        let is_preferred = election == Election::Preferred;
        // A leader that recovers alone may have damaged records, which only this election gives up.
        let recovers = partition.leader_recovery == LeaderRecovery::Recovering && partition.isr.len() == 1;
        let not_needed = match is_preferred {
            true => partition.leader == partition.preferred_leader(),
            false => partition.has_leader() && !recovers,
        };
        if not_needed {
            return Err((ErrorCode::ELECTION_NOT_NEEDED, "the partition has the leader asked for"));
        }
        self.check_room().map_err(|_| (ErrorCode::THROTTLING_QUOTA_EXCEEDED, TOO_MUCH_AT_ONCE))?;
        let rules = TopicRules::of(&self.resolver(context), &topic.name);
        let update = PartitionUpdate::new(&self.image, topic.id_partition(index), partition, rules);
        let preferred = partition.preferred_leader();
        let update = match recovers && !is_preferred {
            true => update.with_leader_recovery(LeaderRecovery::LossAccepted).in_new_epoch(),
            false => update,
        };
        let change = update.electing(election).build();
        let elected = change.as_ref().and_then(|change| change.leader);
        if is_preferred && elected != Some(preferred) {
            return Err((ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, "the preferred replica is not in sync"));
        }
        let Some(change) = change.filter(|_| elected.is_some()) else {
            return Err((ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, "no replica of the partition is up"));
        };
        self.push(Record::PartitionChange(Box::new(change)));
        Ok(())
    }

    /// Gives leaderships back to preferred replicas that are in sync, if `auto.leader.rebalance.enable` says so.
    pub(super) fn balance_leaders(&mut self, context: &Context<'_>) -> usize {
        if !self.config(context).auto_leader_rebalance_enable {
            return 0;
        }
        let mut changes = self.changes_of(
            self.image.topics(),
            context,
            |partition| partition.has_leader() && partition.leader != partition.preferred_leader(),
            |update| update.electing(Election::Preferred).build(),
        );
        changes.retain(|change| change.leader.is_some());
        changes.truncate(BALANCED_MAX);
        self.push_changes(changes)
    }
}
