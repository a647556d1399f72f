//! A host in memory: it appends to a log, keeps timers and collects answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidelog_wire::Uuid;

use crate::{Caller, Coordinator, GroupConfig, Outcome, Record, RequestId, Response, TimerKey, Topics};

use super::FakeTopics;

/// A coordinator and everything around it.
pub(crate) struct Host {
    pub coordinator: Coordinator,
    pub config: Arc<GroupConfig>,
    pub topics: FakeTopics,
    pub now_ms: i64,
    pub log: Vec<Record>,
    pub timers: BTreeMap<TimerKey, i64>,
    by_due: BTreeSet<(i64, TimerKey)>,
    /// Answers that have not been taken yet.
    pub answers: BTreeMap<RequestId, Response>,
    /// Every request ever made, and whether it has been answered.
    pub requests: BTreeMap<RequestId, bool>,
    pub client_id: &'static str,
    pub version: i16,
}

impl Host {
    pub fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> Self {
        let config = Arc::new(config);
        Self {
            coordinator: Coordinator::new(config.clone()),
            config,
            topics: FakeTopics::of(&[("orders", 8), ("payments", 4)]),
            now_ms: 1_000_000,
            log: Vec::new(),
            timers: BTreeMap::new(),
            by_due: BTreeSet::new(),
            answers: BTreeMap::new(),
            requests: BTreeMap::new(),
            client_id: "client",
            version: i16::MAX,
        }
    }

    /// Has a request handled; its answer is in `answers`, now or later.
    pub fn ask(&mut self, operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics, &Caller) -> Outcome) -> RequestId {
        let request = RequestId(self.requests.len() as u64);
        self.requests.insert(request, false);
        let caller = Caller {
            request,
            client_id: self.client_id,
            client_host: "/127.0.0.1",
            version: self.version,
            fresh_member_id: Uuid::from_u128(u128::from(request.0)),
        };
        let outcome = operation(&mut self.coordinator, self.now_ms, &self.topics, &caller);
        self.take(outcome);
        request
    }

    /// Something happens that is no request.
    pub fn tell(&mut self, operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics) -> Outcome) {
        let outcome = operation(&mut self.coordinator, self.now_ms, &self.topics);
        self.take(outcome);
    }

    /// The answer to a request, which must have come.
    pub fn answer(&mut self, request: RequestId) -> Response {
        self.answers.remove(&request).unwrap_or_else(|| panic!("{request:?} has not been answered"))
    }

    pub fn is_waiting(&self, request: RequestId) -> bool {
        !self.requests[&request]
    }

    /// Lets time pass, timer by timer.
    pub fn pass_ms(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some((key, due_ms)) = self.next_timer().filter(|(_, due_ms)| *due_ms <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            self.set_timer(key.clone(), None);
            self.tell(|coordinator, now_ms, topics| coordinator.timer_due(now_ms, topics, key));
        }
        self.now_ms = end_ms;
    }

    /// The process dies: another coordinator replays the log. Requests that wait are lost.
    pub fn fail_over(&mut self) {
        self.coordinator = self.replayed();
        self.timers.clear();
        self.by_due.clear();
        self.requests.values_mut().for_each(|is_answered| *is_answered = true);
        self.tell(|coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
    }

    pub fn replayed(&self) -> Coordinator {
        let mut coordinator = Coordinator::new(self.config.clone());
        for record in &self.log {
            coordinator.replay(Some(record.key.clone()), record.value.clone()).expect("what was written can be read");
        }
        coordinator
    }

    fn next_timer(&self) -> Option<(TimerKey, i64)> {
        self.by_due.first().map(|(due_ms, key)| (key.clone(), *due_ms))
    }

    fn set_timer(&mut self, key: TimerKey, due_ms: Option<i64>) {
        if let Some(former_ms) = self.timers.remove(&key) {
            self.by_due.remove(&(former_ms, key.clone()));
        }
        if let Some(due_ms) = due_ms {
            self.by_due.insert((due_ms, key.clone()));
            self.timers.insert(key, due_ms);
        }
    }

    fn take(&mut self, outcome: Outcome) {
        self.log.extend(outcome.records);
        for reply in outcome.replies {
            let was_answered = self.requests.insert(reply.to, true);
            assert_eq!(was_answered, Some(false), "{:?} is answered once, and was asked", reply.to);
            self.answers.insert(reply.to, reply.response);
        }
        for change in outcome.timers {
            self.set_timer(change.key, change.due_ms);
        }
    }
}
