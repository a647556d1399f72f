//! Consumer groups of the Java client.

use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::tour::tour;

#[test]
fn java_tours() {
    tour(&[
        Client::java("java-range", &["assignor=range"]),
        Client::java("java-cooperative", &["assignor=cooperative-sticky"]),
        Client::java("java-consumer-uniform", &["protocol=consumer", "assignor=uniform"]),
        Client::java("java-consumer-range", &["protocol=consumer", "assignor=range"]),
    ]);
}
