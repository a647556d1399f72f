//! Static members (`group.instance.id`) come back within their session timeout, and nobody else notices.

use anyhow::{Result, ensure};
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Writer, scenario};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};
use tidelog_compat_tests::tour::{brokers_with_session_timeout_ms, each};

const TOPIC: &str = "static";
const PARTITIONS: i32 = 4;
const LOAD: Load = Load { name: "static", records_per_second: 100, value_bytes: 32 };
/// Longer than any client takes to start.
const SESSION_MS: &str = "40000";

/// What a client's protocol lets a static member do without a rebalance.
#[derive(Clone, Copy, PartialEq)]
enum Returns {
    AfterCrashOrClose,
    /// The consumer protocol waits until a crashed member's session is over.
    AfterClose,
}

fn start(group: &mut Group, member: &str, instance: &str) -> Result<()> {
    let settings = [format!("instance={instance}"), format!("session_ms={SESSION_MS}")];
    group.start_with(member, Commit::ByHand, &settings.each_ref().map(String::as_str))
}

fn come_back_unnoticed(group: &mut Group, returns: Returns) -> Result<()> {
    start(group, "a", "one")?;
    start(group, "b", "two")?;
    group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
    group.wait_reading()?;
    let noticed =
        |group: &Group| Ok::<_, anyhow::Error>((group.member("a")?.assignments(), group.member("a")?.revoked()));
    let (before, owned) = (noticed(group)?, group.member("b")?.owned());

    group.leave("b")?;
    start(group, "c", "two")?;
    group.wait("the member that closed has its partitions back", |group| {
        group.member("c").is_ok_and(|member| member.owned() == owned)
    })?;
    group.wait_reading()?;
    if returns == Returns::AfterCrashOrClose {
        group.crash("c")?;
        start(group, "d", "two")?;
        group.wait("the member that crashed has its partitions back", |group| {
            group.member("d").is_ok_and(|member| member.owned() == owned)
        })?;
        group.wait_reading()?;
    }
    ensure!(noticed(group)? == before, "{} went through a rebalance: {}", group.name, group.tails());
    group.leave_all()
}

#[test]
fn static_members_restart_without_a_rebalance() {
    let clients = [
        (Client::java("java", &["assignor=range"]), Returns::AfterCrashOrClose),
        (Client::java("java-consumer", &["protocol=consumer"]), Returns::AfterClose),
        (Client::confluent("confluent", &["assignor=range"]), Returns::AfterCrashOrClose),
        (Client::confluent("confluent-consumer", &["protocol=consumer"]), Returns::AfterClose),
    ];
    scenario(brokers_with_session_timeout_ms(SESSION_MS), |cluster| {
        clients.iter().try_for_each(|(client, _)| client.command().map(|_| ()))?;
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let mut groups: Vec<_> =
            clients.iter().map(|(client, _)| Group::new(cluster, *client, client.name, TOPIC)).collect();
        each(&mut groups, |group| {
            let returns = clients.iter().find(|(client, _)| client.name == group.name).map(|(_, returns)| *returns);
            come_back_unnoticed(group, returns.unwrap_or(Returns::AfterClose))
        })?;
        writer.stop().map(|_| ())
    });
}
