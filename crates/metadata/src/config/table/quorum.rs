//! The quorum of controllers and the sessions of brokers.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, boolean, int, list};
use crate::config::value::Valid;

pub(super) const QUORUM: &[ConfigDefinition] = &[
    list("controller.quorum.voters", "", Implemented, "The voting controllers, as id@host:port."),
    list(
        "controller.quorum.bootstrap.servers",
        "",
        Implemented,
        "As host:port, the controller of a single-node cluster. Larger clusters need controller.quorum.voters.",
    ),
    int(
        "controller.quorum.election.timeout.ms",
        "1000",
        Implemented,
        "How long voters wait for a silent leader: a random time between half of this and all of it.",
    )
    .valid(Valid::AtLeast(2)),
    int(
        "controller.quorum.fetch.timeout.ms",
        "2000",
        WithoutEffect,
        "Without effect: controller.quorum.election.timeout.ms bounds how long a leader may be silent.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "broker.heartbeat.interval.ms",
        "300",
        Implemented,
        "The time between two heartbeats of a broker (Kafka: 2000).",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "broker.session.timeout.ms",
        "1500",
        Implemented,
        "How long a broker may be silent before the controller fences it (Kafka: 9000).",
    )
    .valid(Valid::AtLeast(1)),
    boolean(
        "controlled.shutdown.enable",
        "true",
        Implemented,
        "Whether a stopping broker hands its leaderships over first.",
    ),
];
