//! A cluster of real server processes on loopback, each with its own directory, configuration and log file.

use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::network::{Network, Plane};
use crate::ports::free_port;
use crate::probe::{self, PartitionView};
use crate::process::Process;
use crate::target::Target;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(60);
const METRICS_LIMIT: Duration = Duration::from_secs(10);
const TERMINATE_LIMIT: Duration = Duration::from_secs(30);

/// What a cluster is to look like.
#[derive(Clone, Default)]
pub struct Spec {
    brokers: usize,
    /// Nodes that are controllers only; the brokers are then brokers only.
    controllers: usize,
    /// Client port of node 1; any free one if absent.
    first_port: Option<u16>,
    /// Whether the nodes reach each other through [`Network`].
    gated: bool,
    /// Whether each node stands in a rack of its own.
    racked: bool,
    /// Where the nodes keep their data instead of in the cluster's own temporary directory.
    data_root: Option<PathBuf>,
    settings: String,
}

impl Spec {
    pub fn brokers(count: usize) -> Spec {
        Spec { brokers: count, ..Spec::default() }
    }

    /// Leaves the metadata quorum to nodes of its own, whose ids follow the brokers'.
    pub fn controllers(mut self, count: usize) -> Spec {
        self.controllers = count;
        self
    }

    fn nodes(&self) -> usize {
        self.brokers + self.controllers
    }

    fn is_broker(&self, id: i32) -> bool {
        id as usize <= self.brokers
    }

    fn is_controller(&self, id: i32) -> bool {
        self.controllers == 0 || !self.is_broker(id)
    }

    pub fn first_port(mut self, port: u16) -> Spec {
        self.first_port = Some(port);
        self
    }

    pub fn gated_network(mut self) -> Spec {
        self.gated = true;
        self
    }

    /// Consumers that name a node's rack, [`rack`], are sent there.
    pub fn racked(mut self) -> Spec {
        self.racked = true;
        self.set("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector")
    }

    pub fn data_root(mut self, dir: &Path) -> Spec {
        self.data_root = Some(dir.to_path_buf());
        self
    }

    /// A line of every node's `server.properties`.
    pub fn set(mut self, key: &str, value: &str) -> Spec {
        writeln!(self.settings, "{key}={value}").expect("writing to a string");
        self
    }
}

/// Where a node of a racked cluster stands.
pub fn rack(id: i32) -> String {
    format!("rack-{id}")
}

/// The ports of one node; `seen_` are those that other nodes use, in front of which a gate may stand.
struct Ports {
    client: u16,
    replication: u16,
    controller: u16,
    admin: u16,
    seen_replication: u16,
    seen_controller: u16,
}

struct Node {
    ports: Ports,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    is_broker: bool,
    process: Option<Process>,
}

/// Nodes are named by their ids 1..=n. Dropping it kills all of them.
pub struct Cluster {
    target: Target,
    nodes: Vec<Node>,
    network: Network,
    dir: TempDir,
}

