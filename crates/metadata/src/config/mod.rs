//! The one table of configuration keys: controller, broker and command line all read this.
//!
//! [`TOPIC_CONFIGS`], [`BROKER_SECTIONS`] and [`GROUP_CONFIGS`] hold name, type, default, valid values and a sentence for each key.
//! A value in force is found along a chain: the topic's own, the broker's dynamic, the cluster-wide dynamic,
//! `server.properties`, the default ([`describe_topic`], [`describe_broker`], [`describe_group`], [`TopicConfig`]).

mod defaults;
mod definition;
mod in_force;
mod kafka_names;
mod resolve;
mod static_configs;
mod suggestion;
mod table;
mod topic_config;
mod value;

pub use defaults::{default_double, default_flag, default_ms, default_number, default_text};
pub use definition::{ConfigDefinition, ConfigType, Effect, Synonym, Update};
pub use in_force::{BrokerConfig, ControllerConfig};
pub use resolve::{
    ConfigEntry, ConfigSource, ConfigSynonym, Resolver, describe_broker, describe_group, describe_topic,
};
pub use static_configs::StaticConfigs;
pub use suggestion::nearest_name;
pub(crate) use table::bounds_of;
pub use table::{
    BROKER_SECTIONS, CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_SESSION_TIMEOUT_MS, GROUP_CONFIGS, TOPIC_CONFIGS,
    broker_configs,
};
pub use topic_config::{CleanupPolicy, CompressionType, RecordValidation, TimestampType, TopicConfig};
pub use value::{Valid, canonical, check_allowed, check_value, list_items};

/// The definition of a topic config.
pub fn topic_config(name: &str) -> Option<&'static ConfigDefinition> {
    TOPIC_CONFIGS.iter().find(|definition| definition.name == name)
}

/// The definition of a broker config, Kafka's own without effect included. Synonyms of topic configs are broker configs too.
pub fn broker_config(name: &str) -> Option<&'static ConfigDefinition> {
    known_broker_configs().find(|definition| definition.name == name)
}

/// Every name that is no typo in `server.properties`.
pub fn known_broker_configs() -> impl Iterator<Item = &'static ConfigDefinition> {
    broker_configs().chain(kafka_names::kafka_configs())
}

/// The definition of a group config.
pub fn group_config(name: &str) -> Option<&'static ConfigDefinition> {
    GROUP_CONFIGS.iter().find(|definition| definition.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_name_unique() {
        let broker_configs: Vec<ConfigDefinition> = broker_configs().copied().collect();
        for table in [TOPIC_CONFIGS, &broker_configs, GROUP_CONFIGS] {
            for (index, definition) in table.iter().enumerate() {
                if let Some(default) = definition.default {
                    assert_eq!(check_value(definition, default), Ok(()), "{}", definition.name);
                }
                assert!(table[..index].iter().all(|other| other.name != definition.name), "{}", definition.name);
                assert!(definition.documentation.ends_with('.'), "{}", definition.name);
            }
        }
    }

    #[test]
    fn every_synonym_is_a_broker_config() {
        for definition in TOPIC_CONFIGS.iter().chain(GROUP_CONFIGS) {
            for synonym in definition.synonyms {
                assert!(broker_config(synonym.name).is_some(), "{} of {}", synonym.name, definition.name);
            }
        }
    }
}
