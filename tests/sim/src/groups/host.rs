//! A coordinator's life on the partition's leader, by the rules of the broker's `coordinator_host`: replayed when a
//! leadership begins, gone when it ends or an append fails; what is decided is appended at once. When a reply leaves and
//! which timers are due, both hosts have told by the coordinator's crate.

use std::collections::BTreeMap;
use std::rc::Rc;

use rand::Rng;
use tidelog_coordinator::{BookedTimers, Caller, Coordinator, Outcome, RequestId, Response, Topics, WaitingReplies};
use tidelog_replication::{Acks, Partition};
use tidelog_wire::types::{LeaderEpoch, Offset};
use tidelog_wire::{ErrorCode, Uuid};

use super::ledger::Told;
use super::{GroupRequest, OneTopic, coordinator};
use crate::batch;
use crate::node::Node;
use crate::world::{Message, NodeEvent, World};

#[derive(Debug)]
pub struct Hosted {
    pub leader_epoch: i32,
    coordinator: Coordinator,
    timers: BookedTimers,
    /// When the next look at the timers is due.
    wake_ms: Option<i64>,
    tickets: BTreeMap<RequestId, Ticket>,
    next_request: u64,
    /// By where the log ended after an append, or was found to end.
    waiting: WaitingReplies<i64, Told>,
    /// Generations and member epochs it has decided on, by group and member; classic generations have no member.
    decided: BTreeMap<(String, String), i32>,
}

#[derive(Clone, Debug)]
struct Ticket {
    member: i32,
    number: u64,
    request: GroupRequest,
}

fn leads_in(node: &Node) -> Option<i32> {
    let partition = node.partition.as_ref()?;
    partition.check_produce(Acks::Leader).ok().map(|epoch| epoch.get())
}

impl World {
    /// A coordinator begins and ends with its node's leadership.
    pub(crate) fn follow_leadership(&mut self, id: i32) {
        if !self.options.groups {
            return;
        }
        let node = &mut self.nodes[id as usize - 1];
        let epoch = leads_in(node);
        if node.hosted.as_ref().is_some_and(|hosted| Some(hosted.leader_epoch) != epoch) {
            node.hosted = None;
        }
        if let Some(leader_epoch) = epoch.filter(|epoch| node.hosted.is_none() && node.loading != Some(*epoch)) {
            node.loading = Some(leader_epoch);
            let delay_ms = self.rng.random_range(0..40);
            self.node_at(id, delay_ms, NodeEvent::LoadGroups { leader_epoch });
        }
    }

    /// Nobody vouches any more for what was appended: the log is to be read anew.
    pub(crate) fn coordinator_failed(&mut self, id: i32, beyond: i64) {
        let node = self.node(id);
        if node.hosted.as_ref().is_some_and(|hosted| hosted.waiting.appended() > beyond) {
            node.hosted = None;
            node.loading = None;
        }
    }

    pub(crate) fn load_groups(&mut self, id: i32, leader_epoch: i32) {
        let node = &mut self.nodes[id as usize - 1];
        if node.loading != Some(leader_epoch) || leads_in(node) != Some(leader_epoch) {
            return;
        }
        node.loading = None;
        let end = node.log.end();
        let mut coordinator = coordinator();
        for record in node.log.records() {
            for stored in self.ledger.batch(record.value) {
                coordinator.replay(Some(stored.key.clone()), stored.value.clone()).expect("what was written is read");
            }
        }
        node.hosted = Some(Box::new(Hosted {
            leader_epoch,
            coordinator,
            timers: BookedTimers::default(),
            wake_ms: None,
            tickets: BTreeMap::new(),
            next_request: 0,
            waiting: WaitingReplies::new(end),
            decided: BTreeMap::new(),
        }));
        self.when_committed(id, end);
        self.act(id, |coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
    }

    pub(crate) fn ask_coordinator(&mut self, id: i32, member: i32, number: u64, request: GroupRequest) {
        let heard_of = self.node(id).heard_of.entry(member).or_default();
        if matches!(request, GroupRequest::ConsumerHeartbeat(_)) && *heard_of >= number {
            return;
        }
        *heard_of = number.max(*heard_of);
        match self.admit(id, member, number, &request) {
            Ok(asked) => {
                let fresh_member_id = Uuid::from_u128(self.rng.random());
                self.act(id, |coordinator, now_ms, topics| {
                    let caller = Caller {
                        request: asked,
                        client_id: "member",
                        client_host: "/127.0.0.1",
                        version: request.version(),
                        fresh_member_id,
                    };
                    run(coordinator, now_ms, topics, &caller, &request)
                });
            }
            Err(code) => self.send(id, member, Message::GroupAnswer { number, answer: Box::new(Err(code)) }),
        }
    }

    fn admit(&mut self, id: i32, member: i32, number: u64, request: &GroupRequest) -> Result<RequestId, ErrorCode> {
        let node = self.node(id);
        let leader_epoch = leads_in(node).ok_or(ErrorCode::NOT_COORDINATOR)?;
        let can_commit = node.partition.as_ref().is_some_and(|partition| partition.check_produce(Acks::All).is_ok());
        let hosted = node.hosted.as_mut().filter(|hosted| hosted.leader_epoch == leader_epoch);
        let hosted = hosted.ok_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)?;
        if request.writes() && !can_commit {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        hosted.next_request += 1;
        let asked = RequestId(hosted.next_request);
        hosted.tickets.insert(asked, Ticket { member, number, request: request.clone() });
        Ok(asked)
    }

    fn act(&mut self, id: i32, operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics) -> Outcome) {
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.node(id).hosted else { return };
        let leader_epoch = hosted.leader_epoch;
        let outcome = operation(&mut hosted.coordinator, now_ms, &OneTopic);
        outcome.timers.into_iter().for_each(|change| hosted.timers.change(change));
        let replies: Vec<(Ticket, Response)> = outcome
            .replies
            .into_iter()
            .map(|reply| {
                let ticket = hosted.tickets.remove(&reply.to).expect("a request is answered once");
                (ticket, reply.response)
            })
            .collect();
        let value = self.append_decided(id, leader_epoch, outcome.records);
        let node = &mut self.nodes[id as usize - 1];
        let Some(hosted) = &mut node.hosted else { return };
        let end = if value.is_some() { node.log.end() } else { hosted.waiting.appended() };
        let last = node.log.get(end - 1).map(|record| record.value);
        let told = |(Ticket { member, number, request }, response)| Told {
            leader_epoch,
            end,
            value,
            last,
            member,
            number,
            request,
            response,
        };
        let decided: Vec<Told> = replies.into_iter().map(told).collect();
        if !self.checker.lossy {
            decided.iter().for_each(|told| self.ledger.decided(told, &mut hosted.decided));
        }
        if value.is_some() {
            hosted.waiting.append(end, decided);
            self.drive(id, |partition, out| partition.appended(Offset(end), now_ms, out));
            self.when_committed(id, end);
        } else {
            let released = decided.into_iter().filter_map(|told| hosted.waiting.answer(told)).collect();
            self.tell(id, released);
        }
        self.book_group_timers(id);
    }

