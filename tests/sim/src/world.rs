//! The simulation: a clock, an event queue, nodes, a controller, and links that misbehave.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidelog_commitlog::LogConfig;
use tidelog_replication::{FetchResponse, FollowerFetch, IsrOutcome, IsrProposal};

use crate::checker::Checker;
use crate::clients::Producer;
use crate::controller::{Controller, Image, Introduction};
use crate::groups::{GroupAnswer, GroupRequest, Ledger, MEMBERS_FROM, Member};
use crate::log::Log;
use crate::node::Node;

/// The controller's place in the links.
pub const CONTROLLER: i32 = 0;
const HEARTBEAT_MS: i64 = 300;
const SESSION_CHECK_MS: i64 = 100;
const PRODUCERS: i64 = 3;

/// How a run behaves. [`Options::random`] derives it from the seed.
#[derive(Clone, Debug)]
pub struct Options {
    pub brokers: usize,
    pub replicas: usize,
    /// Whether the partition is one of the offsets topic, with coordinator and members.
    pub groups: bool,
    /// Whether the partition moves between its brokers.
    pub moves: bool,
    pub min_isr: usize,
    pub write_caching: bool,
    pub replica_lag_time_max_ms: i64,
    /// Of a thousand messages.
    pub lost_per_mille: u32,
    pub duplicated_per_mille: u32,
    pub delay_ms_max: i64,
    pub flush_ms_max: i64,
    pub fetch_bytes_max: usize,
    pub segment_bytes: u32,
    pub index_interval_bytes: u32,
    /// At times, reads wait for the device.
    pub cold_reads: bool,
    /// Average pause between faults; `None`: no faults.
    pub fault_every_ms: Option<i64>,
    pub faults_until_ms: i64,
}

impl Options {
    pub fn random(rng: &mut StdRng) -> Self {
        let moves = rng.random_bool(0.4);
        let groups = rng.random_bool(0.6);
        let replicas: usize = if moves { 3 } else { rng.random_range(3..=5) };
        let brokers = if moves { rng.random_range(4..=6) } else { replicas };
        let min_isr = if rng.random_bool(0.5) { replicas.div_ceil(2) } else { rng.random_range(1..=replicas) };
        let bad_network = rng.random_bool(0.5);
        Self {
            brokers,
            replicas,
            groups,
            moves,
            min_isr,
            write_caching: rng.random_bool(0.15),
            replica_lag_time_max_ms: rng.random_range(300..4000),
            lost_per_mille: if bad_network { rng.random_range(0..100) } else { 0 },
            duplicated_per_mille: if bad_network { rng.random_range(0..100) } else { 0 },
            delay_ms_max: [1, 5, 20, 80][rng.random_range(0..4)],
            flush_ms_max: [1, 5, 30, 200][rng.random_range(0..4)],
            fetch_bytes_max: [200, 1000, 20_000][rng.random_range(0..3)],
            segment_bytes: [1 << 12, 1 << 14, 1 << 16][rng.random_range(0..3)],
            index_interval_bytes: [0, 300, 4096][rng.random_range(0..3)],
            cold_reads: rng.random_bool(0.6),
            fault_every_ms: rng.random_bool(0.75).then(|| rng.random_range(50..1500)),
            faults_until_ms: 12_000,
        }
    }

    fn log_config(&self) -> LogConfig {
        LogConfig {
            segment_bytes: self.segment_bytes,
            index_interval_bytes: self.index_interval_bytes,
            write_caching: self.write_caching,
            ..LogConfig::default()
        }
    }
}

#[derive(Clone, Debug)]
pub enum Message {
    Fetch {
        fetch: FollowerFetch,
        number: u64,
    },
    FetchAnswer {
        fetch: FollowerFetch,
        number: u64,
        response: FetchResponse,
        records: Bytes,
    },
    Register(Introduction),
    Registered {
        broker_epoch: i64,
        image: Rc<Image>,
    },
    Heartbeat {
        broker_epoch: i64,
        image_version: u64,
    },
    /// Carries the newest image: a session that works also catches up.
    HeartbeatAnswer {
        is_ours: bool,
        image: Rc<Image>,
    },
    ImagePublished(Rc<Image>),
    AlterIsr {
        broker_epoch: i64,
        proposal: IsrProposal,
        attempt: u64,
    },
    AlterAnswer {
        proposal: IsrProposal,
        outcome: IsrOutcome,
        attempt: u64,
    },
    GroupAsk {
        number: u64,
        request: Box<GroupRequest>,
    },
    GroupAnswer {
        number: u64,
        answer: Box<GroupAnswer>,
    },
}

#[derive(Clone, Debug)]
pub enum Event {
    Deliver {
        from: i32,
        to: i32,
        to_incarnation: Option<u64>,
        message: Message,
    },
    /// Events of one incarnation of a node.
    Node {
        id: i32,
        incarnation: u64,
        event: NodeEvent,
    },
    Start {
        id: i32,
        incarnation: u64,
    },
    SessionCheck,
    StreamEnded {
        id: i32,
        broker_epoch: i64,
    },
    Clients,
    Member {
        id: i32,
    },
    Fault,
    HealLink {
        from: i32,
        to: i32,
    },
}

