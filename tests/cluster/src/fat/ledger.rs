//! What the actors were told.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use anyhow::{Result, bail};
use tidelog_wire::Uuid;

use super::topics::{Identity, TOPICS, Topic};

#[derive(Default)]
pub struct Ledger {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// By topic id, since a topic that is deleted and recreated is another.
    partitions: HashMap<(Uuid, i32), PartitionHistory>,
    /// Acknowledged batches by topic's name.
    acked: BTreeMap<(&'static str, i32), usize>,
    done: BTreeMap<&'static str, usize>,
    breaches: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct PartitionHistory {
    /// By number.
    pub sent: Vec<Sent>,
    /// No acknowledged record ends above.
    pub acked_end: i64,
    /// The greatest offset that any DeleteRecords asked for, whatever became of it.
    pub deletion_asked: i64,
    /// Where a DeleteRecords said that the log starts.
    pub deleted_to: i64,
    /// What readers were shown, by offset.
    pub shown: BTreeMap<i64, Identity>,
}

#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub count: u32,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Unknown,
    /// `None`: it was there already, the broker knew no more where.
    Acked(Option<i64>),
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("the ledger")
    }

    pub fn with<T>(&self, topic_id: Uuid, partition: i32, edit: impl FnOnce(&mut PartitionHistory) -> T) -> T {
        edit(self.book().partitions.entry((topic_id, partition)).or_default())
    }

    /// The number of the batch that is sent next.
    pub fn next_number(&self, topic_id: Uuid, partition: i32) -> u32 {
        self.with(topic_id, partition, |history| history.sent.len() as u32)
    }

    pub fn sending(&self, topic_id: Uuid, partition: i32, count: u32) {
        self.with(topic_id, partition, |history| history.sent.push(Sent { count, outcome: Outcome::Unknown }));
    }

    pub fn acked(&self, topic: &Topic, topic_id: Uuid, partition: i32, number: u32, base_offset: Option<i64>) {
        let breach = self.with(topic_id, partition, |history| {
            let end_before = history.acked_end;
            let sent = &mut history.sent[number as usize];
            sent.outcome = Outcome::Acked(base_offset);
            let base_offset = base_offset?;
            history.acked_end = end_before.max(base_offset + i64::from(sent.count));
            (base_offset < end_before).then_some((base_offset, end_before))
        });
        if let Some((base_offset, end_before)) = breach {
            let name = topic.name;
            self.breach(format!(
                "real-time order: batch {number} of {name}-{partition} was acknowledged at {base_offset}, when everything \
                 below {end_before} had been before it was sent"
            ));
        }
        *self.book().acked.entry((topic.name, partition)).or_default() += 1;
    }

    pub fn note(&self, what: &'static str) {
        *self.book().done.entry(what).or_default() += 1;
    }

    /// An invariant is broken; the first one tells most.
    pub fn breach(&self, what: String) {
        crate::scenario::report(&what);
        self.book().breaches.push(what);
    }

    pub fn check_no_breach(&self) -> Result<()> {
        match self.book().breaches.as_slice() {
            [] => Ok(()),
            [first, rest @ ..] => bail!("{first} (and {} more)", rest.len()),
        }
    }

    /// Acknowledged batches of every partition.
    pub fn progress(&self) -> Vec<usize> {
        let book = self.book();
        let all = TOPICS.iter().flat_map(|topic| (0..topic.partitions).map(move |index| (topic.name, index)));
        all.map(|partition| book.acked.get(&partition).copied().unwrap_or_default()).collect()
    }

    pub fn summary(&self) -> String {
        let book = self.book();
        let acked: usize = book.acked.values().sum();
        let sent: usize = book.partitions.values().map(|history| history.sent.len()).sum();
        format!("{acked} of {sent} batches acknowledged; {:?}", book.done)
    }
}
