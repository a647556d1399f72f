//! Kafka's feature levels that this version serves, completely. Clients read them from ApiVersions (KIP-584): an absent
//! `transaction.version` or `share.version` says that there are no transactions or share groups.

use tidelog_wire::Str;
use tidelog_wire::messages::ApiVersionsResponse;
use tidelog_wire::messages::api_versions_response::{FinalizedFeatureKey, SupportedFeatureKey};

use crate::image::Image;

/// Names and levels. Each has one level: nothing can be downgraded.
pub(crate) const FEATURES: [(&str, i16); 3] = [
    // Kafka 4.1-IV1. Later levels stand for share groups and cordoned log directories.
    ("metadata.version", 27),
    // The consumer protocol of KIP-848.
    ("group.version", 1),
    // KIP-966.
    ("eligible.leader.replicas.version", 1),
];

impl Image {
    /// What ApiVersions says of features. `offset` is the metadata log's at this image: levels never change without it.
    pub fn describe_features(&self, offset: Option<u64>, response: ApiVersionsResponse) -> ApiVersionsResponse {
        let supported = FEATURES.map(|(name, level)| SupportedFeatureKey {
            name: Str::from_static(name),
            min_version: level,
            max_version: level,
        });
        let finalized = self.features().map(|(name, level)| FinalizedFeatureKey {
            name: name.clone(),
            max_version_level: level,
            min_version_level: level,
        });
        ApiVersionsResponse {
            supported_features: supported.to_vec(),
            finalized_features: finalized.collect(),
            finalized_features_epoch: offset.map_or(-1, |offset| offset as i64),
            ..response
        }
    }
}
