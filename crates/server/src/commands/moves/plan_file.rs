//! Plans as files, in the form that `kafka-reassign-partitions` writes and reads.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::plan::Assignment;
use crate::exit::Failure;

#[derive(Debug, Deserialize, Serialize)]
struct PlanFile {
    version: i32,
    partitions: Vec<PlannedPartition>,
}

#[derive(Debug, Deserialize, Serialize)]
struct PlannedPartition {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    /// One for each replica; `any` leaves the choice to the broker, and nothing else is offered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_dirs: Option<Vec<String>>,
}

const VERSION: i32 = 1;
const ANY_LOG_DIR: &str = "any";

/// One line of JSON, as Kafka's tool prints it.
pub fn written(assignment: &Assignment) -> String {
    let partition = |((topic, partition), replicas): (&(String, i32), &Vec<i32>)| PlannedPartition {
        topic: topic.clone(),
        partition: *partition,
        replicas: replicas.clone(),
        log_dirs: Some(vec![ANY_LOG_DIR.to_owned(); replicas.len()]),
    };
    let file = PlanFile { version: VERSION, partitions: assignment.iter().map(partition).collect() };
    serde_json::to_string(&file).unwrap_or_default()
}

pub fn parsed(text: &str) -> Result<Assignment, String> {
    let file: PlanFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("version {} is not known, only {VERSION} is", file.version));
    }
    let mut assignment = Assignment::new();
    for PlannedPartition { topic, partition, replicas, log_dirs } in file.partitions {
        let name = format!("{topic}-{partition}");
        let mut distinct = replicas.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if replicas.is_empty() || distinct.len() != replicas.len() {
            return Err(format!("{name} must have replicas, each on a broker of its own"));
        }
        if log_dirs.is_some_and(|dirs| dirs.iter().any(|dir| dir != ANY_LOG_DIR)) {
            return Err(format!("{name} names log directories; only {ANY_LOG_DIR:?} can be asked for"));
        }
        if assignment.insert((topic, partition), replicas).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    match assignment.is_empty() {
        true => Err("there are no partitions in it".to_owned()),
        false => Ok(assignment),
    }
}

/// Reads a plan; `-` is standard input.
pub fn read(path: &Path) -> Result<Assignment, Failure> {
    let text = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin().lock()),
        _ => fs::read_to_string(path),
    };
    let failed = |why: String| {
        Failure::usage(format!("cannot use plan {}: {why}", path.display()))
            .advising("`tidelog topic reassign generate` writes plans")
    };
    parsed(&text.map_err(|error| failed(error.to_string()))?).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_as_they_are_written_and_as_kafka_writes_them() {
        let plan = Assignment::from([(("a".to_owned(), 0), vec![1, 2]), (("b".to_owned(), 3), vec![3])]);
        assert_eq!(parsed(&written(&plan)), Ok(plan.clone()));
        let kafka = r#"{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},{"topic":"b","partition":3,"replicas":[3]}]}"#;
        assert_eq!(parsed(kafka), Ok(plan));
    }

    #[test]
    fn wrong_plans_are_refused_with_a_reason() {
        let partition = |text: &str| format!(r#"{{"version":1,"partitions":[{text}]}}"#);
        let table = [
            ("{".to_owned(), "EOF"),
            (r#"{"version":2,"partitions":[]}"#.to_owned(), "version 2"),
            (partition(""), "no partitions"),
            (partition(r#"{"topic":"a","partition":0,"replicas":[]}"#), "a-0 must have replicas"),
            (partition(r#"{"topic":"a","partition":0,"replicas":[1,1]}"#), "a-0 must have replicas"),
            (partition(r#"{"topic":"a","partition":0,"replicas":[1],"log_dirs":["/x"]}"#), "log directories"),
            (
                partition(r#"{"topic":"a","partition":0,"replicas":[1]},{"topic":"a","partition":0,"replicas":[2]}"#),
                "twice",
            ),
        ];
        for (text, expected) in table {
            let why = parsed(&text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
