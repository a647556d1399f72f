//! Reading and changing the configuration of one resource over the protocol.

use clap::ValueEnum;
use serde::Serialize;
use tidelog_client::{Client, Connection};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use tidelog_wire::{ErrorCode, Str};

use crate::exit::{Exit, Failure};

/// Whose configuration; the numbers are Kafka's resource types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResourceKind {
    Topic = 2,
    Broker = 4,
    Group = 32,
}

impl ResourceKind {
    fn code(self) -> i8 {
        self as i8
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::Group => "group",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct ConfigValue {
    pub name: String,
    /// Null where it is not set, and where it is a secret.
    pub value: Option<String>,
    pub source: &'static str,
    pub read_only: bool,
    pub sensitive: bool,
}

impl ConfigValue {
    pub fn is_set_on_topic(&self) -> bool {
        self.source == TOPIC_SOURCE
    }

    /// Set on this very topic, broker or group over the protocol.
    pub fn is_set_live(&self) -> bool {
        matches!(self.source, TOPIC_SOURCE | BROKER_SOURCE | GROUP_SOURCE)
    }

    pub fn is_default(&self) -> bool {
        self.source == DEFAULT_SOURCE
    }
}

const TOPIC_SOURCE: &str = "topic";
const BROKER_SOURCE: &str = "broker";
const DEFAULT_SOURCE: &str = "default";
const GROUP_SOURCE: &str = "group";

/// Kafka's ConfigSource.
fn source_name(code: i8) -> &'static str {
    match code {
        1 => TOPIC_SOURCE,
        2 => BROKER_SOURCE,
        3 => "all brokers",
        4 => "server.properties",
        5 => DEFAULT_SOURCE,
        8 => GROUP_SOURCE,
        _ => "unknown",
    }
}

impl From<&DescribeConfigsResourceResult> for ConfigValue {
    fn from(result: &DescribeConfigsResourceResult) -> Self {
        Self {
            name: result.name.to_string(),
            value: result.value.as_ref().map(ToString::to_string),
            source: source_name(result.config_source),
            read_only: result.read_only,
            sensitive: result.is_sensitive,
        }
    }
}

/// All configuration of one topic, broker or group, by name.
pub async fn describe(client: &Client, kind: ResourceKind, name: &str) -> Result<Vec<ConfigValue>, Failure> {
    let what = format!("cannot read the configuration of {} {name}", kind.noun());
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind.code(),
            resource_name: Str::from(name.to_owned()),
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let response = responsible(client, kind, name).await?.send(&request).await?;
    let result = response.results.into_iter().next();
    let result = result.ok_or_else(|| Failure::refused(&what, ErrorCode::UNKNOWN_SERVER_ERROR, None))?;
    if !result.error_code.is_none() {
        return Err(Failure::refused(what, result.error_code, result.error_message.as_deref()));
    }
    let mut values: Vec<ConfigValue> = result.configs.iter().map(ConfigValue::from).collect();
    values.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(values)
}

/// Who answers for a resource: a broker for itself, because it alone knows its static configuration; anybody for the rest.
async fn responsible(client: &Client, kind: ResourceKind, name: &str) -> Result<Connection, Failure> {
    match (kind, name.parse::<i32>()) {
        (ResourceKind::Broker, Ok(node_id)) => {
            let metadata = client.metadata(Some(&[]), false).await?;
            if !metadata.brokers.iter().any(|broker| broker.node_id == node_id) {
                return Err(Failure::new(Exit::NotFound, format!("no broker {node_id} is in service"))
                    .advising("`tidelog broker list` shows the brokers there are"));
            }
            Ok(client.broker(node_id).await?)
        }
        _ => Ok(client.any().await?),
    }
}

/// Sets and resets configuration of one topic, broker or group.
pub async fn alter(
    client: &Client,
    kind: ResourceKind,
    name: &str,
    set: &[(String, String)],
    deleted: &[String],
) -> Result<(), Failure> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let change = |name: &String, config_operation, value: Option<&String>| AlterableConfig {
        name: Str::from(name.clone()),
        config_operation,
        value: value.map(|value| Str::from(value.clone())),
    };
    let sets = set.iter().map(|(key, value)| change(key, SET, Some(value)));
    let deletes = deleted.iter().map(|key| change(key, DELETE, None));
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind.code(),
            resource_name: Str::from(name.to_owned()),
            configs: sets.chain(deletes).collect(),
        }],
        validate_only: false,
    };
    let response = responsible(client, kind, name).await?.send(&request).await?;
    match response.responses.iter().find(|response| !response.error_code.is_none()) {
        None => Ok(()),
        Some(refusal) => Err(Failure::refused(
            format!("cannot change the configuration of {} {name}", kind.noun()),
            refusal.error_code,
            refusal.error_message.as_deref(),
        )),
    }
}