    /// The records of one operation are one record of the log. Returns its value.
    fn append_decided(&mut self, id: i32, leader_epoch: i32, records: Vec<tidelog_coordinator::Record>) -> Option<u64> {
        if records.is_empty() {
            return None;
        }
        let value = self.next_value;
        self.next_value += 1;
        self.ledger.store(value, Rc::new(records));
        let batch = batch::build(&mut self.rng, value, 1, None);
        let now_ms = self.now_ms;
        let node = self.node(id);
        assert_eq!(leads_in(node), Some(leader_epoch), "a coordinator outlives its leadership");
        node.log.append_one(batch, LeaderEpoch(leader_epoch), now_ms);
        Some(value)
    }

    fn when_committed(&mut self, id: i32, end: i64) {
        let committed = |partition: &Partition| partition.high_watermark().get() >= end;
        if self.node(id).partition.as_ref().is_some_and(committed) {
            self.release_replies(id, end);
        } else {
            self.drive(id, |partition, _| partition.ack_parked(Offset(end)));
        }
    }

    /// The high watermark has passed everything below `through`.
    pub(crate) fn release_replies(&mut self, id: i32, through: i64) {
        let Some(hosted) = &mut self.node(id).hosted else { return };
        let released = hosted.waiting.commit(through);
        self.tell(id, released);
    }

    fn tell(&mut self, id: i32, released: Vec<Told>) {
        for told in released {
            if !self.checker.lossy {
                self.ledger.told(&told, &self.checker);
            }
            let Told { member, number, response, .. } = told;
            self.send(id, member, Message::GroupAnswer { number, answer: Box::new(Ok(response)) });
        }
    }

    fn book_group_timers(&mut self, id: i32) {
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.node(id).hosted else { return };
        let leader_epoch = hosted.leader_epoch;
        let Some(due_ms) = hosted.timers.next_ms() else { return };
        if hosted.wake_ms.is_none_or(|wake_ms| wake_ms > due_ms) {
            hosted.wake_ms = Some(due_ms);
            self.node_at(id, (due_ms - now_ms).max(0), NodeEvent::GroupTimers { leader_epoch });
        }
    }

    pub(crate) fn group_timers(&mut self, id: i32, leader_epoch: i32) {
        let now_ms = self.now_ms;
        while let Some(hosted) = self.node(id).hosted.as_mut().filter(|hosted| hosted.leader_epoch == leader_epoch) {
            hosted.wake_ms = None;
            let Some(key) = hosted.timers.take_due(now_ms) else { break };
            self.act(id, |coordinator, now_ms, topics| coordinator.timer_due(now_ms, topics, key));
        }
        self.book_group_timers(id);
    }
}

fn run(
    coordinator: &mut Coordinator,
    now_ms: i64,
    topics: &dyn Topics,
    caller: &Caller<'_>,
    request: &GroupRequest,
) -> Outcome {
    match request {
        GroupRequest::Join(request) => coordinator.join_group(now_ms, topics, caller, request),
        GroupRequest::Sync(request) => coordinator.sync_group(now_ms, topics, caller, request),
        GroupRequest::Heartbeat(request) => coordinator.heartbeat(now_ms, topics, caller, request),
        GroupRequest::Leave(request) => coordinator.leave_group(now_ms, topics, caller, request),
        GroupRequest::ConsumerHeartbeat(request) => {
            coordinator.consumer_group_heartbeat(now_ms, topics, caller, request)
        }
        GroupRequest::Commit(request) => coordinator.offset_commit(now_ms, topics, caller, request),
        GroupRequest::Fetch(request) => coordinator.offset_fetch(now_ms, topics, caller, request),
    }
}
