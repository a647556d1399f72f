//! A fixed pool of threads over two queues.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tidelog_commitlog::{FlushDone, FlushJob};
use tokio::sync::{Notify, oneshot};

use super::stall::Heartbeats;

/// With so many flushes waiting one thread takes them all: the log syncs them with one sync of the file system.
const FLUSHES_TOGETHER_MIN: usize = 48;
/// Threads that only flushes may use.
const FLUSH_ONLY_THREADS: usize = 2;

/// A finished flush, on its way back to the shard that owns the log.
pub(crate) struct FlushResult {
    /// The partition's key in the shard's table.
    pub partition: u64,
    pub done: FlushDone,
}

/// Where a shard's finished flushes gather.
#[derive(Default)]
pub(crate) struct FlushInbox {
    results: Mutex<Vec<FlushResult>>,
    arrived: Notify,
}

impl FlushInbox {
    pub(crate) fn take(&self) -> Vec<FlushResult> {
        std::mem::take(&mut *lock(&self.results))
    }

    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn put(&self, result: FlushResult) {
        let mut results = lock(&self.results);
        let is_first = results.is_empty();
        results.push(result);
        drop(results);
        if is_first {
            self.arrived.notify_one();
        }
    }
}

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queues {
    flushes: VecDeque<(u64, FlushJob)>,
    other: VecDeque<Work>,
    other_running: usize,
    closed: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    inbox: Arc<FlushInbox>,
    heartbeats: Arc<Heartbeats>,
    other_max: usize,
}

/// The pool's handle; dropping it lets the threads finish what is queued and end.
pub(crate) struct DiskPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl DiskPool {
    pub(crate) fn start(name: &str, threads: usize, heartbeats: Arc<Heartbeats>) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            work: Condvar::new(),
            inbox: Arc::default(),
            heartbeats,
            other_max: threads.saturating_sub(FLUSH_ONLY_THREADS).max(1),
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

    /// Queues one round of flushes; each result comes by the inbox.
    pub(crate) fn flush(&self, round: impl IntoIterator<Item = (u64, FlushJob)>) {
        let mut queues = lock(&self.shared.queues);
        let before = queues.flushes.len();
        queues.flushes.extend(round);
        let added = queues.flushes.len() - before;
        drop(queues);
        for _ in 0..added.min(self.threads.len()) {
            self.shared.work.notify_one();
        }
    }

    /// Runs `work` on a disk thread. The receiver fails only if `work` panicked.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move || {
            let _ = done.send(work());
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
    Flush(u64, FlushJob),
    FlushAll(VecDeque<(u64, FlushJob)>),
    Other(Work),
    End,
}

fn work(shared: &Shared, thread: usize) {
    loop {
        match next(shared) {
            Next::Flush(partition, job) => {
                shared.heartbeats.began(thread);
                let done = job.run();
                shared.heartbeats.ended(thread);
                shared.inbox.put(FlushResult { partition, done });
            }
            Next::FlushAll(all) => {
                shared.heartbeats.began_many(thread);
                let (partitions, jobs): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                let done = FlushJob::run_all(jobs);
                shared.heartbeats.ended(thread);
                for (partition, done) in partitions.into_iter().zip(done) {
                    shared.inbox.put(FlushResult { partition, done });
                }
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

fn next(shared: &Shared) -> Next {
    let mut queues = lock(&shared.queues);
    loop {
        if queues.flushes.len() >= FLUSHES_TOGETHER_MIN {
            return Next::FlushAll(std::mem::take(&mut queues.flushes));
        }
        if let Some((partition, job)) = queues.flushes.pop_front() {
            return Next::Flush(partition, job);
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
        let pool = DiskPool::start("test", 3, Arc::new(Heartbeats::new(3))).unwrap();
        let thread = pool.run(|| std::thread::current().name().map(str::to_owned)).await;
        assert!(thread.unwrap().unwrap().starts_with("test-disk-"));
    }

    #[test]
    fn dropping_the_pool_finishes_what_is_queued() {
        let pool = DiskPool::start("test", 1, Arc::new(Heartbeats::new(1))).unwrap();
        let mut results: Vec<_> = (0..100).map(|each| pool.run(move || each)).collect();
        drop(pool);
        let sum: i32 = results.iter_mut().filter_map(|result| result.try_recv().ok()).sum();
        assert_eq!(sum, 4950);
    }
}
