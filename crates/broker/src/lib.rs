//! The data plane: client listener, request handlers, partitions, replica fetchers.
//!
//! [`Broker::start`] runs one broker on its own threads: a data shard that owns connections and partitions, and disk
//! threads for what waits for the device. A request goes `net/connection -> dispatch -> api/<one file per API>`; record
//! data goes on through `partition` (which drives a `commitlog::Log` and a `replication::Partition`) and `flusher`.
//! Everything the broker knows of the cluster comes from the controller's image (`metadata_applier`).
#![forbid(unsafe_code)]

mod api;
mod back_off;
mod background;
mod broker;
mod call;
mod checkpoint;
mod cleaner;
mod clock;
mod cluster_view;
mod contact;
mod coordinator_host;
mod damage;
mod deleted_topics;
mod dispatch;
mod exposition;
mod fetch;
mod fetcher;
mod flusher;
mod isr;
mod metadata_applier;
mod metrics;
mod metrics_text;
mod net;
mod options;
mod pace;
mod partition;
mod peers;
mod placement;
mod probe;
mod producer_ids;
mod recovery;
mod resignation;
mod retry;
mod shard;
mod shutdown;
#[cfg(test)]
mod testing;
mod throttle;
mod timers;
mod turn;

pub use broker::{Broker, BrokerHandle, StartError};
pub use metrics_text::{METRICS_CONTENT_TYPE, MetricsText};
pub use options::{
    BrokerOptions, DiskOptions, GroupOptions, ListenerOptions, NetworkLimits, ReplicaOptions, unlimited_if_negative,
};
pub use probe::{BrokerProbe, Readiness};
pub use tidelog_coordinator::{GroupConfig, MigrationPolicy};
