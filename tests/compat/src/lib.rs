//! What the compatibility tests share: scripts of this folder, and a network where port 9092 is free.
//!
//! The clients themselves are installed by [`tidelog_cluster_tests::external`].

pub mod checker;
pub mod client;
pub mod command;
pub mod compose;
pub mod dump_log;
pub mod event;
pub mod group;
pub mod member;
pub mod storm;
pub mod tour;
pub mod verdict;

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tidelog_cluster_tests::external::{self, Missing};
use tidelog_cluster_tests::process::{Output, run, run_any};
use tidelog_cluster_tests::scenario::finish;
use tidelog_cluster_tests::target::tidelog_binary;
use tidelog_cluster_tests::{Target, scenario::report};

/// Every generation of kafka-python that still has users.
pub const KAFKA_PYTHONS: [&str; 4] = ["1.4.7", "2.0.2", "2.2.21", "3.0.12"];

const SCRIPT_LIMIT: Duration = Duration::from_secs(90);
const PRIVATE_NETWORK_LIMIT: Duration = Duration::from_secs(300);
const INSIDE: &str = "TIDELOG_TEST_PRIVATE_NETWORK";
const ARTICLE_PORTS: [u16; 3] = [9092, 9192, 9292];

/// A script of `clients/`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// Runs a script of `clients/` with one pip requirement installed; it must succeed.
pub fn run_script(requirement: &str, name: &str, args: &[&str]) -> Result<Output> {
    let mut python = Command::new(external::python(requirement)?);
    python.arg("-u").arg(script(name)).args(args);
    run(python, "", SCRIPT_LIMIT)
}

/// Runs `body` where ports 9092, 9192 and 9292 are free: in a network namespace of its own if that can be
/// made, else on the machine's loopback. `test` is the calling test's name, which is run again inside;
/// `prepare` runs before, where downloads are still possible.
///
/// # Panics
/// If anything fails: this is the body of a test.
pub fn with_article_ports(test: &str, prepare: impl FnOnce() -> Result<()>, body: impl FnOnce() -> Result<()>) {
    finish(if env::var_os(INSIDE).is_some() { body() } else { prepare().and_then(|()| enter(test, body)) });
}

fn enter(test: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let target = Target::from_environment()?;
    if !can_unshare() {
        let busy = ARTICLE_PORTS.iter().find(|port| TcpListener::bind(("127.0.0.1", **port)).is_err());
        return match busy {
            None => body(),
            Some(port) => {
                Err(Missing(format!("port {port} is taken and unshare makes no private network here")).into())
            }
        };
    }
    let mut again = unshare();
    again.arg(env::current_exe()?).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    match target {
        Target::Tidelog => drop(again.env("TIDELOG_BIN", tidelog_binary()?)),
        Target::Kafka => drop(external::kafka_class_path()?),
    }
    let output = run(again, "", PRIVATE_NETWORK_LIMIT)?;
    output.stderr.lines().filter(|line| line.starts_with(test)).for_each(report);
    Ok(())
}

/// A command that runs the program appended to it in a network that has only a loopback interface.
fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--net", "sh", "-c", r#"ip link set lo up && exec "$@""#, "sh"]);
    unshare
}

fn can_unshare() -> bool {
    let mut probe = unshare();
    probe.arg("true");
    run_any(probe, "", SCRIPT_LIMIT).is_ok_and(|output| output.status.success())
}
