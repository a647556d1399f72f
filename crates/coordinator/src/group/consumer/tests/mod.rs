//! The protocol as clients and hosts see it: requests in, answers, records and timers out.

mod classic_client;
mod client;
mod describe;
mod fencing;
mod histories;
mod joining;
mod migration;
mod static_members;
mod topics;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidelog_wire::messages::consumer_group_describe_response::DescribedGroup;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::ConsumerGroup;
use crate::{Caller, Coordinator, GroupConfig, Outcome, Record, RequestId, Response, TimerKey, Topics};

pub const GROUP: &str = "g";
pub const SESSION_TIMEOUT_MS: i64 = 45_000;
pub const REBALANCE_TIMEOUT_MS: i32 = 20_000;

/// Topics by name: id, and the racks of each partition's replicas.
#[derive(Clone, Debug, Default)]
pub struct FakeTopics {
    topics: BTreeMap<String, (Uuid, Vec<Vec<&'static str>>)>,
    next_id: u128,
}

impl FakeTopics {
    fn put(&mut self, name: &str, partition_count: usize) -> Uuid {
        self.next_id += 1;
        let next_id = Uuid::from_u128(1_000 + self.next_id);
        let topic = self.topics.entry(name.to_owned()).or_insert((next_id, Vec::new()));
        topic.1.resize(partition_count, Vec::new());
        topic.0
    }

    fn by_id(&self, id: Uuid) -> Option<(&String, &Vec<Vec<&'static str>>)> {
        self.topics.iter().find(|(_, topic)| topic.0 == id).map(|(name, topic)| (name, &topic.1))
    }
}

impl Topics for FakeTopics {
    fn id(&self, name: &str) -> Option<Uuid> {
        self.topics.get(name).map(|topic| topic.0)
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        self.by_id(id).map(|(name, _)| name.clone().into())
    }

    fn partition_count(&self, id: Uuid) -> Option<i32> {
        self.by_id(id).map(|(_, partitions)| partitions.len() as i32)
    }

    fn racks(&self, id: Uuid, partition: i32) -> Vec<Str> {
        let racks = self.by_id(id).map(|(_, partitions)| partitions[partition as usize].clone());
        racks.unwrap_or_default().into_iter().map(Str::from).collect()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid)) {
        for (name, topic) in &self.topics {
            visit(&name.clone().into(), topic.0);
        }
    }
}

/// A coordinator with its log and its timers, as a host would keep them.
pub struct Host {
    pub coordinator: Coordinator,
    pub config: GroupConfig,
    pub topics: FakeTopics,
    pub now_ms: i64,
    pub log: Vec<Record>,
    timers: HashMap<TimerKey, i64>,
    /// Answers that nobody has looked at.
    answers: HashMap<RequestId, Response>,
    next_request: u64,
}

impl Host {
    pub fn new(topics: &[(&str, usize)]) -> Self {
        Self::with_config(topics, GroupConfig::default())
    }

    pub fn with_config(topics: &[(&str, usize)], config: GroupConfig) -> Self {
        let mut fake = FakeTopics::default();
        for (name, partition_count) in topics {
            fake.put(name, *partition_count);
        }
        Self {
            coordinator: Coordinator::new(Arc::new(config.clone())),
            config,
            topics: fake,
            now_ms: 1_000_000,
            log: Vec::new(),
            timers: HashMap::new(),
            answers: HashMap::new(),
            next_request: 0,
        }
    }

    pub fn heartbeat(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.heartbeat_at_version(1, request)
    }

    pub fn heartbeat_at_version(
        &mut self,
        version: i16,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let outcome = self.decide(version, request);
        self.keep(outcome)
    }

    /// What the coordinator would do; nothing of it is in the log.
    pub fn decide(&mut self, version: i16, request: ConsumerGroupHeartbeatRequest) -> Outcome {
        self.next_request += 1;
        let caller = self.caller(version);
        self.coordinator.consumer_group_heartbeat(self.now_ms, &self.topics, &caller, request)
    }

