//! SaslHandshake (17): there is no SASL here, which a client that was configured for it hears at once.
//!
//! Refused as on a PLAINTEXT listener of Kafka's. Where the API is not served at all, Java's clients connect again and
//! again until their time is up, and say nothing of the reason.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::{Api, Context};

pub(crate) struct SaslHandshake;

impl Api for SaslHandshake {
    type Request = SaslHandshakeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(_context: Context, _request: SaslHandshakeRequest) -> SaslHandshakeResponse {
        SaslHandshakeResponse { error_code: ErrorCode::ILLEGAL_SASL_STATE, ..SaslHandshakeResponse::default() }
    }
}
