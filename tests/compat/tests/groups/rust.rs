//! Rust's clients: consumer groups of rdkafka; rskafka, which has no groups, writes and reads.

use std::process::Command;
use std::time::Duration;

use tidelog_cluster_tests::process::run;
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_compat_tests::client::{Client, rust_program};
use tidelog_compat_tests::tour::tour;

const RSKAFKA_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn rdkafka_tours() {
    tour(&[Client::rdkafka()]);
}

#[test]
fn rskafka_writes_and_reads() {
    scenario(Spec::brokers(3), |cluster| {
        let mut member = Command::new(rust_program()?);
        member.args(["client=rskafka", "topic=rskafka"]).arg(format!("bootstrap={}", cluster.bootstrap()));
        run(member, "", RSKAFKA_LIMIT).map(|_| ())
    });
}
