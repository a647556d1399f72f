//! Simulated members of both protocols. They believe what they are told, ask one thing at a time, give up on answers
//! that take too long, and look for another coordinator then. Sometimes one leaves, or dies and comes back as another.

use rand::Rng;
use tidelog_coordinator::Response;
use tidelog_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use tidelog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use tidelog_wire::messages::leave_group_request::MemberIdentity;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};
use tidelog_wire::{ErrorCode, Str};

use super::{
    CLASSIC_GROUP, CONSUMER_GROUP, GroupAnswer, GroupRequest, MEMBERS_FROM, MEMBERS_PER_GROUP, PARTITIONS,
    REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS, TOPIC, TOPIC_ID,
};
use crate::world::{Event, Message, World};

/// Longer than a rebalance takes.
const ANSWER_TIMEOUT_MS: i64 = 2500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Out,
    /// Has a generation and no assignment.
    Joined,
    In,
}

#[derive(Clone, Debug)]
pub struct Member {
    /// Its place in the links.
    id: i32,
    is_classic: bool,
    life: u32,
    member_id: Str,
    phase: Phase,
    /// Or member epoch.
    pub generation: i32,
    pub assigned: Vec<i32>,
    /// Whom it is to assign partitions, if it leads the generation.
    followers: Vec<Str>,
    coordinator: i32,
    /// The number of the request it waits for, and until when.
    asked: Option<(u64, i64)>,
    /// When it sent the last heartbeat that was granted: its session began then or later.
    heard_ms: i64,
    next_number: u64,
    /// Its process died and never comes back.
    pub is_gone: bool,
}

impl Member {
    pub fn all() -> Vec<Self> {
        let ids = MEMBERS_FROM..MEMBERS_FROM + 2 * MEMBERS_PER_GROUP;
        ids.map(|id| Self::new(id, id < MEMBERS_FROM + MEMBERS_PER_GROUP)).collect()
    }

    fn new(id: i32, is_classic: bool) -> Self {
        let mut member = Self {
            id,
            is_classic,
            life: 0,
            member_id: Str::default(),
            phase: Phase::Out,
            generation: 0,
            assigned: Vec::new(),
            followers: Vec::new(),
            coordinator: 1,
            asked: None,
            heard_ms: 0,
            next_number: 1,
            is_gone: false,
        };
        member.begin_life();
        member
    }

    pub fn is_in(&self) -> bool {
        self.phase == Phase::In
    }