impl Cluster {
    /// Starts all nodes and waits until each serves clients and knows all others.
    pub fn start(target: Target, spec: &Spec) -> Result<Cluster> {
        let mut cluster = Cluster::prepare(target, spec)?;
        cluster.start_all()?;
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// A cluster none of whose nodes runs yet.
    pub fn prepare(target: Target, spec: &Spec) -> Result<Cluster> {
        let dir = tempfile::Builder::new().prefix("tidelog-cluster-").tempdir()?;
        let network = Network::default();
        let ports: Vec<Ports> =
            (1..).zip(0..spec.nodes()).map(|(id, _)| choose_ports(spec, id, &network)).collect::<Result<_>>()?;
        let voters: Vec<String> =
            (1..).zip(&ports).filter(|(id, _)| spec.is_controller(*id)).map(|(id, p)| voter(id, p)).collect();
        let mut nodes = Vec::new();
        for (index, ports) in ports.into_iter().enumerate() {
            let id = index as i32 + 1;
            let node = Node {
                config: dir.path().join(format!("{id}.properties")),
                data: spec.data_root.as_deref().unwrap_or(dir.path()).join(format!("data-{id}")),
                log: dir.path().join(format!("{id}.log")),
                ports,
                is_broker: spec.is_broker(id),
                process: None,
            };
            let properties = properties(target, spec, id, &node, &voters.join(","));
            fs::write(&node.config, properties)?;
            nodes.push(node);
        }
        let cluster = Cluster { target, nodes, network, dir };
        cluster.format_all()?;
        Ok(cluster)
    }

    fn format_all(&self) -> Result<()> {
        thread::scope(|scope| {
            let formats: Vec<_> =
                self.nodes.iter().map(|node| scope.spawn(|| self.target.format(&node.config))).collect();
            formats.into_iter().try_for_each(|format| format.join().expect("format thread"))
        })
    }

    fn node(&self, id: i32) -> &Node {
        &self.nodes[id as usize - 1]
    }

    fn node_mut(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    fn process(&self, id: i32) -> Result<&Process> {
        self.node(id).process.as_ref().with_context(|| format!("node {id} is not running"))
    }

    pub fn target(&self) -> Target {
        self.target
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn ids(&self) -> impl Iterator<Item = i32> + use<> {
        1..=self.nodes.len() as i32
    }

    pub fn is_running(&self, id: i32) -> bool {
        self.node(id).process.is_some()
    }

    /// The address of one node for clients.
    pub fn address(&self, id: i32) -> String {
        format!("127.0.0.1:{}", self.node(id).ports.client)
    }

    /// The address that other nodes' controllers and Kafka's `--bootstrap-controller` use.
    pub fn controller_address(&self, id: i32) -> String {
        format!("127.0.0.1:{}", self.node(id).ports.controller)
    }

    fn broker_ids(&self) -> impl Iterator<Item = i32> {
        self.ids().filter(|id| self.node(*id).is_broker)
    }

    /// The addresses of all brokers for clients, as `bootstrap.servers` has them.
    pub fn bootstrap(&self) -> String {
        self.broker_ids().map(|id| self.address(id)).collect::<Vec<_>>().join(",")
    }

    pub fn data_dir(&self, id: i32) -> &Path {
        &self.node(id).data
    }

    pub fn partition_dir(&self, id: i32, topic: &str, partition: i32) -> PathBuf {
        self.node(id).data.join(format!("{topic}-{partition}"))
    }

    pub fn log_file(&self, id: i32) -> &Path {
        &self.node(id).log
    }

    pub fn pid(&self, id: i32) -> Result<u32> {
        Ok(self.process(id)?.id())
    }

    /// What a node tells Prometheus.
    pub fn metrics(&self, id: i32) -> Result<String> {
        self.admin(id, "/metrics")
    }

    /// What a node's admin listener answers: status line, headers and body.
    pub fn admin(&self, id: i32, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.node(id).ports.admin))?;
        stream.set_read_timeout(Some(METRICS_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub fn resident_bytes(&self, id: i32) -> Result<u64> {
        self.process(id)?.resident_bytes()
    }

    /// Starts a node that does not run; does not wait until it serves.
    pub fn start_node(&mut self, id: i32) -> Result<()> {
        let target = self.target;
        let node = self.node_mut(id);
        ensure!(node.process.is_none(), "node {id} runs already");
        let process = Process::start(target.server(&node.config)?, &node.log)?;
        let pid = process.id();
        node.process = Some(process);
        self.network.set_process(id, pid);
        Ok(())
    }

    pub fn start_all(&mut self) -> Result<()> {
        self.ids().try_for_each(|id| self.start_node(id))
    }

    /// kill -9.
    pub fn kill(&mut self, id: i32) -> Result<()> {
        self.node_mut(id).process.take().with_context(|| format!("node {id} is not running"))?.kill()
    }

    /// kill -9 of every running node, with nothing in between.
    pub fn kill_all(&mut self) -> Result<()> {
        let running: Vec<Process> = self.nodes.iter_mut().filter_map(|node| node.process.take()).collect();
        for process in &running {
            process.signal(Signal::KILL)?;
        }
        running.into_iter().try_for_each(Process::kill)
    }

    /// Waits until a node has ended by itself.
    pub fn wait_end(&mut self, id: i32, limit: Duration) -> Result<ExitStatus> {
        let process = self.node_mut(id).process.take().with_context(|| format!("node {id} is not running"))?;
        process.wait_end(limit)
    }

    /// SIGTERM, and waits for a clean end.
    pub fn terminate(&mut self, id: i32) -> Result<()> {
        let process = self.node_mut(id).process.take().with_context(|| format!("node {id} is not running"))?;
        let status = process.terminate(TERMINATE_LIMIT)?;
        // Java reports a SIGTERM it has handled as 143.
        ensure!(status.success() || status.code() == Some(143), "node {id} ended with {status} after SIGTERM");
        Ok(())
    }

    pub fn terminate_all(&mut self) -> Result<()> {
        let running: Vec<i32> = self.ids().filter(|id| self.is_running(*id)).collect();
        self.terminate_together(&running)
    }

    /// SIGTERM to all of them at the same moment, and waits until the last has ended.
    pub fn terminate_together(&mut self, ids: &[i32]) -> Result<()> {
        let processes: Vec<Process> = ids.iter().filter_map(|id| self.node_mut(*id).process.take()).collect();
        for process in &processes {
            process.signal(Signal::TERM)?;
        }
        processes.into_iter().try_for_each(|process| process.wait_end(TERMINATE_LIMIT).map(|_| ()))
    }

    /// SIGSTOP.
    pub fn pause(&self, id: i32) -> Result<()> {
        self.process(id)?.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self, id: i32) -> Result<()> {
        self.process(id)?.signal(Signal::CONT)
    }

    /// Takes everything a node that does not run had on disk.
    pub fn wipe(&self, id: i32) -> Result<()> {
        ensure!(!self.is_running(id), "node {id} runs");
        fs::remove_dir_all(&self.node(id).data)?;
        self.target.format(&self.node(id).config)
    }

    /// Cuts a node off from all other nodes; clients still reach it.
    pub fn isolate(&self, id: i32) {
        self.ids().filter(|other| *other != id).for_each(|other| self.network.cut(id, other));
    }

    /// Fails if a node has ended that was not told to.
    pub fn check_running(&mut self) -> Result<()> {
        for id in self.ids() {
            let Some(process) = self.node_mut(id).process.as_mut() else {
                continue;
            };
            let exited = process.exited()?;
            ensure!(exited.is_none(), "node {id} ended by itself: {exited:?}");
        }
        Ok(())
    }

    /// Waits until every running broker answers clients and names every running broker.
    pub fn wait_ready(&mut self) -> Result<()> {
        let running: Vec<i32> = self.broker_ids().filter(|id| self.is_running(*id)).collect();
        for id in running.clone() {
            let address = self.address(id);
            wait::for_condition(&format!("node {id} serves and knows {running:?}"), START_LIMIT, || {
                // A node that has ended never gets ready: no need to wait out the limit.
                if self.check_running().is_err() {
                    return Ok(true);
                }
                let seen = probe::metadata(&address, None)?.brokers;
                Ok(running.iter().all(|id| seen.contains(id)))
            })?;
            self.check_running()?;
        }
        Ok(())
    }

    /// An address of a running node that accepts connections.
    fn any_address(&self) -> Result<String> {
        let mut running = self.broker_ids().filter(|id| self.is_running(*id)).map(|id| self.address(id));
        running.find(|address| TcpStream::connect(address).is_ok()).context("no node accepts connections")
    }

    /// Creates a topic on three replicas (or as many as there are nodes) and waits until all are in sync.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        let replicas = self.broker_ids().count().min(3) as i16;
        probe::create_topic(&self.any_address()?, topic, partitions, replicas)?;
        self.wait_in_sync(topic, partitions, usize::from(replicas as u16))
    }

    /// Gives a topic more partitions.
    pub fn add_partitions(&self, topic: &str, count: i32) -> Result<()> {
        probe::create_partitions(&self.any_address()?, topic, count)
    }

    /// Creates a topic of one partition on the given nodes.
    pub fn create_topic_on(&self, topic: &str, nodes: &[i32]) -> Result<()> {
        probe::create_topic_on(&self.any_address()?, topic, nodes)?;
        self.wait_in_sync(topic, 1, nodes.len())
    }

    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        probe::delete_topic(&self.any_address()?, topic)
    }

    /// Begins moving a partition to these nodes, or with `None` calls the move off.
    pub fn reassign(&self, topic: &str, partition: i32, nodes: Option<&[i32]>) -> Result<()> {
        probe::reassign(&self.any_address()?, topic, partition, nodes)
    }

    /// The partitions of a topic as any running node sees them, by index.
    pub fn partitions(&self, topic: &str) -> Result<Vec<PartitionView>> {
        Ok(probe::metadata(&self.any_address()?, Some(topic))?.partitions)
    }

    /// Waits until every partition of a topic has a leader and `in_sync` in-sync replicas.
    pub fn wait_in_sync(&self, topic: &str, partitions: i32, in_sync: usize) -> Result<()> {
        let what = format!("{partitions} partitions of {topic} have {in_sync} replicas in sync");
        let mut seen = Vec::new();
        wait::for_condition(&what, self.target.recovery_limit(), || {
            seen = self.partitions(topic)?;
            Ok(seen.len() == partitions as usize && seen.iter().all(|p| p.leader > 0 && p.in_sync.len() == in_sync))
        })
        .with_context(|| format!("seen last: {seen:?}"))
    }

    /// Waits until a partition has a leader, and names it.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32> {
        wait::until("the partition has a leader", self.target.recovery_limit(), || {
            let leader = self.partitions(topic)?.get(partition as usize).map(|p| p.leader);
            Ok(leader.filter(|id| *id > 0))
        })
    }

    /// Some replica of the partition that does not lead it.
    pub fn follower(&self, topic: &str, partition: i32) -> Result<i32> {
        let leader = self.leader(topic, partition)?;
        let seen = self.partitions(topic)?;
        let partition = seen.get(partition as usize).context("no such partition")?;
        partition.replicas.iter().copied().find(|id| *id != leader).context("the partition has no follower")
    }

    /// The node that coordinates a group.
    pub fn coordinator(&self, group: &str) -> Result<i32> {
        wait::until("the group has a coordinator", self.target.recovery_limit(), || {
            probe::coordinator(&self.any_address()?, group).map(Some)
        })
    }

    /// The committed offset of each partition of a topic, -1 where there is none.
    pub fn committed_offsets(&self, group: &str, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        wait::until("the group's offsets can be fetched", self.target.recovery_limit(), || {
            let coordinator = self.address(self.coordinator(group)?);
            probe::committed_offsets(&coordinator, group, topic, partitions).map(Some)
        })
    }

    /// The active controller.
    pub fn controller(&self) -> Result<i32> {
        Ok(self.controller_and_epoch()?.0)
    }

    pub fn controller_and_epoch(&self) -> Result<(i32, i32)> {
        wait::until("there is an active controller", self.target.recovery_limit(), || {
            let leader = probe::quorum_leader(&self.any_address()?)?;
            Ok(Some(leader).filter(|(id, _)| *id > 0))
        })
    }

    /// The ends of all nodes' logs, for a failed scenario.
    pub fn log_tails(&self, lines: usize) -> String {
        let mut text = String::new();
        for id in self.ids() {
            let log = fs::read(self.log_file(id)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            let all: Vec<&str> = log.lines().collect();
            let tail = all[all.len().saturating_sub(lines)..].join("\n");
            writeln!(text, "--- log of node {id} ({} lines)\n{tail}", all.len()).expect("writing to a string");
        }
        text
    }

    /// Where the configurations and logs are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the directory behind for a look at it.
    pub fn keep_dir(&mut self) {
        self.dir.disable_cleanup(true);
    }
}

fn choose_ports(spec: &Spec, id: i32, network: &Network) -> Result<Ports> {
    let client = match spec.first_port {
        Some(first) => first + 100 * (id as u16 - 1),
        None => free_port(),
    };
    let [replication, controller, admin] = [(); 3].map(|()| free_port());
    let [seen_replication, seen_controller] = if spec.gated {
        let gates = [(Plane::Data, replication), (Plane::Control, controller)].map(|(plane, target)| {
            let listener = TcpListener::bind(("127.0.0.1", free_port()))?;
            let port = listener.local_addr()?.port();
            network.proxy(id, plane, listener, target);
            Ok::<u16, anyhow::Error>(port)
        });
        let [replication, controller] = gates;
        [replication?, controller?]
    } else {
        [replication, controller]
    };
    Ok(Ports { client, replication, controller, admin, seen_replication, seen_controller })
}

fn voter(id: i32, ports: &Ports) -> String {
    format!("{id}@127.0.0.1:{}", ports.seen_controller)
}

fn properties(target: Target, spec: &Spec, id: i32, node: &Node, voters: &str) -> String {
    let ports = &node.ports;
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", ports.client);
    let mut inter_broker = "PLAINTEXT";
    let mut advertised = listeners.clone();
    if spec.gated {
        inter_broker = "REPLICATION";
        write!(listeners, ",REPLICATION://127.0.0.1:{}", ports.replication).expect("writing to a string");
        write!(advertised, ",REPLICATION://127.0.0.1:{}", ports.seen_replication).expect("writing to a string");
    }
    let admin = match target {
        Target::Tidelog => format!("admin.listener=http://127.0.0.1:{}\n", ports.admin),
        Target::Kafka => String::new(),
    };
    let rack = if spec.racked { format!("broker.rack={}\n", rack(id)) } else { String::new() };
    let quorum = match spec.is_controller(id) {
        true => format!("CONTROLLER://127.0.0.1:{}", ports.controller),
        false => String::new(),
    };
    let (roles, listeners, advertised) = match (spec.is_broker(id), spec.is_controller(id)) {
        (true, true) => ("broker,controller", format!("{listeners},{quorum}"), advertised),
        (true, false) => ("broker", listeners, advertised),
        (false, _) => ("controller", quorum, String::new()),
    };
    let client = match spec.is_broker(id) {
        true => format!("advertised.listeners={advertised}\ninter.broker.listener.name={inter_broker}\n"),
        false => String::new(),
    };
    format!(
        "process.roles={roles}\n\
         node.id={id}\n\
         controller.quorum.voters={voters}\n\
         listeners={listeners}\n\
         {client}\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT\n\
         log.dirs={data}\n\
         {admin}{rack}{parity}{settings}",
        data = node.data.display(),
        parity = target.parity_settings(spec.brokers),
        settings = spec.settings,
    )
}
