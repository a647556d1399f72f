//! ListConfigResources (74, KIP-1142): what configs can hang on.
//!
//! v0 lists client-metrics subscriptions only, of which there are none; v1 takes the types, none meaning all.

use std::ops::RangeInclusive;

use tidelog_metadata::{ConfigResourceType, Image};
use tidelog_wire::messages::list_config_resources_response::ConfigResource;
use tidelog_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use tidelog_wire::{ErrorCode, Str};

use super::set::distinct;
use super::{Api, Context};

pub(crate) struct ListConfigResources;

const LISTED: [ConfigResourceType; 5] = [
    ConfigResourceType::Topic,
    ConfigResourceType::Broker,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::Group,
];

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(context: Context, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
        let kinds: Option<Vec<_>> = match (context.version, request.resource_types.as_slice()) {
            (0, _) => Some(vec![ConfigResourceType::ClientMetrics]),
            (_, []) => Some(LISTED.to_vec()),
            (_, codes) => codes.iter().map(|code| ConfigResourceType::from_code(*code)).collect(),
        };
        let Some(kinds) = kinds else {
            let error_code = ErrorCode::UNSUPPORTED_VERSION;
            return ListConfigResourcesResponse { error_code, ..ListConfigResourcesResponse::default() };
        };
        let kinds = distinct(kinds, |kind| kind.code());
        let image = context.shard.image();
        let resources = kinds.into_iter().flat_map(|kind| {
            let names = names(&image, kind).into_iter();
            names.map(move |resource_name| ConfigResource { resource_name, resource_type: kind.code() })
        });
        ListConfigResourcesResponse { config_resources: resources.collect(), ..ListConfigResourcesResponse::default() }
    }
}

fn names(image: &Image, kind: ConfigResourceType) -> Vec<Str> {
    match kind {
        ConfigResourceType::Topic => image.topics().map(|topic| topic.name.clone()).collect(),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            image.brokers().map(|broker| Str::from(broker.id.to_string())).collect()
        }
        ConfigResourceType::ClientMetrics | ConfigResourceType::Group => {
            let set = image.config_resources().filter(|resource| resource.kind == kind);
            set.map(|resource| resource.name.clone()).collect()
        }
    }
}
