//! The client against brokers that follow a script: who leads, who refuses, who dies.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidelog_client::{
    Client, ClientError, ClientOptions, Consumer, ConsumerOptions, Producer, ProducerOptions, StartFrom,
};
use tidelog_wire::frame::{RequestFrame, encode_response};
use tidelog_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use tidelog_wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use tidelog_wire::messages::*;
use tidelog_wire::record::{BatchBuilder, Record};
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;
use tidelog_wire::{ApiKey, ErrorCode, Str, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOPIC: &str = "sample";

/// What a broker does with one Produce.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer(ErrorCode),
    /// Closes the connection without an answer.
    Die,
}

/// Two scripted brokers, ids 1 and 2, behind one bootstrap address each.
#[derive(Default)]
struct Script {
    ports: Vec<u16>,
    /// Who leads, one entry for each Metadata; the last one stays.
    leaders: VecDeque<i32>,
    /// One entry for each Produce, whoever gets it.
    deeds: VecDeque<Deed>,
    /// Who got which batch.
    produced: Vec<(i32, Bytes)>,
    /// What the next Fetch brings.
    log: Bytes,
    high_watermark: i64,
    fetch_error: ErrorCode,
}

type Shared = Arc<Mutex<Script>>;

async fn cluster(leaders: &[i32], deeds: &[Deed]) -> (Client, Shared) {
    let script = Script {
        leaders: leaders.iter().copied().collect(),
        deeds: deeds.iter().copied().collect(),
        ..Default::default()
    };
    let shared = Arc::new(Mutex::new(script));
    for id in 1..=2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        shared.lock().unwrap().ports.push(listener.local_addr().unwrap().port());
        let shared = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(id, stream, shared.clone()));
            }
        });
    }
    let bootstrap = format!("127.0.0.1:{}", shared.lock().unwrap().ports[0]);
    let options = ClientOptions { back_off_min: Duration::from_millis(1), ..Default::default() };
    (Client::connect(&bootstrap, options).await.unwrap(), shared)
}

async fn serve(id: i32, mut stream: TcpStream, script: Shared) {
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let request = RequestFrame::parse(Bytes::from(frame)).unwrap();
        let Some(chunks) = answer(id, request, &script) else { return };
        for chunk in chunks {
            stream.write_all(&chunk).await.unwrap();
        }
    }
}

fn answer(id: i32, request: RequestFrame, script: &Shared) -> Option<Vec<Bytes>> {
    let (api, version, correlation_id) = (request.api_key, request.api_version, request.correlation_id);
    let mut script = script.lock().unwrap();
    let chunks = match api {
        ApiKey::ApiVersions => encode_response(api, version, correlation_id, &all_versions()),
        ApiKey::Metadata => encode_response(api, version, correlation_id, &script.metadata()),
        ApiKey::InitProducerId => {
            let identity = InitProducerIdResponse { producer_id: 7, ..Default::default() };
            encode_response(api, version, correlation_id, &identity)
        }
        ApiKey::Produce => {
            let produce: ProduceRequest = request.decode().unwrap();
            encode_response(api, version, correlation_id, &script.produce(id, &produce)?)
        }
        ApiKey::Fetch => encode_response(api, version, correlation_id, &script.fetch()),
        other => panic!("nobody asks {other:?} here"),
    };
    Some(chunks.unwrap())
}

fn all_versions() -> ApiVersionsResponse {
    let served = |api: &ApiKey| api_versions_response::ApiVersion {
        api_key: *api as i16,
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(served).collect(), ..Default::default() }
}

