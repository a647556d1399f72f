//! DescribeConfigs (32): each config with the value in force, its source, and the chain it was found along.
//!
//! v1 has synonyms (KIP-226), v3 types and documentation (KIP-569). A broker describes itself and the cluster-wide
//! defaults; clients route the question to the broker it is about.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use tidelog_metadata::config::{self, ConfigEntry, ConfigSource, ConfigSynonym, Resolver};
use tidelog_metadata::{ConfigResource, ConfigResourceType};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use tidelog_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use tidelog_wire::{ErrorCode, Str, excerpt};

use super::set::distinct;
use super::{Api, Context};
use crate::pace::Pace;

/// Groups of which only defaults can be told, in one request.
const BARE_GROUPS_MAX: usize = 200;
const TOO_MANY_BARE_GROUPS: &str = "The request names too many groups that have no configs.";

pub(crate) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;

    async fn answer(context: Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let mut asked = request;
        let resources = std::mem::take(&mut asked.resources);
        let resources = distinct(resources, |resource| (resource.resource_type, resource.resource_name.clone()));
        let (mut pace, mut bare_groups) = (Pace::start(), 0);
        let mut results = Vec::with_capacity(resources.len());
        for resource in &resources {
            pace.step().await;
            bare_groups += usize::from(is_bare_group(&context, resource));
            let described = match bare_groups > BARE_GROUPS_MAX && is_bare_group(&context, resource) {
                true => Err((ErrorCode::INVALID_REQUEST, TOO_MANY_BARE_GROUPS.to_owned())),
                false => entries(&context, resource),
            };
            results.push(match described {
                Ok(entries) => DescribeConfigsResult { configs: wanted(entries, resource, &asked), ..named(resource) },
                Err((error_code, message)) => {
                    DescribeConfigsResult { error_code, error_message: Some(Str::from(message)), ..named(resource) }
                }
            });
        }
        DescribeConfigsResponse { results, ..DescribeConfigsResponse::default() }
    }
}

/// A group for which nothing is set: any name is one, so that no size of the cluster bounds the answer.
fn is_bare_group(context: &Context, resource: &DescribeConfigsResource) -> bool {
    let kind = ConfigResourceType::Group;
    let name = resource.resource_name.clone();
    resource.resource_type == kind.code()
        && context.shard.image().configs(&ConfigResource { kind, name }).next().is_none()
}

fn named(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    }
}

fn wanted(
    entries: Vec<ConfigEntry>,
    resource: &DescribeConfigsResource,
    request: &DescribeConfigsRequest,
) -> Vec<DescribeConfigsResourceResult> {
    let keys: HashSet<&Str> = resource.configuration_keys.iter().flatten().collect();
    let wanted = entries.into_iter().filter(|entry| keys.is_empty() || keys.contains(&entry.name));
    wanted.map(|entry| shown(entry, request)).collect()
}

fn entries(context: &Context, resource: &DescribeConfigsResource) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let shard = &context.shard;
    let image = shard.image();
    let resolver =
        Resolver { image: &image, broker_id: shard.node_id(), static_configs: &shard.options.static_configs };
    let name = resource.resource_name.as_str();
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => match image.topic(name) {
            Some(topic) => Ok(config::describe_topic(&resolver, topic)),
            None => Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("There is no topic {}.", excerpt(name)))),
        },
        Some(ConfigResourceType::Broker) if name.is_empty() => Ok(set_entries(&resolver)),
        Some(ConfigResourceType::Broker) if name == shard.node_id().to_string() => {
            Ok(config::describe_broker(&resolver))
        }
        Some(ConfigResourceType::Broker) => {
            let message =
                format!("This is broker {}; ask broker {} about its own configs.", shard.node_id(), excerpt(name));
            Err((ErrorCode::INVALID_REQUEST, message))
        }
        Some(ConfigResourceType::Group) if name.is_empty() => {
            Err((ErrorCode::INVALID_REQUEST, "A group's configs need the group's name.".to_owned()))
        }
        Some(ConfigResourceType::Group) => Ok(config::describe_group(&resolver, name)),
        Some(ConfigResourceType::ClientMetrics) => Ok(Vec::new()),
        Some(ConfigResourceType::BrokerLogger) => {
            Err((ErrorCode::INVALID_REQUEST, "Loggers of brokers cannot be configured.".to_owned()))
        }
        None => {
            let message = format!("There is no resource type {}.", resource.resource_type);
            Err((ErrorCode::INVALID_REQUEST, message))
        }
    }
}

/// The cluster-wide defaults: only those that are set. As in Kafka, a config of unknown type may be a secret.
fn set_entries(resolver: &Resolver<'_>) -> Vec<ConfigEntry> {
    let of_all_brokers = ConfigResource::DEFAULT_BROKER;
    let entry = |(name, value): (&Str, &Str)| {
        let definition = config::broker_config(name);
        let is_sensitive = definition.is_none_or(|definition| definition.is_sensitive());
        let value = (!is_sensitive).then(|| value.clone());
        let source = ConfigSource::DynamicDefaultBroker;
        ConfigEntry {
            definition,
            name: name.clone(),
            value: value.clone(),
            source,
            read_only: false,
            is_sensitive,
            synonyms: vec![ConfigSynonym { name: name.clone(), value, source }],
        }
    };
    resolver.image.configs(&of_all_brokers).map(entry).collect()
}

fn shown(entry: ConfigEntry, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let definition = entry.definition;
    let synonyms = entry.synonyms.into_iter().filter(|_| request.include_synonyms);
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name,
                value: synonym.value,
                source: synonym.source.code(),
            })
            .collect(),
        config_type: definition.map_or(0, |definition| definition.kind.code()),
        documentation: definition
            .filter(|_| request.include_documentation)
            .map(|definition| Str::from(definition.documentation)),
    }
}
