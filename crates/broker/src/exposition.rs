//! The broker's numbers, under the names that Kafka's JMX exporter gives them.

use crate::metrics::LATENCY_BOUNDS_US;
use crate::metrics_text::MetricsText;
use crate::shard::Shard;

/// One scrape.
pub(crate) fn text(shard: &Shard) -> String {
    let mut text = MetricsText::default();
    traffic(&mut text, shard);
    partitions(&mut text, shard);
    groups(&mut text, shard);
    requests(&mut text, shard);
    cleaner(&mut text, shard);
    text.finish()
}

fn traffic(text: &mut MetricsText, shard: &Shard) {
    const PREFIX: &str = "kafka_server_brokertopicmetrics";
    let metrics = &shard.metrics;
    let counters = [
        ("messagesin", "Records appended by producers.", &metrics.messages_in),
        ("bytesin", "Bytes appended by producers.", &metrics.bytes_in),
        ("bytesout", "Record bytes sent to consumers.", &metrics.bytes_out),
        ("replicationbytesin", "Record bytes fetched from leaders.", &metrics.replication_bytes_in),
        ("replicationbytesout", "Record bytes sent to followers.", &metrics.replication_bytes_out),
        ("failedproducerequests", "Batches refused.", &metrics.failed_produce_requests),
        ("failedfetchrequests", "Partitions refused to consumers.", &metrics.failed_fetch_requests),
    ];
    for (name, help, counter) in counters {
        text.single(&format!("{PREFIX}_{name}_total"), "counter", help, counter.get());
    }
    let counters = [
        ("kafka_server_replicamanager_isrshrinks_total", "Replicas dropped from ISRs.", &metrics.isr_shrinks),
        ("kafka_server_replicamanager_isrexpands_total", "Replicas taken into ISRs.", &metrics.isr_expands),
        ("kafka_log_logflushstats_flushes_total", "Log flushes completed.", &metrics.flushes),
        ("tidelog_network_bad_requests_total", "Frames refused.", &metrics.bad_requests),
    ];
    for (name, help, counter) in counters {
        text.single(name, "counter", help, counter.get());
    }
    let open = shard.connection_limits.open() as u64;
    let panics = shard.panics.refused();
    text.single("tidelog_request_panics_total", "counter", "Requests refused because they panicked.", panics);
    text.single("kafka_server_socketservermetrics_connection_count", "gauge", "Open client connections.", open);
    let sessions = shard.sessions.count() as u64;
    text.single("kafka_server_fetchsessioncache_numincrementalfetchsessions", "gauge", "Fetch sessions.", sessions);
}

fn partitions(text: &mut MetricsText, shard: &Shard) {
    const PREFIX: &str = "kafka_server_replicamanager";
    let health = shard.image().health_of_led_by(shard.node_id());
    let gauges = [
        ("partitioncount", "Replicas on this broker.", shard.partitions.len()),
        ("leadercount", "Partitions led by this broker.", health.partitions),
        ("underreplicatedpartitions", "Led partitions with replicas out of sync.", health.under_replicated),
        ("underminisrpartitioncount", "Led partitions below min.insync.replicas.", health.under_min_isr),
        ("reassigningpartitions", "Led partitions that are being moved.", health.reassigning),
        ("atminisrpartitioncount", "Led partitions at min.insync.replicas.", health.at_min_isr),
    ];
    for (name, help, value) in gauges {
        text.single(&format!("{PREFIX}_{name}"), "gauge", help, value as u64);
    }
    let failed = u64::from(shard.heartbeats.has_failed());
    text.single("kafka_log_logmanager_offlinelogdirectorycount", "gauge", "Log directories out of use.", failed);
    let full = u64::from(shard.log_dir.disk_full().is_some());
    let help = "Log directories that take no records, because the disk has nothing left above the reserve.";
    text.single("tidelog_log_full_log_directories", "gauge", help, full);
}

fn groups(text: &mut MetricsText, shard: &Shard) {
    const PREFIX: &str = "kafka_coordinator_group_groupmetadatamanager";
    let census = shard.coordinators.census(shard);
    let gauges = [
        ("numgroups", "Groups coordinated by this broker.", census.groups),
        ("numoffsets", "Committed offsets kept by this broker.", census.offsets),
    ];
    for (name, help, value) in gauges {
        text.single(&format!("{PREFIX}_{name}"), "gauge", help, value as u64);
    }
    for (state, count) in &census.by_state {
        let name = format!("{PREFIX}_numgroups{state}");
        text.single(&name, "gauge", "Groups in this state.", *count as u64);
    }
    let commits = shard.metrics.offset_commits.get();
    text.single("kafka_coordinator_group_offset_commit_total", "counter", "Requests that stored offsets.", commits);
}

fn cleaner(text: &mut MetricsText, shard: &Shard) {
    for (name, help, value) in shard.cleaner.gauges() {
        text.family(name, "gauge", help);
        text.sample(name, value);
    }
    for (name, help, value) in shard.cleaner.counters() {
        text.single(name, "counter", help, value);
    }
}

fn requests(text: &mut MetricsText, shard: &Shard) {
    const COUNT: &str = "kafka_network_requestmetrics_requests_total";
    const TIME: &str = "kafka_network_requestmetrics_totaltime_seconds";
    let all = shard.metrics.api_stats();
    text.family(COUNT, "counter", "Requests answered.");
    for (key, stats) in &all {
        text.sample(format_args!("{COUNT}{{request=\"{}\"}}", key.name()), stats.requests);
    }
    text.family(TIME, "histogram", "From the arrival of a request to its answer.");
    for (key, stats) in &all {
        let mut cumulative = 0;
        for (bound_us, count) in LATENCY_BOUNDS_US.iter().zip(&stats.buckets) {
            cumulative += count;
            let bound = *bound_us as f64 / 1e6;
            text.sample(format_args!("{TIME}_bucket{{request=\"{}\",le=\"{bound}\"}}", key.name()), cumulative);
        }
        text.sample(format_args!("{TIME}_bucket{{request=\"{}\",le=\"+Inf\"}}", key.name()), stats.requests);
        text.sample(format_args!("{TIME}_sum{{request=\"{}\"}}", key.name()), stats.total_us as f64 / 1e6);
        text.sample(format_args!("{TIME}_count{{request=\"{}\"}}", key.name()), stats.requests);
    }
}
