//! One partition's replica on this broker: its log, its protocol state, and everyone who waits for either.
//!
//! [`PartitionHost`] drives `commitlog::Log` and `replication::Partition`: an event goes to the protocol, the effects
//! that come out are executed here, in order, before the next event. One file per kind of event: [`append`] (produce),
//! [`append_own`] (coordinators), [`flush`], [`serve`] (fetches of others), [`follow`] (our own fetches), [`assign`]
//! (metadata), [`trim`] (log start), [`clean`] (compaction).

mod acks;
mod append;
mod append_own;
mod assign;
mod clean;
mod effects;
mod flush;
mod follow;
mod host;
mod judge;
mod refusal;
mod serve;
mod table;
mod trim;
mod watch;

pub(crate) use acks::{AppendOutcome, ProduceReply, ReplyTo};
pub(crate) use append::PendingProduce;
pub(crate) use host::{PartitionHandle, PartitionHost, PartitionId};
pub(crate) use judge::Produced;
pub(crate) use refusal::{Refusal, fetch_error_code, read_error_code};
pub(crate) use table::PartitionTable;
pub(crate) use trim::TrimError;
