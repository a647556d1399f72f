//! A small Kafka client, enough for the replica fetcher (which needs [`Connection`] alone), the command line, the benchmarks
//! and the tests.
//!
//! [`Connection`] is one socket: pipelined requests, checked answers. [`Client`] knows a cluster: bootstrap, metadata, who leads
//! what or coordinates which group, whom to ask again. [`Producer`] and [`Consumer`] move records of one topic, without transactions;
//! [`GroupConsumer`] reads those partitions that a consumer group's coordinator gives it.

mod bootstrap;
mod client;
mod connection;
mod consumer;
mod coordinator;
mod error;
mod group;
mod metadata;
mod net;
mod offsets;
mod producer;
mod read_record;
mod resolve;

pub use bootstrap::parse_bootstrap;
pub use client::{Client, ClientOptions};
pub use connection::{ConnectOptions, Connection, InFlight, ServedVersions};
pub use consumer::{ConsumedRecord, Consumer, ConsumerOptions, StartFrom};
pub use error::{ClientError, ConnectError, SendError};
pub use group::{GroupConsumer, GroupOptions};
pub use metadata::{Leader, TopicLeaders};
pub use offsets::OffsetOf;
pub use producer::{Delivered, Producer, ProducerOptions};
