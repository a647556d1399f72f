//! Who asks, and where the answer goes.

use tidelog_wire::Uuid;

use crate::RequestId;

/// What the host knows of a request besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub request: RequestId,
    pub client_id: &'a str,
    /// Kafka shows the address with a slash before it, `/127.0.0.1`.
    pub client_host: &'a str,
    /// The API version, where what a request means depends on it.
    pub version: i16,
    /// Randomness for a member id, should one be needed.
    pub fresh_member_id: Uuid,
}
