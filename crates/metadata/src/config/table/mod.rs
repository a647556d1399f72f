//! Every configuration key. Where a default differs from Kafka's the sentence says so.
//!
//! A row names its type, default, effect and a sentence; valid values, synonyms and whether it may change while brokers
//! run are added to it. Defaults stand here and nowhere else.

mod group_configs;
mod groups;
mod log;
mod network;
mod node;
mod quorum;
mod replication;
mod security;
mod topic_configs;
mod topics;
mod transactions;

pub(crate) use group_configs::bounds_of;
pub use group_configs::{CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_SESSION_TIMEOUT_MS, GROUP_CONFIGS};
pub use topic_configs::TOPIC_CONFIGS;

use super::definition::ConfigDefinition;

const LONG_MAX: &str = "9223372036854775807";
const INT_MAX: &str = "2147483647";

/// Broker configs by what they are about.
pub const BROKER_SECTIONS: [(&str, &[ConfigDefinition]); 9] = [
    ("The node", node::NODE),
    ("Listeners and connections", network::NETWORK),
    ("The quorum and broker sessions", quorum::QUORUM),
    ("Topics and leadership", topics::TOPICS),
    ("The log", log::LOG),
    ("Replication and fetching", replication::REPLICATION),
    ("Groups and offsets", groups::GROUPS),
    ("Transactions and producers", transactions::TRANSACTIONS),
    ("Security", security::SECURITY),
];

/// Every broker config, served or accepted without effect.
pub fn broker_configs() -> impl Iterator<Item = &'static ConfigDefinition> + Clone {
    BROKER_SECTIONS.into_iter().flat_map(|(_, section)| section)
}
