//! The quorum of controllers and the sessions of brokers.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, boolean, int, list};
use crate::config::value::Valid;

pub(super) const QUORUM: &[ConfigDefinition] = &[
    list("controller.quorum.voters", "", Implemented, "The controllers, as id@host:port."),
    list("controller.quorum.bootstrap.servers", "", Implemented, "Controllers to ask for the quorum, as host:port."),
    int(
        "controller.quorum.election.timeout.ms",
        "1000",
        Implemented,
        "Longest silence of the active controller before an election; the shortest is half of it.",
    )
    .valid(Valid::AtLeast(1)),
    int("controller.quorum.fetch.timeout.ms", "2000", WithoutEffect, "Longest time without contact to a quorum.")
        .valid(Valid::AtLeast(1)),
    int("broker.heartbeat.interval.ms", "300", Implemented, "Time between heartbeats of a broker (Kafka: 2000).")
        .valid(Valid::AtLeast(1)),
    int("broker.session.timeout.ms", "1500", Implemented, "Silence after which a broker is fenced (Kafka: 9000).")
        .valid(Valid::AtLeast(1)),
    boolean("controlled.shutdown.enable", "true", Implemented, "Whether leaderships move away before a broker stops."),
];
