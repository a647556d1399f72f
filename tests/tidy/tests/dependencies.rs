//! Dependencies point one way, and the pure crates see nothing that could do I/O.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidelog_tidy::root;

/// What each crate may use of the others.
const INSIDE: [(&str, &[&str]); 11] = [
    ("tidelog-wire", &[]),
    ("tidelog-internal-api", &[]),
    ("tidelog-commitlog", &["tidelog-wire"]),
    ("tidelog-replication", &["tidelog-wire"]),
    ("tidelog-metadata", &["tidelog-wire"]),
    ("tidelog-coordinator", &["tidelog-wire"]),
    ("tidelog-client", &["tidelog-wire"]),
    ("tidelog-panics", &[]),
    ("tidelog-controller", &["tidelog-internal-api", "tidelog-metadata", "tidelog-panics", "tidelog-wire"]),
    (
        "tidelog-broker",
        &[
            "tidelog-client",
            "tidelog-commitlog",
            "tidelog-controller",
            "tidelog-coordinator",
            "tidelog-metadata",
            "tidelog-panics",
            "tidelog-replication",
            "tidelog-wire",
        ],
    ),
    (
        "tidelog-server",
        &[
            "tidelog-broker",
            "tidelog-client",
            "tidelog-commitlog",
            "tidelog-controller",
            "tidelog-metadata",
            "tidelog-wire",
        ],
    ),
];

/// Crates that decide and never act, and everything from outside that they may use.
const PURE: [&str; 3] = ["tidelog-replication", "tidelog-metadata", "tidelog-coordinator"];
const PURE_OUTSIDE: [&str; 3] = ["bytes", "thiserror", "regex"];

/// Dependencies that belong to some crates alone.
const OWNED: [(&str, &[&str]); 8] = [
    ("openraft", &["tidelog-controller"]),
    ("sled", &["tidelog-controller"]),
    ("tonic", &["tidelog-controller", "tidelog-internal-api"]),
    ("prost", &["tidelog-controller", "tidelog-internal-api"]),
    ("anyhow", &["tidelog-server"]),
    ("clap", &["tidelog-server"]),
    ("axum", &["tidelog-server"]),
    ("tokio", &["tidelog-broker", "tidelog-client", "tidelog-controller", "tidelog-panics", "tidelog-server"]),
];

struct Crate {
    name: String,
    /// Normal dependencies only: tests may use what they like.
    dependencies: Vec<String>,
    /// Whether every dependency's features are fixed in the workspace.
    is_under_crates: bool,
}

fn crates() -> Result<Vec<Crate>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    packages.iter().map(read_package).collect()
}

fn read_package(package: &Value) -> Result<Crate> {
    let dependencies = package["dependencies"].as_array().context("dependencies")?;
    let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
    Ok(Crate {
        name: package["name"].as_str().context("name")?.to_owned(),
        dependencies: normal.filter_map(|dependency| Some(dependency["name"].as_str()?.to_owned())).collect(),
        is_under_crates: package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/")),
    })
}

#[test]
fn crates_use_only_those_below_them() -> Result<()> {
    let crates = crates()?;
    for (name, below) in INSIDE {
        let this = crates.iter().find(|c| c.name == name).with_context(|| format!("{name} is gone"))?;
        let ours = this.dependencies.iter().filter(|dependency| dependency.starts_with("tidelog-"));
        for dependency in ours {
            ensure!(below.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
    Ok(())
}

#[test]
fn pure_crates_see_nothing_of_the_world() -> Result<()> {
    for this in crates()?.iter().filter(|c| PURE.contains(&c.name.as_str())) {
        for dependency in this.dependencies.iter().filter(|dependency| !dependency.starts_with("tidelog-")) {
            ensure!(PURE_OUTSIDE.contains(&dependency.as_str()), "{} must not use {dependency}", this.name);
        }
    }
    Ok(())
}

#[test]
fn big_dependencies_stay_where_they_belong() -> Result<()> {
    for this in crates()?.iter().filter(|c| c.is_under_crates) {
        for (dependency, owners) in OWNED {
            let uses = this.dependencies.iter().any(|used| used == dependency);
            ensure!(!uses || owners.contains(&this.name.as_str()), "{} must not use {dependency}", this.name);
        }
    }
    Ok(())
}
