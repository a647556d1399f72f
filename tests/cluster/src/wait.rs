//! Waiting for a condition with a deadline: the only place of the tests that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL_EVERY: Duration = Duration::from_millis(20);

/// Asks `check` until it answers `Some`. An error of `check` counts as "not yet" and is named at the end,
/// because a cluster under a fault refuses connections for a while.
pub fn until<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = check();
        match answer {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() >= deadline => bail!("waited {limit:?} in vain: {what}"),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("waited {limit:?} in vain: {what}")));
            }
            _ => thread::sleep(POLL_EVERY),
        }
    }
}

/// As [`until`], for a plain condition.
pub fn for_condition(what: &str, limit: Duration, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, limit, || Ok(check()?.then_some(())))
}

/// Lets time pass where it is time itself that is tested: how long a fault lasts.
pub fn pass(time: Duration) {
    thread::sleep(time);
}
