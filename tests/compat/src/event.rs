//! What a group member says happened to it: one line of JSON each, in the same words in every language.
//!
//! `assigned` and `revoked` name the partitions that came and went; what a member owns is their sum.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// `topic-index`, as Kafka writes it.
pub type Partition = String;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Assigned {
        partitions: Vec<Partition>,
        generation: Option<i64>,
    },
    Revoked {
        partitions: Vec<Partition>,
    },
    /// The generation of what it owns, from clients that tell it later than their partitions.
    Generation {
        generation: i64,
    },
    Record {
        partition: Partition,
        offset: i64,
        value: String,
    },
    /// The next offset to read of each partition, acknowledged by the coordinator.
    Committed {
        offsets: BTreeMap<Partition, i64>,
    },
    /// Of the client; it goes on.
    Error {
        message: String,
    },
    /// The member has left its group and ends.
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// By the clock of the machine, which all members share.
    pub at_ms: i64,
    pub what: What,
}

impl Event {
    pub fn parse(line: &str) -> Result<Event> {
        let json: Value = serde_json::from_str(line)?;
        let text = |key: &str| json[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {line}"));
        let number = |key: &str| json[key].as_i64().with_context(|| format!("no {key} in {line}"));
        let partitions = || -> Result<Vec<Partition>> {
            let names = json["partitions"].as_array().with_context(|| format!("no partitions in {line}"))?;
            names.iter().map(|name| name.as_str().map(str::to_owned).context("a partition's name")).collect()
        };
        let what = match text("event")?.as_str() {
            "assigned" => What::Assigned { partitions: partitions()?, generation: json["generation"].as_i64() },
            "revoked" => What::Revoked { partitions: partitions()? },
            "generation" => What::Generation { generation: number("generation")? },
            "record" => {
                What::Record { partition: text("partition")?, offset: number("offset")?, value: text("value")? }
            }
            "committed" => {
                let offsets = json["offsets"].as_object().context("no offsets")?;
                let pairs = offsets.iter().map(|(name, next)| Some((name.clone(), next.as_i64()?)));
                What::Committed { offsets: pairs.collect::<Option<_>>().context("an offset")? }
            }
            "error" => What::Error { message: text("message")? },
            "closed" => What::Closed,
            other => bail!("a member told {other:?}"),
        };
        Ok(Event { at_ms: number("at_ms")?, what })
    }
}
