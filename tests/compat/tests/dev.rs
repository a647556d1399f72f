//! `tidelog dev`: a whole cluster in one process on the article's port, which survives kill -9.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tidelog_cluster_tests::external::{kcat, program};
use tidelog_cluster_tests::process::Process;
use tidelog_cluster_tests::target::tidelog_binary;
use tidelog_cluster_tests::{Target, kafka_differs, wait};
use tidelog_compat_tests::with_article_ports;

const READY_LIMIT: Duration = Duration::from_secs(30);
const RECORDS: usize = 2_000;
const BOOTSTRAP: &str = "localhost:9092";

fn start(dir: &Path) -> Result<Process> {
    let mut command = Command::new(tidelog_binary()?);
    command.arg("dev").arg("--data-dir").arg(dir.join("data"));
    Process::start(command, &dir.join("dev.log"))
}

fn wait_for_brokers(dev: &mut Process) -> Result<()> {
    wait::for_condition("three brokers are there", READY_LIMIT, || {
        if let Some(status) = dev.exited()? {
            panic!("dev ended with {status}: {}", std::fs::read_to_string(dev.log())?);
        }
        let listing: serde_json::Value = serde_json::from_str(&kcat(&["-L", "-J", "-b", BOOTSTRAP], "")?.stdout)?;
        Ok(listing["brokers"].as_array().is_some_and(|brokers| brokers.len() == 3))
    })
}

fn produce(first: usize) -> Result<()> {
    let lines: String = (first..first + RECORDS).map(|n| format!("{n}\n")).collect();
    kcat(&["-P", "-b", BOOTSTRAP, "-t", "kept", "-X", "acks=all", "-X", "enable.idempotence=true"], &lines)?;
    Ok(())
}

fn check_all_are_there(count: usize) -> Result<()> {
    let read = kcat(&["-C", "-q", "-e", "-b", BOOTSTRAP, "-t", "kept", "-o", "beginning"], "")?;
    let mut numbers: Vec<usize> = read.stdout.lines().map(str::parse).collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    ensure!(numbers == (0..count).collect::<Vec<_>>(), "{} records instead of {count}", numbers.len());
    Ok(())
}

#[test]
fn a_killed_dev_cluster_comes_back_with_everything() {
    if Target::from_environment().is_ok_and(|target| kafka_differs(target, "it has no such command")) {
        return;
    }
    with_article_ports(
        "a_killed_dev_cluster_comes_back_with_everything",
        || program("kcat").map(drop),
        || {
            let dir = tempfile::tempdir()?;
            let mut dev = start(dir.path())?;
            wait_for_brokers(&mut dev)?;
            let banner = std::fs::read_to_string(dev.log())?;
            ensure!(["9092", "9192", "9292"].iter().all(|port| banner.contains(port)), "{banner}");
            for round in 1..=3 {
                produce((round - 1) * RECORDS)?;
                dev.kill()?;
                dev = start(dir.path())?;
                wait_for_brokers(&mut dev)?;
                wait::for_condition("everything is there again", READY_LIMIT, || {
                    check_all_are_there(round * RECORDS)?;
                    Ok(true)
                })?;
            }
            let status = dev.terminate(READY_LIMIT)?;
            ensure!(status.success(), "dev ended with {status} after SIGTERM");
            Ok(())
        },
    );
}
