//! Groups and their offsets.

use super::INT_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, list, long, short, string};
use crate::config::value::Valid;

pub(super) const GROUPS: &[ConfigDefinition] = &[
    int("offsets.topic.num.partitions", "50", Implemented, "Partitions of the topic of committed offsets.")
        .valid(Valid::AtLeast(1)),
    short(
        "offsets.topic.replication.factor",
        "3",
        Implemented,
        "Replicas of the topic of committed offsets; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    int("offsets.topic.segment.bytes", "104857600", Implemented, "Segment size of that topic.")
        .valid(Valid::AtLeast(1)),
    long(
        "offsets.retention.check.interval.ms",
        "600000",
        Implemented,
        "Time between two looks for offsets that nobody wants any more.",
    )
    .valid(Valid::AtLeast(1)),
    int("offsets.retention.minutes", "10080", Implemented, "How long offsets of an empty group are kept.")
        .valid(Valid::AtLeast(1)),
    int("offset.metadata.max.bytes", "4096", Implemented, "Largest metadata of a committed offset."),
    int("group.min.session.timeout.ms", "6000", Implemented, "Shortest session timeout a group member may ask for."),
    int("group.max.session.timeout.ms", "1800000", Implemented, "Longest session timeout a group member may ask for."),
    int("group.initial.rebalance.delay.ms", "3000", Implemented, "How long a new group waits for more members."),
    int("group.max.size", INT_MAX, Implemented, "Most members of a group.").valid(Valid::AtLeast(1)),
    int("group.consumer.session.timeout.ms", "45000", Implemented, "Session timeout of the consumer group protocol.")
        .valid(Valid::AtLeast(1)),
    int(
        "group.consumer.heartbeat.interval.ms",
        "5000",
        Implemented,
        "Heartbeat interval of the consumer group protocol.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "group.consumer.min.session.timeout.ms",
        "45000",
        Implemented,
        "Shortest session timeout that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "group.consumer.max.session.timeout.ms",
        "60000",
        Implemented,
        "Longest session timeout that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "group.consumer.min.heartbeat.interval.ms",
        "5000",
        Implemented,
        "Shortest heartbeat interval that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "group.consumer.max.heartbeat.interval.ms",
        "15000",
        Implemented,
        "Longest heartbeat interval that may be set for a consumer group.",
    )
    .valid(Valid::AtLeast(1)),
    int("group.consumer.max.size", INT_MAX, Implemented, "Most members of a consumer group.").valid(Valid::AtLeast(1)),
    list("group.consumer.assignors", "uniform,range", Implemented, "Assignors of the consumer group protocol."),
    string(
        "group.consumer.migration.policy",
        "bidirectional",
        Implemented,
        "Which way groups are converted between the protocols while they have members.",
    ),
];
