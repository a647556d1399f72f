//! Consumer groups of the Python clients.

use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::tour::tour;

#[test]
fn kafka_pythons_tour() {
    tour(&[
        Client::kafka_python("kafka-python-1.4.7", "kafka-python==1.4.7"),
        Client::kafka_python("kafka-python-2.0.2", "kafka-python==2.0.2"),
        Client::kafka_python("kafka-python-2.2.21", "kafka-python==2.2.21"),
        Client::kafka_python("kafka-python-3.0.12", "kafka-python==3.0.12"),
    ]);
}

#[test]
fn aiokafka_and_confluent_kafka_tour() {
    tour(&[
        Client::aiokafka(),
        Client::confluent("confluent", &[]),
        Client::confluent("confluent-cooperative", &["assignor=cooperative-sticky"]),
        Client::confluent("confluent-consumer", &["protocol=consumer"]),
    ]);
}