#[derive(Clone, Debug)]
pub enum NodeEvent {
    Tick,
    Heartbeat,
    RegisterRetry,
    Flushed,
    ReadCold { ticket: u64 },
    Truncated { to: i64, restart: bool, removals: u64 },
    LogStartPersisted { start: i64, removals: u64 },
    FetchParkedOut,
    FetchRetry { number: u64 },
    AlterTimedOut { proposal: IsrProposal, attempt: u64 },
    AckTimedOut { end: i64 },
    LoadGroups { leader_epoch: i32 },
    GroupTimers { leader_epoch: i32 },
    StopCleanly,
}

#[derive(Debug)]
struct Scheduled {
    at_ms: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

#[derive(Debug)]
pub struct World {
    pub options: Options,
    pub rng: StdRng,
    pub now_ms: i64,
    pub nodes: Vec<Node>,
    pub controller: Controller,
    pub checker: Checker,
    pub members: Vec<Member>,
    pub ledger: Ledger,
    pub producers: Vec<Producer>,
    pub producing: bool,
    /// Batches that were sent again although they were in the log.
    pub retries: usize,
    pub wipes: usize,
    pub moves_begun: usize,
    pub lowest_min_isr: usize,
    /// Newest incarnation registered of each node, and its broker epoch.
    registered: BTreeMap<i32, (u64, i64)>,
    /// Links that carry nothing, by (from, to).
    pub cut: BTreeSet<(i32, i32)>,
    pub next_value: u64,
    pub next_attempt: u64,
    pub next_ticket: u64,
    published: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub steps: u64,
    /// Proposals that wait for an answer: (node, attempt).
    pub attempts: BTreeSet<(i32, u64)>,
}

impl World {
    pub fn new(options: Options, seed: u64) -> Self {
        let ids: Vec<i32> = (1..=options.brokers as i32).collect();
        let lag = options.replica_lag_time_max_ms;
        let mut rng = StdRng::seed_from_u64(seed);
        let mut log = || Log::new(options.log_config(), options.cold_reads, &mut rng);
        let nodes = ids.iter().map(|&id| Node::new(id, ids.len(), log(), lag)).collect();
        let mut world = Self {
            rng,
            now_ms: 0,
            nodes,
            controller: Controller::new(&ids, &ids[..options.replicas], options.min_isr, options.write_caching),
            checker: Checker::default(),
            members: if options.groups { Member::all() } else { Vec::new() },
            ledger: Ledger::default(),
            producers: (1..=PRODUCERS).map(Producer::new).collect(),
            producing: true,
            retries: 0,
            wipes: 0,
            moves_begun: 0,
            lowest_min_isr: options.min_isr,
            registered: BTreeMap::new(),
            cut: BTreeSet::new(),
            next_value: 1,
            next_attempt: 1,
            next_ticket: 1,
            published: 0,
            queue: BinaryHeap::new(),
            scheduled: 0,
            steps: 0,
            attempts: BTreeSet::new(),
            options,
        };
        for &id in &ids {
            world.at(1, Event::Start { id, incarnation: 1 });
        }
        world.at(SESSION_CHECK_MS, Event::SessionCheck);
        world.at(1, Event::Clients);
        for index in 0..world.members.len() as i32 {
            world.at(300, Event::Member { id: MEMBERS_FROM + index });
        }
        if world.options.fault_every_ms.is_some() {
            world.at(500, Event::Fault);
        }
        world
    }

    pub fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    pub fn at(&mut self, delay_ms: i64, event: Event) {
        self.scheduled += 1;
        let scheduled = Scheduled { at_ms: self.now_ms + delay_ms, number: self.scheduled, event };
        self.queue.push(Reverse(scheduled));
    }

    pub fn node_at(&mut self, id: i32, delay_ms: i64, event: NodeEvent) {
        let incarnation = self.node(id).incarnation;
        self.at(delay_ms, Event::Node { id, incarnation, event });
    }

    /// Messages to a node reach the incarnation that they were sent to, as on a connection; the controller is one.
    pub fn send(&mut self, from: i32, to: i32, message: Message) {
        let lost = self.rng.random_ratio(self.options.lost_per_mille, 1000);
        let copies = 1 + u32::from(self.rng.random_ratio(self.options.duplicated_per_mille, 1000));
        if lost || self.cut.contains(&(from, to)) {
            return;
        }
        let to_incarnation = (CONTROLLER + 1..MEMBERS_FROM).contains(&to).then(|| self.node(to).incarnation);
        for _ in 0..copies {
            // Some messages arrive very late, long after what was sent after them.
            let late = if self.rng.random_ratio(1, 200) { 20 } else { 1 };
            let delay_ms = self.rng.random_range(0..=self.options.delay_ms_max * late);
            self.at(delay_ms, Event::Deliver { from, to, to_incarnation, message: message.clone() });
        }
    }

