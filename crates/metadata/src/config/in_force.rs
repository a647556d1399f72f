//! Broker configs that are looked up in the image whenever they count, typed.

use std::str::FromStr;

use super::resolve::Resolver;
use super::{broker_config, canonical};

macro_rules! in_force {
    ($(#[$doc:meta])* $type:ident { $($field:ident: $kind:ty = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $type {
            $(#[doc = concat!("`", $name, "`")] pub $field: $kind,)+
        }

        impl $type {
            /// The configs it consists of.
            pub const NAMES: &[&str] = &[$($name),+];

            pub fn resolve(resolver: &Resolver<'_>) -> Self {
                Self { $($field: value(resolver, $name)),+ }
            }
        }
    };
}

in_force!(
    /// What a broker follows while it runs.
    BrokerConfig {
        max_connections: usize = "max.connections",
        max_connections_per_ip: usize = "max.connections.per.ip",
        max_connection_creation_rate: usize = "max.connection.creation.rate",
        log_cleaner_backoff_ms: u64 = "log.cleaner.backoff.ms",
        log_cleaner_dedupe_buffer_bytes: u64 = "log.cleaner.dedupe.buffer.size",
        log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second",
        producer_id_expiration_ms: i64 = "producer.id.expiration.ms",
        leader_replication_throttled_rate: u64 = "leader.replication.throttled.rate",
        follower_replication_throttled_rate: u64 = "follower.replication.throttled.rate",
    }
);

in_force!(
    /// What the active controller decides by. Kafka changes none of these while it runs, so they are those of its own
    /// `server.properties`. 0 stands for a number that is not set.
    ControllerConfig {
        num_partitions: usize = "num.partitions",
        default_replication_factor: usize = "default.replication.factor",
        delete_topic_enable: bool = "delete.topic.enable",
        auto_leader_rebalance_enable: bool = "auto.leader.rebalance.enable",
        leader_imbalance_check_interval_seconds: u64 = "leader.imbalance.check.interval.seconds",
    }
);

/// A value that does not parse can only be static; its broker refused to start with it, and the default stands in.
fn value<T: FromStr + Default>(resolver: &Resolver<'_>, name: &'static str) -> T {
    let Some(definition) = broker_config(name) else { unreachable!("{name} is in the table") };
    let in_force = resolver.broker_value(name).unwrap_or_default();
    let parsed = canonical(definition, &in_force).parse().ok();
    parsed.or_else(|| definition.default?.parse().ok()).unwrap_or_default()
}
