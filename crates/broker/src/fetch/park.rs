//! Answering a fetch: now, when enough has come, or when its time is over.

use std::rc::{Rc, Weak};
use std::time::Duration;

use tidelog_replication::{ConsumerView, FetchError};
use tidelog_wire::Str;
use tidelog_wire::types::{LeaderEpoch, Offset};
use tokio::time::Instant;

use super::draft::{Draft, Marks, ReadFor};
use super::look::Look;
use super::session::{FetchSession, Reader};
use super::slot::{Slot, SlotState};
use crate::call::Reply;
use crate::net::ListenerInfo;
use crate::partition::PartitionHandle;
use crate::shard::Shard;
use crate::timers::{Expires, TimerKey};

/// A follower that has nothing to hear but a high watermark hears it so much later: mostly records come first.
const NEWS_DELAY: Duration = Duration::from_millis(5);

/// When to look again for a peer that has to take other answers first.
const ALLOWANCE_RETRY: Duration = Duration::from_millis(50);

/// One Fetch request, as far as its answer depends on it.
pub(crate) struct FetchCall {
    pub reply: Reply,
    /// So long it may wait, however often it is looked at meanwhile; `None`: not at all.
    pub deadline: Option<Instant>,
    pub min_bytes: usize,
    pub max_bytes: usize,
    pub read_committed: bool,
    /// The consumer's; empty if it has none. `None` from one that reads from leaders only.
    pub rack: Option<Str>,
    /// Every partition named appears in the answer (no session yet).
    pub is_full: bool,
    /// Whether the version of the request has room for the current leader, and for its endpoint.
    pub has_leader: bool,
    pub has_endpoints: bool,
    /// For the endpoints in the answer.
    pub listener: Rc<ListenerInfo>,
}

impl FetchCall {
    /// What the consumer may read here, if anything.
    pub(super) fn view(
        &self,
        partition: &PartitionHandle,
        epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        match self.rack {
            Some(_) => partition.nearby_fetch(epoch, offset),
            None => partition.consumer_fetch(epoch, offset),
        }
    }
}

/// How long a request waits. Another look never makes it longer.
#[derive(Clone, Copy)]
struct Wait {
    deadline: Instant,
    /// When a follower is to hear of what is no record.
    news_at: Option<Instant>,
}

impl Wait {
    fn until(self) -> Instant {
        self.news_at.map_or(self.deadline, |news_at| news_at.min(self.deadline))
    }
}

/// A request that waits for more.
pub(super) struct Parked {
    call: FetchCall,
    wait: Wait,
    timer: TimerKey,
    /// What the last look found, and how much had ever been appended then.
    found: Option<(usize, u64)>,
}

impl FetchSession {
    /// Answers the request or parks it; a session has one at a time. A follower is answered by the turn, together with what
    /// else is appended in it. A session without partitions, such as one that is being closed, has nothing to wait for.
    pub(crate) fn serve(self: &Rc<Self>, shard: &Rc<Shard>, call: FetchCall) {
        let deadline = call.deadline.filter(|_| !self.slots.borrow().is_empty());
        let wait = deadline.map(|deadline| Wait { deadline, news_at: None });
        if let (Reader::Follower(..), Some(wait)) = (self.reader, wait) {
            self.park(shard, call, wait, &Draft::default());
            return Self::look_again(self, shard);
        }
        self.absorb_touched(shard);
        let draft = self.draft(shard, &call, false);
        match wait.filter(|_| !is_enough(self.reader, &draft, &call)) {
            Some(wait) => self.park(shard, call, wait, &draft),
            None => self.send(shard, call, draft),
        }
    }

    /// A newer request came while this one was parked (docs/REPLICATION.md R2).
    pub(crate) fn answer_parked_empty(self: &Rc<Self>, shard: &Rc<Shard>) {
        let parked = self.parked.borrow_mut().take();
        if let Some(parked) = parked {
            shard.timers.cancel(parked.timer);
            self.send(shard, parked.call, Draft::default());
        }
    }

