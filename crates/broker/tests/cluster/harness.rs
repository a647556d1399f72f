//! A cluster of nodes in this process, and the requests that tests put to it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidelog_broker::{Broker, BrokerHandle, BrokerOptions, ListenerOptions};
use tidelog_client::{ConnectOptions, Connection};
use tidelog_controller::{Controller, ControllerHandle, ControllerOptions, Listener, Roles, Timing, Voter};
use tidelog_metadata::config::StaticConfigs;
use tidelog_wire::compression::Compression;
use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use tidelog_wire::messages::fetch_response::PartitionData;
use tidelog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tidelog_wire::messages::produce_response::PartitionProduceResponse;
use tidelog_wire::messages::{CreateTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest};
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::time::{Instant, sleep, timeout};

pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct Node {
    pub controller: ControllerHandle,
    pub broker: BrokerHandle,
}

pub struct Cluster {
    pub nodes: BTreeMap<i32, Node>,
    voters: Vec<Voter>,
    directory: TempDir,
    serve_nearby: bool,
}

/// A partition's leader, and the topic's id.
pub struct Leader {
    pub node: i32,
    pub topic_id: Uuid,
    pub isr: usize,
}

impl Cluster {
    pub async fn start(count: i32) -> Self {
        Self::start_with(count, false).await
    }

    /// Each node is in a rack of its own, and consumers are sent to replicas in theirs.
    pub async fn start_serving_nearby(count: i32) -> Self {
        Self::start_with(count, true).await
    }

