//! What a node does: the host's side of the protocol, as a broker does it, only simpler.

use std::rc::Rc;

use bytes::Bytes;
use rand::Rng;
use tidelog_commitlog::{AppendError, ReadError, ReadStart};
use tidelog_replication::EpochHistory;
use tidelog_replication::{
    Assignment, Effect, FetchAnswer, FetchResponse, FetchVerdict, FollowerFetch, IsrOutcome, IsrProposal, Partition,
    Replica,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::controller::{Image, Introduction, SESSION_TIMEOUT_MS};
use crate::log::Log;
use crate::node::{ColdRead, ParkedFetch};
use crate::world::{CONTROLLER, Message, NodeEvent, World};

const HEARTBEAT_MS: i64 = 300;
const REGISTER_RETRY_MS: i64 = 200;
const FETCH_RETRY_MS: i64 = 300;
const FETCH_WAIT_MS: i64 = 100;
const ALTER_TIMEOUT_MS: i64 = 400;

impl World {
    // ---- messages ----

    pub(crate) fn node_receives(&mut self, from: i32, id: i32, message: Message) {
        match message {
            Message::Fetch { fetch, number } => self.serve_fetch(from, id, fetch, number),
            Message::FetchAnswer { fetch, number, response, records } => {
                self.take_answer(from, id, fetch, number, &response, &records);
            }
            Message::Registered { broker_epoch, image } => self.registered(id, broker_epoch, image),
            Message::HeartbeatAnswer { is_ours, image } => {
                self.apply_image(id, image);
                if is_ours {
                    self.in_contact(id);
                }
            }
            Message::ImagePublished(image) => self.apply_image(id, image),
            Message::GroupAsk { number, request } => self.ask_coordinator(id, from, number, *request),
            Message::AlterAnswer { proposal, outcome, attempt } => self.altered(id, &proposal, outcome, attempt),
            other => panic!("not for a node: {other:?}"),
        }
    }

    pub(crate) fn node_event(&mut self, id: i32, event: NodeEvent) {
        match event {
            NodeEvent::Tick => {
                let now_ms = self.now_ms;
                let node = self.node(id);
                node.tick_at_ms = None;
                let heard = node.last_heard.clone();
                self.drive(id, |partition, out| partition.tick(now_ms, &heard, out));
            }
            NodeEvent::Heartbeat => self.heartbeat(id),
            NodeEvent::RegisterRetry => self.request_registration(id),
            NodeEvent::Flushed => self.flushed(id),
            NodeEvent::ReadCold { ticket } => self.read_cold(id, ticket),
            NodeEvent::Truncated { to, restart, removals } if removals == self.node(id).removals => {
                self.truncated(id, to, restart);
            }
            NodeEvent::LogStartPersisted { start, removals } if removals == self.node(id).removals => {
                self.advance_log_start(id, start);
            }
            NodeEvent::Truncated { .. } | NodeEvent::LogStartPersisted { .. } => {}
            NodeEvent::FetchParkedOut => self.answer_parked(id, true),
            NodeEvent::FetchRetry { number } => {
                if self.node(id).fetch_number == number {
                    self.fetch(id);
                }
            }
            NodeEvent::AlterTimedOut { proposal, attempt } => {
                self.altered(id, &proposal, IsrOutcome::Unknown, attempt);
            }
            NodeEvent::AckTimedOut { end } => self.node(id).parked_acks.retain(|ack| ack.end != end),
            NodeEvent::LoadGroups { leader_epoch } => self.load_groups(id, leader_epoch),
            NodeEvent::GroupTimers { leader_epoch } => self.group_timers(id, leader_epoch),
            NodeEvent::StopCleanly => self.stop_cleanly(id),
        }
    }

    // ---- driving the protocol ----

    /// One event into the protocol, and everything it asks for done, in order.
    pub(crate) fn drive(&mut self, id: i32, event: impl FnOnce(&mut Partition, &mut Vec<Effect>)) {
        self.drive_by_log(id, |partition, _, out| event(partition, out));
    }

    fn drive_by_log(&mut self, id: i32, event: impl FnOnce(&mut Partition, &Log, &mut Vec<Effect>)) {
        let Some(mut partition) = self.node(id).partition.take() else { return };
        let mut effects = Vec::new();
        event(&mut partition, &self.node(id).log, &mut effects);
        self.node(id).partition = Some(partition);
        for effect in effects {
            self.execute(id, effect);
        }
        let now_ms = self.now_ms;
        let node = self.node(id);
        let Some(partition) = &node.partition else { return };
        // Raised by its effect alone; lowered by a truncation after an unclean election.
        node.high_watermark = node.high_watermark.min(partition.high_watermark().get());
        let due_ms = partition.next_deadline_ms().map(|due_ms| due_ms.max(now_ms));
        if let Some(due_ms) = due_ms.filter(|due_ms| node.tick_at_ms.is_none_or(|at_ms| at_ms > *due_ms)) {
            node.tick_at_ms = Some(due_ms);
            self.node_at(id, due_ms - now_ms, NodeEvent::Tick);
        }
        self.flush(id);
        self.follow_leadership(id);
    }

    fn execute(&mut self, id: i32, effect: Effect) {
        match effect {
            Effect::StartEpoch { leader_epoch, start } => {
                let node = self.node(id);
                assert_eq!(start.get(), node.log.end(), "an epoch starts at the log end");
                node.log.start_epoch(leader_epoch);
                self.checker.leads(&self.nodes[id as usize - 1], leader_epoch.get());
            }
            Effect::HighWatermark(to) => self.high_watermark_moved(id, to.get()),
            Effect::ReleaseAcks { through } => self.release_acks(id, through.get()),
            Effect::FailAcks { beyond, .. } => {
                self.node(id).parked_acks.retain(|ack| ack.end <= beyond.get());
                self.coordinator_failed(id, beyond.get());
            }
            Effect::WakeFollowers => self.answer_parked(id, false),
            Effect::ProposeIsr(proposal) => self.propose(id, *proposal),
            Effect::TruncateTo(to) => self.begin_truncation(id, to.get(), false),
            Effect::RestartAt(to) => self.begin_truncation(id, to.get(), true),
            Effect::AdvanceLogStart(start) => {
                let delay_ms = self.rng.random_range(0..4);
                let removals = self.node(id).removals;
                self.node_at(id, delay_ms, NodeEvent::LogStartPersisted { start: start.get(), removals });
            }
            Effect::ReapplyAssignment => {
                if let Some(image) = self.node(id).image.clone() {
                    self.assign(id, &image);
                }
            }
            Effect::FetchReady => self.fetch(id),
            Effect::LowWatermark(start) => self.checker.deleted(start.get()),
            Effect::WakeConsumers | Effect::StepAside | Effect::Resume => {}
        }
    }

    fn high_watermark_moved(&mut self, id: i32, to: i64) {
        let node = &self.nodes[id as usize - 1];
        if let Some(partition) = node.partition.as_ref().filter(|partition| partition.is_leader()) {
            let min_isr = node.image.as_ref().map_or(0, |image| image.min_isr);
            assert!(partition.isr().len() >= min_isr, "P9: high watermark moved below min ISR");
        }
        self.checker.high_watermark(node, node.high_watermark, to);
        let checkpoints = self.rng.random_bool(0.1);
        let node = self.node(id);
        node.high_watermark = to;
        if checkpoints {
            node.checkpoint = to;
        }
    }

    fn release_acks(&mut self, id: i32, through: i64) {
        while let Some(ack) = self.node(id).parked_acks.front().copied().filter(|ack| ack.end <= through) {
            self.node(id).parked_acks.pop_front();
            self.acknowledge(&ack);
        }
        self.release_replies(id, through);
    }

    // ---- disk ----

    pub(crate) fn flush(&mut self, id: i32) {
        if self.node(id).log.begin_flush() {
            let delay_ms = self.rng.random_range(0..=self.options.flush_ms_max);
            self.node_at(id, delay_ms, NodeEvent::Flushed);
        }
    }

    fn flushed(&mut self, id: i32) {
        if let Some(durable_end) = self.nodes[id as usize - 1].log.finish_flush(&mut self.rng) {
            self.drive(id, |partition, out| partition.flushed(durable_end, out));
        }
    }

    fn begin_truncation(&mut self, id: i32, to: i64, restart: bool) {
        let lossy = self.checker.lossy;
        let node = self.node(id);
        assert!(lossy || restart || to >= node.high_watermark, "node {id} truncates to {to}, below its high watermark");
        assert!(lossy || !restart || node.log.end() <= to, "node {id} drops its log");
        let delay_ms = if self.rng.random_bool(0.7) { 0 } else { self.rng.random_range(0..30) };
        let removals = self.node(id).removals;
        self.node_at(id, delay_ms, NodeEvent::Truncated { to, restart, removals });
    }

    fn truncated(&mut self, id: i32, to: i64, restart: bool) {
        let log = &mut self.node(id).log;
        if restart {
            log.restart_at(to)
        } else {
            log.truncate_to(to)
        }
        let offsets = log.offsets();
        self.drive(id, |partition, out| partition.truncated(offsets, out));
    }

    pub(crate) fn advance_log_start(&mut self, id: i32, start: i64) {
        let now_ms = self.now_ms;
        let log = &mut self.nodes[id as usize - 1].log;
        if start <= log.end() {
            log.advance_start(start, now_ms, &mut self.rng);
            self.drive(id, |partition, out| partition.log_start_advanced(Offset(start), out));
        }
    }

    // ---- following ----

    fn fetch(&mut self, id: i32) {
        let node = self.node(id);
        let Some(position) = node.partition.as_ref().and_then(|partition| partition.fetch_position(&node.log)) else {
            return;
        };
        node.fetch_number += 1;
        let number = node.fetch_number;
        let fetch = FollowerFetch {
            replica: BrokerId(id),
            broker_epoch: BrokerEpoch(node.broker_epoch),
            current_leader_epoch: position.leader_epoch,
            fetch_offset: position.fetch_offset,
            last_fetched_epoch: position.last_fetched_epoch,
            log_start: position.log_start,
        };
        self.send(id, position.leader.get(), Message::Fetch { fetch, number });
        self.node_at(id, FETCH_RETRY_MS, NodeEvent::FetchRetry { number });
    }

    fn take_answer(
        &mut self,
        from: i32,
        id: i32,
        fetch: FollowerFetch,
        number: u64,
        response: &FetchResponse,
        records: &Bytes,
    ) {
        let now_ms = self.now_ms;
        if number <= self.node(id).fetches_before {
            return;
        }
        let position = tidelog_replication::FetchPosition {
            leader: BrokerId(from),
            leader_epoch: fetch.current_leader_epoch,
            fetch_offset: fetch.fetch_offset,
            last_fetched_epoch: fetch.last_fetched_epoch,
            log_start: fetch.log_start,
        };
        let mut verdict = FetchVerdict::Stale;
        self.drive_by_log(id, |partition, log, out| {
            verdict = partition.fetch_response(&position, response, log, out);
        });
        if verdict == FetchVerdict::Append {
            let log = &mut self.node(id).log;
            assert_eq!(log.end(), fetch.fetch_offset.get(), "records for another place");
            verdict = match log.append_fetched(records, now_ms) {
                Ok(_) => {
                    self.appended(id);
                    FetchVerdict::Stale
                }
                Err(AppendError::Storage(error)) => panic!("the disk is sound: {error}"),
                Err(_) => FetchVerdict::BackOff,
            };
        }
        match verdict {
            FetchVerdict::Done if self.node(id).fetch_number == number => self.fetch(id),
            FetchVerdict::BackOff if self.node(id).fetch_number == number => {
                self.node_at(id, 20, NodeEvent::FetchRetry { number });
            }
            FetchVerdict::Append | FetchVerdict::Done | FetchVerdict::BackOff | FetchVerdict::Stale => {}
        }
    }

    // ---- serving ----

    fn serve_fetch(&mut self, from: i32, id: i32, fetch: FollowerFetch, number: u64) {
        let now_ms = self.now_ms;
        let node = self.node(id);
        node.last_heard.0[from as usize - 1] = now_ms;
        let mut answer = None;
        self.drive_by_log(id, |partition, log, out| {
            answer = Some(partition.follower_fetched(&fetch, log, now_ms, out));
        });
        let Some(answer) = answer else {
            let response = FetchResponse::Refused;
            self.send(id, from, Message::FetchAnswer { fetch, number, response, records: Bytes::new() });
            return;
        };
        let parks = match answer {
            FetchAnswer::Read { from, up_to, news, .. } => from == up_to && !news,
            FetchAnswer::WaitForImage => true,
            FetchAnswer::Diverging(_) | FetchAnswer::Error(_) => false,
        };
        if parks {
            let parked = ParkedFetch { fetch, number, until_ms: now_ms + FETCH_WAIT_MS };
            self.node(id).parked_fetches.push(parked);
            self.node_at(id, FETCH_WAIT_MS, NodeEvent::FetchParkedOut);
        } else {
            self.answer(id, &fetch, number, answer);
        }
    }

    /// Looks at the parked fetches again; those whose time is over get an answer whatever it is.
    fn answer_parked(&mut self, id: i32, expired_only: bool) {
        let now_ms = self.now_ms;
        let parked = std::mem::take(&mut self.node(id).parked_fetches);
        for entry in parked {
            let node = self.node(id);
            let Some(partition) = &node.partition else { return };
            let answer = partition.follower_answer(&entry.fetch, &node.log);
            let waits = match answer {
                FetchAnswer::Read { from, up_to, news, .. } => from == up_to && !news,
                FetchAnswer::WaitForImage => true,
                FetchAnswer::Diverging(_) | FetchAnswer::Error(_) => false,
            };
            let expired = entry.until_ms <= now_ms;
            if (waits || expired_only) && !expired {
                self.node(id).parked_fetches.push(entry);
            } else {
                self.answer(id, &entry.fetch, entry.number, answer);
            }
        }
    }

    fn answer(&mut self, id: i32, fetch: &FollowerFetch, number: u64, answer: FetchAnswer) {
        let response = match answer {
            FetchAnswer::Read { from, up_to, high_watermark, log_start, .. } => {
                let replica = fetch.replica;
                self.drive(id, |partition, _| partition.answer_sent(replica, high_watermark));
                let max_bytes = self.rng.random_range(0..self.options.fetch_bytes_max);
                match self.node(id).log.begin_read(from, up_to, max_bytes) {
                    ReadStart::Ready(records) => {
                        let response =
                            FetchResponse::Ok { high_watermark, log_start, has_records: !records.is_empty() };
                        self.send_answer(id, fetch, number, response, records);
                    }
                    ReadStart::Cold(job) => {
                        self.wait_for_device(id, ColdRead { job, fetch: *fetch, number, high_watermark, log_start });
                    }
                }
                return;
            }
            FetchAnswer::Diverging(end) => FetchResponse::Diverging(end),
            FetchAnswer::Error(tidelog_replication::FetchError::OffsetOutOfRange { log_start }) => {
                FetchResponse::OffsetOutOfRange { log_start: Some(log_start) }
            }
            FetchAnswer::WaitForImage | FetchAnswer::Error(_) => FetchResponse::Refused,
        };
        self.send_answer(id, fetch, number, response, Bytes::new());
    }

    fn send_answer(&mut self, id: i32, fetch: &FollowerFetch, number: u64, response: FetchResponse, records: Bytes) {
        let message = Message::FetchAnswer { fetch: *fetch, number, response, records };
        self.send(id, fetch.replica.get(), message);
    }

    fn wait_for_device(&mut self, id: i32, read: ColdRead) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.node(id).cold_reads.insert(ticket, read);
        let delay_ms = self.rng.random_range(0..50);
        self.node_at(id, delay_ms, NodeEvent::ReadCold { ticket });
    }

    /// The log may have been cut, trimmed or deleted meanwhile.
    fn read_cold(&mut self, id: i32, ticket: u64) {
        let Some(read) = self.node(id).cold_reads.remove(&ticket) else { return };
        let ColdRead { job, fetch, number, high_watermark, log_start } = read;
        let (response, records) = match job.run() {
            Ok(records) => (FetchResponse::Ok { high_watermark, log_start, has_records: !records.is_empty() }, records),
            Err(ReadError::Replaced) => (FetchResponse::Refused, Bytes::new()),
            Err(error) => panic!("what lay in the log cannot be read: {error}"),
        };
        self.send_answer(id, &fetch, number, response, records);
    }

    // ---- controller ----

    fn request_registration(&mut self, id: i32) {
        let node = self.node(id);
        if !node.is_registered {
            let position = (node.log.latest_epoch().get(), node.log.end());
            let introduction = Introduction {
                incarnation: node.incarnation,
                unclean: node.report_unclean,
                stopped_cleanly: node.stopped_cleanly,
                position,
            };
            let message = Message::Register(introduction);
            self.send(id, CONTROLLER, message);
            self.node_at(id, REGISTER_RETRY_MS, NodeEvent::RegisterRetry);
        }
    }

    fn registered(&mut self, id: i32, broker_epoch: i64, image: Rc<Image>) {
        let node = self.node(id);
        if node.is_registered {
            return;
        }
        node.is_registered = true;
        node.report_unclean = false;
        node.stopped_cleanly = None;
        node.broker_epoch = broker_epoch;
        // Images may have come before the registration's answer.
        let newest = node.image.clone().filter(|known| known.version > image.version).unwrap_or(image);
        node.image = Some(Rc::clone(&newest));
        self.place(id, &newest);
    }

    fn apply_image(&mut self, id: i32, image: Rc<Image>) {
        let node = self.node(id);
        if image.version > node.image_version() {
            node.image = Some(Rc::clone(&image));
            self.place(id, &image);
        }
    }

    /// Makes sure of the replica, or removes it, as soon as an image knows this registration.
    fn place(&mut self, id: i32, image: &Image) {
        let node = self.node(id);
        let broker_epoch = node.broker_epoch;
        let is_known = image.brokers.get(&id).is_some_and(|broker| broker.epoch >= broker_epoch);
        if !node.is_registered || !is_known {
            return;
        }
        if !image.replicas.contains(&id) {
            self.drive(id, |partition, out| partition.stopped(out));
            let now_ms = self.now_ms;
            self.nodes[id as usize - 1].remove_replica(now_ms, &mut self.rng);
            return;
        }
        if node.partition.is_none() {
            let (settings, offsets) = (node.settings(), node.log.offsets());
            let high_watermark = Offset(node.checkpoint);
            let partition = Partition::new(BrokerId(id), BrokerEpoch(broker_epoch), settings, offsets, high_watermark);
            node.high_watermark = partition.high_watermark().get();
            node.partition = Some(partition);
        }
        self.assign(id, image);
    }

    fn assign(&mut self, id: i32, image: &Image) {
        let now_ms = self.now_ms;
        let replicas: Vec<Replica> = image
            .replicas
            .iter()
            .map(|&replica| {
                let broker = image.brokers.get(&replica);
                Replica {
                    id: BrokerId(replica),
                    broker_epoch: BrokerEpoch(broker.map_or(-1, |broker| broker.epoch)),
                    eligible: broker.is_some_and(|broker| broker.active),
                }
            })
            .collect();
        let isr: Vec<BrokerId> = image.isr.iter().map(|&id| BrokerId(id)).collect();
        let elr: Vec<BrokerId> = image.elr.iter().map(|&id| BrokerId(id)).collect();
        let assignment = Assignment {
            leader: BrokerId(image.leader),
            leader_epoch: LeaderEpoch(image.leader_epoch),
            partition_epoch: PartitionEpoch(image.partition_epoch),
            replicas: &replicas,
            isr: &isr,
            elr: &elr,
            min_isr: image.min_isr,
        };
        self.drive(id, |partition, out| partition.assignment_changed(&assignment, now_ms, out));
    }

    fn heartbeat(&mut self, id: i32) {
        self.node_at(id, HEARTBEAT_MS, NodeEvent::Heartbeat);
        let now_ms = self.now_ms;
        let node = self.node(id);
        if !node.is_registered {
            return;
        }
        let message = Message::Heartbeat { broker_epoch: node.broker_epoch, image_version: node.image_version() };
        let since_ms = node.last_contact_ms;
        if now_ms - since_ms > SESSION_TIMEOUT_MS && !node.is_isolated {
            node.is_isolated = true;
            self.drive(id, |partition, _| partition.controller_contact_lost(since_ms));
        }
        self.send(id, CONTROLLER, message);
    }

    fn in_contact(&mut self, id: i32) {
        let now_ms = self.now_ms;
        let node = self.node(id);
        node.last_contact_ms = now_ms;
        if std::mem::take(&mut node.is_isolated) {
            self.drive(id, |partition, out| partition.controller_contact_regained(out));
        }
    }

    fn propose(&mut self, id: i32, proposal: IsrProposal) {
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        self.attempts.insert((id, attempt));
        let broker_epoch = self.node(id).broker_epoch;
        self.send(id, CONTROLLER, Message::AlterIsr { broker_epoch, proposal: proposal.clone(), attempt });
        self.node_at(id, ALTER_TIMEOUT_MS, NodeEvent::AlterTimedOut { proposal, attempt });
    }

    fn altered(&mut self, id: i32, proposal: &IsrProposal, outcome: IsrOutcome, attempt: u64) {
        let now_ms = self.now_ms;
        if self.attempts.remove(&(id, attempt)) {
            self.drive(id, |partition, out| partition.isr_resolved(proposal, outcome, now_ms, out));
        }
    }
}
