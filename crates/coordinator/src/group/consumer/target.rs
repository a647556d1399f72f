//! Who is to own what: computed anew when the group's epoch has moved on.

use std::collections::{BTreeMap, BTreeSet};

use tidelog_wire::{Str, Uuid};

use super::assignor::{Assignor, GroupSpec, MemberSpec, TopicSpec, assign};
use super::change::{Change, TargetEpoch};
use super::decision::Decision;
use super::member::Member;
use super::partitions::Partitions;
use super::{ConsumerGroup, subscribed};
use crate::{GroupConfig, Topics};

impl ConsumerGroup {
    /// What most members want that say so; the first configured one otherwise.
    pub(super) fn assignor_name<'a>(&'a self, config: &'a GroupConfig) -> &'a str {
        let wanted = |name: &str| {
            let says_so = |member: &&Member| member.subscription.server_assignor.as_deref() == Some(name);
            self.members.values().filter(says_so).count()
        };
        let by_votes = config.consumer_assignors.iter().rev().max_by_key(|name| wanted(name));
        by_votes.map_or("uniform", String::as_str)
    }

    pub(super) fn target_of(&self, member_id: &str) -> &Partitions {
        static NONE: Partitions = Partitions::EMPTY;
        self.targets.get(member_id).unwrap_or(&NONE)
    }
}

/// Brings the target to the group's epoch.
pub fn update(decision: &mut Decision<'_, '_>) {
    let epoch = decision.group.epoch.epoch;
    if decision.group.target_epoch.epoch >= epoch {
        return;
    }
    let changed = compute(decision.group, decision.turn.config, decision.turn.topics);
    for (member_id, target) in changed {
        decision.commit(Change::Target(member_id, Some(target)));
    }
    let assigned_at_ms = decision.turn.now_ms;
    decision.commit(Change::TargetEpoch(Some(TargetEpoch { epoch, assigned_at_ms })));
}

/// The targets that differ from those that stand.
fn compute(group: &ConsumerGroup, config: &GroupConfig, topics: &dyn Topics) -> Vec<(Str, Partitions)> {
    let (positions, topics) = topics_of(group, topics);
    let members = group.members.iter().map(|(member_id, member)| MemberSpec {
        rack: member.subscription.rack_id.as_deref(),
        topics: topics_of_member(group, member, &positions),
        target: group.target_of(member_id),
    });
    let spec = GroupSpec { members: members.collect(), topics };
    let assignor = Assignor::by_name(group.assignor_name(config)).unwrap_or(Assignor::Uniform);
    let targets = group.members.keys().cloned().zip(assign(assignor, &spec));
    targets.filter(|(member_id, target)| group.targets.get(member_id) != Some(target)).collect()
}

fn topics_of(group: &ConsumerGroup, topics: &dyn Topics) -> (BTreeMap<Str, usize>, Vec<TopicSpec>) {
    let has_racks = group.has_racks();
    let mut positions = BTreeMap::new();
    let mut specs = Vec::new();
    for name in group.subscribed_names() {
        let Some((id, partition_count)) = subscribed::existing(topics, &name) else { continue };
        positions.insert(name, specs.len());
        specs.push(spec(topics, id, partition_count, has_racks));
    }
    (positions, specs)
}

fn spec(topics: &dyn Topics, id: Uuid, partition_count: i32, has_racks: bool) -> TopicSpec {
    let racks = (0..partition_count).take_while(|_| has_racks).map(|partition| topics.racks(id, partition)).collect();
    TopicSpec { id, partition_count: usize::try_from(partition_count).unwrap_or(0), racks }
}

fn topics_of_member(group: &ConsumerGroup, member: &Member, positions: &BTreeMap<Str, usize>) -> Vec<usize> {
    let regex = member.subscription.topic_regex.as_ref();
    let matched = regex.and_then(|regex| group.regexes.get(regex)).into_iter().flat_map(|resolved| &resolved.topics);
    let names = member.subscription.topic_names.iter().chain(matched);
    let topics: BTreeSet<usize> = names.filter_map(|name| positions.get(name).copied()).collect();
    topics.into_iter().collect()
}
