//! The broker's limits and times, by Kafka's names.

use std::time::Duration;

use tidelog_broker::{CleanerLimits, CleanerOptions, DiskOptions, NetworkLimits, ReplicaOptions};

use super::listeners::Allowed;
use super::reader::{InvalidSetting, Reader};

const UNLIMITED: i32 = i32::MAX;

pub fn read_network(reader: &Reader<'_>) -> Result<NetworkLimits, InvalidSetting> {
    let default = NetworkLimits::default();
    let count = |key| reader.number(key, UNLIMITED, 0..=UNLIMITED).map(|count| count as usize);
    let bytes_max = reader.number("socket.request.max.bytes", default.request_bytes_max as i32, 1..=i32::MAX)?;
    let pipelined_max = reader.number("queued.max.requests", default.pipelined_requests_max as i32, 1..=UNLIMITED)?;
    Ok(NetworkLimits {
        connections_max: count("max.connections")?,
        connections_per_ip_max: count("max.connections.per.ip")?,
        connection_creation_rate_max: count("max.connection.creation.rate")?,
        connection_idle_max: read_ms(reader, "connections.max.idle.ms", default.connection_idle_max)?,
        request_bytes_max: bytes_max as usize,
        pipelined_requests_max: pipelined_max as usize,
        ..default
    })
}

pub fn read_replica(reader: &Reader<'_>, session_timeout: Duration) -> Result<ReplicaOptions, InvalidSetting> {
    let default = ReplicaOptions::default();
    let bytes = |key, default| reader.number(key, default, 0..=i32::MAX);
    let sessions_max = bytes("max.incremental.fetch.session.cache.slots", default.fetch_sessions_max as i32)?;
    Ok(ReplicaOptions {
        lag_time_max: read_ms(reader, "replica.lag.time.max.ms", default.lag_time_max)?,
        fetch_max_bytes: bytes("replica.fetch.max.bytes", default.fetch_max_bytes)?,
        fetch_response_max_bytes: bytes("replica.fetch.response.max.bytes", default.fetch_response_max_bytes)?,
        fetch_wait_max: read_ms(reader, "replica.fetch.wait.max.ms", default.fetch_wait_max)?,
        consumer_fetch_max_bytes: bytes("fetch.max.bytes", default.consumer_fetch_max_bytes)?,
        fetch_sessions_max: sessions_max as usize,
        session_timeout,
        serve_nearby: reader.parsed("replica.selector.class", parse_replica_selector)?.unwrap_or(false),
    })
}

/// Kafka's two selectors, by the names of their classes: whether consumers are sent to replicas in their own rack.
fn parse_replica_selector(class: &str) -> Result<bool, Allowed> {
    match class.rsplit('.').next() {
        Some("RackAwareReplicaSelector") => Ok(true),
        Some("LeaderSelector") => Ok(false),
        _ => Err("org.apache.kafka.common.replica.RackAwareReplicaSelector or LeaderSelector".to_owned()),
    }
}

pub fn read_disk(reader: &Reader<'_>) -> Result<DiskOptions, InvalidSetting> {
    let default = DiskOptions::default();
    Ok(DiskOptions {
        retention_check_interval: read_ms(reader, "log.retention.check.interval.ms", default.retention_check_interval)?,
        producer_id_expiration: read_ms(reader, "producer.id.expiration.ms", default.producer_id_expiration)?,
        cleaner: read_cleaner(reader)?,
        ..default
    })
}

fn read_cleaner(reader: &Reader<'_>) -> Result<CleanerOptions, InvalidSetting> {
    let default = CleanerOptions::default();
    let buffer_bytes = default.limits.dedupe_buffer_bytes;
    let dedupe_buffer_bytes =
        reader.number("log.cleaner.dedupe.buffer.size", buffer_bytes, 1 << 20..=i64::MAX as u64)?;
    let positive = |value: &str| match value.parse::<f64>() {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("a number above zero".to_owned()),
    };
    Ok(CleanerOptions {
        is_enabled: reader.flag("log.cleaner.enable", default.is_enabled)?,
        limits: CleanerLimits { dedupe_buffer_bytes },
        io_bytes_per_second_max: reader
            .parsed("log.cleaner.io.max.bytes.per.second", positive)?
            .unwrap_or(default.io_bytes_per_second_max),
        back_off: read_ms(reader, "log.cleaner.backoff.ms", default.back_off)?,
    })
}

/// A time in milliseconds, at least one.
pub fn read_ms(reader: &Reader<'_>, key: &'static str, default: Duration) -> Result<Duration, InvalidSetting> {
    let ms = reader.number(key, default.as_millis() as i64, 1..=i64::MAX)?;
    Ok(Duration::from_millis(ms as u64))
}
