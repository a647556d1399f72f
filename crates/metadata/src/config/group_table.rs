//! Configs of consumer groups (KIP-848), set for one group over the protocol.

use super::definition::ConfigType::Int;
use super::definition::{ConfigDefinition, Synonym};
use super::value::Valid;

pub const CONSUMER_HEARTBEAT_INTERVAL_MS: &str = "consumer.heartbeat.interval.ms";
pub const CONSUMER_SESSION_TIMEOUT_MS: &str = "consumer.session.timeout.ms";

/// Every group config, by name.
pub const GROUP_CONFIGS: &[ConfigDefinition] = &[
    ConfigDefinition::new(
        CONSUMER_HEARTBEAT_INTERVAL_MS,
        Int,
        "5000",
        "Heartbeat interval of the group's members with the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[Synonym { name: "group.consumer.heartbeat.interval.ms", factor: 1 }]),
    ConfigDefinition::new(
        CONSUMER_SESSION_TIMEOUT_MS,
        Int,
        "45000",
        "Session timeout of the group's members with the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[Synonym { name: "group.consumer.session.timeout.ms", factor: 1 }]),
];

/// A group's value has to lie between these two of the brokers.
pub(crate) fn bounds_of(name: &str) -> Option<[&'static str; 2]> {
    match name {
        CONSUMER_HEARTBEAT_INTERVAL_MS => {
            Some(["group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"])
        }
        CONSUMER_SESSION_TIMEOUT_MS => {
            Some(["group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"])
        }
        _ => None,
    }
}
