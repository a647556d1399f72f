//! A topic's configs, typed, for the code that acts on them.

use super::resolve::Resolver;
use super::value::list_items;
use super::{ConfigDefinition, TOPIC_CONFIGS};

/// `cleanup.policy`; neither means that everything is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// `compression.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent it.
    Producer,
    Uncompressed,
    Gzip {
        level: i32,
    },
    Snappy,
    Lz4 {
        level: i32,
    },
    Zstd {
        level: i32,
    },
}

/// `message.timestamp.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// `record.validation`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordValidation {
    Full,
    Header,
}

/// What is in force for one topic. -1 is "no limit" where Kafka has it so.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub cleanup_policy: CleanupPolicy,
    pub compression_type: CompressionType,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub index_interval_bytes: i32,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub message_timestamp_type: TimestampType,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub record_validation: RecordValidation,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub write_caching: bool,
}

impl TopicConfig {
    /// What is in force for `topic` on the resolver's broker. Min ISR is not here: ask
    /// [`Image::min_insync_replicas`](crate::Image::min_insync_replicas), which is the same on every node.
    pub fn resolve(resolver: &Resolver<'_>, topic: &str) -> Self {
        let values = Values { resolver, topic };
        Self {
            cleanup_policy: values.cleanup_policy(),
            compression_type: values.compression_type(),
            delete_retention_ms: values.number("delete.retention.ms"),
            file_delete_delay_ms: values.number("file.delete.delay.ms"),
            index_interval_bytes: values.number("index.interval.bytes"),
            max_compaction_lag_ms: values.number("max.compaction.lag.ms"),
            max_message_bytes: values.number("max.message.bytes"),
            message_timestamp_type: values.timestamp_type(),
            message_timestamp_before_max_ms: values.number("message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: values.number("message.timestamp.after.max.ms"),
            min_cleanable_dirty_ratio: values.number("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.number("min.compaction.lag.ms"),
            record_validation: values.record_validation(),
            retention_bytes: values.number("retention.bytes"),
            retention_ms: values.number("retention.ms"),
            segment_bytes: values.number("segment.bytes"),
            segment_index_bytes: values.number("segment.index.bytes"),
            segment_jitter_ms: values.number("segment.jitter.ms"),
            segment_ms: values.number("segment.ms"),
            write_caching: values.boolean("write.caching"),
        }
    }
}

struct Values<'a> {
    resolver: &'a Resolver<'a>,
    topic: &'a str,
}

impl Values<'_> {
    fn text(&self, name: &'static str) -> String {
        let value = self.resolver.topic_value(self.topic, definition(name));
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    /// A value that does not parse can only be static; its broker refused to start with it, and the default stands in.
    fn number<T: std::str::FromStr + Default>(&self, name: &'static str) -> T {
        let default = || definition(name).default.and_then(|default| default.parse().ok()).unwrap_or_default();
        self.text(name).parse().unwrap_or_else(|_| default())
    }

    fn boolean(&self, name: &'static str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn cleanup_policy(&self) -> CleanupPolicy {
        let text = self.text("cleanup.policy");
        let has = |policy| list_items(&text).any(|item| item == policy);
        CleanupPolicy { delete: has("delete"), compact: has("compact") }
    }

    fn compression_type(&self) -> CompressionType {
        match self.text("compression.type").as_str() {
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip { level: self.number("compression.gzip.level") },
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4 { level: self.number("compression.lz4.level") },
            "zstd" => CompressionType::Zstd { level: self.number("compression.zstd.level") },
            _ => CompressionType::Producer,
        }
    }

    fn record_validation(&self) -> RecordValidation {
        match self.text("record.validation").as_str() {
            "header" => RecordValidation::Header,
            _ => RecordValidation::Full,
        }
    }

    fn timestamp_type(&self) -> TimestampType {
        match self.text("message.timestamp.type").as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        }
    }
}

fn definition(name: &str) -> &'static ConfigDefinition {
    let found = TOPIC_CONFIGS.iter().find(|definition| definition.name == name);
    found.unwrap_or_else(|| unreachable!("{name} is a name of this file and must be in the table"))
}

#[cfg(test)]
mod tests {
    use tidelog_wire::Str;
    use tidelog_wire::types::BrokerId;

    use super::super::{ConfigType, Effect, StaticConfigs, Valid, check_value};
    use super::*;
    use crate::image::{ConfigResource, Image};
    use crate::record::Record;

    /// Read elsewhere: by leader elections, the high watermark and the throttle.
    const NOT_HERE: [&str; 4] = [
        "follower.replication.throttled.replicas",
        "leader.replication.throttled.replicas",
        "min.insync.replicas",
        "unclean.leader.election.enable",
    ];

    fn resolved(configs: &[(&str, &str)]) -> TopicConfig {
        let mut image = Image::new();
        for (name, value) in configs {
            let (name, value) = (Str::from((*name).to_owned()), Some(Str::from((*value).to_owned())));
            let record = Record::Config { resource: ConfigResource::topic("t"), name, value };
            image.apply(&record).expect("no contradiction");
        }
        let static_configs = StaticConfigs::default();
        let resolver = Resolver { image: &image, broker_id: BrokerId(1), static_configs: &static_configs };
        TopicConfig::resolve(&resolver, "t")
    }

    /// A valid value that is not the default.
    fn other_value(definition: &ConfigDefinition) -> String {
        let default = definition.default.unwrap_or_default();
        let number = default.parse().unwrap_or(0_i64);
        let numbers = [number.saturating_add(1), number.saturating_sub(1), 1];
        let mut candidates: Vec<String> = numbers.iter().map(i64::to_string).collect();
        match (definition.kind, definition.valid) {
            (ConfigType::Boolean, _) => candidates = vec!["true".to_owned(), "false".to_owned()],
            (ConfigType::Double, _) => candidates = vec!["0.25".to_owned()],
            (_, Valid::OneOf(values) | Valid::ItemsOf(values)) => {
                candidates = values.iter().map(|value| (*value).to_owned()).collect();
            }
            _ => {}
        }
        let is_other = |value: &String| value != default && check_value(definition, value).is_ok();
        candidates.into_iter().find(is_other).expect(definition.name)
    }

    #[test]
    fn every_implemented_topic_config_changes_what_is_in_force() {
        let is_here = |it: &&ConfigDefinition| it.effect == Effect::Implemented && !NOT_HERE.contains(&it.name);
        for definition in TOPIC_CONFIGS.iter().filter(is_here) {
            // A level counts with its own type of compression.
            let with = match definition.name.strip_suffix(".level") {
                Some(name) => vec![("compression.type", name.trim_start_matches("compression."))],
                None => Vec::new(),
            };
            let value = other_value(definition);
            let changed: Vec<_> = with.iter().copied().chain([(definition.name, value.as_str())]).collect();
            assert_ne!(resolved(&changed), resolved(&with), "{}={value}", definition.name);
        }
    }
}
