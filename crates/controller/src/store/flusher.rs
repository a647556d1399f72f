//! One thread makes what was written durable, a round at a time: whoever asks while a round runs shares the
//! next one. Completions are reported in the order they were asked for.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use openraft::storage::IOFlushed;
use openraft::type_config::TypeConfigExt;

use tidelog_panics::caught;

use super::mark::Mark;
use crate::raft::TypeConfig;

/// In the state tree: the number of the round that flushed it.
pub(super) const ROUND: &[u8] = b"round";

/// openraft has a handful of appends in flight at most.
const WAITING_MAX: usize = 1024;

/// Hands writes to the flusher thread; the thread ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Flusher {
    waiting: SyncSender<IOFlushed<TypeConfig>>,
}

impl Flusher {
    pub(super) fn start(disk: Disk) -> io::Result<Self> {
        let (waiting, asked) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("raft-flush".into()).spawn(move || run(disk, &asked))?;
        Ok(Self { waiting })
    }

    /// Calls back once everything written before this call is on disk.
    pub(super) fn report(&self, flushed: IOFlushed<TypeConfig>) -> io::Result<()> {
        self.waiting.send(flushed).map_err(|_| io::Error::other("the flusher has stopped"))
    }

    /// Waits until everything written before this call is on disk.
    pub(super) async fn wait(&self) -> io::Result<()> {
        let (done, flushed) = TypeConfig::oneshot();
        self.report(IOFlushed::signal(done))?;
        flushed.await.unwrap_or_else(|_| Err(io::Error::other("the flusher has stopped")))
    }
}

fn run(mut disk: Disk, asked: &Receiver<IOFlushed<TypeConfig>>) {
    let mut failed: Option<String> = None;
    while let Some(first) = disk.next(asked) {
        let round: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
        // After a failed fsync the kernel may have dropped the pages: a second one would lie.
        if failed.is_none() {
            let flushed = caught(|| disk.flush()).unwrap_or_else(|| Err(io::Error::other("the flush panicked")));
            failed = flushed.err().map(|error| error.to_string());
        }
        for flushed in round {
            flushed.io_completed(failed.clone().map_or(Ok(()), |reason| Err(io::Error::other(reason))));
        }
    }
}

/// What a round makes durable.
pub(super) struct Disk {
    pub(super) database: sled::Db,
    pub(super) state: sled::Tree,
    /// The database's own file.
    pub(super) file: File,
    /// The number of the last round.
    pub(super) round: u64,
    pub(super) mark: Mark,
}

impl Disk {
    /// The next to wait for a flush; an idle moment is the mark's.
    fn next(&mut self, asked: &Receiver<IOFlushed<TypeConfig>>) -> Option<IOFlushed<TypeConfig>> {
        asked.try_recv().ok().or_else(|| {
            if let Err(error) = self.mark.sync() {
                tracing::warn!(%error, "the store's durable mark cannot be synced");
            }
            asked.recv().ok()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.round += 1;
        self.state.insert(ROUND, &self.round.to_be_bytes())?;
        self.database.flush()?;
        self.file.sync_data()?;
        self.mark.raise(self.round)
    }
}
