//! The compose files of `deploy/`, with clients on the host: what the README says of containers, and what ends them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::probe;
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::wait;
use tidelog_cluster_tests::writer::{Load, Site, Writer, read_all_from};
use tidelog_compat_tests::compose::{Compose, docker, inspect, with_containers};
use tidelog_compat_tests::run_script;

const SERVICES: [&str; 3] = ["tidelog-1", "tidelog-2", "tidelog-3"];
const PORTS: [u16; 3] = [9092, 9192, 9292];
const BOOTSTRAP: &str = "localhost:9092,localhost:9192,localhost:9292";
const TOPIC: &str = "shipped";
const SOME: usize = 400;
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
const KAFKA_PYTHON: &str = "kafka-python==2.2.21";
const USER_ID: &str = "1000";

fn service(id: i32) -> &'static str {
    SERVICES[id as usize - 1]
}

/// A partition's leader and in-sync replicas, as a node that is reachable tells them.
fn leader_and_in_sync(asked: i32) -> Result<(i32, usize)> {
    let address = format!("127.0.0.1:{}", PORTS[asked as usize - 1]);
    let seen = probe::metadata(&address, Some(TOPIC))?.partitions;
    let partition = seen.first().context("the topic is known")?;
    Ok((partition.leader, partition.in_sync.len()))
}

fn wait_all_in_sync() -> Result<()> {
    wait::for_condition("all replicas are in sync", RECOVERY_LIMIT, || {
        let (leader, in_sync) = leader_and_in_sync(1)?;
        Ok(leader > 0 && in_sync == SERVICES.len())
    })
}

fn produce(bootstrap: &str, topic: &str, lines: &str) -> Result<()> {
    kcat(&["-P", "-b", bootstrap, "-t", topic, "-X", "acks=all"], lines).map(drop)
}

fn consume(bootstrap: &str, topic: &str) -> Result<String> {
    Ok(kcat(&["-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning"], "")?.stdout)
}

/// Each published port is a way in, and each advertised address is one that the host reaches.
fn clients_on_the_host_use_every_port() -> Result<()> {
    for port in PORTS {
        let (bootstrap, topic) = (format!("localhost:{port}"), format!("through-{port}"));
        probe::create_topic(&format!("127.0.0.1:{port}"), &topic, 2, 3)?;
        run_script(KAFKA_PYTHON, "kafka_python_tour.py", &[&bootstrap, &topic])?;
        produce(&bootstrap, "kcat", &format!("by {port}\n"))?;
    }
    let read = consume("localhost:9092", "kcat")?;
    ensure!(read == "by 9092\nby 9192\nby 9292\n", "kcat read {read:?}");
    Ok(())
}

fn runs_without_root(container: &str) -> Result<()> {
    let pid = inspect(container, "{{.State.Pid}}")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("no user id")?;
    ensure!(user.split_whitespace().all(|id| id == USER_ID), "the process runs as {user}");
    Ok(())
}

/// kill -9 of the leader's container; it is started again by hand, as after any `docker kill`.
fn kill_the_leader(compose: &Compose, writer: &Writer) -> Result<()> {
    writer.wait_acked(SOME)?;
    let leader = leader_and_in_sync(1)?.0;
    let container = compose.container(service(leader))?;
    docker(&["kill", &container])?;
    writer.wait_acked(SOME)?;
    docker(&["start", &container])?;
    wait_all_in_sync()?;
    writer.wait_acked(SOME)
}

/// The leader's container loses its network and gets it back.
fn cut_the_leader_off(compose: &Compose, writer: &Writer) -> Result<()> {
    let leader = leader_and_in_sync(1)?.0;
    let container = compose.container(service(leader))?;
    docker(&["network", "disconnect", &compose.network(), &container])?;
    let other = leader % SERVICES.len() as i32 + 1;
    wait::for_condition("another node leads", RECOVERY_LIMIT, || {
        Ok(leader_and_in_sync(other).is_ok_and(|(now, _)| now > 0 && now != leader))
    })?;
    writer.wait_acked(SOME)?;
    docker(&["network", "connect", "--alias", service(leader), &compose.network(), &container])?;
    wait_all_in_sync()?;
    writer.wait_acked(SOME)
}

#[test]
fn three_containers_survive_kills_cuts_and_restarts() {
    with_containers("docker-compose.yml", &PORTS, |compose| {
        compose.wait_healthy(&SERVICES)?;
        for service in SERVICES {
            runs_without_root(&compose.container(service)?)?;
        }
        clients_on_the_host_use_every_port()?;

        probe::create_topic("127.0.0.1:9092", TOPIC, 1, 3)?;
        let dir = TempDir::new()?;
        let site = Site { bootstrap: BOOTSTRAP, dir: dir.path(), recovery_limit: RECOVERY_LIMIT };
        let killed = Writer::confluent_to(site, TOPIC, Load::default(), &[])?;
        kill_the_leader(compose, &killed)?;
        let killed = killed.stop()?;
        report(&format!("longest gap at `docker kill` {} ms", killed.longest_gap_ms()));
        let cut = Writer::confluent_to(site, TOPIC, Load::default().named("cut"), &[])?;
        cut.wait_acked(SOME)?;
        cut_the_leader_off(compose, &cut)?;
        let cut = cut.stop()?;
        report(&format!("longest gap at `docker network disconnect` {} ms", cut.longest_gap_ms()));

        compose.run(&["down", "--timeout", "20"])?;
        compose.run(&["up", "-d"])?;
        compose.wait_healthy(&SERVICES)?;
        wait_all_in_sync()?;
        let read = read_all_from(BOOTSTRAP, TOPIC)?;
        for history in [killed, cut] {
            history.check_no_failure()?;
            history.check(&read)?;
        }
        Ok(())
    });
}

#[test]
fn one_container_is_enough() {
    with_containers("docker-compose.single.yml", &PORTS[..1], |compose| {
        compose.wait_healthy(&["tidelog"])?;
        produce("localhost:9092", TOPIC, "kept\n")?;
        compose.run(&["restart"])?;
        compose.wait_healthy(&["tidelog"])?;
        let read = consume("localhost:9092", TOPIC)?;
        ensure!(read == "kept\n", "after a restart there is {read:?}");
        Ok(())
    });
}
