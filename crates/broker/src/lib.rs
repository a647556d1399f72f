//! The data plane: client listener, request handlers, partitions, replica fetchers.
//!
//! [`Broker::start`] runs one broker on its own threads: a data shard that owns connections and partitions, and disk
//! threads for what waits for the device. A request goes `net/connection -> dispatch -> api/<one file per API>`; record
//! data goes on through `partition` (which drives a `commitlog::Log` and a `replication::Partition`) and `flusher`.
//! Everything the broker knows of the cluster comes from the controller's image (`metadata_applier`).
#![forbid(unsafe_code)]

mod api;
mod broker;
mod clock;
mod dispatch;
mod flusher;
mod metrics;
mod net;
mod options;
mod peers;
mod shard;
mod timers;

pub use broker::{Broker, BrokerHandle, StartError};
pub use options::{BrokerOptions, DiskOptions, ListenerOptions, NetworkLimits, ReplicaOptions};
