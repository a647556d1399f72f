//! The shard's turn: the work that is better done once for everything that arrived than once for each.
//!
//! Connections and fetchers only note what came; they run first, because the turn's task is queued behind them and has
//! the sockets looked at again. Then one turn does, in this order: results of flushes, one append per coordinator and
//! partition, one round of flush jobs, one look at every parked fetch that was touched, those of followers included that
//! have just come. Under load all of it coalesces by itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::coordinator_host::Hosted;
use crate::fetch::FetchSession;
use crate::metadata_applier;
use crate::net::LocalNotify;
use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// How long appends may keep the shard.
const TURN_MAX: Duration = Duration::from_millis(20);

/// How often a turn has the sockets looked at before it begins.
const LOOKS_MAX: usize = 4;

/// With so many flushes waiting one thread takes them all: the log syncs them with one sync of the file system.
const FLUSHES_TOGETHER_MIN: usize = 48;

/// What waits for the next turn.
#[derive(Default)]
pub(crate) struct Turn {
    appends: RefCell<Vec<PartitionHandle>>,
    flushes: RefCell<VecDeque<PartitionHandle>>,
    /// Rounds whose results are still to come, each on one disk thread.
    flushing: Cell<usize>,
    /// Those among them that sync the whole file system.
    flushing_all: Cell<usize>,
    reapplied: RefCell<Vec<PartitionHandle>>,
    leaderships: RefCell<Vec<PartitionHandle>>,
    coordinators: RefCell<Vec<Rc<Hosted>>>,
    sessions: RefCell<Vec<Rc<FetchSession>>>,
    high_watermarks_moved: Cell<bool>,
    due: LocalNotify,
}

impl Turn {
    pub(crate) fn append(&self, partition: PartitionHandle) {
        self.appends.borrow_mut().push(partition);
        self.due.notify();
    }

    pub(crate) fn flush(&self, partition: PartitionHandle) {
        self.flushes.borrow_mut().push_back(partition);
        self.due.notify();
    }

    /// The partition is to be told again what the image says.
    pub(crate) fn reapply(&self, partition: PartitionHandle) {
        self.reapplied.borrow_mut().push(partition);
        self.due.notify();
    }

    /// The partition's coordinator is to begin or to end.
    pub(crate) fn leadership_changed(&self, partition: PartitionHandle) {
        self.leaderships.borrow_mut().push(partition);
        self.due.notify();
    }

    /// The coordinator has decided something that is to be appended.
    pub(crate) fn coordinate(&self, hosted: Rc<Hosted>) {
        self.coordinators.borrow_mut().push(hosted);
        self.due.notify();
    }

    pub(crate) fn answer(&self, session: Rc<FetchSession>) {
        self.sessions.borrow_mut().push(session);
        self.due.notify();
    }

    pub(crate) fn high_watermarks_moved(&self) {
        self.high_watermarks_moved.set(true);
    }

    /// Whether a high watermark moved since the last call.
    pub(crate) fn take_high_watermarks_moved(&self) -> bool {
        self.high_watermarks_moved.replace(false)
    }

    /// Takes turns until the shard ends.
    pub(crate) async fn run(shard: Rc<Shard>) {
        let inbox = shard.disk.inbox();
        loop {
            // Both are cancel-safe: a notification that is not taken stays set.
            tokio::select! {
                () = shard.turn.due.notified() => {}
                () = inbox.arrived() => {}
            }
            gather(&shard.turn).await;
            take_turn(&shard);
        }
    }
}

/// What came while others ran goes along: looks at the sockets again for as long as that brings something. Under load it
/// saves a third of the flushes and fetches; when nothing else comes it is one system call that does not wait.
async fn gather(turn: &Turn) {
    for _ in 0..LOOKS_MAX {
        turn.due.clear();
        tokio::task::yield_now().await;
        if !turn.due.is_set() {
            break;
        }
    }
}

/// Appends for as long as a turn may take: first appends make files, batches are read, and thousands of them at once would
/// keep everybody else waiting. What is left goes first in the next turn.
fn append(shard: &Rc<Shard>, turn: &Turn) {
    let began = Instant::now();
    let mut partitions = turn.appends.take().into_iter();
    for partition in partitions.by_ref() {
        partition.append_pending(shard);
        if began.elapsed() > TURN_MAX {
            break;
        }
    }
    let mut left: Vec<_> = partitions.collect();
    if !left.is_empty() {
        left.extend(turn.appends.take());
        *turn.appends.borrow_mut() = left;
        turn.due.notify();
    }
}

