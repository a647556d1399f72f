//! A consumer of the classic protocol, eager or cooperative, that leads its group when asked to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidelog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use tidelog_wire::messages::join_group_response::JoinGroupResponseMember;
use tidelog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use tidelog_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, SyncGroupRequest, consumer_protocol_assignment, consumer_protocol_subscription,
};
use tidelog_wire::{ErrorCode, Message, Reader, Str, Uuid, Writer};

use super::{GROUP, Host, REBALANCE_TIMEOUT_MS};
use crate::{RequestId, Response, Topics};

const JOIN_VERSION: i16 = 9;
const SUBSCRIPTION_VERSION: i16 = 3;
const SESSION_TIMEOUT_MS: i32 = 30_000;

pub type Owned = BTreeSet<(Uuid, i32)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Beating,
    MustJoin,
    Joining(RequestId),
    Syncing(RequestId),
}

#[derive(Clone, Debug)]
pub struct ClassicClient {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
    pub owned: Owned,
    topics: Vec<String>,
    is_cooperative: bool,
    doing: Doing,
}

impl ClassicClient {
    pub fn new(topics: &[&str], is_cooperative: bool) -> Self {
        Self {
            member_id: String::new(),
            instance_id: None,
            generation: -1,
            owned: Owned::new(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            is_cooperative,
            doing: Doing::MustJoin,
        }
    }

    /// Whether it has its assignment and nothing to do.
    pub fn is_settled(&self) -> bool {
        self.doing == Doing::Beating
    }

    /// The next thing it would do.
    pub fn step(&mut self, host: &mut Host) {
        match self.doing {
            Doing::MustJoin => self.join(host),
            Doing::Beating => self.beat(host),
            Doing::Joining(request) => match host.answer(request) {
                Some(Response::JoinGroup(response)) => self.joined(host, &response),
                Some(other) => panic!("{other:?}"),
                None => {}
            },
            Doing::Syncing(request) => match host.answer(request) {
                Some(Response::SyncGroup(response)) if response.error_code.is_none() => {
                    self.assigned(&response.assignment, host);
                }
                Some(Response::SyncGroup(response)) => self.refused(response.error_code),
                Some(other) => panic!("{other:?}"),
                None => {}
            },
        }
    }

    /// What it would ask next, if it does not wait for an answer.
    pub fn ask(&mut self, host: &mut Host) {
        match self.doing {
            Doing::MustJoin => self.join(host),
            Doing::Beating => self.beat(host),
            Doing::Joining(_) | Doing::Syncing(_) => {}
        }
    }

    /// Its session is over, and it may not know yet: it is to find out by itself whose member it still is.
    pub fn lapse(&mut self) {
        self.owned.clear();
        self.reconnect();
    }

    /// The connection broke: whatever was asked is asked again.
    pub fn reconnect(&mut self) {
        if self.doing != Doing::Beating {
            self.doing = Doing::MustJoin;
        }
    }

    pub fn leave(&mut self, host: &mut Host) {
        let request = LeaveGroupRequest {
            group_id: GROUP.into(),
            member_id: self.member_id.clone().into(),
            ..Default::default()
        };
        host.call(0, |coordinator, now_ms, topics, caller| coordinator.leave_group(now_ms, topics, caller, &request));
        self.forget();
    }

    pub fn forget(&mut self) {
        self.member_id.clear();
        self.generation = -1;
        self.owned.clear();
        self.doing = Doing::MustJoin;
    }

    fn refused(&mut self, error_code: ErrorCode) {
        match error_code {
            ErrorCode::REBALANCE_IN_PROGRESS => self.doing = Doing::MustJoin,
            ErrorCode::UNKNOWN_MEMBER_ID => self.forget(),
            ErrorCode::ILLEGAL_GENERATION => {
                self.owned.clear();
                self.doing = Doing::MustJoin;
            }
            other => panic!("{other}"),
        }
    }

    fn join(&mut self, host: &mut Host) {
        if !self.is_cooperative {
            self.owned.clear();
        }
        let metadata = self.metadata(host);
        // One name for both ways: a group that was loaded from the log knows only the name it had agreed on.
        let protocols = vec![JoinGroupRequestProtocol { name: "test".into(), metadata }];
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.member_id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        let request = host.call(JOIN_VERSION, |coordinator, now_ms, topics, caller| {
            coordinator.join_group(now_ms, topics, caller, &request)
        });
        self.doing = Doing::Joining(request);
    }

    fn metadata(&self, host: &Host) -> Bytes {
        let owned = self.owned.iter().filter_map(|(topic, partition)| {
            let topic = host.topics.name(*topic)?;
            Some(consumer_protocol_subscription::TopicPartition { topic, partitions: vec![*partition] })
        });
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(|topic| Str::from(topic.clone())).collect(),
            owned_partitions: owned.collect(),
            generation_id: self.generation,
            ..Default::default()
        };
        embedded(&subscription, SUBSCRIPTION_VERSION)
    }