    pub fn keep(&mut self, outcome: Outcome) -> ConsumerGroupHeartbeatResponse {
        self.take(outcome);
        match self.answers.remove(&RequestId(self.next_request)) {
            Some(Response::ConsumerGroupHeartbeat(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn caller(&self, version: i16) -> Caller<'static> {
        Caller {
            request: RequestId(self.next_request),
            client_id: "client",
            client_host: "/127.0.0.1",
            version,
            fresh_member_id: Uuid::from_u128(9_000 + u128::from(self.next_request)),
        }
    }

    /// Any operation; its answer is found under the id.
    pub fn call(
        &mut self,
        version: i16,
        operation: impl FnOnce(&mut Coordinator, i64, &FakeTopics, &Caller) -> Outcome,
    ) -> RequestId {
        self.next_request += 1;
        let caller = self.caller(version);
        let outcome = operation(&mut self.coordinator, self.now_ms, &self.topics, &caller);
        self.take(outcome);
        caller.request
    }

    pub fn answer(&mut self, request: RequestId) -> Option<Response> {
        self.answers.remove(&request)
    }

    fn take(&mut self, outcome: Outcome) {
        self.log.extend(outcome.records);
        for change in outcome.timers {
            match change.due_ms {
                Some(due_ms) => self.timers.insert(change.key, due_ms),
                None => self.timers.remove(&change.key),
            };
        }
        for reply in outcome.replies {
            assert_eq!(self.answers.insert(reply.to, reply.response), None, "answered once");
        }
    }

    pub fn describe(&mut self) -> DescribedGroup {
        let request = self.call(1, |coordinator, now_ms, topics, caller| {
            coordinator.consumer_group_describe(now_ms, topics, caller, &GROUP.into())
        });
        match self.answer(request) {
            Some(Response::ConsumerGroupDescribe(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass; timers fire when they are due, in order.
    pub fn pass(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some((key, due_ms)) = self.next_timer().filter(|(_, due_ms)| *due_ms <= end_ms) {
            self.timers.remove(&key);
            self.now_ms = due_ms;
            let outcome = self.coordinator.timer_due(due_ms, &self.topics, key);
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }

    fn next_timer(&self) -> Option<(TimerKey, i64)> {
        let groups = self.timers.iter().filter(|(key, _)| **key != TimerKey::OffsetExpiry);
        groups.map(|(key, due_ms)| (key.clone(), *due_ms)).min_by_key(|(key, due_ms)| (*due_ms, key.clone()))
    }

    pub fn put_topic(&mut self, name: &str, partition_count: usize) -> Uuid {
        let id = self.topics.put(name, partition_count);
        let outcome = self.coordinator.topics_changed(self.now_ms, &self.topics, &[name.to_owned().into()]);
        self.take(outcome);
        id
    }

    pub fn delete_topic(&mut self, name: &str) {
        let Some((id, _)) = self.topics.topics.remove(name) else { return };
        let deleted = [(Str::from(name.to_owned()), id)];
        let outcome = self.coordinator.topics_deleted(self.now_ms, &self.topics, &deleted);
        self.take(outcome);
    }

    /// The coordinator dies, and another one takes over the log.
    pub fn fail_over(&mut self) {
        self.coordinator = replayed(&self.config, &self.log);
        self.timers.clear();
        self.answers.clear();
        let outcome = self.coordinator.loaded(self.now_ms, &self.topics);
        self.take(outcome);
    }

    pub fn group(&self) -> Option<&ConsumerGroup> {
        self.coordinator.groups.consumer(GROUP)
    }

    pub fn assert_log_holds_the_state(&self) {
        for log in [self.log.clone(), compacted(&self.log)] {
            let replayed = replayed(&self.config, &log);
            let replayed = replayed.groups.consumer(GROUP).map(persisted);
            assert_eq!(replayed, self.group().map(persisted));
        }
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.topics.id(name).expect("a topic of the test")
    }
}

fn replayed(config: &GroupConfig, log: &[Record]) -> Coordinator {
    let mut coordinator = Coordinator::new(Arc::new(config.clone()));
    for record in log {
        coordinator.replay(Some(record.key.clone()), record.value.clone()).expect("our own record");
    }
    coordinator
}

/// Only the last record of each key, and no tombstones.
fn compacted(log: &[Record]) -> Vec<Record> {
    let last: HashMap<_, usize> = log.iter().enumerate().map(|(offset, record)| (record.key.clone(), offset)).collect();
    let is_kept = |(offset, record): &(usize, &Record)| last[&record.key] == *offset && record.value.is_some();
    log.iter().enumerate().filter(is_kept).map(|(_, record)| record.clone()).collect()
}

/// All of a group that the log is to hold.
fn persisted(group: &ConsumerGroup) -> impl PartialEq + std::fmt::Debug + use<> {
    let owners: BTreeMap<_, _> = group.owners.clone().into_iter().collect();
    let static_members: BTreeMap<_, _> = group.static_members.clone().into_iter().collect();
    (
        (group.epoch, group.target_epoch, group.members.clone()),
        (group.targets.clone(), group.regexes.clone(), static_members, owners),
    )
}

/// A first request for topics by name.
pub fn join(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.to_owned().into(),
        member_epoch: 0,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        subscribed_topic_names: Some(topics.iter().map(|topic| Str::from((*topic).to_owned())).collect()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// A request that says nothing but that the member is there.
pub fn steady(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.to_owned().into(),
        member_epoch,
        ..Default::default()
    }
}

pub fn error(response: &ConsumerGroupHeartbeatResponse) -> ErrorCode {
    assert_eq!(response.error_code.is_error(), response.error_message.is_some());
    response.error_code
}
