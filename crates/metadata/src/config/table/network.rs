//! Listeners and connections.

use super::INT_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, list, long, string};
use crate::config::value::Valid;

pub(super) const NETWORK: &[ConfigDefinition] = &[
    list("listeners", "PLAINTEXT://:9092", Implemented, "The addresses to listen on, as NAME://host:port."),
    list(
        "advertised.listeners",
        "",
        Implemented,
        "The addresses that clients and other brokers connect to. Unless set, those of listeners.",
    )
    .without_default(),
    string(
        "listener.security.protocol.map",
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        Implemented,
        "The security protocol of each listener name. A listener must use PLAINTEXT: TLS and SASL are not supported yet.",
    ),
    list("controller.listener.names", "CONTROLLER", Implemented, "The names of the controller's listeners."),
    string(
        "inter.broker.listener.name",
        "",
        Implemented,
        "The listener that brokers use among themselves. Unless set, PLAINTEXT or else the first one.",
    )
    .without_default(),
    int("max.connections", INT_MAX, Implemented, "The most connections the broker holds at once.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("max.connections.per.ip", INT_MAX, Implemented, "The most connections from one IP address.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("max.connection.creation.rate", INT_MAX, Implemented, "The most connections the broker accepts per second.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    long("connections.max.idle.ms", "600000", Implemented, "How long a connection may be idle before it is closed.")
        .valid(Valid::AtLeast(1)),
    int("socket.request.max.bytes", "104857600", Implemented, "The largest request the broker accepts.")
        .valid(Valid::AtLeast(1)),
    int(
        "queued.max.requests",
        "500",
        Implemented,
        "Unanswered requests per connection above which the broker stops reading from it.",
    )
    .valid(Valid::AtLeast(1)),
    long(
        "queued.max.request.bytes",
        "536870912",
        Implemented,
        "Bytes of unanswered requests of more than 1 MiB above which no other such is read; -1: no limit (Kafka: -1).",
    )
    .valid(Valid::AtLeast(-1)),
    long(
        "queued.max.response.bytes",
        "268435456",
        Implemented,
        "Bytes of answers not yet taken above which Fetches get small answers. Not a Kafka name.",
    )
    .valid(Valid::AtLeast(1)),
    long(
        "socket.send.timeout.ms",
        "30000",
        Implemented,
        "A client that takes nothing of its answers for this long is disconnected. Not a Kafka name.",
    )
    .valid(Valid::AtLeast(1)),
];