    fn joined(&mut self, host: &mut Host, response: &JoinGroupResponse) {
        match response.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.member_id = response.member_id.to_string();
                return self.doing = Doing::MustJoin;
            }
            other => return self.refused(other),
        }
        self.member_id = response.member_id.to_string();
        self.generation = response.generation_id;
        let is_leader = response.leader == response.member_id;
        let assignments = if is_leader { lead(&response.members, host) } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.member_id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            protocol_type: Some("consumer".into()),
            protocol_name: response.protocol_name.clone(),
            assignments,
        };
        let request = host
            .call(5, |coordinator, now_ms, topics, caller| coordinator.sync_group(now_ms, topics, caller, &request));
        self.doing = Doing::Syncing(request);
    }

    fn assigned(&mut self, assignment: &Bytes, host: &Host) {
        let assigned = partitions(assignment, host);
        let must_give_up = self.is_cooperative && !self.owned.is_subset(&assigned);
        self.owned = assigned;
        self.doing = if must_give_up { Doing::MustJoin } else { Doing::Beating };
    }

    fn beat(&mut self, host: &mut Host) {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.member_id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
        };
        let request =
            host.call(4, |coordinator, now_ms, topics, caller| coordinator.heartbeat(now_ms, topics, caller, &request));
        match host.answer(request) {
            Some(Response::Heartbeat(response)) if response.error_code.is_none() => {}
            Some(Response::Heartbeat(response)) => self.refused(response.error_code),
            other => panic!("{other:?}"),
        }
    }
}

/// All partitions in turn; one that somebody else still owns is given to nobody this time.
fn lead(members: &[JoinGroupResponseMember], host: &Host) -> Vec<SyncGroupRequestAssignment> {
    let said: Vec<ConsumerProtocolSubscription> = members.iter().map(|member| said(&member.metadata)).collect();
    let mut owners: BTreeMap<(Str, i32), usize> = BTreeMap::new();
    for (member, said) in said.iter().enumerate() {
        for topic in &said.owned_partitions {
            owners.extend(topic.partitions.iter().map(|partition| ((topic.topic.clone(), *partition), member)));
        }
    }
    let mut assigned: Vec<Vec<consumer_protocol_assignment::TopicPartition>> = vec![Vec::new(); members.len()];
    for topic in host.topics.names() {
        let takers = said.iter().enumerate().filter(|(_, said)| said.topics.contains(&topic));
        let takers: Vec<usize> = takers.map(|(member, _)| member).collect();
        let partition_count = if takers.is_empty() { 0 } else { host.topics.partitions_of(&topic) };
        for partition in 0..partition_count {
            let taker = takers[partition % takers.len()];
            let is_free = owners.get(&(topic.clone(), partition as i32)).is_none_or(|owner| *owner == taker);
            if is_free {
                let (topic, partitions) = (topic.clone(), vec![partition as i32]);
                assigned[taker].push(consumer_protocol_assignment::TopicPartition { topic, partitions });
            }
        }
    }
    let assignments = members.iter().zip(assigned).map(|(member, assigned_partitions)| SyncGroupRequestAssignment {
        member_id: member.member_id.clone(),
        assignment: embedded(&ConsumerProtocolAssignment { assigned_partitions, user_data: None }, 3),
    });
    assignments.collect()
}

fn embedded<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(&mut writer, version).expect("short texts");
    writer.into_bytes()
}

fn said(metadata: &Bytes) -> ConsumerProtocolSubscription {
    let mut reader = Reader::new(metadata.clone());
    let version = reader.i16().expect("a version");
    ConsumerProtocolSubscription::decode(&mut reader, version).expect("a subscription")
}

fn partitions(assignment: &Bytes, host: &Host) -> Owned {
    if assignment.is_empty() {
        return Owned::new();
    }
    let mut reader = Reader::new(assignment.clone());
    let version = reader.i16().expect("a version");
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version).expect("an assignment");
    let topics = assignment.assigned_partitions.iter();
    let known = topics.filter_map(|topic| Some((host.topics.id(&topic.topic)?, &topic.partitions)));
    known.flat_map(|(id, partitions)| partitions.iter().map(move |partition| (id, *partition))).collect()
}