/// Begins no more rounds than there are disk threads: what waits gathers appends, and its sync serves more of them. One
/// sync of the whole file system is enough at a time; it may last, and the other threads go on beside it.
fn begin_flushes(shard: &Rc<Shard>, turn: &Turn) {
    let mut waiting = turn.flushes.borrow_mut();
    while !waiting.is_empty() && turn.flushing.get() < shard.options.disk.threads {
        let is_large = waiting.len() >= FLUSHES_TOGETHER_MIN && turn.flushing_all.get() == 0;
        let together = if is_large { waiting.len() } else { 1 };
        let begun =
            waiting.drain(..together).filter_map(|partition| Some((partition.key, partition.begin_flush(shard)?)));
        let round: Vec<_> = begun.collect();
        if !round.is_empty() {
            turn.flushing.set(turn.flushing.get() + 1);
            turn.flushing_all.set(turn.flushing_all.get() + usize::from(round.len() > 1));
            shard.disk.flush(round);
            shard.marks.flushed();
        }
    }
}

fn take_turn(shard: &Rc<Shard>) {
    let turn = &shard.turn;
    turn.due.clear();
    let flushed = shard.disk.inbox().take();
    turn.flushing.set(turn.flushing.get() - flushed.rounds);
    turn.flushing_all.set(turn.flushing_all.get() - flushed.large_rounds);
    for result in flushed.results {
        if let Some(partition) = shard.partitions.by_key(result.partition) {
            partition.flushed(shard, result.done);
        }
    }
    for partition in turn.reapplied.take() {
        metadata_applier::reapply(shard, &partition);
    }
    for partition in turn.leaderships.take() {
        shard.coordinators.leadership_changed(shard, &partition);
    }
    for hosted in turn.coordinators.take() {
        hosted.append(shard);
    }
    append(shard, turn);
    begin_flushes(shard, turn);
    for session in turn.sessions.take() {
        session.answer_if_ready(shard);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::testing::{host, shard};

    /// It takes one thread, and may take seconds where much is written.
    #[tokio::test]
    async fn beside_a_sync_of_the_whole_file_system_others_flush_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let test = async {
            let shard = shard(directory.path()).await;
            let want_flush = |index| shard.turn.flush(host(&shard, index));
            (0..2 * FLUSHES_TOGETHER_MIN).for_each(want_flush);
            begin_flushes(&shard, &shard.turn);
            assert_eq!((shard.turn.flushing.get(), shard.turn.flushing_all.get()), (1, 1));
            want_flush(2 * FLUSHES_TOGETHER_MIN);
            begin_flushes(&shard, &shard.turn);
            assert_eq!((shard.turn.flushing.get(), shard.turn.flushing_all.get()), (2, 1));
            while shard.turn.flushing.get() > 0 {
                shard.disk.inbox().arrived().await;
                take_turn(&shard);
            }
            assert_eq!(shard.turn.flushing_all.get(), 0);
        };
        tokio::task::LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "there is no shard")]
    async fn what_lies_in_a_socket_when_a_turn_is_due_belongs_to_it() {
        let served = async {
            let turn = Rc::new(Turn::default());
            let (mut reader, writer) = UnixStream::pair().expect("a pair of sockets");
            let connection = tokio::task::spawn_local({
                let turn = Rc::clone(&turn);
                async move {
                    let byte = reader.read_u8().await;
                    turn.high_watermarks_moved();
                    turn.due.notify();
                    byte
                }
            });
            // The connection waits for its socket, and nobody has looked since the byte came.
            tokio::task::yield_now().await;
            assert_eq!(writer.try_write(&[7]).expect("room for a byte"), 1);
            gather(&turn).await;
            assert!(turn.take_high_watermarks_moved(), "the connection was served before the turn");
            assert_eq!(connection.await.expect("it ends").expect("it reads"), 7);
        };
        // A task like the turn's own, in one line with the connection's.
        let tasks = tokio::task::LocalSet::new();
        tasks.run_until(async { tokio::task::spawn_local(served).await }).await.expect("no panic");
    }
}
