//! Settings of groups and their offsets, by Kafka's names.

use std::sync::Arc;

use tidelog_broker::{GroupConfig, GroupOptions, MigrationPolicy};

use super::listeners::items;
use super::reader::{InvalidSetting, Reader};

const ASSIGNORS: [&str; 2] = ["uniform", "range"];

pub fn read_groups(reader: &Reader<'_>) -> Result<GroupOptions, InvalidSetting> {
    Ok(GroupOptions {
        offsets_topic_partitions: reader.number("offsets.topic.num.partitions")?,
        offsets_topic_replication_factor: reader.number("offsets.topic.replication.factor")?,
        offsets_topic_segment_bytes: reader.number("offsets.topic.segment.bytes")?,
        coordinator: Arc::new(read_coordinator(reader)?),
    })
}

fn read_coordinator(reader: &Reader<'_>) -> Result<GroupConfig, InvalidSetting> {
    let session_min_ms = reader.number("group.min.session.timeout.ms")?;
    let session_max_ms = reader.number("group.max.session.timeout.ms")?;
    let session_bounds =
        [("group.min.session.timeout.ms", session_min_ms), ("group.max.session.timeout.ms", session_max_ms)];
    check_order(reader, session_bounds)?;
    let session_ms = bounded(reader, &SESSION_TIMEOUT)?;
    let heartbeat_ms = bounded(reader, &HEARTBEAT_INTERVAL)?;
    check_silence(reader, heartbeat_ms, session_ms)?;
    Ok(GroupConfig {
        group_min_session_timeout_ms: session_min_ms,
        group_max_session_timeout_ms: session_max_ms,
        group_initial_rebalance_delay_ms: reader.number("group.initial.rebalance.delay.ms")?,
        group_max_size: reader.number("group.max.size")?,
        consumer_session_timeout_ms: session_ms,
        consumer_heartbeat_interval_ms: heartbeat_ms,
        consumer_max_size: reader.number("group.consumer.max.size")?,
        consumer_assignors: reader.parsed("group.consumer.assignors", parse_assignors)?,
        consumer_migration_policy: reader.parsed("group.consumer.migration.policy", parse_migration_policy)?,
        offset_metadata_max_bytes: reader.number("offset.metadata.max.bytes")?,
        offsets_retention_ms: reader.number::<i64>("offsets.retention.minutes")? * 60_000,
        offsets_retention_check_interval_ms: reader.number("offsets.retention.check.interval.ms")?,
    })
}

/// A setting of consumer groups, and the least and most that may be set for one group.
struct Bounded {
    value: &'static str,
    min: &'static str,
    max: &'static str,
}

const SESSION_TIMEOUT: Bounded = Bounded {
    value: "group.consumer.session.timeout.ms",
    min: "group.consumer.min.session.timeout.ms",
    max: "group.consumer.max.session.timeout.ms",
};
const HEARTBEAT_INTERVAL: Bounded = Bounded {
    value: "group.consumer.heartbeat.interval.ms",
    min: "group.consumer.min.heartbeat.interval.ms",
    max: "group.consumer.max.heartbeat.interval.ms",
};

fn bounded(reader: &Reader<'_>, setting: &Bounded) -> Result<i32, InvalidSetting> {
    let (min, max) = (reader.number(setting.min)?, reader.number(setting.max)?);
    let value = reader.number(setting.value)?;
    check_order(reader, [(setting.min, min), (setting.max, max)])?;
    if reader.text(setting.value).is_some() && !(min..=max).contains(&value) {
        let allowed = format!("between {}, which is {min}, and {}, which is {max}", setting.min, setting.max);
        return Err(reader.invalid(setting.value, allowed));
    }
    check_order(reader, [(setting.min, min), (setting.value, value)])?;
    check_order(reader, [(setting.value, value), (setting.max, max)])?;
    Ok(value)
}

/// The complaint is about one that was set: the other may stand at its default, which nobody has written anywhere.
fn check_order(reader: &Reader<'_>, [low, high]: [(&'static str, i32); 2]) -> Result<(), InvalidSetting> {
    if low.1 <= high.1 {
        return Ok(());
    }
    Err(match reader.text(low.0) {
        Some(_) => reader.invalid(low.0, format!("at most {}, which is {}", high.0, high.1)),
        None => reader.invalid(high.0, format!("at least {}, which is {}", low.0, low.1)),
    })
}

/// A member whose heartbeats are as far apart as its session is long would be dropped again and again.
fn check_silence(reader: &Reader<'_>, heartbeat_ms: i32, session_ms: i32) -> Result<(), InvalidSetting> {
    let (heartbeat, session) = (HEARTBEAT_INTERVAL.value, SESSION_TIMEOUT.value);
    if heartbeat_ms < session_ms {
        return Ok(());
    }
    Err(match reader.text(heartbeat) {
        Some(_) => reader.invalid(heartbeat, format!("less than {session}, which is {session_ms}")),
        None => reader.invalid(session, format!("more than {heartbeat}, which is {heartbeat_ms}")),
    })
}

