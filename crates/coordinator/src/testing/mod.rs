//! What the tests of this crate play with: a coordinator with a clock, a log and a host's timers.

mod host;
mod topics;

pub(crate) use host::Host;
pub(crate) use topics::FakeTopics;
