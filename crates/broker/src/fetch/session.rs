//! A fetch session: slots, and which of them to look at.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tidelog_replication::FetchAnswer;
use tidelog_wire::types::{BrokerEpoch, BrokerId, PartitionIndex};
use tokio::time::Instant;

use super::draft::ReadFor;
use super::park::Parked;
use super::slot::{Asked, Slot, SlotState, TopicKey};
use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Consumer,
    /// A replica in this incarnation of its broker.
    Follower(BrokerId, BrokerEpoch),
}

/// Shared by the session cache, the partitions it watches (weakly) and, while a request is parked, its timer.
pub(crate) struct FetchSession {
    /// 0: not kept beyond its request.
    pub id: i32,
    pub reader: Reader,
    pub uses_topic_ids: bool,
    /// The epoch that the next request must carry.
    pub next_epoch: Cell<i32>,
    pub last_used: Cell<Instant>,
    pub(super) slots: RefCell<Slots>,
    pub(super) parked: RefCell<Option<Parked>>,
    touched: RefCell<Touched>,
    /// It waits in the turn's list of sessions to look at.
    pub(super) scheduled: Cell<bool>,
    /// A timer is booked for when the throttle lets it go on.
    pub(super) awaits_throttle: Cell<bool>,
}

#[derive(Default)]
pub(super) struct Slots {
    pub all: Vec<Option<Slot>>,
    by_key: HashMap<(TopicKey, PartitionIndex), usize>,
    pub free: Vec<usize>,
    /// Slots in state `Queued`, longest waiting first.
    pub queue: VecDeque<usize>,
    /// Slots in state `Waiting`, each at most once more than it is.
    pub waiting: Vec<usize>,
}

/// Slots touched since the session was last looked at. Apart from the slots, because partitions touch while a session
/// looks at them.
#[derive(Default)]
struct Touched {
    list: Vec<usize>,
    is_listed: Vec<bool>,
}

impl FetchSession {
    pub(crate) fn new(id: i32, reader: Reader, uses_topic_ids: bool) -> Rc<Self> {
        Rc::new(Self {
            id,
            reader,
            uses_topic_ids,
            next_epoch: Cell::new(1),
            last_used: Cell::new(Instant::now()),
            slots: RefCell::default(),
            parked: RefCell::default(),
            touched: RefCell::default(),
            scheduled: Cell::new(false),
            awaits_throttle: Cell::new(false),
        })
    }

    /// The partition of a slot changed.
    pub(crate) fn touch(session: &Rc<Self>, shard: &Shard, slot: usize) {
        session.touched.borrow_mut().add(slot);
        Self::look_again(session, shard);
    }

    /// A parked request is to be looked at in this turn.
    pub(super) fn look_again(session: &Rc<Self>, shard: &Shard) {
        if session.parked.borrow().is_some() && !session.scheduled.replace(true) {
            shard.turn.answer(Rc::clone(session));
        }
    }

    /// The next image may resolve what some slots wait for.
    pub(crate) fn image_changed(session: &Rc<Self>, shard: &Shard) {
        let waiting = session.slots.borrow().waiting.clone();
        for slot in waiting {
            Self::touch(session, shard, slot);
        }
    }

    pub(crate) fn forget(self: &Rc<Self>, topic: &TopicKey, index: PartitionIndex) {
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.by_key.remove(&(topic.clone(), index)) {
            let removed = slots.all[slot].take();
            match removed.as_ref().map(|slot| slot.state) {
                // Its place is free when the queue comes to it: a request may forget as many as there are.
                Some(SlotState::Queued) => {}
                Some(SlotState::Waiting) => {
                    slots.waiting.retain(|waiting| *waiting != slot);
                    slots.free.push(slot);
                }
                Some(SlotState::Idle | SlotState::Sent) | None => slots.free.push(slot),
            }
            if let Some(partition) = removed.and_then(|slot| slot.partition) {
                partition.unwatch(self, slot);
            }
        }
    }

    /// The reader names a partition: it is looked at for the next answer.
    pub(crate) fn name(self: &Rc<Self>, shard: &Rc<Shard>, topic: TopicKey, index: PartitionIndex, asked: Asked) {
        let slot = self.slots.borrow_mut().upsert(topic, index, asked);
        let found = self.look_up(shard, slot);
        match self.reader {
            Reader::Consumer => self.slots.borrow_mut().enqueue(slot),
            Reader::Follower(replica, epoch) => {
                if let Some(partition) = found {
                    partition.session_opened(replica);
                }
                self.follower_named(shard, slot, replica, epoch);
            }
        }
    }

    pub(super) fn has_touched(&self) -> bool {
        !self.touched.borrow().list.is_empty()
    }