/// Kafka's own class names are as good as the short ones.
fn parse_assignors(value: &str) -> Result<Vec<String>, String> {
    let short = |item: &str| {
        let name = item.rsplit('.').next().unwrap_or(item).trim_end_matches("Assignor").to_ascii_lowercase();
        ASSIGNORS.contains(&name.as_str()).then_some(name)
    };
    let names: Option<Vec<String>> = items(value).map(short).collect();
    names.filter(|names| !names.is_empty()).ok_or_else(|| format!("a list of {}", ASSIGNORS.join(" and ")))
}

fn parse_migration_policy(value: &str) -> Result<MigrationPolicy, String> {
    MigrationPolicy::by_name(value.trim())
        .ok_or_else(|| "one of disabled, upgrade, downgrade and bidirectional".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::RawConfig;
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<GroupOptions, InvalidSetting> {
        let mut raw = RawConfig::default();
        for (key, value) in settings {
            raw.set(key, *value);
        }
        read_groups(&Reader::new(&raw))
    }

    #[test]
    fn what_is_not_said_is_kafkas_default() {
        let groups = read(&[]).expect("valid");
        assert_eq!(groups.offsets_topic_partitions, 50);
        assert_eq!(*groups.coordinator, GroupConfig::default());
    }

    #[test]
    fn what_is_said_counts_in_its_own_unit() {
        let settings = [
            ("offsets.retention.minutes", "2"),
            ("group.consumer.assignors", "range, org.apache.kafka.coordinator.group.assignor.UniformAssignor"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("group.consumer.migration.policy", "UPGRADE"),
        ];
        let coordinator = read(&settings).expect("valid").coordinator;
        assert_eq!(coordinator.offsets_retention_ms, 120_000);
        assert_eq!(coordinator.consumer_assignors, ["range", "uniform"]);
        assert_eq!(coordinator.group_initial_rebalance_delay_ms, 0);
        assert_eq!(coordinator.consumer_migration_policy, MigrationPolicy::Upgrade);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for settings in [
            [("group.min.session.timeout.ms", "10"), ("group.max.session.timeout.ms", "9")],
            [("group.consumer.session.timeout.ms", "6000"), ("group.max.size", "1")],
            [("group.consumer.session.timeout.ms", "60001"), ("group.max.size", "1")],
            [("group.consumer.min.session.timeout.ms", "60001"), ("group.max.size", "1")],
            [("group.consumer.heartbeat.interval.ms", "500"), ("group.max.size", "1")],
            [("group.consumer.min.session.timeout.ms", "5000"), ("group.consumer.session.timeout.ms", "5000")],
            [("group.consumer.assignors", "sticky"), ("group.max.size", "1")],
            [("group.consumer.migration.policy", "both"), ("group.max.size", "1")],
        ] {
            assert!(read(&settings).is_err(), "{settings:?}");
        }
    }

    #[test]
    fn a_complaint_is_about_what_was_set_and_names_the_bound() {
        let table: [(&[(&str, &str)], &str); 8] = [
            (
                &[("group.consumer.session.timeout.ms", "6000")],
                "group.consumer.session.timeout.ms=6000 is not valid: must be between \
                 group.consumer.min.session.timeout.ms, which is 45000, and \
                 group.consumer.max.session.timeout.ms, which is 60000",
            ),
            (
                &[("group.consumer.min.session.timeout.ms", "50000")],
                "group.consumer.min.session.timeout.ms=50000 is not valid: must be at most \
                 group.consumer.session.timeout.ms, which is 45000",
            ),
            (
                &[("group.consumer.min.session.timeout.ms", "60001")],
                "group.consumer.min.session.timeout.ms=60001 is not valid: must be at most \
                 group.consumer.max.session.timeout.ms, which is 60000",
            ),
            (
                &[("group.consumer.max.session.timeout.ms", "44999")],
                "group.consumer.max.session.timeout.ms=44999 is not valid: must be at least \
                 group.consumer.min.session.timeout.ms, which is 45000",
            ),
            (
                &[("group.consumer.min.heartbeat.interval.ms", "1"), ("group.consumer.max.heartbeat.interval.ms", "2")],
                "group.consumer.max.heartbeat.interval.ms=2 is not valid: must be at least \
                 group.consumer.heartbeat.interval.ms, which is 5000",
            ),
            (
                &[("group.consumer.min.session.timeout.ms", "1"), ("group.consumer.session.timeout.ms", "5000")],
                "group.consumer.session.timeout.ms=5000 is not valid: must be more than \
                 group.consumer.heartbeat.interval.ms, which is 5000",
            ),
            (
                &[
                    ("group.consumer.min.session.timeout.ms", "1"),
                    ("group.consumer.session.timeout.ms", "6000"),
                    ("group.consumer.heartbeat.interval.ms", "6000"),
                ],
                "group.consumer.heartbeat.interval.ms=6000 is not valid: must be less than \
                 group.consumer.session.timeout.ms, which is 6000",
            ),
            (
                &[("group.max.session.timeout.ms", "5999")],
                "group.max.session.timeout.ms=5999 is not valid: must be at least \
                 group.min.session.timeout.ms, which is 6000",
            ),
        ];
        for (settings, sentence) in table {
            assert_eq!(read(settings).expect_err("contradicts itself").sentence, sentence);
        }
    }
}
