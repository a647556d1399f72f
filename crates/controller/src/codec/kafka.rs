//! Kafka's own messages, as bytes with their version.

use tidelog_internal_api::metadata::KafkaMessage;
use tidelog_wire::{Message, Reader, Request, Writer};

use super::CodecError;

/// Encodes at the newest version, which has every field.
pub(super) fn request_to_proto<R: Request>(request: &R) -> Result<KafkaMessage, CodecError> {
    to_proto(request, *R::VERSIONS.end())
}

/// Encodes the response of `R` at its newest version.
pub(super) fn response_to_proto<R: Request>(response: &R::Response) -> Result<KafkaMessage, CodecError> {
    to_proto(response, *R::VERSIONS.end())
}

fn to_proto<M: Message>(message: &M, version: i16) -> Result<KafkaMessage, CodecError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    Ok(KafkaMessage { version: i32::from(version), body: writer.into_bytes() })
}

pub(super) fn request_from_proto<R: Request>(message: KafkaMessage) -> Result<R, CodecError> {
    from_proto::<R, R>(message)
}

pub(super) fn response_from_proto<R: Request>(message: KafkaMessage) -> Result<R::Response, CodecError> {
    from_proto::<R::Response, R>(message)
}

fn from_proto<M: Message, R: Request>(message: KafkaMessage) -> Result<M, CodecError> {
    let version = i16::try_from(message.version).map_err(|_| CodecError::Field("message version"))?;
    if !R::VERSIONS.contains(&version) {
        return Err(CodecError::Field("message version"));
    }
    M::decode(&mut Reader::new(message.body), version).map_err(|_| CodecError::Field("message"))
}
