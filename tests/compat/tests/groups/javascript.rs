//! Consumer groups of the JavaScript clients.

use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::tour::tour;

#[test]
fn javascript_clients_tour() {
    tour(&[
        Client::javascript("kafkajs", "kafkajs_member.js"),
        Client::javascript("platformatic", "platformatic_member.js"),
    ]);
}
