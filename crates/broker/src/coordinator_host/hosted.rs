//! One partition of the offsets topic that this broker leads, and the coordinator that lives on it.
//!
//! ```text
//! Loading --the log is replayed--> Running --leadership lost, an append failed--> Ended
//!    \________________________leadership lost_____________________________________/
//! ```
//! A value stands for one leadership: another epoch is another value, so a load that outlives its leadership finds itself
//! ended. What operations decide in one turn of the shard is appended with one write at the turn's end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tidelog_coordinator::{BookedTimers, Caller, Coordinator, Outcome, RequestId, Response, Topics, WaitingReplies};
use tidelog_wire::types::LeaderEpoch;
use tidelog_wire::{ErrorCode, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::batches::Batches;
use super::topics::ImageTopics;
use crate::clock::SteadyClock;
use crate::partition::{AppendOutcome, PartitionHandle, ProduceReply, ReplyTo};
use crate::shard::Shard;
use crate::timers::{Expires, TimerKey};

/// Timers that fire before other tasks of the shard get their turn.
const TIMERS_PER_SLICE: usize = 256;
/// How often it is looked for room on a full disk, for timers that may have something to write.
const ROOM_LOOK_MS: i64 = 1000;

pub(crate) struct Hosted {
    pub(super) partition: PartitionHandle,
    pub(super) leader_epoch: LeaderEpoch,
    phase: RefCell<Phase>,
    /// Apart from the phase, because the partition releases replies whenever its high watermark moves.
    waiting: RefCell<WaitingReplies<usize, Decided>>,
    /// It waits in the turn's list already.
    is_queued: Cell<bool>,
    /// The partition does not vouch any more for what was appended.
    has_failed: Cell<bool>,
    /// The one before could not append, most likely since the disk is full: what cannot be written is not decided until
    /// there is room, because each failure costs a replay.
    awaits_room: Cell<bool>,
    wake_up: Cell<Option<(i64, TimerKey)>>,
}

enum Phase {
    Loading,
    Running(Box<Running>),
    Ended,
}

struct Running {
    coordinator: Coordinator,
    clock: SteadyClock,
    tickets: HashMap<RequestId, Ticket>,
    next_request: u64,
    /// Decided in this turn, to be appended at its end.
    batches: Batches,
    decided: Vec<Decided>,
    timers: BookedTimers,
}

/// Where a request's answer goes. Dropped, it tells the request to look for another coordinator.
type Ticket = oneshot::Sender<Response>;

/// An answer and whose it is.
struct Decided {
    ticket: Ticket,
    response: Response,
}

impl Decided {
    fn send(self) {
        // Whoever asked may have gone.
        let _ = self.ticket.send(self.response);
    }
}

/// Who asks, and for what; see [`Hosted::ask`].
pub(crate) struct Asking<'a> {
    pub client_id: &'a str,
    pub client_host: &'a str,
    pub version: i16,
    pub access: Access,
}

/// What an operation is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It goes on while records cannot be committed: as a rule it has none.
    Reads,
    /// Refused while records cannot be committed.
    Writes,
}

impl Hosted {
    pub(super) fn new(partition: PartitionHandle, leader_epoch: LeaderEpoch, former: Option<&Self>) -> Rc<Self> {
        Rc::new(Self {
            partition,
            leader_epoch,
            phase: RefCell::new(Phase::Loading),
            waiting: RefCell::new(WaitingReplies::new(0)),
            is_queued: Cell::new(false),
            has_failed: Cell::new(false),
            awaits_room: Cell::new(former.is_some_and(|former| former.has_failed.get())),
            wake_up: Cell::new(None),
        })
    }

