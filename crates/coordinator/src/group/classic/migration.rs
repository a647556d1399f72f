//! A classic group becomes one of KIP-848, or comes back from it: what passes from one form to the other.

use bytes::Bytes;
use tidelog_wire::messages::SyncGroupResponse;
use tidelog_wire::{ErrorCode, Str};

use super::member::{Member, Protocol, Waiting};
use super::state::State;
use super::{CONSUMER, ClassicGroup, heartbeat, join, rebalance, record};
use crate::turn::Turn;
use crate::{Response, TimerKey};

/// A group between the two forms.
#[derive(Clone, Debug)]
pub(crate) struct Migrant {
    pub generation: i32,
    pub members: Vec<MigrantMember>,
}

#[derive(Clone, Debug)]
pub(crate) struct MigrantMember {
    pub member_id: Str,
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In the order of its preference, with what the member says to each client-side assignor.
    pub protocols: Vec<(Str, Bytes)>,
    pub assignment: Bytes,
}

impl ClassicGroup {
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    pub fn has_instance(&self, instance_id: &str) -> bool {
        self.static_members.contains_key(instance_id)
    }

    pub fn migrant(&self) -> Migrant {
        let members = self.members.iter().map(|(member_id, member)| self.migrant_member(member_id, member));
        Migrant { generation: self.generation, members: members.collect() }
    }

    fn migrant_member(&self, member_id: &Str, member: &Member) -> MigrantMember {
        // What the members agreed on comes first, for that is what their assignment is made for.
        let mut protocols: Vec<(Str, Bytes)> =
            member.protocols.iter().map(|protocol| (protocol.name.clone(), protocol.metadata.clone())).collect();
        protocols.sort_by_key(|(name, _)| Some(name) != self.protocol.as_ref());
        MigrantMember {
            member_id: member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            protocols,
            assignment: member.assignment.clone(),
        }
    }

    /// The group is another's from here on: who waits for an answer is told to join again, and timers end.
    pub fn dissolve(mut self, turn: &mut Turn) {
        for (member_id, member) in &mut self.members {
            let error_code = ErrorCode::REBALANCE_IN_PROGRESS;
            match member.waiting {
                Waiting::No => {}
                Waiting::Join(request) => {
                    let response = join::refused(error_code, member_id.clone());
                    turn.outcome.reply(request, Response::JoinGroup(response));
                }
                Waiting::Sync(request) => {
                    let response = SyncGroupResponse { error_code, ..Default::default() };
                    turn.outcome.reply(request, Response::SyncGroup(response));
                }
            }
            turn.outcome.cancel(TimerKey::Session { group: self.id.clone(), member: member_id.clone() });
        }
        for member in self.pending.keys() {
            turn.outcome.cancel(TimerKey::PendingMember { group: self.id.clone(), member: member.clone() });
        }
        turn.outcome.cancel(TimerKey::Rebalance { group: self.id.clone() });
        turn.outcome.cancel(TimerKey::Sync { group: self.id.clone() });
        record::tombstone(&self, &mut turn.outcome);
    }

    /// A stable group of consumers; `None` if they have no protocol in common.
    pub fn settle(id: Str, migrant: Migrant, now_ms: i64) -> Option<Self> {
        let mut group = Self::new(id);
        group.generation = migrant.generation;
        group.protocol_type = Str::from_static(CONSUMER);
        group.state = State::Stable { sync_due_ms: i64::MAX };
        group.state_since_ms = Some(now_ms);
        for member in migrant.members {
            group.insert(member.member_id.clone(), settled(member));
        }
        group.protocol = Some(group.vote()?);
        group.subscribed = group.subscribed_topics();
        Some(group)
    }

    /// Writes the group that has come back, and calls its members to agree on who reads what.
    pub fn take_over(&mut self, turn: &mut Turn) {
        record::write(self, &mut turn.outcome);
        heartbeat::everybody_heard_of(self, turn);
        rebalance::prepare(self, turn);
    }
}

fn settled(member: MigrantMember) -> Member {
    let protocols = member.protocols.into_iter().map(|(name, metadata)| Protocol { name, metadata });
    Member {
        instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        protocols: protocols.collect(),
        assignment: member.assignment,
        waiting: Waiting::No,
        is_new: false,
        session_due_ms: i64::MAX,
        timer_due_ms: i64::MAX,
    }
}
