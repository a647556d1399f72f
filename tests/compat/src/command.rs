//! Runs Tidelog's own command line against the cluster under test.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidelog_cluster_tests::Cluster;
use tidelog_cluster_tests::process::{Output, run_any};
use tidelog_cluster_tests::target::tidelog_binary;

const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// The command, not started yet; `words` are parted by blanks.
pub fn tidelog_command(cluster: &Cluster, words: &str) -> Result<Command> {
    let mut command = Command::new(tidelog_binary()?);
    command.args(words.split(' ')).args(["--bootstrap-server", &cluster.bootstrap()]);
    Ok(command)
}

/// Runs a command, however it may end.
pub fn any_tidelog(cluster: &Cluster, words: &str, input: &str) -> Result<Output> {
    run_any(tidelog_command(cluster, words)?, input, COMMAND_LIMIT)
}

/// Runs a command that must end with this exit code.
pub fn tidelog(cluster: &Cluster, words: &str, input: &str, code: i32) -> Result<String> {
    let output = any_tidelog(cluster, words, input)?;
    let ended = output.status.code() == Some(code);
    ensure!(ended, "`tidelog {words}` ended with {} instead of {code}:\n{}", output.status, output.text());
    Ok(output.stdout)
}

/// Runs a command that must end with this exit code, and returns what it complained about.
pub fn refused(cluster: &Cluster, words: &str, code: i32) -> Result<String> {
    let output = any_tidelog(cluster, words, "")?;
    let ended = output.status.code() == Some(code);
    ensure!(ended, "`tidelog {words}` ended with {} instead of {code}:\n{}", output.status, output.text());
    Ok(output.stderr)
}

/// Runs a command that must succeed, and returns its JSON.
pub fn json(cluster: &Cluster, words: &str) -> Result<Value> {
    let printed = tidelog(cluster, &format!("{words} --format json"), "", 0)?;
    serde_json::from_str(&printed).with_context(|| format!("`tidelog {words}` printed {printed}"))
}