    pub fn group(&self) -> &'static str {
        if self.is_classic { CLASSIC_GROUP } else { CONSUMER_GROUP }
    }

    /// Its process is new and knows nothing. Members of the new protocol make their ids themselves.
    fn begin_life(&mut self) {
        self.life += 1;
        self.asked = None;
        self.abandon();
        self.member_id = if self.is_classic { Str::default() } else { Str::from(format!("{}-{}", self.id, self.life)) };
    }

    /// It is told not to be a member any more.
    fn abandon(&mut self) {
        self.phase = Phase::Out;
        self.generation = 0;
        self.assigned.clear();
        self.followers.clear();
        if self.is_classic {
            self.member_id = Str::default();
        }
    }

    fn join(&self) -> GroupRequest {
        if !self.is_classic {
            return self.consumer_heartbeat(self.generation);
        }
        GroupRequest::Join(JoinGroupRequest {
            group_id: self.group().into(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }],
            ..Default::default()
        })
    }

    fn sync(&self) -> GroupRequest {
        let share = |index: usize| {
            let partitions = (0..PARTITIONS).filter(|partition| *partition as usize % self.followers.len() == index);
            partitions.map(|partition| partition as u8).collect::<Vec<u8>>().into()
        };
        let assigned = |(index, member_id): (usize, &Str)| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: share(index),
        };
        GroupRequest::Sync(SyncGroupRequest {
            group_id: self.group().into(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: self.followers.iter().enumerate().map(assigned).collect(),
            ..Default::default()
        })
    }

    /// A former generation's heartbeat is for classic groups only: in the other protocol it asks for something else.
    fn heartbeat(&self, generations_ago: i32) -> GroupRequest {
        if !self.is_classic {
            return self.consumer_heartbeat(self.generation);
        }
        GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: self.group().into(),
            generation_id: self.generation - generations_ago,
            member_id: self.member_id.clone(),
            group_instance_id: None,
        })
    }

    fn consumer_heartbeat(&self, member_epoch: i32) -> GroupRequest {
        let owned = TopicPartitions { topic_id: TOPIC_ID, partitions: self.assigned.clone() };
        let has_any = !self.assigned.is_empty();
        GroupRequest::ConsumerHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: self.group().into(),
            member_id: self.member_id.clone(),
            member_epoch,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            subscribed_topic_names: Some(vec![TOPIC.into()]),
            topic_partitions: Some(has_any.then_some(owned).into_iter().collect()),
            ..Default::default()
        })
    }

    fn leave(&self) -> GroupRequest {
        if !self.is_classic {
            return self.consumer_heartbeat(-1);
        }
        let member = MemberIdentity { member_id: self.member_id.clone(), ..Default::default() };
        let request = LeaveGroupRequest { group_id: self.group().into(), members: vec![member], ..Default::default() };
        GroupRequest::Leave(request)
    }

    fn commit(&self, partition: i32, offset: i64, generations_ago: i32) -> GroupRequest {
        let partition =
            OffsetCommitRequestPartition { partition_index: partition, committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic { name: TOPIC.into(), partitions: vec![partition], ..Default::default() };
        GroupRequest::Commit(OffsetCommitRequest {
            group_id: self.group().into(),
            generation_id_or_member_epoch: self.generation - generations_ago,
            member_id: self.member_id.clone(),
            topics: vec![topic],
            ..Default::default()
        })
    }

    fn fetch(&self) -> GroupRequest {
        let indexes = (0..PARTITIONS).collect();
        let topic = OffsetFetchRequestTopics { name: TOPIC.into(), partition_indexes: indexes, ..Default::default() };
        GroupRequest::Fetch(OffsetFetchRequestGroup {
            group_id: self.group().into(),
            topics: Some(vec![topic]),
            ..Default::default()
        })
    }

    fn hear(&mut self, response: Response) {
        match response {
            Response::JoinGroup(joined) => self.has_joined(joined),
            Response::SyncGroup(synced) => {
                self.take_error(synced.error_code);
                if synced.error_code.is_none() {
                    self.phase = Phase::In;
                    self.assigned = synced.assignment.iter().map(|partition| i32::from(*partition)).collect();
                }
            }
            Response::ConsumerGroupHeartbeat(heard) => self.has_heard(&heard),
            Response::Heartbeat(heard) => self.take_error(heard.error_code),
            Response::OffsetCommit(answer) => self.take_error(answer.topics[0].partitions[0].error_code),
            Response::LeaveGroup(_) => self.abandon(),
            Response::OffsetFetch(_) => {}
            other => panic!("nobody asked: {other:?}"),
        }
    }

    fn has_joined(&mut self, joined: JoinGroupResponse) {
        match joined.error_code {
            ErrorCode::MEMBER_ID_REQUIRED => self.member_id = joined.member_id,
            ErrorCode::NONE => {
                self.phase = Phase::Joined;
                self.generation = joined.generation_id;
                self.member_id = joined.member_id;
                self.followers = joined.members.into_iter().map(|member| member.member_id).collect();
                self.assigned.clear();
            }
            code => self.take_error(code),
        }
    }

    fn has_heard(&mut self, heard: &ConsumerGroupHeartbeatResponse) {
        self.take_error(heard.error_code);
        if heard.error_code.is_error() {
            return;
        }
        if heard.member_epoch < 0 {
            return self.abandon();
        }
        self.generation = heard.member_epoch;
        self.phase = Phase::In;
        if let Some(assignment) = &heard.assignment {
            let topics = assignment.topic_partitions.iter();
            self.assigned = topics.flat_map(|topic| topic.partitions.iter().copied()).collect();
        }
    }

    fn take_error(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION if self.is_classic => {
                self.phase = Phase::Out;
            }
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.abandon();
            }
            // The next heartbeat tells it more.
            ErrorCode::STALE_MEMBER_EPOCH => {}
            other => panic!("{} did not expect {other:?}", self.id),
        }
    }
}

