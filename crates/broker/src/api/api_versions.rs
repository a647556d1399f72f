//! ApiVersions (18): what this broker speaks.
//!
//! v1 adds the throttle time, v3 tagged fields and features. A version we do not know is answered in v0 with error 35
//! and our own range, by which clients fall back (KIP-511); without it some never bootstrap.

use std::ops::RangeInclusive;

use tidelog_wire::messages::api_versions_response::ApiVersion;
use tidelog_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use tidelog_wire::{ApiKey, ErrorCode, Request, Str};

use super::Context;

pub(crate) const VERSIONS: RangeInclusive<i16> = 0..=4;

/// `served` is what dispatch has.
pub(crate) fn answer<'a>(
    context: &Context,
    request: &ApiVersionsRequest,
    served: impl Iterator<Item = (ApiKey, &'a RangeInclusive<i16>)>,
) -> ApiVersionsResponse {
    if context.version >= 3 && !is_valid_software_name(request) {
        return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..ApiVersionsResponse::default() };
    }
    let controller = &context.shard.controller;
    let response = ApiVersionsResponse { api_keys: advertised(served), ..ApiVersionsResponse::default() };
    context.shard.image().describe_features(controller.image_offset(), response)
}

/// The v0 answer to a version we do not know.
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![ApiVersion {
            api_key: ApiVersionsRequest::KEY.code(),
            min_version: *VERSIONS.start(),
            max_version: *VERSIONS.end(),
        }],
        ..ApiVersionsResponse::default()
    }
}

fn advertised<'a>(served: impl Iterator<Item = (ApiKey, &'a RangeInclusive<i16>)>) -> Vec<ApiVersion> {
    let mut versions: Vec<_> = served
        .map(|(key, versions)| ApiVersion {
            api_key: key.code(),
            min_version: advertised_min(key, *versions.start()),
            max_version: *versions.end(),
        })
        .collect();
    versions.sort_by_key(|version| version.api_key);
    versions
}

/// librdkafka up to 2.8 compresses only for brokers whose Produce range starts at 0 (KIP-896); 0-2 are refused.
fn advertised_min(key: ApiKey, served_min: i16) -> i16 {
    match key {
        ApiKey::Produce => 0,
        _ => served_min,
    }
}

/// KIP-511: letters, digits, `-` and `.`, beginning and ending with a letter or digit.
fn is_valid_software_name(request: &ApiVersionsRequest) -> bool {
    let is_valid = |text: &Str| {
        let bytes = text.as_bytes();
        let edges = [bytes.first(), bytes.last()];
        edges.iter().all(|edge| edge.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    is_valid(&request.client_software_name) && is_valid(&request.client_software_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_follow_kip_511() {
        for (name, valid) in [("librdkafka", true), ("a.b-c", true), ("-a", false), ("", false), ("a b", false)] {
            let request =
                ApiVersionsRequest { client_software_name: Str::from(name), client_software_version: Str::from("1.0") };
            assert_eq!(is_valid_software_name(&request), valid, "{name}");
        }
    }
}
