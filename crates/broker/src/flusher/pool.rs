//! A fixed pool of threads over two queues.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tidelog_commitlog::{FlushDone, FlushJob};
use tidelog_panics::Panics;
use tokio::sync::{Notify, oneshot};

use super::stall::Heartbeats;

/// Threads that only flushes may use.
const FLUSH_ONLY_THREADS: usize = 2;

/// A finished flush, on its way back to the shard that owns the log.
pub(crate) struct FlushResult {
    /// The partition's key in the shard's table.
    pub partition: u64,
    pub done: FlushDone,
}

/// Rounds of flushes that have ended.
#[derive(Default)]
pub(crate) struct EndedRounds {
    pub results: Vec<FlushResult>,
    pub rounds: usize,
    /// Those among them that took more than one flush.
    pub large_rounds: usize,
}

/// Where a shard's finished flushes gather.
#[derive(Default)]
pub(crate) struct FlushInbox {
    ended: Mutex<EndedRounds>,
    arrived: Notify,
}

impl FlushInbox {
    pub(crate) fn take(&self) -> EndedRounds {
        std::mem::take(&mut *lock(&self.ended))
    }

    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn put(&self, round: impl ExactSizeIterator<Item = FlushResult>) {
        let mut ended = lock(&self.ended);
        let was_empty = ended.rounds == 0;
        ended.rounds += 1;
        ended.large_rounds += usize::from(round.len() > 1);
        ended.results.extend(round);
        drop(ended);
        if was_empty {
            self.arrived.notify_one();
        }
    }
}

/// Flushes that one thread runs one after the other or with one sync of the file system, each with its partition's key.
pub(crate) type FlushRound = Vec<(u64, FlushJob)>;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queues {
    flushes: VecDeque<FlushRound>,
    other: VecDeque<Work>,
    other_running: usize,
    closed: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    inbox: Arc<FlushInbox>,
    heartbeats: Arc<Heartbeats>,
    rounds: Arc<AtomicU64>,
    /// Rounds of many flushes that run now.
    large_rounds: AtomicUsize,
    other_max: usize,
    panics: Panics,
}

/// The pool's handle; dropping it lets the threads finish what is queued and end.
pub(crate) struct DiskPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl DiskPool {
    pub(crate) fn start(
        name: &str,
        threads: usize,
        heartbeats: Arc<Heartbeats>,
        panics: Panics,
    ) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            work: Condvar::new(),
            inbox: Arc::default(),
            heartbeats,
            rounds: Arc::default(),
            large_rounds: AtomicUsize::new(0),
            other_max: threads.saturating_sub(FLUSH_ONLY_THREADS).max(1),
            panics,
        });
        let threads = (0..threads)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("{name}-disk-{index}"))
                    .stack_size(256 << 10)
                    .spawn(move || work(&shared, index))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    pub(crate) fn inbox(&self) -> Arc<FlushInbox> {
        Arc::clone(&self.shared.inbox)
    }

    /// Counts the rounds of flushes: where it stands still, nobody waits for the device.
    pub(crate) fn rounds(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.rounds)
    }

    /// Queues one round of flushes; each result comes by the inbox.
    pub(crate) fn flush(&self, round: FlushRound) {
        self.shared.rounds.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.queues).flushes.push_back(round);
        self.shared.work.notify_one();
    }

    /// Runs `work` on a disk thread. The receiver fails only if `work` panicked, which ends the broker.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        self.queue(|panics| panics.job("work on a disk thread", work))
    }

    /// As [`DiskPool::run`] for work that changes nothing: whoever waits for it has to do without if it panics.
    pub(crate) fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        self.queue(|panics| panics.contained(work))
    }

    fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Panics) -> Option<T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let panics = self.shared.panics.clone();
        let work: Work = Box::new(move || {
            if let Some(outcome) = work(&panics) {
                // Whoever asked may have gone.
                let _ = done.send(outcome);
            }
        });
        lock(&self.shared.queues).other.push_back(work);
        self.shared.work.notify_one();
        result
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        lock(&self.shared.queues).closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

enum Next {
    Flush(FlushRound),
    Other(Work),
    End,
}

fn work(shared: &Shared, thread: usize) {
    loop {
        match next(shared) {
            Next::Flush(round) => {
                shared.panics.job("a flush", || flush(shared, thread, round));
            }
            Next::Other(work) => {
                work();
                lock(&shared.queues).other_running -= 1;
                shared.work.notify_one();
            }
            Next::End => return,
        }
    }
}

fn flush(shared: &Shared, thread: usize, round: FlushRound) {
    let large = usize::from(round.len() > 1);
    // A single flush waits for the same journal as the sync of the whole file system that runs beside it.
    match shared.large_rounds.fetch_add(large, Ordering::Relaxed) + large {
        0 => shared.heartbeats.began(thread),
        _ => shared.heartbeats.began_many(thread),
    }
    let (partitions, jobs): (Vec<_>, Vec<_>) = round.into_iter().unzip();
    let done = FlushJob::run_all(jobs);
    shared.large_rounds.fetch_sub(large, Ordering::Relaxed);
    shared.heartbeats.ended(thread);
    shared.inbox.put(partitions.into_iter().zip(done).map(|(partition, done)| FlushResult { partition, done }));
}

fn next(shared: &Shared) -> Next {
    let mut queues = lock(&shared.queues);
    loop {
        if let Some(round) = queues.flushes.pop_front() {
            return Next::Flush(round);
        }
        if queues.other_running < shared.other_max
            && let Some(work) = queues.other.pop_front()
        {
            queues.other_running += 1;
            return Next::Other(work);
        }
        if queues.closed && queues.other.is_empty() {
            return Next::End;
        }
        queues = shared.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A panicking disk thread must not take the others with it: the queues hold no broken invariant.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_a_disk_thread_and_its_result_comes_back() {
        let pool = DiskPool::start("test", 3, Arc::new(Heartbeats::new(3)), Panics::default()).unwrap();
        let thread = pool.run(|| std::thread::current().name().map(str::to_owned)).await;
        assert!(thread.unwrap().unwrap().starts_with("test-disk-"));
    }

    #[test]
    fn dropping_the_pool_finishes_what_is_queued() {
        let pool = DiskPool::start("test", 1, Arc::new(Heartbeats::new(1)), Panics::default()).unwrap();
        let mut results: Vec<_> = (0..100).map(|each| pool.run(move || each)).collect();
        drop(pool);
        let sum: i32 = results.iter_mut().filter_map(|result| result.try_recv().ok()).sum();
        assert_eq!(sum, 4950);
    }
}
