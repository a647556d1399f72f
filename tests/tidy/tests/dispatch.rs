//! Adding an API is one file and one dispatch line.

use std::fs;

use anyhow::{Context, Result, ensure};
use tidelog_tidy::root;

#[test]
fn every_api_file_has_exactly_one_dispatch_line() -> Result<()> {
    let broker = root().join("crates/broker/src");
    let modules = fs::read_to_string(broker.join("api/mod.rs"))?;
    let dispatch = fs::read_to_string(broker.join("dispatch.rs"))?;
    let (_, table) = dispatch.split_once("SERVED: &[Served] = &[").context("the dispatch table")?;
    let (table, _) = table.split_once("];").context("the end of the dispatch table")?;
    // What several APIs share is private to `api`.
    let apis: Vec<&str> =
        modules.lines().filter_map(|line| line.strip_prefix("pub(crate) mod ")?.strip_suffix(';')).collect();
    ensure!(apis.len() > 10, "only {apis:?}");
    for api in apis {
        let lines = table.lines().filter(|line| line.contains(&format!("api::{api}::"))).count();
        ensure!(lines == 1, "api/{api}.rs has {lines} dispatch lines");
    }
    Ok(())
}