    async fn start_with(count: i32, serve_nearby: bool) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut listeners = Vec::new();
        let mut voters = Vec::new();
        for node_id in 1..=count {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            voters.push(Voter { node_id, host: "127.0.0.1".into(), port });
            listeners.push((node_id, listener));
        }
        let mut cluster = Self { nodes: BTreeMap::new(), voters, directory, serve_nearby };
        for (node_id, listener) in listeners {
            cluster.start_node(node_id, Listener::Bound(listener)).await;
        }
        cluster.wait_until_all_brokers_are_up().await;
        cluster
    }

    async fn start_node(&mut self, node_id: i32, listener: Listener) {
        let voter = self.voters.iter().find(|voter| voter.node_id == node_id).expect("a voter").clone();
        let directory = self.directory.path().join(node_id.to_string());
        let controller = Controller::start(ControllerOptions {
            node_id,
            roles: Roles::COMBINED,
            directory: directory.join("controller"),
            cluster_id: None,
            voters: self.voters.clone(),
            listener,
            advertised_host: voter.host,
            advertised_port: voter.port,
            static_configs: StaticConfigs::default(),
            timing: Timing::default(),
        })
        .await
        .expect("the controller starts");
        let listener = ListenerOptions {
            name: "PLAINTEXT".into(),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised_host: "127.0.0.1".into(),
            advertised_port: 0,
        };
        let mut options = BrokerOptions::new(BrokerId(node_id), listener, directory);
        options.disk.threads = 4;
        options.network.partial_frame_max = Duration::from_millis(500);
        options.rack = Some(rack_of(node_id));
        options.replica.serve_nearby = self.serve_nearby;
        let broker = Broker::start(options, controller.clone()).await.expect("the broker starts");
        self.nodes.insert(node_id, Node { controller, broker });
    }

    /// Stops a node as SIGTERM does.
    pub async fn stop_node(&mut self, node_id: i32) {
        let node = self.nodes.remove(&node_id).expect("a running node");
        node.broker.shutdown().await;
        node.controller.shutdown().await;
    }

    pub async fn restart_node(&mut self, node_id: i32) {
        self.stop_node(node_id).await;
        self.start_again(node_id).await;
    }

    pub async fn start_again(&mut self, node_id: i32) {
        let port = self.voters.iter().find(|voter| voter.node_id == node_id).expect("a voter").port;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.start_node(node_id, Listener::Bind(address)).await;
        self.wait_until_all_brokers_are_up().await;
    }

    async fn wait_until_all_brokers_are_up(&self) {
        let count = self.nodes.len();
        for node in self.nodes.values() {
            let mut images = node.controller.image();
            let up = images.wait_for(|image| image.brokers().filter(|broker| broker.is_active()).count() == count);
            timeout(DEADLINE, up).await.expect("all brokers come up").expect("the node runs");
        }
    }

    /// The first segment of a topic's partition 0.
    pub fn log_file(&self, node_id: i32, topic: &str) -> PathBuf {
        let log_dir = self.directory.path().join(node_id.to_string());
        log_dir.join(format!("{topic}-0")).join("00000000000000000000.log")
    }

    pub fn address(&self, node_id: i32) -> SocketAddr {
        self.nodes[&node_id].broker.listener_address("PLAINTEXT").expect("a listener")
    }

    pub async fn connect(&self, node_id: i32) -> Connection {
        let address = self.address(node_id);
        let options = ConnectOptions::default();
        Connection::connect(&address.ip().to_string(), address.port(), &options).await.expect("the broker accepts")
    }

    pub async fn create_topic(&self, name: &str, replicas: i16, configs: &[(&str, &str)]) -> Leader {
        self.create(CreatableTopic {
            name: Str::from(name.to_owned()),
            num_partitions: 1,
            replication_factor: replicas,
            configs: configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        })
        .await;
        self.leader_where(name, |leader| leader.isr == replicas as usize).await
    }

    /// A topic of one partition on these brokers, of which the first leads once all that run are in sync.
    pub async fn create_topic_on(&self, name: &str, brokers: &[i32], configs: &[(&str, &str)]) -> Leader {
        self.begin_topic_on(name, brokers, configs).await;
        let running = brokers.iter().filter(|broker| self.nodes.contains_key(broker)).count();
        self.leader_where(name, |leader| leader.isr == running).await
    }

    /// The same, without a look at what becomes of it.
    pub async fn begin_topic_on(&self, name: &str, brokers: &[i32], configs: &[(&str, &str)]) {
        let assignment = CreatableReplicaAssignment { partition_index: 0, broker_ids: brokers.to_vec() };
        self.create(CreatableTopic {
            name: Str::from(name.to_owned()),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![assignment],
            configs: configs.iter().map(config).collect(),
        })
        .await;
    }

    async fn create(&self, topic: CreatableTopic) {
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
        let node_id = *self.nodes.keys().next().expect("a node");
        let response = self.connect(node_id).await.send(&request).await.expect("an answer");
        assert_eq!(response.topics[0].error_code, ErrorCode::NONE, "{:?}", response.topics[0].error_message);
    }

    /// Produces until a leader takes it, as a client does; the record's offset.
    pub async fn produce_until_taken(&self, topic: &str, value: &str) -> i64 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let leader = self.leader_where(topic, |_| true).await;
            let answer = produce(&self.connect(leader.node).await, leader.topic_id, batch(value), -1).await;
            if answer.error_code == ErrorCode::NONE {
                return answer.base_offset;
            }
            assert!(answer.error_code.is_retriable(), "{}", answer.error_code.name());
            assert!(Instant::now() < deadline, "nobody takes the record");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Partition 0's leader, once every node tells the same that satisfies `condition`.
    pub async fn leader_where(&self, topic: &str, condition: impl Fn(&Leader) -> bool) -> Leader {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut seen = Vec::new();
            for node_id in self.nodes.keys() {
                seen.push(self.leader_seen_by(*node_id, topic).await);
            }
            let first = seen[0].as_ref().map(|leader| leader.node);
            let agree = seen
                .iter()
                .all(|leader| leader.as_ref().is_some_and(|leader| condition(leader) && Some(leader.node) == first));
            if agree {
                return seen.remove(0).expect("just seen");
            }
            assert!(Instant::now() < deadline, "no such leader of {topic} in time");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn leader_seen_by(&self, node_id: i32, topic: &str) -> Option<Leader> {
        let request = MetadataRequest {
            topics: Some(vec![tidelog_wire::messages::metadata_request::MetadataRequestTopic {
                name: Some(Str::from(topic.to_owned())),
                ..Default::default()
            }]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let response = self.connect(node_id).await.send(&request).await.ok()?;
        let topic = response.topics.first()?;
        let partition = topic.partitions.first()?;
        (partition.leader_id >= 0).then_some(Leader {
            node: partition.leader_id,
            topic_id: topic.topic_id,
            isr: partition.isr_nodes.len(),
        })
    }
}

fn config((name, value): &(&str, &str)) -> CreatableTopicConfig {
    CreatableTopicConfig { name: Str::from((*name).to_owned()), value: Some(Str::from((*value).to_owned())) }
}

pub fn rack_of(node_id: i32) -> String {
    format!("rack-{node_id}")
}

/// One batch of one record.
pub fn batch(value: &str) -> Bytes {
    batch_of(None, value)
}

pub fn keyed_batch(key: &str, value: &str) -> Bytes {
    batch_of(Some(key.as_bytes()), value)
}

fn batch_of(key: Option<&[u8]>, value: &str) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(now_ms(), key, Some(value.as_bytes()), &[]);
    batch.build().expect("a small batch")
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_millis() as i64
}

pub fn produce_request(topic_id: Uuid, records: Bytes, acks: i16) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            topic_id,
            partition_data: vec![PartitionProduceData { index: 0, records: Some(records) }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    }
}

pub async fn produce(connection: &Connection, topic_id: Uuid, records: Bytes, acks: i16) -> PartitionProduceResponse {
    let response = connection.send(&produce_request(topic_id, records, acks)).await.expect("an answer");
    response.responses[0].partition_responses[0].clone()
}

/// A fetch of partition 0 without a session.
pub fn fetch_request(topic_id: Uuid, offset: i64, min_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes,
        topics: vec![FetchTopic {
            topic_id,
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

pub async fn fetch(connection: &Connection, topic_id: Uuid, offset: i64, max_wait_ms: i32) -> PartitionData {
    let response = connection.send(&fetch_request(topic_id, offset, 1, max_wait_ms)).await.expect("an answer");
    assert_eq!(response.error_code, ErrorCode::NONE);
    response.responses[0].partitions[0].clone()
}
