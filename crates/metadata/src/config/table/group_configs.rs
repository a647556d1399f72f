//! Configs of consumer groups (KIP-848), set for one group over the protocol.

use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, same_unit};
use crate::config::value::Valid;

pub const CONSUMER_HEARTBEAT_INTERVAL_MS: &str = "consumer.heartbeat.interval.ms";
pub const CONSUMER_SESSION_TIMEOUT_MS: &str = "consumer.session.timeout.ms";

/// Every group config, by name.
pub const GROUP_CONFIGS: &[ConfigDefinition] = &[
    int(
        CONSUMER_HEARTBEAT_INTERVAL_MS,
        "5000",
        Implemented,
        "Heartbeat interval of the group's members with the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("group.consumer.heartbeat.interval.ms")]),
    int(
        CONSUMER_SESSION_TIMEOUT_MS,
        "45000",
        Implemented,
        "Session timeout of the group's members with the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("group.consumer.session.timeout.ms")]),
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
