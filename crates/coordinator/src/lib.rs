//! Groups and committed offsets: what one partition of the offsets topic coordinates, pure.
//!
//! A [`Coordinator`] is rebuilt by replaying the partition's log, then takes one operation after the other. Each is
//! decided at once against the state in memory and yields an [`Outcome`]: records for the log, replies, timers.
//! There is no rollback: if the records cannot be appended, the host drops the coordinator and replays the log anew.
//! Time, randomness and the cluster's topics are arguments.
#![forbid(unsafe_code)]

mod caller;
mod config;
mod coordinator;
mod group;
mod host;
mod offsets;
mod outcome;
mod record;
#[cfg(test)]
mod testing;
mod topics;
mod turn;

pub use caller::Caller;
pub use config::{GroupConfig, MigrationPolicy};
pub use coordinator::Coordinator;
pub use host::{BookedTimers, WaitingReplies};
pub use outcome::{Outcome, Record, Reply, RequestId, Response, TimerChange, TimerKey};
pub use record::{RecordKind, ReplayError};
pub use topics::{GroupSettings, Topics};
