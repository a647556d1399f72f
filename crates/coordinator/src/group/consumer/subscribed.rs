//! Which topics the group subscribes to, by name and by regular expression, and what it last knew of them.

use std::collections::BTreeSet;

use tidelog_wire::{Str, Uuid};

use super::ConsumerGroup;
use super::change::{Change, ResolvedRegex};
use super::decision::Decision;
use super::member::Member;
use super::pattern::Pattern;
use crate::Topics;

impl ConsumerGroup {
    /// Names of all topics somebody subscribes to, whether they exist or not.
    pub(super) fn subscribed_names(&self) -> BTreeSet<Str> {
        let names = self.members.values().flat_map(|member| &member.subscription.topic_names);
        let matched = self.regexes.values().flat_map(|resolved| &resolved.topics);
        names.chain(matched).cloned().collect()
    }

    /// A number that changes with the topics of the group: their ids, sizes and, where members say theirs, racks.
    fn metadata_hash(&self, topics: &dyn Topics) -> i64 {
        let has_racks = self.has_racks();
        let mut hash = Fnv::default();
        for name in self.subscribed_names() {
            let Some((id, partition_count)) = existing(topics, &name) else { continue };
            hash.add(name.as_bytes());
            hash.add(&id.0);
            hash.add(&partition_count.to_be_bytes());
            for partition in (0..partition_count).take_while(|_| has_racks) {
                let racks: BTreeSet<Str> = topics.racks(id, partition).into_iter().collect();
                hash.add(&(racks.len() as u64).to_be_bytes());
                racks.iter().for_each(|rack| hash.add(rack.as_bytes()));
            }
        }
        hash.value()
    }

    pub(super) fn has_racks(&self) -> bool {
        self.members.values().any(|member| member.subscription.rack_id.is_some())
    }
}

/// The topic's id and number of partitions, if there is such a topic.
pub fn existing(topics: &dyn Topics, name: &str) -> Option<(Uuid, i32)> {
    let id = topics.id(name)?;
    Some((id, topics.partition_count(id)?))
}

/// Resolves what members subscribe to by expression, forgets expressions that nobody uses, and begins a new group epoch
/// if that, or `is_changed`, makes a difference.
pub fn refresh(decision: &mut Decision<'_, '_>, is_changed: bool) {
    let must_resolve_all = std::mem::take(&mut decision.group.is_metadata_stale);
    if !is_changed && !must_resolve_all {
        return;
    }
    forget_unused_regexes(decision);
    for regex in used_regexes(decision.group) {
        if must_resolve_all || !decision.group.regexes.contains_key(&regex) {
            resolve(decision, regex);
        }
    }
    let metadata_hash = decision.group.metadata_hash(decision.turn.topics);
    if is_changed || metadata_hash != decision.group.epoch.metadata_hash {
        decision.bump_epoch(metadata_hash);
    }
}

pub fn forget_unused_regexes(decision: &mut Decision<'_, '_>) {
    let used = used_regexes(decision.group);
    let unused: Vec<Str> = decision.group.regexes.keys().filter(|regex| !used.contains(*regex)).cloned().collect();
    for regex in unused {
        decision.commit(Change::Regex(regex, None));
    }
}

pub fn forget_if_unused(decision: &mut Decision<'_, '_>, regex: Str) {
    let is_user = |member: &Member| member.subscription.topic_regex.as_ref() == Some(&regex);
    let is_unused = decision.group.regexes.contains_key(&regex) && !decision.group.members.values().any(is_user);
    if is_unused {
        decision.commit(Change::Regex(regex, None));
    }
}

fn used_regexes(group: &ConsumerGroup) -> BTreeSet<Str> {
    group.members.values().filter_map(|member| member.subscription.topic_regex.clone()).collect()
}

fn resolve(decision: &mut Decision<'_, '_>, regex: Str) {
    let mut topics = BTreeSet::new();
    // One that another version let in and we cannot read matches nothing.
    if let Ok(pattern) = Pattern::new(&regex) {
        decision.turn.topics.for_each(&mut |name, _| {
            if pattern.matches(name) {
                topics.insert(name.clone());
            }
        });
    }
    let before = decision.group.regexes.get(&regex);
    if before.is_some_and(|before| before.topics == topics) {
        return;
    }
    let version = before.map_or(0, |before| before.version) + 1;
    let resolved = ResolvedRegex { topics, version, resolved_at_ms: decision.turn.now_ms };
    decision.commit(Change::Regex(regex, Some(resolved)));
}

/// FNV-1a with 64 bits; nothing added is 0, Kafka's number for no topics.
#[derive(Default)]
struct Fnv(Option<u64>);

impl Fnv {
    /// The length goes in too, so that parts cannot run into each other.
    fn add(&mut self, bytes: &[u8]) {
        let mut hash = self.0.unwrap_or(0xcbf2_9ce4_8422_2325);
        for byte in (bytes.len() as u64).to_be_bytes().iter().chain(bytes) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = Some(hash);
    }

    fn value(&self) -> i64 {
        self.0.unwrap_or(0).cast_signed()
    }
}
