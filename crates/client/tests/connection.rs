//! A connection against peers that behave, die, lag and lie.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tidelog_client::{ConnectOptions, Connection, SendError};
use tidelog_wire::messages::{ApiVersionsResponse, MetadataRequest, MetadataResponse, api_versions_response};
use tidelog_wire::{ApiKey, ErrorCode, Message, Str, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const METADATA_VERSION: i16 = 12;

struct Peer {
    stream: TcpStream,
}

struct Asked {
    api_key: i16,
    version: i16,
    correlation_id: i32,
}

impl Peer {
    async fn next(&mut self) -> Asked {
        let length = self.stream.read_i32().await.unwrap();
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.unwrap();
        Asked {
            api_key: i16::from_be_bytes([frame[0], frame[1]]),
            version: i16::from_be_bytes([frame[2], frame[3]]),
            correlation_id: i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]),
        }
    }

    async fn answer(&mut self, asked: &Asked, body: &impl Message) {
        let api = ApiKey::try_from(asked.api_key).unwrap();
        let chunks = frame::encode_response(api, asked.version, asked.correlation_id, body).unwrap();
        for chunk in chunks {
            self.stream.write_all(&chunk).await.unwrap();
        }
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Answers the first question of every connection.
    async fn negotiate(&mut self) {
        let asked = self.next().await;
        assert_eq!(asked.api_key, ApiKey::ApiVersions as i16);
        self.answer(&asked, &versions()).await;
    }
}

fn versions() -> ApiVersionsResponse {
    let served = |api: ApiKey, max_version| api_versions_response::ApiVersion {
        api_key: api as i16,
        min_version: 0,
        max_version,
    };
    ApiVersionsResponse {
        api_keys: vec![served(ApiKey::ApiVersions, 3), served(ApiKey::Metadata, METADATA_VERSION)],
        ..Default::default()
    }
}

fn named(cluster: &'static str) -> MetadataResponse {
    MetadataResponse { cluster_id: Some(Str::from_static(cluster)), ..Default::default() }
}

/// Connects to a peer that has negotiated.
async fn connected(options: ConnectOptions) -> (Connection, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = async {
        let mut peer = Peer { stream: listener.accept().await.unwrap().0 };
        peer.negotiate().await;
        peer
    };
    let (connection, peer) = tokio::join!(Connection::connect("127.0.0.1", port, &options), accept);
    (connection.unwrap(), peer)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it should not take so long")
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    let first = connection.start(&MetadataRequest::default()).unwrap();
    let second = connection.start(&MetadataRequest::default()).unwrap();
    let one = peer.next().await;
    assert_eq!((one.api_key, one.version), (ApiKey::Metadata as i16, METADATA_VERSION));
    let two = peer.next().await;
    peer.answer(&one, &named("one")).await;
    peer.answer(&two, &named("two")).await;
    let second = within(second).await.unwrap();
    let first = within(first).await.unwrap();
    assert_eq!(first.cluster_id.as_deref(), Some("one"));
    assert_eq!(second.cluster_id.as_deref(), Some("two"));
}

#[tokio::test]
async fn an_answer_whose_caller_left_does_not_go_to_the_next() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    drop(connection.start(&MetadataRequest::default()).unwrap());
    let second = connection.start(&MetadataRequest::default()).unwrap();
    for cluster in ["one", "two"] {
        let asked = peer.next().await;
        peer.answer(&asked, &named(cluster)).await;
    }
    assert_eq!(within(second).await.unwrap().cluster_id.as_deref(), Some("two"));
}

#[tokio::test]
async fn an_answer_out_of_order_ends_the_connection() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    let first = connection.start(&MetadataRequest::default()).unwrap();
    let second = connection.start(&MetadataRequest::default()).unwrap();
    let _one = peer.next().await;
    let two = peer.next().await;
    peer.answer(&two, &named("two")).await;
    let error = within(first).await.unwrap_err();
    assert!(error.to_string().contains("was due") && error.outcome_is_unknown(), "{error}");
    assert!(within(second).await.is_err());
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_dead_peer_is_noticed_by_everyone_at_once() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    let waiting = connection.start(&MetadataRequest::default()).unwrap();
    peer.next().await;
    drop(peer);
    assert!(matches!(within(waiting).await, Err(SendError::Disconnected { .. })));
    assert!(within(connection.closed()).await.contains("closed it"));
    assert!(connection.start(&MetadataRequest::default()).is_err());
}

