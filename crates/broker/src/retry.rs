//! What failed and is done again until it is done. That nothing waits for ever is a rule of the whole broker, and this is
//! where it lives: whatever waits has an event that ends it, or a time at which it is tried again.
//!
//! | what waits | what ends it |
//! |---|---|
//! | a request | what it asked for, or its deadline: [`Timers`](crate::timers::Timers) |
//! | a partition's protocol | an event, or the tick that it books with the timers |
//! | a slot of a fetch session | a touch by its partition, or the next request; see `fetch::slot` |
//! | a task of its own: a link to a leader, a coordinator's load, ISR changes | it tries on until nobody wants it |
//! | everything else that failed | a [`Task`] here |
//!
//! A task says what is to be so, not what went wrong: each attempt looks at image and partitions as they are by then, does
//! what is missing, and the task is over when nothing is. So it may be asked for by anybody at any time, and more than once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tidelog_commitlog::LogId;
use tidelog_metadata::{ReplicaReport, TopicIdPartition};
use tokio::time::{Instant, sleep_until};

use crate::back_off::BackOff;
use crate::net::LocalNotify;
use crate::shard::Shard;
use crate::{background, damage, placement, resignation};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Something that is to be so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    /// The replica that the image places here is hosted, and its log is not known to be damaged where others have better.
    Place(TopicIdPartition),
    /// A log that is not placed here any more is gone.
    Discard(LogId),
    /// Others lead what this broker cannot serve.
    Resign,
    /// The controller knows which replicas turned out to be damaged.
    ReportDamage,
    /// The controller knows that this replica lacks records, as its opening found.
    ReportLack(ReplicaReport),
    /// The controller knows which of them are whole again.
    ReportRecovered,
    /// The durable marks are on disk.
    SyncMarks,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Done,
    /// It failed, or it is to be seen whether it helped.
    Again,
}

#[derive(Default)]
pub(crate) struct Retries {
    tasks: RefCell<HashMap<Task, Entry>>,
    changed: LocalNotify,
}

struct Entry {
    back_off: BackOff,
    state: State,
}

enum State {
    Waiting { until: Instant },
    UnderWay { is_asked_again: bool },
}

impl Retries {
    /// Has the task begun at once, unless it waits for its next attempt already.
    pub(crate) fn now(&self, task: Task) {
        self.add(task, BackOff::new(FIRST, LONGEST), Instant::now());
    }

    /// The first attempt has just failed.
    pub(crate) fn later(&self, task: Task) {
        let mut back_off = BackOff::new(FIRST, LONGEST);
        let until = Instant::now() + back_off.next();
        self.add(task, back_off, until);
    }

    fn add(&self, task: Task, back_off: BackOff, until: Instant) {
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.entry(task).or_insert_with(|| {
            self.changed.notify();
            Entry { back_off, state: State::Waiting { until } }
        });
        if let State::UnderWay { is_asked_again } = &mut entry.state {
            *is_asked_again = true;
        }
    }

    fn ended(&self, task: &Task, attempt: Attempt, now: Instant) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(entry) = tasks.get_mut(task) else {
            return;
        };
        let is_asked_again = matches!(entry.state, State::UnderWay { is_asked_again: true });
        if attempt == Attempt::Done && !is_asked_again {
            tasks.remove(task);
            return;
        }
        if attempt == Attempt::Done {
            entry.back_off.reset();
        }
        entry.state = State::Waiting { until: now + entry.back_off.next() };
        self.changed.notify();
    }

    fn next_due(&self) -> Option<Instant> {
        let tasks = self.tasks.borrow();
        let due = tasks.values().filter_map(|entry| match entry.state {
            State::Waiting { until } => Some(until),
            State::UnderWay { .. } => None,
        });
        due.min()
    }

    fn take_due(&self, now: Instant) -> Vec<Task> {
        let mut due = Vec::new();
        for (task, entry) in self.tasks.borrow_mut().iter_mut() {
            if matches!(entry.state, State::Waiting { until } if until <= now) {
                entry.state = State::UnderWay { is_asked_again: false };
                due.push(task.clone());
            }
        }
        due
    }

    /// Attempts what is due, side by side, until the shard ends.
    pub(crate) async fn run(shard: Rc<Shard>) {
        let retries = &shard.retries;
        loop {
            match retries.next_due() {
                None => retries.changed.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = retries.changed.notified() => continue,
                        () = sleep_until(due) => {}
                    }
                }
            }
            for task in retries.take_due(Instant::now()) {
                let of_task = Rc::clone(&shard);
                shard.spawn("retry", async move {
                    let ended = attempt(&of_task, &task).await;
                    of_task.retries.ended(&task, ended, Instant::now());
                });
            }
        }
    }
}

async fn attempt(shard: &Rc<Shard>, task: &Task) -> Attempt {
    if shard.heartbeats.has_failed() {
        // The log directory is out of use until a restart, and the broker with it.
        return Attempt::Done;
    }
    match task {
        Task::Place(partition) => placement::place_again(shard, *partition),
        Task::Discard(id) => placement::discard(shard, id),
        Task::Resign => resignation::resign(shard).await,
        Task::ReportDamage => damage::report(shard).await,
        Task::ReportLack(report) => damage::report_lack(shard, *report).await,
        Task::ReportRecovered => damage::report_recovered(shard).await,
        Task::SyncMarks => background::sync_marks_once(shard).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_comes_again_until_it_is_done_and_ever_later() {
        let retries = Retries::default();
        let began = Instant::now();
        let mut now = began;
        retries.add(Task::Resign, BackOff::new(FIRST, LONGEST), began);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(retries.take_due(now - Duration::from_millis(1)), []);
            assert_eq!(retries.take_due(now), [Task::Resign]);
            assert_eq!(retries.next_due(), None, "it is under way");
            waits.push((now - began).as_millis());
            retries.ended(&Task::Resign, Attempt::Again, now);
            now = retries.next_due().expect("it is not done");
        }
        assert_eq!(waits, [0, 100, 300, 700, 1_500, 3_100, 6_300, 12_700, 22_700]);
        retries.take_due(now);
        retries.ended(&Task::Resign, Attempt::Done, now);
        assert_eq!(retries.next_due(), None);
    }

    #[test]
    fn what_is_asked_for_meanwhile_is_not_lost() {
        let retries = Retries::default();
        retries.now(Task::ReportDamage);
        let now = Instant::now();
        assert_eq!(retries.take_due(now), [Task::ReportDamage]);
        retries.now(Task::ReportDamage);
        retries.ended(&Task::ReportDamage, Attempt::Done, now);
        assert!(retries.next_due().is_some(), "the attempt may not have seen what it was asked for last");
    }
}
