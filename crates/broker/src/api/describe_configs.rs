//! DescribeConfigs (32): each config with the value in force, its source, and the chain it was found along.
//!
//! v1 has synonyms (KIP-226), v3 types and documentation (KIP-569). A broker describes itself and the cluster-wide
//! defaults; clients route the question to the broker it is about.

use std::ops::RangeInclusive;

use tidelog_metadata::config::{self, ConfigEntry, ConfigSource, ConfigSynonym, Resolver};
use tidelog_metadata::{ConfigResource, ConfigResourceType};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use tidelog_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context};

pub(crate) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;

    async fn answer(context: Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| match entries(&context, resource) {
            Ok(entries) => {
                let wanted = entries.into_iter().filter(|entry| is_wanted(resource, &entry.name));
                let configs = wanted.map(|entry| shown(entry, &request)).collect();
                DescribeConfigsResult { configs, ..named(resource) }
            }
            Err((error_code, message)) => {
                DescribeConfigsResult { error_code, error_message: Some(Str::from(message)), ..named(resource) }
            }
        });
        DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
    }
}

fn named(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    }
}

fn is_wanted(resource: &DescribeConfigsResource, name: &Str) -> bool {
    resource.configuration_keys.as_ref().is_none_or(|keys| keys.is_empty() || keys.contains(name))
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
            None => Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("There is no topic {name}."))),
        },
        Some(ConfigResourceType::Broker) if name.is_empty() => Ok(set_entries(&resolver)),
        Some(ConfigResourceType::Broker) if name == shard.node_id().to_string() => {
            Ok(config::describe_broker(&resolver))
        }
        Some(ConfigResourceType::Broker) => {
            let message = format!("This is broker {}; ask broker {name} about its own configs.", shard.node_id());
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
