//! Clients and tools that nobody here wrote, installed on first use into a cache of the user's.
//!
//! `TIDELOG_TEST_CACHE` names another folder. What cannot be had on this machine is a [`Missing`],
//! which skips the scenario with its reason; where `CI=true` it fails it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fmt};

use anyhow::{Context, Result};

use crate::process::{Output, run, run_any};

const INSTALL_LIMIT: Duration = Duration::from_secs(300);
const TOOL_LIMIT: Duration = Duration::from_secs(90);

pub const CONFLUENT_KAFKA: &str = "confluent-kafka==2.16.1";
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// Something this machine lacks.
#[derive(Debug)]
pub struct Missing(pub String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Missing {}

/// Where everything is installed.
pub fn cache_dir() -> Result<PathBuf> {
    let dir = match (env::var_os("TIDELOG_TEST_CACHE"), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(dir), ..) => PathBuf::from(dir),
        (_, Some(dir), _) => PathBuf::from(dir).join("tidelog-tests"),
        (.., Some(dir)) => PathBuf::from(dir).join(".cache/tidelog-tests"),
        _ => env::temp_dir().join("tidelog-tests"),
    };
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Installs into `<cache>/<name>` once, whatever runs at the same time; a broken attempt is made anew.
pub fn installed(name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache_dir()?;
    let dir = cache.join(name);
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    let done = dir.join(".installed");
    if !done.exists() {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        install(&dir)?;
        File::create(done)?;
    }
    Ok(dir)
}

/// Whether a program is on the PATH.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| Missing(format!("{name} is not installed")).into())
}

/// The Python of a virtual environment that holds one pip requirement.
pub fn python(requirement: &str) -> Result<PathBuf> {
    let python3 = program("python3")?;
    let dir = installed(&format!("python-{requirement}"), |dir| {
        let mut venv = Command::new(&python3);
        venv.args(["-m", "venv"]).arg(dir);
        run(venv, "", INSTALL_LIMIT)?;
        let mut pip = Command::new(dir.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", requirement, "six"]);
        run(pip, "", INSTALL_LIMIT)?;
        install_site_customization(dir)
    })?;
    Ok(dir.join("bin/python"))
}

/// kafka-python 1.4 and 2.0 carry a copy of `six` that Python 3.12 cannot import.
fn install_site_customization(venv: &Path) -> Result<()> {
    let lib = fs::read_dir(venv.join("lib"))?.next().context("no lib in the virtual environment")??;
    fs::copy(format!("{SETUP}/sitecustomize.py"), lib.path().join("site-packages/sitecustomize.py"))?;
    Ok(())
}

/// The class path of Apache Kafka: its brokers, its clients and its command-line tools.
pub fn kafka_class_path() -> Result<String> {
    program("java")?;
    let maven = program("mvn")?;
    let dir = installed("kafka-4.3.1", |dir| {
        let mut copy = Command::new(maven);
        copy.args([
            "-q",
            "-B",
            "-f",
            &format!("{SETUP}/kafka.xml"),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
        ]);
        copy.arg(format!("-DoutputDirectory={}", dir.display()));
        run(copy, "", INSTALL_LIMIT)?;
        Ok(())
    })?;
    Ok(format!("{}/*", dir.display()))
}

/// A command line that runs one class of Kafka's.
pub fn kafka_class(class: &str, options: &[&str]) -> Result<Command> {
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]).args(options);
    java.arg("-cp").arg(kafka_class_path()?).arg(class);
    Ok(java)
}

/// Runs one of Kafka's tools, which must succeed.
pub fn kafka_tool(class: &str, args: &[&str], input: &str) -> Result<Output> {
    let mut java = kafka_class(class, &["-Xmx256m"])?;
    java.args(args);
    run(java, input, TOOL_LIMIT)
}

/// Runs one of Kafka's tools, which may fail.
pub fn kafka_tool_any(class: &str, args: &[&str], input: &str) -> Result<Output> {
    let mut java = kafka_class(class, &["-Xmx256m"])?;
    java.args(args);
    run_any(java, input, TOOL_LIMIT)
}

/// Runs kcat, which must succeed.
pub fn kcat(args: &[&str], input: &str) -> Result<Output> {
    let mut kcat = Command::new(program("kcat")?);
    kcat.args(args);
    run(kcat, input, TOOL_LIMIT)
}
