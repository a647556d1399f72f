//! What a panic means, in one place.
//!
//! | what panicked | what follows |
//! |---|---|
//! | a request ([`Panics::request`]) | it is refused, counted, and everyone else is served |
//! | a task or job that the node lives by ([`Panics::vital`], [`Panics::job`]) | the node stops |
//! | a request inside a [`Section`]: it was changing what others rely on | the node stops |
//!
//! A node that stops for this says so, exits with an error and is started again; its log is recovered as after a crash. Going on
//! with what is half changed might lose records, and going on without one of its tasks is a node that looks well and does not
//! do its work. Once it has failed, nothing that was spawned here runs any further.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::watch;

/// Shared by everything of one node, or of one half of it, that lives and dies together.
#[derive(Clone, Debug)]
pub struct Panics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    refused: AtomicU64,
    /// The first that panicked of what the node lives by.
    failed: watch::Sender<Option<&'static str>>,
}

impl Default for Panics {
    fn default() -> Self {
        Self(Arc::new(Shared { refused: AtomicU64::new(0), failed: watch::Sender::new(None) }))
    }
}

impl Panics {
    /// Runs a request. `None`: it panicked, and what it held was dropped.
    pub fn request<F: Future>(&self, task: F) -> impl Future<Output = Option<F::Output>> + use<F> {
        self.clone().caught(task, |panics| {
            panics.0.refused.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(None)
        })
    }

    /// Runs a task that the node lives by; it never ends if it panics.
    pub async fn vital<F: Future>(self, name: &'static str, task: F) -> F::Output {
        let ended = self.caught(task, move |panics| {
            panics.fail(name);
            Poll::Pending
        });
        match ended.await {
            Some(output) => output,
            None => std::future::pending().await,
        }
    }

    async fn caught<F: Future>(
        self,
        task: F,
        panicked: impl Fn(&Self) -> Poll<Option<F::Output>>,
    ) -> Option<F::Output> {
        let mut task = pin!(task);
        poll_fn(|context| {
            if self.has_failed() {
                return Poll::Pending;
            }
            let polled = caught(|| task.as_mut().poll(context));
            polled.map_or_else(|| panicked(&self), |polled| polled.map(Some))
        })
        .await
    }

    /// Runs a thread's work that the node lives by. `None`: it panicked.
    pub fn job<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        let done = caught(work);
        if done.is_none() {
            self.fail(name);
        }
        done
    }

    /// Runs something whose panic costs only what it was about, which the caller has to give up.
    pub fn contained<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = caught(work);
        if done.is_none() {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// While it is held, a panic stops the node whoever caused it.
    pub fn section(&self, name: &'static str) -> Section<'_> {
        Section { panics: self, name }
    }

    /// Panics that cost no more than a request.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub fn has_failed(&self) -> bool {
        self.0.failed.borrow().is_some()
    }

    /// Resolves with what panicked when the node has to stop.
    pub async fn failed(&self) -> &'static str {
        let mut failed = self.0.failed.subscribe();
        match failed.wait_for(Option::is_some).await.map(|failed| *failed) {
            Ok(Some(name)) => name,
            // The sender is ours.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    fn fail(&self, name: &'static str) {
        self.0.failed.send_if_modified(|failed| {
            let is_first = failed.is_none();
            failed.get_or_insert(name);
            is_first
        });
    }
}

/// `None`: it panicked, which the caller has to make something of.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// See [`Panics::section`].
#[must_use]
pub struct Section<'a> {
    panics: &'a Panics,
    name: &'static str,
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.panics.fail(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_request_costs_the_request() {
        let panics = Panics::default();
        assert_eq!(panics.request(async { 1 }).await, Some(1));
        assert_eq!(panics.request(async { panic!("on purpose") }).await, None::<()>);
        assert_eq!((panics.refused(), panics.has_failed()), (1, false));
        assert_eq!(panics.contained(|| panic!("on purpose")), None::<()>);
        assert_eq!(panics.refused(), 2);
    }

    #[tokio::test]
    async fn a_panic_in_what_the_node_lives_by_stops_all_of_it() {
        for fails in 0..3 {
            let panics = Panics::default();
            match fails {
                0 => {
                    tokio::select! {
                        () = panics.clone().vital("it", async { panic!("on purpose") }) => unreachable!("it never ends"),
                        name = panics.failed() => assert_eq!(name, "it"),
                    }
                }
                1 => assert_eq!(panics.job("it", || panic!("on purpose")), None::<()>),
                _ => {
                    let request = async {
                        let _section = panics.section("it");
                        panic!("on purpose")
                    };
                    assert_eq!(panics.request(request).await, None::<()>);
                }
            }
            assert!(panics.has_failed());
            assert_eq!(panics.failed().await, "it");
            tokio::select! {
                biased;
                _ = panics.request(async {}) => unreachable!("nothing runs any further"),
                () = tokio::task::yield_now() => {}
            }
        }
    }

    #[test]
    fn a_section_that_is_left_in_peace_changes_nothing() {
        let panics = Panics::default();
        drop(panics.section("it"));
        assert!(!panics.has_failed());
    }
}