#[tokio::test]
async fn a_silent_peer_is_given_up_at_the_deadline() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    let request = MetadataRequest::default();
    let short = connection.send_within(&request, Duration::from_millis(20));
    let error = within(short).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { waited_ms: 20, .. }), "{error}");
    assert!(connection.is_closed());
    peer.next().await;
}

#[tokio::test]
async fn frames_of_impossible_length_end_the_connection() {
    for length in [-1, 3, 1025, i32::MAX] {
        let options = ConnectOptions { frame_bytes_max: 1024, ..Default::default() };
        let (connection, mut peer) = connected(options).await;
        let waiting = connection.start(&MetadataRequest::default()).unwrap();
        peer.next().await;
        peer.raw(&i32::to_be_bytes(length)).await;
        let error = within(waiting).await.unwrap_err();
        assert!(error.to_string().contains("impossible length"), "{length}: {error}");
    }
}

#[tokio::test]
async fn an_answer_in_many_small_pieces_is_put_together() {
    let (connection, mut peer) = connected(ConnectOptions::default()).await;
    let waiting = connection.start(&MetadataRequest::default()).unwrap();
    let asked = peer.next().await;
    let mut whole = BytesMut::new();
    for chunk in frame::encode_response(ApiKey::Metadata, METADATA_VERSION, asked.correlation_id, &named("x")).unwrap()
    {
        whole.put(chunk);
    }
    let send = async {
        for byte in whole.iter() {
            peer.raw(&[*byte]).await;
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(within(waiting), send);
    assert_eq!(answer.unwrap().cluster_id.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_peer_that_is_too_old_for_the_first_question_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        let mut peer = Peer { stream: listener.accept().await.unwrap().0 };
        let asked = peer.next().await;
        assert_eq!(asked.version, 3);
        // Version 0 whatever was asked: length, correlation id, error 35, one range.
        let mut refusal = BytesMut::new();
        refusal.put_i32(4 + 2 + 4 + 6);
        refusal.put_i32(asked.correlation_id);
        refusal.put_i16(ErrorCode::UNSUPPORTED_VERSION.0);
        refusal.put_i32(1);
        refusal.put_slice(&[0, 18, 0, 0, 0, 2]);
        peer.raw(&refusal).await;
        let asked = peer.next().await;
        assert_eq!(asked.version, 0);
        peer.answer(&asked, &versions()).await;
        peer
    };
    let options = ConnectOptions::default();
    let (connection, _peer) = tokio::join!(Connection::connect("127.0.0.1", port, &options), serve);
    assert_eq!(connection.unwrap().version::<MetadataRequest>(), Ok(METADATA_VERSION));
}

#[tokio::test]
async fn a_request_too_new_for_the_peer_is_not_sent() {
    let (connection, _peer) = connected(ConnectOptions::default()).await;
    let request = tidelog_wire::messages::ProduceRequest::default();
    let error = within(connection.send(&request)).await.unwrap_err();
    assert!(matches!(error, SendError::Unsupported { api: ApiKey::Produce, .. }), "{error}");
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_peer_that_reads_nothing_does_not_fill_memory() {
    let (connection, peer) = connected(ConnectOptions::default()).await;
    let mut started = Vec::new();
    let error = loop {
        match connection.start(&MetadataRequest::default()) {
            Ok(in_flight) => started.push(in_flight),
            Err(error) => break error,
        }
        assert!(started.len() < 100_000, "nothing stops it");
    };
    assert!(matches!(error, SendError::TooManyInFlight { .. }), "{error}");
    drop(peer);
}

#[tokio::test]
async fn nobody_there_is_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = within(Connection::connect("127.0.0.1", port, &ConnectOptions::default())).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");
}
