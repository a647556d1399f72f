//! One partition's replication protocol, leader and follower, as a pure state machine: events in, [`Effect`]s out,
//! no I/O, clock, lock or await inside. A [`Partition`] is one replica on one broker; its host owns the log.
//!
//! # How a host drives it
//! Every call is made after the fact it reports is true of the log, and its effects are executed in order before the
//! next call for the same partition.
//!
//! * **Image**: [`Partition::assignment_changed`]. It decides who leads; [`Effect::StartEpoch`] comes out when it is us.
//! * **Produce**: [`Partition::check_produce`], append to the log with the epoch it returned, [`Partition::appended`],
//!   run effects. For acks=all: if [`Partition::high_watermark`] is at or above the records' end, answer now; else
//!   queue the reply under that end offset and call [`Partition::ack_parked`]. [`Effect::ReleaseAcks`] and
//!   [`Effect::FailAcks`] release the queue by position; on a reply's own timeout, [`Partition::expired_ack_error`].
//! * **Flush**: [`Partition::flushed`] after each fdatasync that moved the durable end, on leaders and followers.
//! * **A follower's fetch**: [`Partition::follower_fetched`], then answer or park; when parked and woken,
//!   [`Partition::follower_answer`]. When an answer leaves, [`Partition::answer_sent`].
//! * **A consumer's fetch**: [`Partition::consumer_fetch`]; read records below its high watermark.
//! * **Fetching**: after [`Effect::FetchReady`], [`Partition::fetch_position`] is the next question to the leader;
//!   its answer goes to [`Partition::fetch_response`] together with the question.
//! * **Time**: [`Partition::tick`] at [`Partition::next_deadline_ms`]; an idle partition has none.
#![forbid(unsafe_code)]

mod assignment;
mod effect;
mod fetch;
mod follower;
mod history;
mod isr;
mod leader;
mod local;
mod partition;
mod progress;

pub use assignment::{Assignment, Replica};
pub use effect::{AckError, Effect};
pub use fetch::{ConsumerView, FetchAnswer, FetchError, FetchPosition, FetchResponse, FetchVerdict, FollowerFetch};
pub use history::{EpochEnd, EpochHistory};
pub use isr::{IsrOutcome, IsrProposal};
pub use partition::{Acks, Durability, LogOffsets, Partition, PeerContact, ProduceError, Settings};
