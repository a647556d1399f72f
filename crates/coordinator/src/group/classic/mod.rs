//! Groups of the protocol in which a member of the group assigns partitions: the group, its members and generations.
//!
//! The operations stand in files of their own; what several of them do to a group is here and in `rebalance`.

mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod migration;
mod offsets;
mod rebalance;
mod record;
mod state;
mod static_member;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use tidelog_wire::messages::GroupMetadataValue;
use tidelog_wire::{ErrorCode, Str};

pub(crate) use describe::describe;
pub(crate) use heartbeat::{heard_of, heartbeat, loaded, pending_member_due, session_due};
pub(crate) use join::{MEMBER_ID_REQUIRED_FROM, join, new_member_id, refused};
pub(crate) use leave::leave;
pub(crate) use migration::{Migrant, MigrantMember};
pub(crate) use rebalance::rebalance_due;
pub(crate) use record::{replay, tombstone};
pub(crate) use sync::{sync, sync_due};

use member::{Member, Waiting};
use state::State;

/// Kafka's protocol type of consumers; other users of groups (Connect, schema registries) have their own.
const CONSUMER: &str = "consumer";

/// Invariants: `leader` is a member unless there are none; `votes` counts over all members; `awaiting_join` is the
/// number of members whose JoinGroup waits; `static_members` names exactly the members with an instance id.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Str,
    state: State,
    /// When `state` was entered; not known of groups that were written by old versions of Kafka.
    state_since_ms: Option<i64>,
    /// 0 before the first one.
    generation: i32,
    /// Empty in groups that never had a member.
    protocol_type: Str,
    /// The one that the generation's members agreed on.
    protocol: Option<Str>,
    leader: Option<Str>,
    members: BTreeMap<Str, Member>,
    /// Member ids by `group.instance.id`.
    static_members: BTreeMap<Str, Str>,
    /// Member ids that were handed out and not joined with, and until when that is waited for.
    pending: BTreeMap<Str, i64>,
    /// Members of the generation that have not asked for their assignment.
    pending_sync: BTreeSet<Str>,
    awaiting_join: usize,
    /// How many members support each protocol.
    votes: BTreeMap<Str, usize>,
    /// What consumers in the generation read; `None` if they are none or cannot be understood.
    subscribed: Option<BTreeSet<Str>>,
    /// Whether the log has a record of it, which takes a tombstone to remove.
    is_in_log: bool,
    /// What that record says, from when a generation with members ends until the next one has its assignment.
    former: Option<GroupMetadataValue>,
}

impl ClassicGroup {
    pub fn new(id: Str) -> Self {
        Self {
            id,
            state: State::Empty,
            state_since_ms: None,
            generation: 0,
            protocol_type: Str::default(),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join: 0,
            votes: BTreeMap::new(),
            subscribed: None,
            is_in_log: false,
            former: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Empty)
    }

    /// Whether nothing would be lost without it.
    pub fn is_unused(&self) -> bool {
        self.is_empty() && self.pending.is_empty() && !self.is_in_log
    }

    /// Whether somebody was given a member id and is expected to come back with it.
    pub fn is_joined_soon(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Kafka's name of the state.
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    pub fn protocol_type(&self) -> &Str {
        &self.protocol_type
    }

    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type == CONSUMER
    }

    /// With consumers that cannot be understood, every topic may be one of theirs.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    fn enter(&mut self, state: State, now_ms: i64) {
        debug_assert!(self.state.may_become(&state), "{} -> {}", self.state.name(), state.name());
        self.state = state;
        self.state_since_ms = Some(now_ms);
    }

    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if another member has taken the instance id.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if holder != member_id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn check_generation(&self, generation: i32) -> Result<(), ErrorCode> {
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader == member_id)
    }

    fn has_everybody_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending.is_empty()
    }

    /// How long a rebalance waits: for the most patient member.
    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    fn insert(&mut self, member_id: Str, member: Member) {
        self.count_votes(&member, |votes| votes + 1);
        self.awaiting_join += usize::from(matches!(member.waiting, Waiting::Join(_)));
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        let replaced = self.members.insert(member_id, member);
        debug_assert!(replaced.is_none(), "a member is inserted once");
    }

    /// Undoes `insert`; the caller answers what the member waits for.
    fn take_out(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.count_votes(&member, |votes| votes - 1);
        self.awaiting_join -= usize::from(matches!(member.waiting, Waiting::Join(_)));
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn count_votes(&mut self, member: &Member, change: impl Fn(usize) -> usize) {
        for name in member.protocol_names() {
            let votes = self.votes.get(name).copied().unwrap_or(0);
            match change(votes) {
                0 => self.votes.remove(name),
                votes => self.votes.insert(name.clone(), votes),
            };
        }
    }

    /// The protocol that all members support and most like best; of equally liked ones, the first by name.
    fn vote(&self) -> Option<Str> {
        let is_candidate = |name: &&Str| self.votes.get(*name) == Some(&self.members.len());
        let mut ballots: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().map(|protocol| &protocol.name).find(is_candidate)?;
            *ballots.entry(favourite).or_default() += 1;
        }
        let most = ballots.values().max()?;
        ballots.iter().find(|(_, votes)| *votes == most).map(|(name, _)| (*name).clone())
    }

    #[cfg(test)]
    pub fn has_member(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    #[cfg(test)]
    fn check_invariants(&self) {
        let waiting = self.members.values().filter(|member| matches!(member.waiting, Waiting::Join(_)));
        assert_eq!(waiting.count(), self.awaiting_join);
        assert_eq!(self.leader.is_none(), self.members.is_empty());
        assert!(self.leader.as_ref().is_none_or(|leader| self.members.contains_key(leader)));
        let with_instance = self.members.values().filter(|member| member.instance_id.is_some()).count();
        assert_eq!(with_instance, self.static_members.len());
        assert!(self.pending_sync.iter().all(|id| self.members.contains_key(id)));
        assert!(!self.is_empty() || self.members.is_empty());
    }
}