    /// Takes in what partitions touched. A follower's slot with data on its way stays as it is.
    pub(super) fn absorb_touched(self: &Rc<Self>, shard: &Rc<Shard>) {
        // Looking a slot up touches others: the list must not stay borrowed.
        let touched = self.touched.borrow_mut().take();
        for slot in touched {
            let state = self.slots.borrow().all.get(slot).and_then(Option::as_ref).map(|slot| slot.state);
            match (state, self.reader) {
                (Some(SlotState::Idle), _) => {
                    self.look_up(shard, slot);
                    self.slots.borrow_mut().enqueue(slot);
                }
                (Some(SlotState::Waiting), Reader::Follower(replica, epoch)) => {
                    self.look_up(shard, slot);
                    self.slots.borrow_mut().waiting.retain(|waiting| *waiting != slot);
                    self.follower_named(shard, slot, replica, epoch);
                }
                _ => {}
            }
        }
    }

    /// Looks for the partitions of queued slots that were not there when they were named.
    pub(super) fn look_up_absent(self: &Rc<Self>, shard: &Shard) {
        let slots = self.slots.borrow();
        let is_absent = |slot: &usize| slots.all[*slot].as_ref().is_some_and(Slot::is_absent);
        let absent: Vec<usize> = slots.queue.iter().copied().filter(is_absent).collect();
        drop(slots);
        for slot in absent {
            self.look_up(shard, slot);
        }
    }

    /// Finds the slot's partition and watches it. Returns it if it is another one than before.
    fn look_up(self: &Rc<Self>, shard: &Shard, index: usize) -> Option<PartitionHandle> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.all[index].as_mut()?;
        let before = slot.partition.clone();
        let after = slot.resolve(shard);
        let is_same = match (&before, after) {
            (Some(before), Some(after)) => Rc::ptr_eq(before, after),
            _ => false,
        };
        let found = after.filter(|_| !is_same).cloned()?;
        found.watch(self, index, self.reader != Reader::Consumer);
        Some(found)
    }

    /// Feeds the follower's progress to the partition, whose effects may touch this very session.
    fn follower_named(self: &Rc<Self>, shard: &Rc<Shard>, slot: usize, replica: BrokerId, epoch: BrokerEpoch) {
        let question = {
            let slots = self.slots.borrow();
            slots.all[slot].as_ref().map(|slot| (slot.partition.clone(), slot.follower_fetch(replica, epoch)))
        };
        let Some((partition, fetch)) = question else {
            return;
        };
        let answer = partition.map(|partition| partition.follower_fetched(shard, &fetch));
        let mut slots = self.slots.borrow_mut();
        match answer {
            // A partition we do not know may be one our image does not show yet.
            None | Some(FetchAnswer::WaitForImage) => slots.wait(slot),
            Some(FetchAnswer::Read { from, up_to, news, .. }) if from >= up_to && !news => {
                slots.set_state(slot, SlotState::Idle);
            }
            Some(FetchAnswer::Read { .. } | FetchAnswer::Diverging(_) | FetchAnswer::Error(_)) => slots.enqueue(slot),
        }
    }
}

impl Slots {
    fn upsert(&mut self, topic: TopicKey, index: PartitionIndex, asked: Asked) -> usize {
        let key = (topic, index);
        if let Some(known) = self.by_key.get(&key).copied() {
            if let Some(slot) = self.all[known].as_mut() {
                slot.asked = asked;
            }
            return known;
        }
        let slot = Slot { topic: key.0.clone(), index, partition: None, asked, state: SlotState::Idle };
        let place = match self.free.pop() {
            Some(free) => {
                self.all[free] = Some(slot);
                free
            }
            None => {
                self.all.push(Some(slot));
                self.all.len() - 1
            }
        };
        self.by_key.insert(key, place);
        place
    }

    pub(super) fn enqueue(&mut self, index: usize) {
        if let Some(slot) = self.all[index].as_mut()
            && slot.state != SlotState::Queued
        {
            slot.state = SlotState::Queued;
            self.queue.push_back(index);
        }
    }

    /// A read that was under way for a slot in state `Sent` brought nothing.
    pub(super) fn put_back(&mut self, read: &ReadFor) {
        if let Some(slot) = self.all[read.slot].as_mut()
            && slot.state == SlotState::Sent
            && read.is_for(slot)
        {
            slot.state = SlotState::Queued;
            self.queue.push_front(read.slot);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn set_state(&mut self, index: usize, state: SlotState) {
        if let Some(slot) = self.all[index].as_mut() {
            if slot.state == SlotState::Queued && state != SlotState::Queued {
                self.queue.retain(|queued| *queued != index);
            }
            slot.state = state;
        }
    }

    fn wait(&mut self, index: usize) {
        self.set_state(index, SlotState::Waiting);
        if !self.waiting.contains(&index) {
            self.waiting.push(index);
        }
    }
}

impl Touched {
    fn add(&mut self, slot: usize) {
        if self.is_listed.len() <= slot {
            self.is_listed.resize(slot + 1, false);
        }
        if !std::mem::replace(&mut self.is_listed[slot], true) {
            self.list.push(slot);
        }
    }

    fn take(&mut self) -> Vec<usize> {
        for slot in &self.list {
            self.is_listed[*slot] = false;
        }
        std::mem::take(&mut self.list)
    }
}
