//! Groups and their offsets.

use super::INT_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, list, long, short, string};
use crate::config::value::Valid;

const POSITIVE: Valid = Valid::AtLeast(1);

pub(super) const GROUPS: &[ConfigDefinition] = &[
    int("offsets.topic.num.partitions", "50", Implemented, "The number of partitions of the offsets topic.")
        .valid(Valid::Between(1, 10_000)),
    short(
        "offsets.topic.replication.factor",
        "3",
        Implemented,
        "The replication factor of the offsets topic, or the number of brokers if that is lower.",
    )
    .valid(POSITIVE),
    int("offsets.topic.segment.bytes", "104857600", Implemented, "The segment.bytes of the offsets topic.")
        .valid(POSITIVE),
    long(
        "offsets.retention.check.interval.ms",
        "600000",
        Implemented,
        "The time between two checks for expired offsets.",
    )
    .valid(POSITIVE),
    int("offsets.retention.minutes", "10080", Implemented, "How long the offsets of an empty group are kept.")
        .valid(POSITIVE),
    int("offset.metadata.max.bytes", "4096", Implemented, "The longest metadata a committed offset may carry.")
        .valid(Valid::AtLeast(0)),
    int(
        "group.min.session.timeout.ms",
        "6000",
        Implemented,
        "The shortest session timeout a classic group's member may ask for.",
    )
    .valid(POSITIVE),
    int(
        "group.max.session.timeout.ms",
        "1800000",
        Implemented,
        "The longest session timeout a classic group's member may ask for.",
    )
    .valid(POSITIVE),
    int(
        "group.initial.rebalance.delay.ms",
        "3000",
        Implemented,
        "How long a new classic group waits for more members before its first rebalance.",
    )
    .valid(Valid::AtLeast(0)),
    int("group.max.size", INT_MAX, Implemented, "The most members of a classic group.").valid(POSITIVE),
    int("group.consumer.session.timeout.ms", "45000", Implemented, "The session timeout of consumer groups.")
        .valid(POSITIVE),
    int("group.consumer.heartbeat.interval.ms", "5000", Implemented, "The heartbeat interval of consumer groups.")
        .valid(POSITIVE),
    int(
        "group.consumer.min.session.timeout.ms",
        "45000",
        Implemented,
        "The shortest session timeout that a consumer group may be configured with.",
    )
    .valid(POSITIVE),
    int(
        "group.consumer.max.session.timeout.ms",
        "60000",
        Implemented,
        "The longest session timeout that a consumer group may be configured with.",
    )
    .valid(POSITIVE),
    int(
        "group.consumer.min.heartbeat.interval.ms",
        "5000",
        Implemented,
        "The shortest heartbeat interval that a consumer group may be configured with.",
    )
    .valid(POSITIVE),
    int(
        "group.consumer.max.heartbeat.interval.ms",
        "15000",
        Implemented,
        "The longest heartbeat interval that a consumer group may be configured with.",
    )
    .valid(POSITIVE),
    int("group.consumer.max.size", INT_MAX, Implemented, "The most members of a consumer group.").valid(POSITIVE),
    list(
        "group.consumer.assignors",
        "uniform,range",
        Implemented,
        "The assignors of consumer groups. The first is the default.",
    ),
    string(
        "group.consumer.migration.policy",
        "bidirectional",
        Implemented,
        "Which way a group with members may change its protocol: upgrade, downgrade, bidirectional or disabled.",
    ),
];
