//! Classic groups as stories: members join, sync, go silent, leave, come back.

mod failover;
mod heartbeat;
mod join;
mod leave;
mod properties;
mod static_members;
mod sync;

use bytes::Bytes;
use tidelog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use tidelog_wire::messages::leave_group_request::MemberIdentity;
use tidelog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use tidelog_wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use tidelog_wire::{ErrorCode, Str};

use super::ClassicGroup;
use crate::testing::Host;
use crate::{GroupConfig, RequestId, Response};

const SESSION_TIMEOUT_MS: i64 = 10_000;
const REBALANCE_TIMEOUT_MS: i64 = 60_000;
const INITIAL_DELAY_MS: i64 = 3_000;
/// Several first members have been waited for, and none is overdue.
const SETTLED_MS: i64 = 2 * INITIAL_DELAY_MS;

/// `group.max.size`.
struct GroupSize(usize);

/// A host and its one group, "group".
struct Story {
    host: Host,
}

/// A member as its client knows itself.
#[derive(Clone, Debug)]
struct Client {
    member_id: Str,
    generation: i32,
}

fn text(text: &str) -> Str {
    Str::from(text.to_owned())
}

fn join_request(member_id: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocol = |name: &&str| JoinGroupRequestProtocol { name: text(name), metadata: Bytes::from_static(b"what") };
    JoinGroupRequest {
        group_id: "group".into(),
        session_timeout_ms: SESSION_TIMEOUT_MS as i32,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS as i32,
        member_id: text(member_id),
        protocol_type: "consumer".into(),
        protocols: protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn static_join(instance_id: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(text(instance_id)), ..join_request(member_id, &["range"]) }
}

fn assigned(member_id: &str, assignment: &str) -> SyncGroupRequestAssignment {
    SyncGroupRequestAssignment { member_id: text(member_id), assignment: Bytes::from(assignment.to_owned()) }
}

impl Story {
    fn new() -> Self {
        Self::with(GroupSize(usize::MAX))
    }

    fn with(size: GroupSize) -> Self {
        let config = GroupConfig { group_max_size: size.0, ..Default::default() };
        Self { host: Host::with(config) }
    }

    fn group(&self) -> &ClassicGroup {
        let group = self.host.coordinator.groups().classic("group").expect("the group exists");
        group.check_invariants();
        group
    }

    fn state(&self) -> &'static str {
        self.host.coordinator.groups().classic("group").map_or("Dead", ClassicGroup::state_name)
    }

    fn join(&mut self, request: JoinGroupRequest) -> RequestId {
        self.host.ask(|coordinator, now_ms, topics, caller| coordinator.join_group(now_ms, topics, caller, &request))
    }

    fn joined(&mut self, request: RequestId) -> JoinGroupResponse {
        match self.host.answer(request) {
            Response::JoinGroup(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn join_error(&mut self, request: JoinGroupRequest) -> ErrorCode {
        let request = self.join(request);
        self.joined(request).error_code
    }

    /// A new dynamic member's two steps; the second waits.
    fn join_new(&mut self, protocols: &[&str]) -> (Str, RequestId) {
        let first = self.join(join_request("", protocols));
        let first = self.joined(first);
        assert_eq!(first.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        let request = self.join(join_request(&first.member_id, protocols));
        (first.member_id, request)
    }

    /// Clients that have joined in a new group and synced; the first one leads.
    fn stable(&mut self, count: usize) -> Vec<Client> {
        let waiting: Vec<_> = (0..count).map(|_| self.join_new(&["range"])).collect();
        self.host.pass_ms(SETTLED_MS);
        let mut clients: Vec<_> = waiting.into_iter().map(|(_, request)| self.client(request)).collect();
        clients.sort_by_key(|client| !self.group().is_leader(&client.member_id));
        self.sync_all(&clients);
        assert_eq!(self.state(), "Stable");
        clients
    }

    fn client(&mut self, request: RequestId) -> Client {
        let joined = self.joined(request);
        assert_eq!(joined.error_code, ErrorCode::NONE);
        Client { member_id: joined.member_id, generation: joined.generation_id }
    }

    /// Followers first, then the leader, who gives everybody an assignment of its own name.
    fn sync_all(&mut self, clients: &[Client]) {
        let assignments: Vec<_> = clients.iter().map(|client| assigned(&client.member_id, &client.member_id)).collect();
        let is_leader = |story: &Self, client: &Client| story.group().is_leader(&client.member_id);
        let followers = clients.iter().filter(|client| !is_leader(self, client)).cloned().collect::<Vec<_>>();
        let leader = clients.iter().find(|client| is_leader(self, client)).cloned();
        let waiting: Vec<_> = followers.iter().map(|client| self.sync(client, vec![])).collect();
        let waiting = waiting.into_iter().chain(leader.map(|leader| self.sync(&leader, assignments)));
        for request in waiting.collect::<Vec<_>>() {
            assert_eq!(self.synced(request).error_code, ErrorCode::NONE);
        }
    }

    /// The same for very many: only the leader is looked at.
    fn sync_all_at_once(&mut self, clients: &[Client]) {
        let assignments: Vec<_> = clients.iter().map(|client| assigned(&client.member_id, "some")).collect();
        let leader = self.group().leader.clone().expect("somebody leads");
        let leader = Client { member_id: leader, generation: clients[0].generation };
        let waiting: Vec<_> = clients.iter().filter(|client| client.member_id != leader.member_id).collect();
        let waiting: Vec<_> = waiting.into_iter().map(|client| self.sync(client, vec![])).collect();
        self.sync(&leader, assignments);
        for request in waiting {
            assert_eq!(self.synced(request).assignment, "some");
        }
    }

    fn sync(&mut self, client: &Client, assignments: Vec<SyncGroupRequestAssignment>) -> RequestId {
        let group = self.host.coordinator.groups().classic("group");
        let protocol_name = group.and_then(|group| group.protocol.clone()).unwrap_or_else(|| "range".into());
        self.sync_with(SyncGroupRequest {
            group_id: "group".into(),
            generation_id: client.generation,
            member_id: client.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some(protocol_name),
            assignments,
            ..Default::default()
        })
    }

    fn sync_with(&mut self, request: SyncGroupRequest) -> RequestId {
        self.host.ask(|coordinator, now_ms, topics, caller| coordinator.sync_group(now_ms, topics, caller, &request))
    }

    fn synced(&mut self, request: RequestId) -> SyncGroupResponse {
        match self.host.answer(request) {
            Response::SyncGroup(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(&mut self, client: &Client) -> ErrorCode {
        self.heartbeat_as(client, None)
    }

    fn heartbeat_as(&mut self, client: &Client, instance_id: Option<&str>) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "group".into(),
            generation_id: client.generation,
            member_id: client.member_id.clone(),
            group_instance_id: instance_id.map(text),
        };
        let request = self
            .host
            .ask(|coordinator, now_ms, topics, caller| coordinator.heartbeat(now_ms, topics, caller, &request));
        match self.host.answer(request) {
            Response::Heartbeat(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> LeaveGroupResponse {
        let member = |(member_id, instance_id): &(&str, Option<&str>)| MemberIdentity {
            member_id: text(member_id),
            group_instance_id: instance_id.map(text),
            reason: None,
        };
        let members = members.iter().map(member).collect();
        self.leave_with(LeaveGroupRequest { group_id: "group".into(), members, ..Default::default() })
    }

    fn leave_with(&mut self, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let request = self
            .host
            .ask(|coordinator, now_ms, topics, caller| coordinator.leave_group(now_ms, topics, caller, &request));
        match self.host.answer(request) {
            Response::LeaveGroup(response) => response,
            other => panic!("{other:?}"),
        }
    }
}
