//! Consumer groups of the Go clients.

use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::tour::tour;

#[test]
fn go_clients_tour() {
    tour(&[
        Client::go("kgo-cooperative", &["client=kgo", "assignor=cooperative-sticky"]),
        Client::go("kgo-range", &["client=kgo", "assignor=range"]),
        Client::go("kgo-consumer", &["client=kgo", "protocol=consumer"]),
        Client::go("sarama", &["client=sarama"]),
        Client::go("kafka-go", &["client=kafka-go"]),
    ]);
}
