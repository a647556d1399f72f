//! Benchmarks of groups: how long one is without its coordinator, how fast many members join, what commits cost, and how
//! fast they are replayed.
//!
//! Members of the first are librdkafka; the others speak the protocol themselves ([`wire`]), so that the figures are the
//! broker's. `TIDELOG_TEST_TARGET=kafka` takes the same figures of Apache Kafka.

pub mod coordinator_gap;
pub mod join_storm;
pub mod offset_commits;
pub mod replay;
mod wire;

use tidelog_cluster_tests::Spec;

pub use wire::block_on;

/// Brokers that do not wait for more members before a group's first generation.
fn brokers() -> Spec {
    Spec::brokers(3).set("group.initial.rebalance.delay.ms", "0")
}