    pub(super) fn is_loading(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Loading)
    }

    /// Whether it still is what the partition's leader should have.
    pub(super) fn is_current(&self) -> bool {
        !self.has_failed.get() && self.partition.leads_in(self.leader_epoch)
    }

    /// Whether there is no reason to expect that an append fails.
    pub(super) fn has_room(&self, shard: &Shard) -> bool {
        if self.awaits_room.get() && shard.log_dir.has_room() {
            self.awaits_room.set(false);
        }
        !self.awaits_room.get()
    }

    /// The log is replayed. The coordinator answers from now on, though not before all that is in the log is committed.
    pub(super) fn start(self: &Rc<Self>, shard: &Rc<Shard>, coordinator: Coordinator) {
        if !self.is_loading() {
            return;
        }
        let running = Running {
            coordinator,
            clock: SteadyClock::start(shard.clock),
            tickets: HashMap::new(),
            next_request: 0,
            batches: Batches::default(),
            decided: Vec::new(),
            timers: BookedTimers::default(),
        };
        *self.phase.borrow_mut() = Phase::Running(Box::new(running));
        self.partition.when_committed(self.reply_to(0));
        self.act(shard, |coordinator, now_ms, topics| coordinator.loaded(now_ms, topics));
    }

    /// Nobody is answered from here any more: all who wait look for another coordinator.
    pub(super) fn end(&self, shard: &Shard) {
        *self.phase.borrow_mut() = Phase::Ended;
        self.waiting.borrow_mut().clear();
        if let Some((_, key)) = self.wake_up.take() {
            shard.timers.cancel(key);
        }
    }

    /// Runs one operation. The answer comes by the receiver, which fails if this coordinator ends before.
    pub(super) fn ask(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        asking: &Asking<'_>,
        operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics, &Caller<'_>) -> Outcome,
    ) -> Result<oneshot::Receiver<Response>, ErrorCode> {
        if !self.is_current() {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        let (ticket, answer) = oneshot::channel();
        let request = {
            let mut phase = self.phase.borrow_mut();
            let running = match &mut *phase {
                Phase::Loading => return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
                Phase::Ended => return Err(ErrorCode::NOT_COORDINATOR),
                Phase::Running(running) => running,
            };
            if asking.access == Access::Writes && !(self.partition.has_min_isr() && self.has_room(shard)) {
                return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
            running.next_request += 1;
            let request = RequestId(running.next_request);
            running.tickets.insert(request, ticket);
            request
        };
        let caller = Caller {
            request,
            client_id: asking.client_id,
            client_host: asking.client_host,
            version: asking.version,
            fresh_member_id: Uuid(rand::random()),
        };
        self.act(shard, |coordinator, now_ms, topics| operation(coordinator, now_ms, topics, &caller));
        Ok(answer)
    }

    /// Has the coordinator decide something, and takes care of what comes of it. Nothing happens unless it runs.
    pub(super) fn act(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics) -> Outcome,
    ) {
        let mut phase = self.phase.borrow_mut();
        let Phase::Running(running) = &mut *phase else {
            return;
        };
        let image = shard.image();
        let now_ms = running.clock.now_ms();
        let operate = || operation(&mut running.coordinator, now_ms, &ImageTopics(&image));
        let Some(outcome) = shard.panics.contained(operate) else {
            error!(partition = %self.partition.id, "the coordinator panicked and is loaded anew");
            drop(phase);
            self.fail();
            return shard.turn.leadership_changed(Rc::clone(&self.partition));
        };
        running.batches.add(now_ms, &outcome.records);
        for reply in outcome.replies {
            let Some(ticket) = running.tickets.remove(&reply.to) else {
                warn!(partition = %self.partition.id, request = reply.to.0, "a request was answered twice");
                continue;
            };
            let decided = Decided { ticket, response: reply.response };
            match running.batches.is_empty() {
                true => self.answer(decided),
                false => running.decided.push(decided),
            }
        }
        outcome.timers.into_iter().for_each(|change| running.timers.change(change));
        self.book_wake_up(shard, running, now_ms);
        if !running.batches.is_empty() && !self.is_queued.replace(true) {
            shard.turn.coordinate(Rc::clone(self));
        }
    }

    /// Appends what this turn decided.
    pub(crate) fn append(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.is_queued.set(false);
        let batches = {
            let mut phase = self.phase.borrow_mut();
            let Phase::Running(running) = &mut *phase else {
                return;
            };
            let (batches, decided) = (running.batches.take(), std::mem::take(&mut running.decided));
            let append = self.await_append(decided);
            batches.map(|batches| (batches, append))
        };
        let appended = match batches {
            Ok((batches, append)) => {
                self.partition.append_own(shard, &batches, self.leader_epoch, self.reply_to(append))
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = appended {
            info!(partition = %self.partition.id, epoch = %self.leader_epoch, reason, "coordinator could not write");
            self.fail();
            shard.turn.leadership_changed(Rc::clone(&self.partition));
        }
    }

    /// For metrics and the like: looks at the coordinator if it runs.
    pub(super) fn look(&self, look: impl FnOnce(&mut Coordinator)) {
        if let Phase::Running(running) = &mut *self.phase.borrow_mut() {
            look(&mut running.coordinator);
        }
    }

    /// Appends are counted; 0 is what was in the log before the coordinator was.
    fn await_append(&self, decided: Vec<Decided>) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        let append = waiting.appended() + 1;
        waiting.append(append, decided);
        append
    }

    fn answer(&self, decided: Decided) {
        let released = self.waiting.borrow_mut().answer(decided);
        released.into_iter().for_each(Decided::send);
    }

    fn fail(&self) {
        self.has_failed.set(true);
        self.waiting.borrow_mut().clear();
    }

    fn reply_to(self: &Rc<Self>, append: usize) -> ReplyTo {
        ReplyTo { call: Rc::clone(self) as Rc<dyn ProduceReply>, index: append }
    }

    /// The shard wakes us for the earliest timer, at `earliest_ms` if that is overdue. Waking too early is harmless, so a
    /// later one keeps the place.
    fn book_wake_up(self: &Rc<Self>, shard: &Shard, running: &Running, earliest_ms: i64) {
        let Some(next_ms) = running.timers.next_ms().map(|next_ms| next_ms.max(earliest_ms)) else {
            return;
        };
        let booked = self.wake_up.take();
        if let Some((booked_ms, key)) = booked {
            if booked_ms <= next_ms {
                return self.wake_up.set(Some((booked_ms, key)));
            }
            shard.timers.cancel(key);
        }
        let waiting = Rc::clone(self) as Rc<dyn Expires>;
        self.wake_up.set(Some((next_ms, shard.timers.add(running.clock.instant_of(next_ms), waiting))));
    }

    fn take_due_timer(&self) -> Option<tidelog_coordinator::TimerKey> {
        match &mut *self.phase.borrow_mut() {
            Phase::Running(running) => running.timers.take_due(running.clock.now_ms()),
            Phase::Loading | Phase::Ended => None,
        }
    }
}

impl ProduceReply for Hosted {
    /// An append is committed, or will never be known to be. Called while the partition is busy, and leaves it alone.
    fn fill(&self, append: usize, outcome: AppendOutcome) {
        match outcome {
            AppendOutcome::Stored { .. } => {
                let released = self.waiting.borrow_mut().commit(append);
                released.into_iter().for_each(Decided::send);
            }
            AppendOutcome::Refused(_) => self.fail(),
        }
    }
}

impl Expires for Hosted {
    fn expire(self: Rc<Self>, shard: &Rc<Shard>) {
        let (slice, pause_ms) = if self.has_room(shard) { (TIMERS_PER_SLICE, 1) } else { (0, ROOM_LOOK_MS) };
        // The wake-up that has come keeps its place meanwhile, so that no operation books another one.
        for _ in 0..slice {
            let Some(key) = self.take_due_timer() else {
                break;
            };
            self.act(shard, |coordinator, now_ms, topics| coordinator.timer_due(now_ms, topics, key));
        }
        self.wake_up.set(None);
        if let Phase::Running(running) = &*self.phase.borrow() {
            // What is left of those that are due waits a moment: booked for now, it would go on before anybody else.
            self.book_wake_up(shard, running, running.clock.now_ms() + pause_ms);
        }
    }
}
