//! All groups of the cluster, asked of every broker, and those of them that names and patterns pick.

use futures::future::join_all;
use serde::Serialize;
use tidelog_client::{Client, ClientError};
use tidelog_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::commands::pattern::{is_pattern, matches};
use crate::exit::{Exit, Failure};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ListedGroup {
    pub group: String,
    /// `classic`, `consumer`, ...; empty if the broker is too old to say.
    pub r#type: String,
    /// What the members speak among themselves: `consumer`, `connect`, ...; empty for offsets without members.
    pub protocol: String,
    /// Empty if the broker is too old to say.
    pub state: String,
    pub coordinator: i32,
}

/// Every group, by name. Fails if any broker cannot be asked, because its groups would be missing silently.
pub async fn list_groups(client: &Client) -> Result<Vec<ListedGroup>, Failure> {
    let metadata = client.metadata(Some(&[]), false).await?;
    let asking = metadata.brokers.iter().map(|broker| list_of_broker(client, broker.node_id));
    let mut groups = Vec::new();
    for listed in join_all(asking).await {
        groups.extend(listed?);
    }
    groups.sort();
    groups.dedup_by(|a, b| a.group == b.group);
    Ok(groups)
}

async fn list_of_broker(client: &Client, node_id: i32) -> Result<Vec<ListedGroup>, Failure> {
    let what = format!("cannot list the groups of broker {node_id}");
    let asked = client.retrying(&what, || async {
        let response = client.broker(node_id).await?.send(&ListGroupsRequest::default()).await?;
        match response.error_code {
            code if code.is_none() => Ok(response),
            code => Err(ClientError::refused(&what, code)),
        }
    });
    let response: ListGroupsResponse = asked.await?;
    let groups = response.groups.into_iter().map(|group| ListedGroup {
        group: group.group_id.into(),
        r#type: group.group_type.to_lowercase(),
        protocol: group.protocol_type.into(),
        state: group.group_state.into(),
        coordinator: node_id,
    });
    Ok(groups.collect())
}

/// The names as they are, and for each pattern the groups it matches; each group once. No names at all mean all groups.
pub async fn select(client: &Client, names: &[String]) -> Result<Vec<String>, Failure> {
    if !names.is_empty() && !names.iter().any(|name| is_pattern(name)) {
        return Ok(deduplicated(names.to_vec()));
    }
    let all: Vec<String> = list_groups(client).await?.into_iter().map(|listed| listed.group).collect();
    if names.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in names {
        if !is_pattern(name) {
            chosen.push(name.clone());
            continue;
        }
        let before = chosen.len();
        chosen.extend(all.iter().filter(|group| matches(name, group)).cloned());
        if chosen.len() == before {
            return Err(Failure::new(Exit::NotFound, format!("no group matches {name}"))
                .advising("`tidelog group list` shows the groups there are"));
        }
    }
    Ok(deduplicated(chosen))
}

fn deduplicated(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}
