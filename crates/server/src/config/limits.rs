//! The broker's limits and times, by Kafka's names.

use std::collections::HashMap;
use std::time::Duration;

use tidelog_broker::{DiskOptions, NetworkLimits, ReplicaOptions, unlimited_if_negative};

use super::listeners::{Allowed, Listener};
use super::reader::{InvalidSetting, Reader};

pub fn read_network(reader: &Reader<'_>, listeners: &[Listener]) -> Result<NetworkLimits, InvalidSetting> {
    Ok(NetworkLimits {
        connections_max: reader.number("max.connections")?,
        listener_connections_max: read_listener_connections(reader, listeners)?,
        connections_per_ip_max: reader.number("max.connections.per.ip")?,
        connection_creation_rate_max: reader.number("max.connection.creation.rate")?,
        connection_idle_max: reader.ms("connections.max.idle.ms")?,
        request_bytes_max: reader.number("socket.request.max.bytes")?,
        pipelined_requests_max: reader.number("queued.max.requests")?,
        queued_request_bytes_max: unlimited_if_negative(reader.number("queued.max.request.bytes")?),
        queued_response_bytes_max: reader.number("queued.max.response.bytes")?,
        send_stall_max: reader.ms("socket.send.timeout.ms")?,
        ..NetworkLimits::default()
    })
}

/// Each listener may have a limit of its own.
fn read_listener_connections(
    reader: &Reader<'_>,
    listeners: &[Listener],
) -> Result<HashMap<String, usize>, InvalidSetting> {
    let mut limits = HashMap::new();
    for listener in listeners {
        // Read once in the life of the process.
        let key = format!("listener.name.{}.max.connections", listener.name.to_ascii_lowercase()).leak();
        limits.insert(listener.name.clone(), reader.number(key)?);
    }
    Ok(limits)
}

pub fn read_replica(reader: &Reader<'_>, session_timeout: Duration) -> Result<ReplicaOptions, InvalidSetting> {
    Ok(ReplicaOptions {
        lag_time_max: reader.ms("replica.lag.time.max.ms")?,
        fetch_max_bytes: reader.number("replica.fetch.max.bytes")?,
        fetch_response_max_bytes: reader.number("replica.fetch.response.max.bytes")?,
        fetch_wait_max: reader.ms("replica.fetch.wait.max.ms")?,
        consumer_fetch_max_bytes: reader.number("fetch.max.bytes")?,
        fetch_sessions_max: reader.number("max.incremental.fetch.session.cache.slots")?,
        session_timeout,
        serve_nearby: reader.parsed_if_set("replica.selector.class", parse_replica_selector)?.unwrap_or(false),
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
    Ok(DiskOptions {
        retention_check_interval: reader.ms("log.retention.check.interval.ms")?,
        reserve_bytes: reader.number("log.dir.reserve.bytes")?,
        is_cleaner_enabled: reader.flag("log.cleaner.enable")?,
        ..DiskOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::RawConfig;
    use super::*;

    #[test]
    fn a_listener_has_a_limit_of_its_own_by_its_name_in_small_letters() {
        let mut raw = RawConfig::default();
        raw.set("listener.name.internal.max.connections", "7");
        let named = |name: &str| Listener { name: name.to_owned(), host: String::new(), port: 0 };
        let read = read_network(&Reader::new(&raw), &[named("INTERNAL"), named("EXTERNAL")]);
        let limits = read.expect("valid").listener_connections_max;
        assert_eq!((limits["INTERNAL"], limits["EXTERNAL"]), (7, i32::MAX as usize));
    }
}