impl World {
    pub(crate) fn member_acts(&mut self, id: i32) {
        if self.members[(id - MEMBERS_FROM) as usize].is_gone {
            return;
        }
        let pause_ms = self.rng.random_range(20..200);
        self.at(pause_ms, Event::Member { id });
        let now_ms = self.now_ms;
        let index = (id - MEMBERS_FROM) as usize;
        let has_faults = self.options.fault_every_ms.is_some();
        if has_faults && self.rng.random_ratio(1, 200) {
            self.members[index].begin_life();
        }
        if let Some((_, until_ms)) = self.members[index].asked {
            if now_ms < until_ms {
                return;
            }
            self.members[index].asked = None;
            self.look_for_coordinator(index);
        }
        let request = self.next_request(index, has_faults);
        let member = &mut self.members[index];
        let number = member.next_number;
        member.next_number += 1;
        member.asked = Some((number, now_ms + ANSWER_TIMEOUT_MS));
        let coordinator = member.coordinator;
        self.send(id, coordinator, Message::GroupAsk { number, request: Box::new(request) });
    }

    fn next_request(&mut self, index: usize, has_faults: bool) -> GroupRequest {
        let (partition, action) = (self.rng.random_range(0..PARTITIONS), self.rng.random_range(0..100));
        let generations_ago = i32::from(has_faults && self.rng.random_bool(0.1));
        let offset = self.next_value as i64;
        let member = &mut self.members[index];
        match (member.phase, action) {
            (Phase::Out, _) => member.join(),
            (Phase::Joined, _) if member.is_classic => member.sync(),
            (_, 0..2) if has_faults => {
                // It does not wait for the answer, and comes back as somebody else.
                let request = member.leave();
                member.begin_life();
                request
            }
            (_, 2..40) if self.producing => {
                self.next_value += 1;
                member.commit(partition, offset, generations_ago)
            }
            (_, 40..55) => member.fetch(),
            _ => member.heartbeat(generations_ago),
        }
    }

    /// In groups of the new protocol a partition passes to another only when the former owner has given it up, or has
    /// been silent so long that it may be taken for gone. In classic groups a rebalance is what owners learn of.
    fn check_owns_alone(&self, index: usize) {
        let member = &self.members[index];
        let is_alive = |other: &&Member| self.now_ms - other.heard_ms < i64::from(REBALANCE_TIMEOUT_MS);
        if member.is_classic || !is_alive(&member) || self.checker.lossy {
            return;
        }
        let others = self.members.iter().filter(|other| other.id != member.id && other.group() == member.group());
        for other in others.filter(is_alive) {
            let shared = member.assigned.iter().find(|partition| other.assigned.contains(partition));
            assert_eq!(shared, None, "two members own a partition: {member:?} {other:?}");
        }
    }

    fn look_for_coordinator(&mut self, index: usize) {
        let leader = self.controller.image().leader;
        let any = self.rng.random_range(1..=self.nodes.len() as i32);
        self.members[index].coordinator = if leader > 0 && self.rng.random_bool(0.8) { leader } else { any };
    }

    pub(crate) fn member_receives(&mut self, id: i32, number: u64, answer: GroupAnswer) {
        let index = (id - MEMBERS_FROM) as usize;
        let member = &mut self.members[index];
        let Some((_, until_ms)) = member.asked.filter(|(asked, _)| *asked == number) else { return };
        member.asked = None;
        match answer {
            Ok(response) => {
                if matches!(&response, Response::ConsumerGroupHeartbeat(heard) if heard.error_code.is_none()) {
                    member.heard_ms = until_ms - ANSWER_TIMEOUT_MS;
                }
                member.hear(response);
                self.check_owns_alone(index);
            }
            Err(_) => self.look_for_coordinator(index),
        }
    }
}