    /// The turn's look at a session that was touched.
    pub(crate) fn answer_if_ready(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.scheduled.set(false);
        let Some(parked) = self.parked.borrow_mut().take() else {
            return;
        };
        self.absorb_touched(shard);
        if self.is_worth_a_look(&parked) {
            let draft = self.draft(shard, &parked.call, false);
            shard.timers.cancel(parked.timer);
            match is_enough(self.reader, &draft, &parked.call) {
                true => self.send(shard, parked.call, draft),
                false => self.park(shard, parked.call, parked.wait, &draft),
            }
        } else {
            *self.parked.borrow_mut() = Some(parked);
        }
    }

    fn park(self: &Rc<Self>, shard: &Rc<Shard>, call: FetchCall, mut wait: Wait, draft: &Draft) {
        wait.news_at = match draft.news.is_empty() {
            true => None,
            false => wait.news_at.or_else(|| Some(Instant::now() + NEWS_DELAY)),
        };
        for news in &draft.news {
            self.slots.borrow_mut().enqueue(news.slot);
        }
        let waiting: Rc<dyn Expires> = Rc::clone(self) as _;
        let timer = shard.timers.add(wait.until(), waiting);
        let found = (self.reader == Reader::Consumer).then(|| (draft.record_bytes, self.appended_bytes()));
        *self.parked.borrow_mut() = Some(Parked { call, wait, timer, found });
        // What was touched while the session was looked at would otherwise wait for the next change.
        if self.has_touched() && !self.scheduled.replace(true) {
            shard.turn.answer(Rc::clone(self));
        }
    }

    /// With `min_bytes` above one a look costs reads: it waits until enough was appended since the last.
    fn is_worth_a_look(&self, parked: &Parked) -> bool {
        match parked.found {
            Some((found, appended)) if found > 0 => {
                found as u64 + self.appended_bytes().saturating_sub(appended) >= parked.call.min_bytes as u64
            }
            _ => true,
        }
    }

    fn appended_bytes(&self) -> u64 {
        let slots = self.slots.borrow();
        let queued = slots.queue.iter().filter_map(|slot| slots.all[*slot].as_ref()?.partition.as_ref());
        queued.map(|partition| partition.appended_bytes.get()).sum()
    }

    /// Looks at all queued slots. `is_last`: the request's time is over, so what still waits is answered with an error.
    fn draft(self: &Rc<Self>, shard: &Rc<Shard>, call: &FetchCall, is_last: bool) -> Draft {
        self.look_up_absent(shard);
        let Some(max_bytes) = self.allowance(call) else {
            self.look_again_at(shard, Instant::now() + ALLOWANCE_RETRY);
            return Draft::default();
        };
        let mut look = Look { shard, call, draft: Draft::default(), is_last, max_bytes, throttled_until: None };
        let mut slots = self.slots.borrow_mut();
        if is_last {
            for slot in std::mem::take(&mut slots.waiting) {
                slots.set_state(slot, SlotState::Idle);
                slots.enqueue(slot);
            }
        }
        let mut served = Vec::new();
        for _ in 0..slots.queue.len() {
            let Some(index) = slots.queue.pop_front() else {
                break;
            };
            let Some(slot) = slots.all[index].as_mut() else {
                slots.free.push(index);
                continue;
            };
            let bytes_before = look.draft.record_bytes;
            slot.state = match self.reader {
                Reader::Consumer => look.consumer(index, slot),
                Reader::Follower(replica, epoch) => look.follower(index, slot, replica, epoch),
            };
            match slot.state {
                SlotState::Queued if look.draft.record_bytes > bytes_before => served.push(index),
                SlotState::Queued => slots.queue.push_back(index),
                SlotState::Idle | SlotState::Sent | SlotState::Waiting => {}
            }
        }
        // Those for which there was no room come first next time.
        slots.queue.extend(served);
        let Look { draft, throttled_until, .. } = look;
        drop(slots);
        if let Some(until) = throttled_until {
            self.look_again_at(shard, until);
        }
        draft
    }

