//! A cluster of containers, started from the compose files of `deploy/` as a user starts it.
//!
//! The image is built from this tree in the tests' own profile, under a name that no user's image has.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tidelog_cluster_tests::external::{Missing, program};
use tidelog_cluster_tests::process::{run, run_any};
use tidelog_cluster_tests::scenario::finish;
use tidelog_cluster_tests::{Target, kafka_differs, wait};

const IMAGE: &str = "tidelog:test";
const BUILD_LIMIT: Duration = Duration::from_secs(900);
const COMMAND_LIMIT: Duration = Duration::from_secs(90);
const HEALTH_LIMIT: Duration = Duration::from_secs(60);

/// The compose files publish fixed ports, so there is one project at a time.
static PORTS: Mutex<()> = Mutex::new(());

/// The containers of one compose file. Dropping it takes them and their volumes away.
pub struct Compose {
    file: PathBuf,
    project: String,
    _ports: MutexGuard<'static, ()>,
}

impl Compose {
    /// Builds the image and starts what a file of `deploy/` names, which publishes these ports.
    fn up(file: &str, ports: &[u16]) -> Result<Compose> {
        let guard = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        require_docker()?;
        if let Some(port) = ports.iter().find(|port| TcpListener::bind(("0.0.0.0", **port)).is_err()) {
            return Err(Missing(format!("port {port}, which {file} publishes, is taken")).into());
        }
        build_image()?;
        let file = deploy(file);
        let compose = Compose { file, project: format!("tidelog-test-{}", process::id()), _ports: guard };
        compose.run(&["up", "-d"])?;
        Ok(compose)
    }

    /// Runs `docker-compose` with these words on this project; it must succeed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        Ok(run(self.command(words)?, "", COMMAND_LIMIT)?.stdout)
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = compose_command()?;
        command.arg("--project-name").arg(&self.project).arg("--file").arg(&self.file).args(words);
        command.env("TIDELOG_IMAGE", IMAGE);
        Ok(command)
    }

    /// The container of a service, running or not.
    pub fn container(&self, service: &str) -> Result<String> {
        let label = |key: &str, value: &str| format!("label=com.docker.compose.{key}={value}");
        let filters = [label("project", &self.project), label("service", service)];
        let printed = docker(&["ps", "--all", "--quiet", "--filter", &filters[0], "--filter", &filters[1]])?;
        let ids: Vec<&str> = printed.split_whitespace().collect();
        ensure!(ids.len() == 1, "{service} has the containers {ids:?}");
        Ok(ids[0].to_owned())
    }

    /// The network that all services share.
    pub fn network(&self) -> String {
        format!("{}_default", self.project)
    }

    /// Waits until the health check of each service's container passes.
    pub fn wait_healthy(&self, services: &[&str]) -> Result<()> {
        for service in services {
            let container = self.container(service)?;
            wait::for_condition(&format!("{service} is healthy"), HEALTH_LIMIT, || {
                Ok(inspect(&container, "{{.State.Health.Status}}")? == "healthy")
            })?;
        }
        Ok(())
    }

    /// What the containers printed, for a failed test.
    fn logs(&self) -> String {
        let logs = self.command(&["logs", "--no-color", "--tail", "40"]);
        let printed = logs.and_then(|logs| run_any(logs, "", COMMAND_LIMIT));
        printed.map_or_else(|error| format!("{error:#}"), |output| output.text())
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Nobody is left to tell; what stays behind is named after this project.
        let _ = self.run(&["down", "--volumes", "--timeout", "10"]);
    }
}

/// Starts the containers of a file of `deploy/`, which publishes these ports, and runs `body` on them.
///
/// # Panics
/// If anything fails: this is the body of a test.
pub fn with_containers(file: &str, ports: &[u16], body: impl FnOnce(&Compose) -> Result<()>) {
    if Target::from_environment().is_ok_and(|target| kafka_differs(target, "the image is Tidelog's")) {
        return;
    }
    finish(Compose::up(file, ports).and_then(|compose| {
        let outcome = body(&compose);
        if outcome.as_ref().is_err_and(|error| !error.is::<Missing>()) {
            eprintln!("{}", compose.logs());
        }
        outcome
    }));
}

/// Runs `docker` with these words; it must succeed.
pub fn docker(words: &[&str]) -> Result<String> {
    let mut docker = Command::new("docker");
    docker.args(words);
    Ok(run(docker, "", COMMAND_LIMIT)?.stdout)
}

/// One fact about a container, as a template of docker's names it.
pub fn inspect(container: &str, template: &str) -> Result<String> {
    Ok(docker(&["inspect", "--format", template, container])?.trim().to_owned())
}

fn require_docker() -> Result<()> {
    program("docker")?;
    compose_command()?;
    let mut version = Command::new("docker");
    version.args(["version", "--format", "{{.Server.Version}}"]);
    if run_any(version, "", COMMAND_LIMIT)?.status.success() {
        return Ok(());
    }
    Err(Missing("no docker daemon answers".into()).into())
}

/// Compose as a program of its own, or as docker's plugin.
fn compose_command() -> Result<Command> {
    if let Ok(compose) = program("docker-compose") {
        return Ok(Command::new(compose));
    }
    let plugin = || {
        let mut docker = Command::new("docker");
        docker.arg("compose");
        docker
    };
    let mut version = plugin();
    version.arg("version");
    if run_any(version, "", COMMAND_LIMIT)?.status.success() {
        return Ok(plugin());
    }
    Err(Missing("docker-compose is not installed".into()).into())
}

fn build_image() -> Result<()> {
    let mut build = Command::new(deploy("build-image"));
    build.args([IMAGE, if cfg!(debug_assertions) { "dev" } else { "release" }]);
    run(build, "", BUILD_LIMIT).map(drop)
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}
