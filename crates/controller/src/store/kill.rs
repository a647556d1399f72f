//! kill -9 in the middle of writing, again and again: what was reported as stored is still there.
//!
//! The writer is this test binary itself, started again with only [`child_writes_until_killed`] to run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;

use super::open;
use super::tests::{append, entry};

const ROUNDS: usize = 8;
const STORE: &str = "TIDELOG_TEST_STORE";

/// Sizes that fill one piece, several, and many.
fn entry_bytes(index: u64) -> usize {
    [10, 3_000, 9_000, 70_000][index as usize % 4]
}

#[tokio::test]
#[ignore = "only ever run by the test below, which kills it"]
async fn child_writes_until_killed() {
    let Ok(path) = std::env::var(STORE) else { return };
    let mut store = open(Path::new(&path)).unwrap();
    let mut next = store.get_log_state().await.unwrap().last_log_id.map_or(0, |last| last.index + 1);
    loop {
        let entries = (next..next + 3).map(|index| entry(1, index, entry_bytes(index))).collect();
        append(&mut store, entries).await;
        next += 3;
        println!("\nstored {next}");
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_while_writing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    for round in 0..ROUNDS {
        let acknowledged = write_and_kill(&path, 3 + round * 7);
        let mut store = open(&path).unwrap();
        let entries = store.try_get_log_entries(..).await.unwrap();
        assert!(entries.len() as u64 >= acknowledged, "round {round}: {} of {acknowledged} left", entries.len());
        for (index, found) in (0..).zip(&entries) {
            assert_eq!(*found, entry(1, index, entry_bytes(index)), "round {round}");
        }
    }
}

/// Runs the writer until it has acknowledged so many batches, kills it, and returns the end it acknowledged.
fn write_and_kill(path: &Path, batches: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::kill::child_writes_until_killed", "--exact", "--ignored", "--nocapture"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = lines.filter_map(|line| line.ok()?.strip_prefix("stored ")?.parse().ok()).nth(batches);
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.expect("the writer ended by itself")
}
