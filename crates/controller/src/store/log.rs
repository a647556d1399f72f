//! openraft's log storage over sled.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use prost::Message;
use tidelog_internal_api::raft as proto;

use super::entry;
use super::flusher::Flusher;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::raft::{Entry, LogId, TypeConfig, Vote, log_id_from_proto, log_id_to_proto, vote_from_proto, vote_to_proto};

pub(super) const VOTE: &[u8] = b"vote";
pub(super) const PURGED: &[u8] = b"purged";
pub(super) const COMMITTED: &[u8] = b"committed";
/// Entries written in one sled batch; each entry is whole or absent after a crash in any case.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The log of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    pub(super) log: sled::Tree,
    pub(super) state: sled::Tree,
    pub(super) flusher: Flusher,
    /// What the two trees say, kept so that asking costs nothing.
    pub(super) pointers: Arc<Mutex<Pointers>>,
}

/// Invariant: `purged <= last`.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointers {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    pub(super) committed: Option<LogId>,
}

impl LogStore {
    fn pointers(&self) -> std::sync::MutexGuard<'_, Pointers> {
        self.pointers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Neither a vote nor an entry was ever stored.
    pub(crate) fn is_empty(&self) -> bool {
        let pointers = self.pointers();
        pointers.vote.is_none() && pointers.last.is_none() && pointers.purged.is_none()
    }

    /// Entries after `index` are gone, so a snapshot that ends there is too old for this log.
    pub(crate) fn begins_after(&self, index: Option<u64>) -> bool {
        self.pointers().purged.map(|purged| purged.index) > index
    }

    fn put(&self, name: &[u8], message: &impl Message) -> io::Result<()> {
        self.state.insert(name, message.encode_to_vec())?;
        Ok(())
    }

    /// At least one entry, if there is any; no more once they have `bytes_max`.
    fn read(&self, first: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut pieces = Pieces::default();
        let mut bytes_read = 0;
        for piece in self.log.range(entry::key(first, 0)..entry::key(end, 0)) {
            let (key, bytes) = piece?;
            entries.extend(pieces.add(&key, &bytes).map_err(damaged)?);
            bytes_read += bytes.len();
            if bytes_read > bytes_max && !entries.is_empty() {
                return Ok(entries);
            }
        }
        entries.extend(pieces.finish().map_err(damaged)?);
        Ok(entries)
    }

    /// The entries one after the other, read some at a time.
    fn entries(self, first: u64, end: u64) -> impl Iterator<Item = io::Result<Entry>> {
        let mut next = first;
        let mut read = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if read.len() == 0 && next < end {
                match self.read(next, end, PAYLOAD_BYTES_MAX) {
                    Ok(entries) => read = entries.into_iter(),
                    Err(error) => {
                        next = end;
                        return Some(Err(error));
                    }
                }
            }
            let entry: Entry = read.next()?;
            next = entry.log_id.index + 1;
            Some(Ok(entry))
        })
    }

    /// Removes entries from `first` on, the last one first, so that no hole can be left behind.
    fn remove_from(&self, first: u64) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for key in self.log.range(entry::key(first, 0)..).keys().rev() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch)?;
        Ok(())
    }

    fn remove_up_to(&self, last: u64) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for key in self.log.range(..entry::key(last + 1, 0)).keys() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch)?;
        Ok(())
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Collects the pieces of entries as they come in key order.
#[derive(Default)]
pub(super) struct Pieces {
    index: Option<u64>,
    whole: Vec<u8>,
}

impl Pieces {
    /// Takes the next piece; returns the entry before it if this piece begins another.
    pub(super) fn add(&mut self, key: &[u8], bytes: &[u8]) -> Result<Option<Entry>, String> {
        let index = entry::index_of(key).ok_or_else(|| format!("key of {} bytes in the log", key.len()))?;
        let ready = if self.index == Some(index) { None } else { self.finish()? };
        self.index = Some(index);
        self.whole.extend_from_slice(bytes);
        Ok(ready)
    }

    pub(super) fn finish(&mut self) -> Result<Option<Entry>, String> {
        let Some(index) = self.index.take() else { return Ok(None) };
        let entry = entry::from_pieces(index, &self.whole);
        self.whole.clear();
        entry.map(Some)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (first, end) = bounds(&range);
        self.read(first, end, usize::MAX)
    }

    /// openraft counts the entries of an append; a peer takes messages by their bytes.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, PAYLOAD_BYTES_MAX)
    }

    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (first, end) = bounds(&range);
        futures::stream::iter(self.clone().entries(first, end))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.pointers().vote)
    }
}

/// Turns any range into first (inclusive) and end (exclusive).
pub(super) fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let first = match range.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (first, end.max(first))
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let pointers = self.pointers();
        Ok(LogState { last_purged_log_id: pointers.purged, last_log_id: pointers.last.max(pointers.purged) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.put(VOTE, &vote_to_proto(vote))?;
        self.flusher.wait().await?;
        self.pointers().vote = Some(*vote);
        Ok(())
    }

    /// Not waited for: it rides along with the next flush, and what is lost of it Raft finds out again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = &committed {
            self.put(COMMITTED, &log_id_to_proto(committed))?;
        }
        self.pointers().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.pointers().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = sled::Batch::default();
        let mut batch_bytes = 0;
        let mut last = None;
        for entry in entries {
            for (key, piece) in entry::to_pieces(&entry).map_err(damaged)? {
                batch_bytes += piece.len();
                batch.insert(&key, piece);
            }
            last = Some(entry.log_id);
            if batch_bytes >= BATCH_BYTES_MAX {
                self.log.apply_batch(std::mem::take(&mut batch))?;
                batch_bytes = 0;
            }
        }
        self.log.apply_batch(batch)?;
        if last.is_some() {
            self.pointers().last = last;
        }
        self.flusher.report(callback)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        self.remove_from(last_log_id.map_or(0, |last| last.index + 1))?;
        let mut pointers = self.pointers();
        pointers.last = pointers.last.min(last_log_id);
        Ok(())
    }

    /// The pointer is on disk before the first entry goes: a log that begins late without it is damage.
    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.put(PURGED, &log_id_to_proto(&log_id))?;
        self.flusher.wait().await?;
        self.pointers().purged = Some(log_id);
        self.remove_up_to(log_id.index)
    }
}

impl Pointers {
    /// Reads what the state tree holds; `last` is not part of it.
    pub(super) fn load(state: &sled::Tree) -> Result<Self, String> {
        let read = |name: &[u8]| state.get(name).map_err(|error| error.to_string());
        let log_id = |name: &[u8]| match read(name)? {
            Some(bytes) => proto::LogId::decode(bytes.as_ref())
                .map(|id| Some(log_id_from_proto(id)))
                .map_err(|error| error.to_string()),
            None => Ok(None),
        };
        let vote = match read(VOTE)? {
            Some(bytes) => {
                let vote = proto::Vote::decode(bytes.as_ref()).map_err(|error| error.to_string())?;
                Some(vote_from_proto(Some(vote)).map_err(|error| error.to_string())?)
            }
            None => None,
        };
        Ok(Self { vote, purged: log_id(PURGED)?, committed: log_id(COMMITTED)?, last: None })
    }
}
