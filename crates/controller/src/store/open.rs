//! Opening the store: everything in it is read and checked once, before anything relies on it.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::flusher::{Disk, Flusher, ROUND};
use super::log::{LogStore, Pieces, Pointers};
use super::mark::Mark;
use crate::raft::LogId;

/// sled's lock of an earlier process may outlive it by a moment.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// What is in it does not add up. The store must be set aside, not repaired.
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Io(std::io::Error),
}

impl From<sled::Error> for OpenError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Opens or creates the store in `path`. Blocks while it reads the whole log.
pub(crate) fn open(path: &Path) -> Result<LogStore, OpenError> {
    let database = open_database(path)?;
    let log = database.open_tree("log")?;
    let state = database.open_tree("state")?;
    let mut pointers = Pointers::load(&state).map_err(OpenError::Damaged)?;
    pointers.last = check(&log, &pointers)?;
    let mark = Mark::open(path).map_err(OpenError::Io)?;
    let round = last_round(&state)?;
    if round < mark.round() {
        return Err(OpenError::Damaged(format!("it ends at flush {round}, and {} were on disk", mark.round())));
    }
    let disk =
        Disk { file: File::open(path.join("db")).map_err(OpenError::Io)?, database, state: state.clone(), round, mark };
    let flusher = Flusher::start(disk).map_err(OpenError::Io)?;
    Ok(LogStore { log, state, flusher, pointers: Arc::new(Mutex::new(pointers)) })
}

/// The number of the last flush that is there.
fn last_round(state: &sled::Tree) -> Result<u64, OpenError> {
    let Some(bytes) = state.get(ROUND)? else { return Ok(0) };
    let bytes = bytes.as_ref().try_into();
    bytes.map(u64::from_be_bytes).map_err(|_| OpenError::Damaged("the flushes are counted in another way".into()))
}

fn open_database(path: &Path) -> Result<sled::Db, OpenError> {
    let config = sled::Config::new()
        .path(path)
        // Flushing is the flusher's, which also waits for the disk.
        .flush_every_ms(None)
        .cache_capacity(64 << 20)
        // Fixed for a store's life. sled keeps two buffers of this size resident. A quarter of it is the largest
        // tree node that stays out of the files nobody syncs; ours are 17 values of 4 KiB at most.
        .segment_size(1 << 20);
    let give_up = Instant::now() + LOCK_WAIT_MAX;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && Instant::now() < give_up => {
                std::thread::sleep(LOCK_RETRY)
            }
            opened => return Ok(opened?),
        }
    }
}

/// sled wraps the lock's error in one of kind `Other` and says so only in its text.
fn is_locked(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Walks the log: every entry whole, indexes without a gap, terms not falling, nothing committed missing.
/// Returns the last entry's log id.
fn check(log: &sled::Tree, pointers: &Pointers) -> Result<Option<LogId>, OpenError> {
    let mut last: Option<LogId> = None;
    let mut pieces = Pieces::default();
    let mut take = |entry: crate::raft::Entry| {
        let log_id = entry.log_id;
        // A purge that was cut short leaves entries behind that the pointer has already given up.
        if pointers.purged.is_some_and(|purged| log_id.index <= purged.index) {
            return Ok(());
        }
        let before = last.or(pointers.purged);
        let expected = before.map_or(0, |before| before.index + 1);
        if log_id.index != expected {
            return Err(OpenError::Damaged(format!("entry {expected} is missing; the next one is {}", log_id.index)));
        }
        if before.is_some_and(|before| log_id.leader_id < before.leader_id) {
            return Err(OpenError::Damaged(format!("the term falls at entry {}", log_id.index)));
        }
        last = Some(log_id);
        Ok(())
    };
    for piece in log.iter() {
        let (key, bytes) = piece?;
        if let Some(entry) = pieces.add(&key, &bytes).map_err(OpenError::Damaged)? {
            take(entry)?;
        }
    }
    if let Some(entry) = pieces.finish().map_err(OpenError::Damaged)? {
        take(entry)?;
    }
    if pointers.committed > last.max(pointers.purged) {
        return Err(OpenError::Damaged("committed entries are missing at the end of the log".into()));
    }
    Ok(last)
}