    pub fn run_until(&mut self, end_ms: i64) {
        while self.queue.peek().is_some_and(|Reverse(next)| next.at_ms <= end_ms) {
            let Some(Reverse(next)) = self.queue.pop() else { return };
            self.now_ms = next.at_ms;
            self.step(next.event);
        }
        self.now_ms = end_ms;
    }

    fn step(&mut self, event: Event) {
        self.steps += 1;
        match event {
            Event::Deliver { from, to, to_incarnation, message } => {
                if let Message::GroupAnswer { number, answer } = message {
                    self.member_receives(to, number, *answer);
                } else if to == CONTROLLER {
                    self.controller_receives(from, message);
                } else if let Some(event) = self.when_running(to, to_incarnation) {
                    self.defer(event, Event::Deliver { from, to, to_incarnation, message: message.clone() }, |world| {
                        world.node_receives(from, to, message);
                    });
                }
            }
            Event::Node { id, incarnation, event } => {
                if let Some(running) = self.when_running(id, Some(incarnation)) {
                    self.defer(running, Event::Node { id, incarnation, event: event.clone() }, |world| {
                        world.node_event(id, event);
                    });
                }
            }
            Event::Start { id, incarnation } => self.start(id, incarnation),
            Event::SessionCheck => {
                self.controller.expire_sessions(self.now_ms);
                self.at(SESSION_CHECK_MS, Event::SessionCheck);
            }
            Event::StreamEnded { id, broker_epoch } => self.controller.fence(id, broker_epoch),
            Event::Clients => self.clients(),
            Event::Member { id } => self.member_acts(id),
            Event::Fault => self.fault(),
            Event::HealLink { from, to } => {
                self.cut.remove(&(from, to));
            }
        }
        self.publish();
        let thorough = self.steps.is_multiple_of(256);
        self.checker.step(&self.controller, &self.nodes, thorough);
    }

    /// `None`: it is gone. Otherwise how long it is still paused.
    fn when_running(&mut self, id: i32, incarnation: Option<u64>) -> Option<i64> {
        let now_ms = self.now_ms;
        let node = self.node(id);
        (node.is_up && incarnation == Some(node.incarnation)).then(|| (node.paused_until_ms - now_ms).max(0))
    }

    fn defer(&mut self, paused_ms: i64, event: Event, act: impl FnOnce(&mut Self)) {
        if paused_ms > 0 {
            self.at(paused_ms, event);
        } else {
            act(self);
        }
    }

    fn publish(&mut self) {
        let image = Rc::clone(self.controller.image());
        if image.version == self.published {
            return;
        }
        self.published = image.version;
        self.lowest_min_isr = self.lowest_min_isr.min(image.min_isr);
        for id in 1..=self.nodes.len() as i32 {
            if self.node(id).is_up {
                self.send(CONTROLLER, id, Message::ImagePublished(Rc::clone(&image)));
            }
        }
    }

    fn controller_receives(&mut self, from: i32, message: Message) {
        let answer = match message {
            Message::Register(introduction) => {
                // The answer goes back on the connection the request came on, which died with its incarnation.
                if self.node(from).incarnation != introduction.incarnation {
                    self.register(from, &introduction);
                    return;
                }
                let Some(broker_epoch) = self.register(from, &introduction) else { return };
                Message::Registered { broker_epoch, image: Rc::clone(self.controller.image()) }
            }
            Message::Heartbeat { broker_epoch, image_version } => {
                let is_ours = self.controller.heartbeat(from, broker_epoch, image_version, self.now_ms);
                Message::HeartbeatAnswer { is_ours, image: Rc::clone(self.controller.image()) }
            }
            Message::AlterIsr { broker_epoch, proposal, attempt } => {
                let outcome = self.controller.alter_isr(from, broker_epoch, &proposal);
                Message::AlterAnswer { proposal, outcome, attempt }
            }
            other => panic!("not for the controller: {other:?}"),
        };
        self.send(CONTROLLER, from, answer);
    }

    /// A repeated request of an incarnation gets the same epoch; one of an earlier incarnation is late.
    fn register(&mut self, id: i32, introduction: &Introduction) -> Option<i64> {
        let incarnation = introduction.incarnation;
        match self.registered.get(&id) {
            Some(&(registered, _)) if registered > incarnation => None,
            Some(&(registered, broker_epoch)) if registered == incarnation => Some(broker_epoch),
            _ => {
                let broker_epoch = self.controller.register(id, introduction, self.now_ms)?;
                self.registered.insert(id, (incarnation, broker_epoch));
                if introduction.unclean {
                    self.node(id).may_lack_records = false;
                }
                Some(broker_epoch)
            }
        }
    }

    fn start(&mut self, id: i32, incarnation: u64) {
        let now_ms = self.now_ms;
        let node = self.node(id);
        if node.is_up || node.incarnation != incarnation {
            return;
        }
        node.is_up = true;
        node.last_contact_ms = now_ms;
        self.node_at(id, 0, NodeEvent::RegisterRetry);
        self.node_at(id, HEARTBEAT_MS, NodeEvent::Heartbeat);
    }
}
