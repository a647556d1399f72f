//! Listeners and connections.

use super::INT_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, list, long, string};
use crate::config::value::Valid;

pub(super) const NETWORK: &[ConfigDefinition] = &[
    list("listeners", "PLAINTEXT://:9092", Implemented, "Where the node listens, as NAME://host:port."),
    list("advertised.listeners", "", Implemented, "What clients and other brokers are told to connect to.")
        .without_default(),
    list(
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        Implemented,
        "Which security protocol each listener name stands for.",
    ),
    list("controller.listener.names", "CONTROLLER", Implemented, "The listeners of the controller."),
    string("inter.broker.listener.name", "", Implemented, "The listener that brokers reach each other on.")
        .without_default(),
    int("max.connections", INT_MAX, Implemented, "Connections the broker holds at once.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("max.connections.per.ip", INT_MAX, Implemented, "Connections from one address.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("max.connection.creation.rate", INT_MAX, Implemented, "Connections taken per second.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    long("connections.max.idle.ms", "600000", Implemented, "A connection without requests is closed after this time."),
    int("socket.request.max.bytes", "104857600", Implemented, "Largest request taken.").valid(Valid::AtLeast(1)),
    int("queued.max.requests", "500", Implemented, "Requests waiting before the network is not read any more.")
        .valid(Valid::AtLeast(1)),
];
