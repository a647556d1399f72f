//! Which API versions the peer serves (ApiVersions, KIP-35 and KIP-511).

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tidelog_wire::codec::Request;
use tidelog_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use tidelog_wire::{ApiKey, ErrorCode, Str};

use super::Connection;
use crate::error::SendError;

/// Understood by every broker since 2.4; older ones answer with an error in version 0 and are asked again.
const FIRST_TRY: i16 = 3;
const OLDEST: i16 = 0;
/// `Connection::connect` has the real deadline.
const NEGOTIATION_MAX: Duration = Duration::from_secs(3600);

/// Version ranges by API, as the peer told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedVersions(BTreeMap<i16, RangeInclusive<i16>>);

impl ServedVersions {
    /// The newest version of `R` known to both sides.
    pub fn newest<R: Request>(&self) -> Option<i16> {
        let served = self.range(R::KEY)?;
        let newest = *served.end().min(R::VERSIONS.end());
        (newest >= *served.start().max(R::VERSIONS.start())).then_some(newest)
    }

    pub fn range(&self, api: ApiKey) -> Option<&RangeInclusive<i16>> {
        self.0.get(&(api as i16))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Connection {
    /// The same connection, knowing what the peer serves.
    pub(super) async fn negotiated(mut self) -> Result<Self, SendError> {
        let answer = match self.ask(FIRST_TRY).await? {
            Some(answer) => answer,
            None => self.ask(OLDEST).await?.unwrap_or_default(),
        };
        let ranges = answer.api_keys.iter().map(|served| (served.api_key, served.min_version..=served.max_version));
        self.versions = Arc::new(ServedVersions(ranges.collect()));
        Ok(self)
    }

    /// `None` if the peer does not know the version: it says so in version 0, whatever was asked.
    async fn ask(&self, version: i16) -> Result<Option<ApiVersionsResponse>, SendError> {
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static("tidelog"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
        };
        let mut in_flight = self.start_at_version(&request, version, NEGOTIATION_MAX)?;
        let frame = poll_fn(|cx| in_flight.poll_frame(cx)).await?;
        let code = frame.get(4..6).map_or(0, |code| i16::from_be_bytes([code[0], code[1]]));
        match ErrorCode(code) {
            ErrorCode::UNSUPPORTED_VERSION if version != OLDEST => Ok(None),
            _ => in_flight.decoded(frame).map(Some),
        }
    }
}