    /// What the broker can hold of an answer that a consumer may not take. Followers take theirs, and replication must not
    /// wait for consumers.
    fn allowance(&self, call: &FetchCall) -> Option<usize> {
        match self.reader {
            Reader::Consumer => call.reply.allowance(call.max_bytes),
            Reader::Follower(..) => Some(call.max_bytes),
        }
    }

    fn look_again_at(self: &Rc<Self>, shard: &Shard, at: Instant) {
        if !self.awaits_throttle.replace(true) {
            shard.timers.add(at, Rc::new(Unthrottled(Rc::downgrade(self))) as _);
        }
    }

    fn send(self: &Rc<Self>, shard: &Rc<Shard>, call: FetchCall, mut draft: Draft) {
        if call.is_full {
            self.add_silent_slots(&call, &mut draft);
        }
        match self.reader {
            Reader::Consumer => shard.metrics.bytes_out.add(draft.record_bytes as u64),
            Reader::Follower(replica, _) => {
                shard.metrics.replication_bytes_out.add(draft.record_bytes as u64);
                for news in draft.news.drain(..) {
                    news.partition.answer_sent(replica, news.marks.high_watermark);
                }
            }
        }
        let record_bytes = draft.record_bytes;
        let (mut response, cold) = draft.finish(self.id);
        if cold.is_empty() {
            return call.reply.send(&response);
        }
        call.reply.promise(record_bytes);
        let (session, filling) = (Rc::clone(self), Rc::clone(shard));
        shard.spawn_request(async move {
            let empty = cold.fill(&filling, &mut response).await;
            session.put_back(&empty);
            call.reply.send(&response);
            Self::look_again(&session, &filling);
        });
    }

    /// A follower names nothing that it got no records of, so we look at it again by ourselves: first, when a batch of any
    /// size has room.
    fn put_back(&self, unread: &[ReadFor]) {
        let mut slots = self.slots.borrow_mut();
        for read in unread.iter().rev() {
            slots.put_back(read);
        }
    }

    /// A full request hears of every partition it named, also of those without records, or for whose records there was no
    /// room.
    fn add_silent_slots(&self, call: &FetchCall, draft: &mut Draft) {
        if self.reader != Reader::Consumer {
            return;
        }
        let slots = self.slots.borrow();
        let told = draft.partitions();
        let is_silent = |slot: &&Slot| !told.contains(&(slot.topic.clone(), slot.index));
        for slot in slots.all.iter().flatten().filter(is_silent) {
            if let Some(partition) = &slot.partition
                && let Ok(view) = call.view(partition, slot.asked.current_leader_epoch, slot.asked.fetch_offset)
            {
                draft.marks(&slot.topic, slot.index, Marks::of(view), call.read_committed);
            }
        }
    }
}

impl Expires for FetchSession {
    fn expire(self: Rc<Self>, shard: &Rc<Shard>) {
        let parked = self.parked.borrow_mut().take();
        if let Some(parked) = parked {
            self.absorb_touched(shard);
            let draft = self.draft(shard, &parked.call, parked.wait.news_at.is_none());
            self.send(shard, parked.call, draft);
        }
    }
}

/// Followers get records at once and news by the timer; consumers what they asked for.
fn is_enough(reader: Reader, draft: &Draft, call: &FetchCall) -> bool {
    match reader {
        Reader::Consumer => draft.is_urgent || draft.record_bytes >= call.min_bytes.max(1) || call.min_bytes == 0,
        Reader::Follower(..) => draft.is_urgent || draft.record_bytes > 0,
    }
}

/// The throttle may have something left for a session again.
struct Unthrottled(Weak<FetchSession>);

impl Expires for Unthrottled {
    fn expire(self: Rc<Self>, shard: &Rc<Shard>) {
        if let Some(session) = self.0.upgrade() {
            session.awaits_throttle.set(false);
            FetchSession::look_again(&session, shard);
        }
    }
}
