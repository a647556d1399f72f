//! Altering configs, and which value is in force.

mod support;

use support::*;
use tidelog_metadata::config::*;
use tidelog_metadata::*;
use tidelog_wire::messages::alter_configs_request;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::{AlterConfigsRequest, IncrementalAlterConfigsRequest};
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str};

use ConfigResourceType::{Broker, Group, Topic};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn change(name: &'static str, config_operation: i8, value: Option<&'static str>) -> AlterableConfig {
    AlterableConfig { name: Str::from(name), config_operation, value: value.map(Str::from) }
}

#[test]
fn what_cannot_be_set_is_refused_with_kafkas_code() {
    let table = [
        (Topic, TOPIC, change("retention.ms", SET, Some("1000")), ErrorCode::NONE),
        (Topic, TOPIC, change("retention.ms", DELETE, None), ErrorCode::NONE),
        (Topic, TOPIC, change("retention.ms", SET, Some("soon")), ErrorCode::INVALID_CONFIG),
        (Topic, TOPIC, change("retention.ms", SET, None), ErrorCode::INVALID_REQUEST),
        (Topic, TOPIC, change("retention.ms", APPEND, Some("1")), ErrorCode::INVALID_CONFIG),
        (Topic, TOPIC, change("retention.ms", 7, Some("1")), ErrorCode::INVALID_REQUEST),
        (Topic, TOPIC, change("no.such.config", SET, Some("1")), ErrorCode::INVALID_CONFIG),
        (Topic, TOPIC, change("cleanup.policy", APPEND, Some("keep")), ErrorCode::INVALID_CONFIG),
        (Topic, "none", change("retention.ms", SET, Some("1")), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (Broker, "", change("log.retention.ms", SET, Some("1")), ErrorCode::NONE),
        (Broker, "1", change("log.retention.ms", SET, Some("1")), ErrorCode::NONE),
        (Broker, "1", change("a.plug-ins.own", SET, Some("1")), ErrorCode::NONE),
        (Broker, "one", change("log.retention.ms", SET, Some("1")), ErrorCode::INVALID_REQUEST),
        (Broker, "9", change("log.retention.ms", SET, Some("1")), ErrorCode::BROKER_ID_NOT_REGISTERED),
        (Broker, "", change("log.retention.ms", SET, Some("x")), ErrorCode::INVALID_REQUEST),
        (Broker, "", change("node.id", SET, Some("7")), ErrorCode::INVALID_REQUEST),
        (Broker, "1", change("min.insync.replicas", SET, Some("2")), ErrorCode::INVALID_CONFIG),
        (Broker, "", change("min.insync.replicas", SET, Some("2")), ErrorCode::NONE),
        (Group, "g", change("x", SET, Some("1")), ErrorCode::INVALID_CONFIG),
        (Group, "", change("consumer.session.timeout.ms", SET, Some("50000")), ErrorCode::INVALID_REQUEST),
        (Group, "g", change("consumer.session.timeout.ms", SET, Some("60000")), ErrorCode::NONE),
        (Group, "g", change("consumer.session.timeout.ms", SET, Some("60001")), ErrorCode::INVALID_CONFIG),
        (Group, "g", change("consumer.session.timeout.ms", SET, Some("44999")), ErrorCode::INVALID_CONFIG),
        (Group, "g", change("consumer.heartbeat.interval.ms", SET, Some("15000")), ErrorCode::NONE),
        (Group, "g", change("consumer.heartbeat.interval.ms", SET, Some("4999")), ErrorCode::INVALID_CONFIG),
        (ConfigResourceType::ClientMetrics, "m", change("x", SET, Some("1")), ErrorCode::INVALID_REQUEST),
    ];
    for (kind, name, config, expected) in table {
        let mut cluster = Cluster::with_topic(1);
        let image = cluster.image.clone();
        assert_eq!(cluster.alter_config(kind, name, config.clone()), expected, "{kind:?} {name:?} {config:?}");
        if expected != ErrorCode::NONE {
            assert_eq!(cluster.image, image, "a refused change leaves nothing: {config:?}");
        }
    }
}

#[test]
fn a_mistyped_name_is_answered_with_the_right_one() {
    let mut cluster = Cluster::with_topic(1);
    let resource = AlterConfigsResource {
        resource_type: Topic.code(),
        resource_name: Str::from(TOPIC),
        configs: vec![change("retention.mss", SET, Some("1"))],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    match cluster.ask(Request::IncrementalAlterConfigs(request)) {
        Response::IncrementalAlterConfigs(response) => assert_eq!(
            response.responses[0].error_message.as_deref(),
            Some("Unknown topic config name: retention.mss. Did you mean retention.ms?")
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_are_appended_to_and_subtracted_from() {
    let mut cluster = Cluster::with_topic(1);
    let value = |cluster: &Cluster| {
        cluster.image.config(&ConfigResource::topic(TOPIC), "cleanup.policy").map(|value| value.to_string())
    };
    let steps = [
        (APPEND, "compact", "delete,compact"),
        (APPEND, "compact", "delete,compact"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "delete, compact", ""),
        (SET, "delete", "delete"),
    ];
    for (operation, items, expected) in steps {
        cluster.alter_config(Topic, TOPIC, change("cleanup.policy", operation, Some(items)));
        assert_eq!(value(&cluster).as_deref(), Some(expected));
    }
    cluster.alter_config(Topic, TOPIC, change("cleanup.policy", DELETE, None));
    assert_eq!(value(&cluster), None);
}

#[test]
fn the_older_api_resets_what_it_does_not_name() {
    let mut cluster = Cluster::with_topic(1);
    cluster.set_config(Topic, TOPIC, "retention.ms", Some("1000"));
    let config = |name, value: &'static str| alter_configs_request::AlterableConfig {
        name: Str::from(name),
        value: Some(Str::from(value)),
    };
    for (validate_only, expected) in [(true, "retention.ms"), (false, "segment.ms")] {
        let resource = alter_configs_request::AlterConfigsResource {
            resource_type: Topic.code(),
            resource_name: Str::from(TOPIC),
            configs: vec![config("segment.ms", "5000")],
        };
        let response =
            cluster.ask(Request::AlterConfigs(AlterConfigsRequest { resources: vec![resource], validate_only }));
        assert!(matches!(response, Response::AlterConfigs(it) if it.responses[0].error_code.is_none()));
        let resource = ConfigResource::topic(TOPIC);
        let set: Vec<&str> = cluster.image.configs(&resource).map(|(name, _)| name.as_str()).collect();
        assert_eq!(set, [expected]);
    }
}

#[test]
fn the_nearest_source_wins_and_the_whole_chain_is_shown() {
    let mut cluster = Cluster::with_topic(1);
    cluster.static_configs = [("log.retention.hours", "2")].into_iter().collect();
    let shown = |cluster: &Cluster| {
        let resolver =
            Resolver { image: &cluster.image, broker_id: BrokerId(1), static_configs: &cluster.static_configs };
        let topic = cluster.image.topic(TOPIC).expect("exists");
        let entry = describe_topic(&resolver, topic).into_iter().find(|entry| entry.name == "retention.ms");
        let entry = entry.expect("known");
        assert_eq!(
            TopicConfig::resolve(&resolver, TOPIC).retention_ms.to_string(),
            entry.value.as_deref().expect("has a value")
        );
        let synonyms =
            entry.synonyms.iter().map(|synonym| format!("{}={}", synonym.name, synonym.value.as_deref().unwrap_or("")));
        (
            entry.value.map(|value| value.to_string()).unwrap_or_default(),
            entry.source,
            synonyms.collect::<Vec<_>>().join(" "),
        )
    };
    let expect = |cluster: &Cluster, value: &str, source, chain: &str| {
        assert_eq!(shown(cluster), (value.to_owned(), source, chain.to_owned()));
    };
    let tail = "log.retention.hours=2 log.retention.ms=604800000";
    expect(&cluster, "7200000", ConfigSource::StaticBroker, tail);
    cluster.set_config(Broker, "", "log.retention.ms", Some("30"));
    expect(&cluster, "30", ConfigSource::DynamicDefaultBroker, &format!("log.retention.ms=30 {tail}"));
    cluster.set_config(Broker, "1", "log.retention.ms", Some("20"));
    expect(&cluster, "20", ConfigSource::DynamicBroker, &format!("log.retention.ms=20 log.retention.ms=30 {tail}"));
    cluster.set_config(Topic, TOPIC, "retention.ms", Some("10"));
    let chain = format!("retention.ms=10 log.retention.ms=20 log.retention.ms=30 {tail}");
    expect(&cluster, "10", ConfigSource::Topic, &chain);
}

#[test]
fn defaults_are_typed_and_min_isr_is_the_same_everywhere() {
    let mut cluster = Cluster::with_topic(3);
    cluster.static_configs = [("min.insync.replicas", "3"), ("compression.type", "gzip")].into_iter().collect();
    let resolver = Resolver { image: &cluster.image, broker_id: BrokerId(1), static_configs: &cluster.static_configs };
    let config = TopicConfig::resolve(&resolver, TOPIC);
    assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
    assert_eq!(config.compression_type, CompressionType::Gzip { level: -1 });
    assert_eq!((config.segment_bytes, config.retention_bytes), (1 << 30, -1));
    assert!(!config.write_caching);
    let topic = cluster.image.topic(TOPIC).expect("exists");
    assert_eq!(cluster.image.min_insync_replicas(topic, cluster.partition()), 2);
    let entries = describe_topic(&resolver, topic);
    let entry = entries.iter().find(|entry| entry.name == "min.insync.replicas").expect("known");
    assert_eq!((entry.value.as_deref(), entry.source), (Some("2"), ConfigSource::Default));
}

#[test]
fn a_static_min_isr_becomes_the_clusters_default_once() {
    let bootstrap =
        || Request::Bootstrap { cluster_id: Str::from("c"), nodes: Vec::new(), default_configs: Vec::new() };
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr 2");
    cluster.static_configs = [("min.insync.replicas", "1")].into_iter().collect();
    assert_eq!(cluster.ask(bootstrap()), Response::Bootstrap(Ok(())));
    assert_eq!(cluster.image.configured_min_insync_replicas(TOPIC), Some(1));
    assert_eq!(cluster.shown(), "leader 1 isr 1 elr ");
    cluster.set_config(Broker, "", "min.insync.replicas", Some("2"));
    cluster.ask(bootstrap());
    assert_eq!(cluster.image.configured_min_insync_replicas(TOPIC), Some(2), "what an admin set stays");
}

#[test]
fn a_broker_is_described_with_read_only_ones_marked_and_secrets_hidden() {
    let mut cluster = Cluster::running(1);
    cluster.set_config(Broker, "", "a.plug-ins.own", Some("perhaps a secret"));
    cluster.static_configs = [("ssl.keystore.key", "secret"), ("num.partitions", "6")].into_iter().collect();
    let resolver = Resolver { image: &cluster.image, broker_id: BrokerId(1), static_configs: &cluster.static_configs };
    let entries = describe_broker(&resolver);
    let entry = |name: &str| entries.iter().find(|entry| entry.name == *name).expect("known");
    let key = entry("ssl.keystore.key");
    assert!(key.is_sensitive && key.value.is_none() && key.synonyms.iter().all(|synonym| synonym.value.is_none()));
    assert_eq!((entry("a.plug-ins.own").value.as_ref(), entry("a.plug-ins.own").is_sensitive), (None, true));
    assert_eq!(entry("num.partitions").value.as_deref(), Some("6"));
    assert_eq!(entry("num.partitions").source, ConfigSource::StaticBroker);
    assert!(entry("num.partitions").read_only && !entry("message.max.bytes").read_only);
    assert_eq!(resolver.broker_number("log.retention.ms"), Some(604_800_000), "through log.retention.hours");
}

#[test]
fn a_group_has_its_own_value_or_the_brokers_and_keeps_within_what_they_allow() {
    let mut cluster = Cluster::with_topic(1);
    cluster.static_configs =
        [("group.consumer.session.timeout.ms", "46000"), ("group.consumer.max.session.timeout.ms", "47000")]
            .into_iter()
            .collect();
    let shown = |cluster: &Cluster| {
        let resolver =
            Resolver { image: &cluster.image, broker_id: BrokerId(1), static_configs: &cluster.static_configs };
        let entries = describe_group(&resolver, "g").into_iter();
        let entry = entries.into_iter().find(|entry| entry.name == CONSUMER_SESSION_TIMEOUT_MS).expect("known");
        (entry.value.map(|value| value.to_string()).unwrap_or_default(), entry.source)
    };
    assert_eq!(shown(&cluster), ("46000".to_owned(), ConfigSource::StaticBroker));
    let set = |cluster: &mut Cluster, value| {
        cluster.alter_config(Group, "g", change(CONSUMER_SESSION_TIMEOUT_MS, SET, Some(value)))
    };
    assert_eq!(set(&mut cluster, "47001"), ErrorCode::INVALID_CONFIG);
    assert_eq!(set(&mut cluster, "47000"), ErrorCode::NONE);
    assert_eq!(shown(&cluster), ("47000".to_owned(), ConfigSource::Group));
}

#[test]
fn a_refused_group_config_is_told_what_is_allowed() {
    let mut cluster = Cluster::with_topic(1);
    cluster.static_configs =
        [("group.consumer.min.session.timeout.ms", "6000"), ("group.consumer.max.heartbeat.interval.ms", "50000")]
            .into_iter()
            .collect();
    let table = [
        (
            "consumer.session.timeout.ms",
            "5999",
            "consumer.session.timeout.ms=5999 must be at least 6000 \
            (group.consumer.min.session.timeout.ms) and at most 60000 (group.consumer.max.session.timeout.ms).",
        ),
        (
            "consumer.heartbeat.interval.ms",
            "45000",
            "consumer.heartbeat.interval.ms must be below consumer.session.timeout.ms.",
        ),
        (
            "consumer.heartbeat.interval.ms",
            "often",
            "Invalid value \"often\" for configuration \
            consumer.heartbeat.interval.ms: must be a whole number of at least 1.",
        ),
        (
            "consumer.sesion.timeout.ms",
            "6000",
            "Unknown group config name: consumer.sesion.timeout.ms. \
            Did you mean consumer.session.timeout.ms?",
        ),
    ];
    for (name, value, expected) in table {
        let resource = AlterConfigsResource {
            resource_type: Group.code(),
            resource_name: Str::from("g"),
            configs: vec![change(name, SET, Some(value))],
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        match cluster.ask(Request::IncrementalAlterConfigs(request)) {
            Response::IncrementalAlterConfigs(response) => {
                assert_eq!(response.responses[0].error_message.as_deref(), Some(expected));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(cluster.image.configs(&ConfigResource::group("g")).count(), 0);
}

#[test]
fn broker_configs_are_changed_and_refused_as_kafka_does_it() {
    let mut cluster = Cluster::running(1);
    let table = [
        ("1", "log.dirs", "/x", Some("Cannot update these configs dynamically: [log.dirs]")),
        ("", "num.partitions", "2", Some("Cannot update these configs dynamically: [num.partitions]")),
        ("", "num.replica.alter.log.dirs.threads", "2", Some("Cannot update these configs dynamically")),
        ("", "log.cleaner.backoff.ms", "1", None),
        ("1", "log.cleaner.io.max.bytes.per.second", "1e6", None),
        ("", "num.io.threads", "4", None),
        ("", "num.io.threads", "0", Some("num.io.threads: must be a whole number of at least 1")),
        ("1", "leader.replication.throttled.rate", "1", None),
        ("", "leader.replication.throttled.rate", "1", None),
        (
            "1",
            "ssl.keystore.location",
            "/x",
            Some("only per-listener using the listener prefix: [ssl.keystore.location]"),
        ),
        ("1", "listener.name.internal.ssl.keystore.location", "/x", None),
        ("", "principal.builder.class", "x", Some("broker id must be specified: [principal.builder.class]")),
        ("1", "principal.builder.class", "x", None),
        ("1", "somebody.elses", "x", None),
    ];
    for (broker, name, value, refusal) in table {
        let response = cluster.alter_config_answer(Broker, broker, change(name, SET, Some(value)));
        let expected = if refusal.is_some() { ErrorCode::INVALID_REQUEST } else { ErrorCode::NONE };
        assert_eq!(response.error_code, expected, "{name}={value} of {broker:?}");
        let message = response.error_message.as_deref().unwrap_or_default();
        assert!(message.contains(refusal.unwrap_or_default()), "{name}={value} of {broker:?}: {message}");
    }
    let resolver = Resolver { image: &cluster.image, broker_id: BrokerId(1), static_configs: &cluster.static_configs };
    let threads = describe_broker(&resolver).into_iter().find(|entry| entry.name == "num.io.threads");
    let threads = threads.expect("set");
    assert_eq!((threads.value.as_deref(), threads.is_sensitive), (Some("4"), false));
}
