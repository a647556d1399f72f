//! One thread makes what was written durable, a round at a time: whoever asks while a round runs shares the
//! next one. Completions are reported in the order they were asked for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use openraft::storage::IOFlushed;
use openraft::type_config::TypeConfigExt;

use crate::raft::TypeConfig;

/// openraft has a handful of appends in flight at most.
const WAITING_MAX: usize = 1024;

/// Hands writes to the flusher thread; the thread ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Flusher {
    waiting: SyncSender<IOFlushed<TypeConfig>>,
}

impl Flusher {
    /// `path` is sled's directory; the database's own file in it is the one to sync.
    pub(super) fn start(database: sled::Db, path: &Path) -> io::Result<Self> {
        let file = File::open(path.join("db"))?;
        let (waiting, asked) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("raft-flush".into()).spawn(move || run(&database, &file, &asked))?;
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

fn run(database: &sled::Db, file: &File, asked: &Receiver<IOFlushed<TypeConfig>>) {
    let mut failed: Option<String> = None;
    while let Ok(first) = asked.recv() {
        let round: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
        // After a failed fsync the kernel may have dropped the pages: a second one would lie.
        if failed.is_none() {
            failed = flush(database, file).err().map(|error| error.to_string());
        }
        for flushed in round {
            flushed.io_completed(failed.clone().map_or(Ok(()), |reason| Err(io::Error::other(reason))));
        }
    }
}

fn flush(database: &sled::Db, file: &File) -> io::Result<()> {
    database.flush()?;
    file.sync_data()
}
