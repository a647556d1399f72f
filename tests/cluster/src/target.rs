//! The system under test: Tidelog, or Apache Kafka for comparison. Everything else is the same for both.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::external;
use crate::process::run;

const BUILD_LIMIT: Duration = Duration::from_secs(900);
const KAFKA_CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAQ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Tidelog,
    Kafka,
}

impl Target {
    pub fn from_environment() -> Result<Target> {
        match env::var("TIDELOG_TEST_TARGET").as_deref() {
            Err(_) | Ok("tidelog") => Ok(Target::Tidelog),
            Ok("kafka") => Ok(Target::Kafka),
            Ok(other) => bail!("TIDELOG_TEST_TARGET is {other:?}; it must be tidelog or kafka"),
        }
    }

    /// How long a healthy system may take to get over one fault. A tenth of it is what Tidelog needs;
    /// how fast it is belongs into benchmarks.
    pub fn recovery_limit(self) -> Duration {
        match self {
            Target::Tidelog => Duration::from_secs(20),
            Target::Kafka => Duration::from_secs(60),
        }
    }

    /// What is done once before a node's first start.
    pub fn format(self, config: &Path) -> Result<()> {
        if self == Target::Kafka {
            let config = config.to_str().context("config path")?;
            let args = ["format", "-t", KAFKA_CLUSTER_ID, "-c", config];
            external::kafka_tool("kafka.tools.StorageTool", &args, "")?;
        }
        Ok(())
    }

    /// The command that runs one node.
    pub fn server(self, config: &Path) -> Result<Command> {
        match self {
            Target::Tidelog => {
                let mut command = Command::new(tidelog_binary()?);
                command.arg("server").arg("--config").arg(config);
                Ok(command)
            }
            Target::Kafka => {
                let mut command = external::kafka_class("kafka.Kafka", &["-Xms256m", "-Xmx256m"])?;
                command.arg(config);
                Ok(command)
            }
        }
    }

    /// Settings that make Kafka as careful as Tidelog is by default.
    pub fn parity_settings(self, brokers: usize) -> String {
        let mut settings = String::new();
        if self == Target::Kafka {
            for key in ["default.replication.factor", "offsets.topic.replication.factor"] {
                writeln!(settings, "{key}={brokers}").expect("writing to a string");
            }
            let majority = brokers.div_ceil(2);
            // Its heap is small here, and it allocates what a frame's length claims.
            settings.push_str("socket.request.max.bytes=10485760\n");
            writeln!(settings, "min.insync.replicas={majority}").expect("writing to a string");
        }
        settings
    }
}

/// The binary under test, built once from this tree in the profile of the tests themselves.
pub fn tidelog_binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build_tidelog().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build_tidelog() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDELOG_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args(["build", "--package", "tidelog-server", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let messages = run(cargo, "", BUILD_LIMIT)?.stdout;
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .context("cargo named no executable")?;
    fs::metadata(&executable)?;
    Ok(executable)
}