impl Script {
    fn metadata(&mut self) -> MetadataResponse {
        let leader_id = if self.leaders.len() > 1 { self.leaders.pop_front() } else { self.leaders.front().copied() };
        let broker = |(id, port): (i32, &u16)| MetadataResponseBroker {
            node_id: id,
            host: Str::from_static("127.0.0.1"),
            port: i32::from(*port),
            ..Default::default()
        };
        let partition = MetadataResponsePartition { leader_id: leader_id.unwrap_or(-1), ..Default::default() };
        MetadataResponse {
            brokers: (1..).zip(&self.ports).map(broker).collect(),
            topics: vec![MetadataResponseTopic {
                name: Some(Str::from_static(TOPIC)),
                topic_id: Uuid([1; 16]),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn produce(&mut self, id: i32, request: &ProduceRequest) -> Option<ProduceResponse> {
        let batch = request.topic_data[0].partition_data[0].records.clone().unwrap();
        self.produced.push((id, batch));
        let Deed::Answer(error_code) = self.deeds.pop_front().expect("a deed for each produce") else { return None };
        let partition = PartitionProduceResponse { error_code, base_offset: 42, ..Default::default() };
        let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
        Some(ProduceResponse { responses: vec![topic], ..Default::default() })
    }

    fn fetch(&mut self) -> FetchResponse {
        let partition = fetch_response::PartitionData {
            error_code: self.fetch_error,
            high_watermark: self.high_watermark,
            records: Some(self.log.clone()),
            ..Default::default()
        };
        let topic = fetch_response::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }
}

fn record(value: &'static str) -> Record {
    Record { value: Some(Bytes::from_static(value.as_bytes())), ..Default::default() }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it should not take so long")
}

async fn send(client: Client) -> Result<i64, ClientError> {
    let mut producer = Producer::new(client, TOPIC, ProducerOptions::default()).await?;
    Ok(within(producer.send(0, &[record("x")])).await?.base_offset)
}

#[tokio::test]
async fn a_batch_follows_the_leader_unchanged() {
    let (client, script) =
        cluster(&[1, 2], &[Deed::Answer(ErrorCode::NOT_LEADER_OR_FOLLOWER), Deed::Answer(ErrorCode::NONE)]).await;
    assert_eq!(send(client).await, Ok(42));
    let produced = &script.lock().unwrap().produced;
    assert_eq!(produced.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(produced[0].1, produced[1].1, "a retry has the same sequence number");
}

#[tokio::test]
async fn a_dead_leader_is_an_unknown_outcome_and_tried_again() {
    let (client, script) = cluster(&[1, 2], &[Deed::Die, Deed::Answer(ErrorCode::NONE)]).await;
    assert_eq!(send(client).await, Ok(42));
    assert_eq!(script.lock().unwrap().produced.len(), 2);
}

#[tokio::test]
async fn a_duplicate_was_appended_before() {
    let deeds = [Deed::Die, Deed::Answer(ErrorCode::DUPLICATE_SEQUENCE_NUMBER)];
    let (client, _script) = cluster(&[1], &deeds).await;
    assert_eq!(send(client).await, Ok(42));
}

#[tokio::test]
async fn a_refusal_for_good_is_not_repeated() {
    let (client, script) = cluster(&[1], &[Deed::Answer(ErrorCode::MESSAGE_TOO_LARGE)]).await;
    let error = send(client).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { code: ErrorCode::MESSAGE_TOO_LARGE, .. }), "{error}");
    assert_eq!(script.lock().unwrap().produced.len(), 1);
}

#[tokio::test]
async fn sequences_count_records() {
    let deeds = [Deed::Answer(ErrorCode::NONE); 2];
    let (client, script) = cluster(&[1], &deeds).await;
    let mut producer = Producer::new(client, TOPIC, ProducerOptions::default()).await.unwrap();
    within(producer.send(0, &[record("a"), record("b")])).await.unwrap();
    within(producer.send(0, &[record("c")])).await.unwrap();
    let headers: Vec<BatchHeader> =
        script.lock().unwrap().produced.iter().map(|(_, batch)| BatchHeader::parse(batch).unwrap()).collect();
    assert_eq!(headers.iter().map(|header| header.base_sequence).collect::<Vec<_>>(), [0, 2]);
    assert!(headers.iter().all(|header| header.producer_id.get() == 7));
}

fn batch(base_offset: i64, values: &[&str], is_control: bool) -> Bytes {
    let mut builder = BatchBuilder::default().base_offset(Offset(base_offset));
    if is_control {
        builder = builder.control();
    }
    for value in values {
        builder.append(0, None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn a_consumer_takes_whole_batches_from_its_offset_on_and_no_control_records() {
    let (client, script) = cluster(&[1], &[]).await;
    {
        let mut script = script.lock().unwrap();
        let cut_off = &batch(6, &["never"], false)[..20];
        let log =
            [&batch(0, &["a", "b", "c"], false)[..], &batch(3, &["end"], true), &batch(4, &["d", "e"], false), cut_off];
        script.log = Bytes::from(log.concat());
        script.high_watermark = 6;
    }
    let options = ConsumerOptions::default();
    let mut consumer = within(Consumer::new(client, TOPIC, &[], StartFrom::Offset(1), options)).await.unwrap();
    let polled = within(consumer.poll()).await.unwrap();
    let values: Vec<&[u8]> = polled.iter().filter_map(|consumed| consumed.record.value.as_deref()).collect();
    assert_eq!(values, [b"b", b"c", b"d", b"e"]);
    assert_eq!(consumer.positions()[&0], 6);
    assert!(consumer.is_at_end());
}

#[tokio::test]
async fn an_offset_that_is_gone_is_said_and_not_skipped() {
    let (client, script) = cluster(&[1], &[]).await;
    script.lock().unwrap().fetch_error = ErrorCode::OFFSET_OUT_OF_RANGE;
    let options = ConsumerOptions::default();
    let mut consumer = within(Consumer::new(client, TOPIC, &[], StartFrom::Offset(1), options)).await.unwrap();
    let error = within(consumer.poll()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { code: ErrorCode::OFFSET_OUT_OF_RANGE, .. }), "{error}");
}
