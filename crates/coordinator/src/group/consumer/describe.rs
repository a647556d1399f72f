//! ConsumerGroupDescribe: one group with its members, what they have and what they are to have.

use tidelog_wire::messages::consumer_group_describe_response as response;
use tidelog_wire::{ErrorCode, Str};

use super::ConsumerGroup;
use super::member::Member;
use super::partitions::Partitions;
use crate::group::Groups;
use crate::turn::Turn;
use crate::{Caller, Response, Topics};

const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub(crate) fn describe(groups: &Groups, turn: &mut Turn, caller: &Caller, group_id: &Str) {
    let described = match groups.get(group_id) {
        None => not_found(group_id, format!("Group {group_id} not found.")),
        Some(group) => match group.as_consumer() {
            None => not_found(group_id, format!("Group {group_id} is not a consumer group.")),
            Some(group) => described(group, turn, group_id),
        },
    };
    turn.outcome.reply(caller.request, Response::ConsumerGroupDescribe(described));
}

fn not_found(group_id: &Str, message: String) -> response::DescribedGroup {
    response::DescribedGroup {
        error_code: ErrorCode::GROUP_ID_NOT_FOUND,
        error_message: Some(message.into()),
        group_id: group_id.clone(),
        ..Default::default()
    }
}

fn described(group: &ConsumerGroup, turn: &Turn, group_id: &Str) -> response::DescribedGroup {
    let members = group.members.iter();
    response::DescribedGroup {
        group_id: group_id.clone(),
        group_state: group.state_name().into(),
        group_epoch: group.epoch.epoch,
        assignment_epoch: group.target_epoch.epoch,
        assignor_name: group.assignor_name(turn.config).to_owned().into(),
        members: members.map(|(id, member)| described_member(group, turn.topics, id, member)).collect(),
        ..Default::default()
    }
}

fn described_member(group: &ConsumerGroup, topics: &dyn Topics, member_id: &Str, member: &Member) -> response::Member {
    let subscription = &member.subscription;
    response::Member {
        member_id: member_id.clone(),
        instance_id: subscription.instance_id.clone(),
        rack_id: subscription.rack_id.clone(),
        member_epoch: member.current.epoch,
        client_id: subscription.client_id.clone(),
        client_host: subscription.client_host.clone(),
        subscribed_topic_names: subscription.topic_names.clone(),
        subscribed_topic_regex: Some(subscription.topic_regex.clone().unwrap_or_default()),
        assignment: assignment(topics, &member.current.assigned),
        target_assignment: assignment(topics, group.target_of(member_id)),
        member_type: if member.uses_classic_protocol() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

/// Topics that are gone have no name to show.
fn assignment(topics: &dyn Topics, partitions: &Partitions) -> response::Assignment {
    let named = partitions.iter().filter_map(|(topic_id, partitions)| {
        Some(response::TopicPartitions {
            topic_id: *topic_id,
            topic_name: topics.name(*topic_id)?,
            partitions: partitions.clone(),
        })
    });
    response::Assignment { topic_partitions: named.collect() }
}
