//! Frames: a four-byte length, a header, a message.
//!
//! Lengths count what follows them. The header's version follows from the API and its version; the
//! response header of ApiVersions is always 0, because the client may not know yet what the broker speaks.

use bytes::Bytes;

use crate::messages::{RequestHeader, ResponseHeader};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Schema, Str, Writer};

/// Bytes of the length that stands before a frame.
pub const LENGTH_SIZE: usize = 4;
/// Room for a header and a small message; larger ones grow.
const SMALL_FRAME: usize = 256;

/// A peer announced a frame that cannot be one, or that is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {announced_bytes} bytes was announced, at most {max_bytes} are allowed")]
pub struct FrameLengthError {
    pub announced_bytes: i32,
    pub max_bytes: usize,
}

/// The length of the frame that follows `prefix`.
pub fn frame_length(prefix: [u8; LENGTH_SIZE], max_bytes: usize) -> Result<usize, FrameLengthError> {
    let announced_bytes = i32::from_be_bytes(prefix);
    match usize::try_from(announced_bytes) {
        Ok(length) if length <= max_bytes => Ok(length),
        _ => Err(FrameLengthError { announced_bytes, max_bytes }),
    }
}

/// A request whose header has been read.
#[derive(Clone, Debug)]
pub struct RequestFrame {
    pub api_key: ApiKey,
    /// As the client says; may be a version that nobody serves.
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Str>,
    body: Reader,
}

impl RequestFrame {
    /// Reads the header of a frame (without its length). An unknown API cannot be answered, since not even
    /// its header's form is known: the connection has to be closed.
    pub fn parse(frame: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        let mut start = reader.clone();
        let api_key = ApiKey::try_from(start.i16()?)?;
        let api_version = start.i16()?;
        let header_version = api_key.request_header_version(api_version);
        let header = RequestHeader::decode(&mut reader, header_version)?;
        Ok(Self {
            api_key,
            api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            body: reader,
        })
    }

    /// The request itself; `R` must be the API's. Bytes behind it are ignored, as Kafka does.
    pub fn decode<R: Request>(mut self) -> Result<R, DecodeError> {
        assert_eq!(R::KEY, self.api_key, "a request is decoded as its API's type");
        R::decode(&mut self.body, self.api_version)
    }
}

/// A whole frame with its length, as chunks to be written one after the other.
pub fn encode_request<R: Request>(
    correlation_id: i32,
    client_id: Option<&Str>,
    version: i16,
    request: &R,
) -> Result<Vec<Bytes>, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.cloned(),
    };
    encode_frame(&header, R::KEY.request_header_version(version), request, version)
}

/// A whole frame with its length, as chunks to be written one after the other.
pub fn encode_response<T: Message>(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &T,
) -> Result<Vec<Bytes>, EncodeError> {
    let header = ResponseHeader { correlation_id };
    encode_frame(&header, api_key.response_header_version(version), response, version)
}

fn encode_frame<H: Message, M: Message>(
    header: &H,
    header_version: i16,
    message: &M,
    version: i16,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut writer = Writer::with_capacity(SMALL_FRAME);
    writer.i32(0);
    header.encode(&mut writer, header_version)?;
    message.encode(&mut writer, version)?;
    let length = writer.len() - LENGTH_SIZE;
    writer.patch_start(i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?);
    Ok(writer.finish())
}

/// The correlation id of a response, which says what request and version it belongs to.
pub fn response_correlation_id(frame: &Bytes) -> Result<i32, DecodeError> {
    Reader::new(frame.clone()).i32()
}

/// The response in a frame (without its length) to a request `R` of `version`.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<R::Response, DecodeError> {
    let mut reader = Reader::new(frame);
    ResponseHeader::decode(&mut reader, R::KEY.response_header_version(version))?;
    R::Response::decode(&mut reader, version)
}

/// Whether the schema of `R` has `version`; what a broker serves may be less.
pub fn has_version<R: Request>(version: i16) -> bool {
    <R as Schema>::VERSIONS.contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest};

    fn joined(chunks: Vec<Bytes>) -> Bytes {
        Bytes::from(chunks.concat())
    }

    #[test]
    fn a_request_comes_back_with_its_header() {
        for version in [0, 8, 9, 13] {
            let client_id = Str::from("me");
            let sent = MetadataRequest { allow_auto_topic_creation: true, ..Default::default() };
            let frame = joined(encode_request(7, Some(&client_id), version, &sent).expect("encodes"));
            let length = frame_length([frame[0], frame[1], frame[2], frame[3]], 1000).expect("is allowed");
            assert_eq!(length, frame.len() - LENGTH_SIZE);
            let request = RequestFrame::parse(frame.slice(LENGTH_SIZE..)).expect("has a header");
            assert_eq!((request.api_key, request.api_version), (ApiKey::Metadata, version));
            assert_eq!((request.correlation_id, request.client_id.as_deref()), (7, Some("me")));
            assert_eq!(request.decode(), Ok(sent));
        }
    }

    #[test]
    fn api_versions_is_answered_with_header_0_in_every_version() {
        for version in 0..=4 {
            let chunks = encode_response(ApiKey::ApiVersions, version, 9, &ApiVersionsResponse::default());
            let frame = joined(chunks.expect("encodes")).slice(LENGTH_SIZE..);
            assert_eq!(frame[..6], [0, 0, 0, 9, 0, 0], "version {version}: the error code follows the id");
            assert_eq!(response_correlation_id(&frame), Ok(9));
            assert!(decode_response::<ApiVersionsRequest>(frame, version).is_ok());
        }
    }

    #[test]
    fn a_version_nobody_knows_still_has_a_header() {
        let mut writer = Writer::new();
        writer.i16(18);
        writer.i16(99);
        writer.i32(5);
        writer.i16(-1);
        writer.unsigned_varint(0);
        let request = RequestFrame::parse(writer.into_bytes()).expect("has a header");
        assert_eq!((request.api_key, request.api_version, request.correlation_id), (ApiKey::ApiVersions, 99, 5));
        let expected = DecodeError::UnsupportedVersion { schema: "ApiVersionsRequest", version: 99 };
        assert_eq!(request.decode::<ApiVersionsRequest>(), Err(expected));
    }

    #[test]
    fn unknown_apis_and_forged_lengths_are_refused() {
        for key in [-1, 4, 52, 1000] {
            let mut writer = Writer::new();
            writer.i16(key);
            writer.i16(0);
            assert_eq!(RequestFrame::parse(writer.into_bytes()).err(), Some(DecodeError::UnknownApiKey(key)));
        }
        for announced_bytes in [-1, i32::MIN, 101] {
            let error = FrameLengthError { announced_bytes, max_bytes: 100 };
            assert_eq!(frame_length(announced_bytes.to_be_bytes(), 100), Err(error));
        }
    }

    #[test]
    fn record_bytes_leave_as_they_came() {
        let records = Bytes::from(vec![7; 10_000]);
        let partition = PartitionProduceData { index: 0, records: Some(records.clone()) };
        let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition; 2], ..Default::default() };
        let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
        let chunks = encode_request(1, None, 9, &request).expect("encodes");
        let same_memory = chunks.iter().filter(|chunk| chunk.as_ptr() == records.as_ptr());
        assert_eq!(same_memory.count(), 2);
        let total: usize = chunks.iter().map(Bytes::len).sum();
        let length = i32::from_be_bytes([chunks[0][0], chunks[0][1], chunks[0][2], chunks[0][3]]);
        assert_eq!(length as usize, total - LENGTH_SIZE);
        assert!(total < 20_200);
    }
}
