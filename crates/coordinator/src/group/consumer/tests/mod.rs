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
use std::ops::{Deref, DerefMut};

use tidelog_wire::messages::consumer_group_describe_response::DescribedGroup;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::ConsumerGroup;
use crate::{Caller, Coordinator, GroupConfig, Outcome, Record, RequestId, Response, Topics, testing};

pub const GROUP: &str = "g";
pub const SESSION_TIMEOUT_MS: i64 = 45_000;
pub const REBALANCE_TIMEOUT_MS: i32 = 20_000;

/// A host that knows the verbs of this protocol.
pub(crate) struct Host(testing::Host);

impl Deref for Host {
    type Target = testing::Host;
    fn deref(&self) -> &testing::Host {
        &self.0
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut testing::Host {
        &mut self.0
    }
}

impl Host {
    pub fn new(topics: &[(&'static str, usize)]) -> Self {
        Self::with_config(topics, GroupConfig::default())
    }

    pub fn with_config(topics: &[(&'static str, usize)], config: GroupConfig) -> Self {
        let mut host = testing::Host::with(config);
        host.topics = testing::FakeTopics::of(topics);
        Self(host)
    }

    pub fn heartbeat(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.heartbeat_at_version(1, request)
    }

    pub fn heartbeat_at_version(
        &mut self,
        version: i16,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let request = self.call(version, |coordinator, now_ms, topics, caller| {
            coordinator.consumer_group_heartbeat(now_ms, topics, caller, &request)
        });
        match self.0.answer(request) {
            Response::ConsumerGroupHeartbeat(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// What the coordinator would do; nothing of it is in the log.
    pub fn decide(&mut self, request: ConsumerGroupHeartbeatRequest) -> Outcome {
        let caller = Caller {
            request: RequestId(u64::MAX),
            client_id: "client",
            client_host: "/127.0.0.1",
            version: 1,
            fresh_member_id: Uuid::ONE,
        };
        let testing::Host { coordinator, now_ms, topics, .. } = &mut self.0;
        coordinator.consumer_group_heartbeat(*now_ms, topics, &caller, &request)
    }

    /// Any request; its answer is found under the id.
    pub fn call(
        &mut self,
        version: i16,
        operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics, &Caller) -> Outcome,
    ) -> RequestId {
        self.0.version = version;
        self.0.ask(operation)
    }

    /// The answer, if it has come.
    pub fn answer(&mut self, request: RequestId) -> Option<Response> {
        self.0.answers.remove(&request)
    }

    pub fn describe(&mut self) -> DescribedGroup {
        let request = self.call(1, |coordinator, now_ms, topics, caller| {
            coordinator.consumer_group_describe(now_ms, topics, caller, &GROUP.into())
        });
        match self.0.answer(request) {
            Response::ConsumerGroupDescribe(described) => described,
            other => panic!("{other:?}"),
        }
    }

    pub fn pass(&mut self, ms: i64) {
        self.0.pass_ms(ms);
    }

    pub fn put_topic(&mut self, name: &'static str, partition_count: usize) -> Uuid {
        let id = self.0.topics.resize(name, partition_count);
        self.0.tell(|coordinator, now_ms, topics| coordinator.topics_changed(now_ms, topics, &[name.into()]));
        id
    }

    pub fn delete_topic(&mut self, name: &str) {
        if self.0.topics.id(name).is_some() {
            let deleted = [self.0.topics.delete(name)];
            self.0.tell(|coordinator, now_ms, topics| coordinator.topics_deleted(now_ms, topics, &deleted));
        }
    }

    pub fn group(&self) -> Option<&ConsumerGroup> {
        self.coordinator.groups.consumer(GROUP)
    }

    pub fn assert_log_holds_the_state(&self) {
        for log in [self.log.clone(), compacted(&self.log)] {
            let mut replayed = Coordinator::new(self.config.clone());
            for record in log {
                replayed.replay(Some(record.key), record.value).expect("our own record");
            }
            assert_eq!(replayed.groups.consumer(GROUP).map(persisted), self.group().map(persisted));
        }
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.topics.id(name).expect("a topic of the test")
    }
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
