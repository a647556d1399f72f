//! `cleaner-offset-checkpoint`: up to which offset each log of a directory was cleaned, in Kafka's text form. The topic's id is
//! ours: a topic made anew just before a crash must not be taken for as clean as its predecessor.
//!
//! An offset that is too low only costs another look at what is clean already.
//!
//! ```text
//! 0                          version
//! 2                          entries
//! topic partition offset id  one line each
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use tidelog_wire::Uuid;
use tidelog_wire::types::{Offset, PartitionIndex};

use crate::context::Context;
use crate::error::StorageError;
use crate::files::lock;
use crate::log_dir::LogId;
use crate::names;

const VERSION: &str = "0";

type Entries = BTreeMap<(String, PartitionIndex, Uuid), Offset>;

#[derive(Debug, Default)]
pub(crate) struct CleanerCheckpoint {
    entries: Mutex<Entries>,
}

impl CleanerCheckpoint {
    /// A missing or damaged file is an empty one.
    pub(crate) fn load(&self, context: &Context) -> Result<(), StorageError> {
        let contents = context.read_file(&context.path.join(names::CLEANER_CHECKPOINT))?;
        let text = contents.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        *lock(&self.entries) = text.and_then(parse).unwrap_or_default();
        Ok(())
    }

    pub(crate) fn get(&self, id: &LogId) -> Option<Offset> {
        lock(&self.entries).get(&key(id)).copied()
    }

    /// In memory; in the file with the next [`Self::write`].
    pub(crate) fn set(&self, id: &LogId, offset: Offset) {
        lock(&self.entries).insert(key(id), offset);
    }

    pub(crate) fn forget(&self, id: &LogId) {
        lock(&self.entries).remove(&key(id));
    }

    pub(crate) fn write(&self, context: &Context) -> Result<(), StorageError> {
        context.check()?;
        let text = format(&lock(&self.entries));
        context.replace_file_durably(&context.path.join(names::CLEANER_CHECKPOINT), text.as_bytes())
    }
}

fn key(id: &LogId) -> (String, PartitionIndex, Uuid) {
    (id.topic.as_str().to_owned(), id.partition, id.topic_id)
}

fn format(entries: &Entries) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for ((topic, partition, topic_id), offset) in entries {
        writeln!(text, "{topic} {partition} {offset} {topic_id}").expect("a String takes any text");
    }
    text
}

/// `None` if the text is not a whole checkpoint.
fn parse(text: &str) -> Option<Entries> {
    let mut lines = text.strip_suffix('\n')?.lines();
    if lines.next()? != VERSION {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let (topic, partition) = (words.next()?.to_owned(), PartitionIndex(words.next()?.parse().ok()?));
        let offset = Offset(words.next()?.parse().ok()?);
        Some(((topic, partition, words.next()?.parse().ok()?), offset))
    };
    let entries: Entries = lines.map(entry).collect::<Option<_>>()?;
    (entries.len() == count).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_half_of_it_is_not() {
        let entries = Entries::from([
            (("a".to_owned(), PartitionIndex(0), Uuid::from_u128(1)), Offset(17)),
            (("b.c".to_owned(), PartitionIndex(12), Uuid::from_u128(2)), Offset(0)),
        ]);
        let text = format(&entries);
        let ids = [1, 2].map(Uuid::from_u128);
        assert_eq!(text, format!("0\n2\na 0 17 {}\nb.c 12 0 {}\n", ids[0], ids[1]));
        assert_eq!(parse(&text), Some(entries));
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]), None, "{cut} bytes");
        }
    }
}
