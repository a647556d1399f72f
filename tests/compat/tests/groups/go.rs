//! Consumer groups of the Go clients.

use std::time::Duration;

use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::process::run;
use tidelog_cluster_tests::scenario;
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::group::{Commit, Group};
use tidelog_compat_tests::tour::{brisk_brokers, tour};

const LIMIT: Duration = Duration::from_secs(60);

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

#[test]
fn kadm_lists_resets_and_deletes_a_group() {
    scenario(brisk_brokers(), |cluster| {
        let member = Client::go("kadm", &["client=kgo"]);
        cluster.create_topic("administered", 2)?;
        let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
        kcat(&["-P", "-b", &cluster.bootstrap(), "-t", "administered", "-X", "acks=all"], &lines)?;
        let mut group = Group::new(cluster, member, "kadm", "administered");
        group.start("a", Commit::ByHand)?;
        group.wait("everything is read", |group| group.records() == 100)?;
        group.leave_all()?;
        // It tells nothing but its end.
        let mut admin = Client::go("kadm", &["client=kadm"]).command()?;
        admin.args(["group=kadm"]).arg(format!("bootstrap={}", cluster.bootstrap()));
        run(admin, "", LIMIT).map(|_| ())
    });
}
