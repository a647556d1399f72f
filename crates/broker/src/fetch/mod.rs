//! Serving Fetch: sessions (KIP-227), long polls, and the answer's assembly, for consumers and followers alike.
//!
//! A [`FetchSession`] remembers what its reader asked for in slots, one per partition. Every slot is watched: a partition
//! that changed touches it, and only touched or newly named slots are looked at, so the cost of a fetch goes with what
//! happened and not with how many partitions the session has. A request without a session is one that is dropped
//! after its answer.

mod cache;
mod draft;
mod look;
mod park;
mod session;
mod slot;

pub(crate) use cache::{FetchSessions, SessionError};
pub(crate) use park::FetchCall;
pub(crate) use session::{FetchSession, Reader};
pub(crate) use slot::{Asked, TopicKey};
