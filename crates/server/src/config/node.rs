//! The configuration of one node, validated: what the rest of the program is given.

use std::path::PathBuf;
use std::time::Duration;

use tidelog_broker::{DiskOptions, GroupOptions, NetworkLimits, ReplicaOptions};
use tidelog_metadata::config::{StaticConfigs, broker_config, canonical};
use tidelog_wire::Str;

use super::addresses::{read_admin_listener, read_listeners};
use super::groups::read_groups;
use super::limits::{read_disk, read_network, read_replica};
use super::listeners::{Allowed, Listener, items, parse_host_port};
use super::quorum::{Voter, parse_voters};
use super::reader::{InvalidSetting, Reader};
use super::source::RawConfig;

/// Where the listeners bind if `listeners` is not set. The container image sets it, for a published port does not
/// reach the container's loopback.
pub const BIND_ADDRESS_VARIABLE: &str = "TIDELOG_BIND_ADDRESS";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub node_id: i32,
    pub roles: Roles,
    pub cluster_id: Option<Str>,
    pub voters: Vec<Voter>,
    /// What clients and other brokers connect to; empty without the broker role.
    pub client_listeners: Vec<Listener>,
    /// What they are told, in the same order and with the same names.
    pub advertised_listeners: Vec<Listener>,
    pub inter_broker_listener_name: String,
    /// What other nodes' controllers connect to. Every node has one: the metadata log reaches brokers by it too.
    pub controller_listener: Listener,
    /// The host that other nodes find the controller listener at.
    pub controller_advertised_host: String,
    pub admin_listener: Option<(String, u16)>,
    pub rack: Option<String>,
    pub log_dir: PathBuf,
    pub broker_session_timeout: Duration,
    pub broker_heartbeat_interval: Duration,
    /// Longest silence of the active controller before an election.
    pub election_timeout: Duration,
    pub auto_create_topics: bool,
    pub controlled_shutdown: bool,
    pub network: NetworkLimits,
    pub replica: ReplicaOptions,
    pub disk: DiskOptions,
    pub groups: GroupOptions,
    /// Everything that was said, by name, for DescribeConfigs and the defaults of topics and groups.
    pub static_configs: StaticConfigs,
}

/// What the process knows that the settings do not say.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub host_name: String,
    pub bind_address: String,
}

impl NodeConfig {
    pub fn read(reader: &Reader<'_>, raw: &RawConfig, around: &Surroundings) -> Result<Self, InvalidSetting> {
        let roles = read_roles(reader)?;
        let node_id = read_node_id(reader, raw)?;
        let net = read_listeners(reader, roles, around)?;
        let voters = read_voters(reader, node_id, roles, &net.controller)?;
        let controller_advertised_host = voters
            .iter()
            .find(|voter| voter.id == node_id)
            .map(|voter| voter.host.clone())
            .or_else(|| net.advertised.first().map(|listener| listener.host.clone()))
            .unwrap_or_else(|| around.host_name.clone());
        let session_timeout = reader.ms("broker.session.timeout.ms")?;
        Ok(Self {
            node_id,
            roles,
            cluster_id: reader.parsed_if_set("cluster.id", parse_cluster_id)?,
            voters,
            inter_broker_listener_name: net.inter_broker,
            network: read_network(reader, &net.clients)?,
            client_listeners: net.clients,
            advertised_listeners: net.advertised,
            controller_listener: net.controller,
            controller_advertised_host,
            admin_listener: read_admin_listener(reader)?,
            rack: reader.text("broker.rack").map(str::to_owned),
            log_dir: read_log_dir(reader)?,
            broker_session_timeout: session_timeout,
            broker_heartbeat_interval: reader.ms("broker.heartbeat.interval.ms")?,
            election_timeout: reader.ms("controller.quorum.election.timeout.ms")?,
            auto_create_topics: reader.flag("auto.create.topics.enable")?,
            controlled_shutdown: reader.flag("controlled.shutdown.enable")?,
            replica: read_replica(reader, session_timeout)?,
            disk: read_disk(reader)?,
            groups: read_groups(reader)?,
            static_configs: static_configs(raw),
        })
    }
}

/// What was said, as DescribeConfigs shows it. An empty value is as good as none.
fn static_configs(raw: &RawConfig) -> StaticConfigs {
    let said = raw.iter().map(|(key, setting)| (key, setting.value.trim())).filter(|(_, value)| !value.is_empty());
    let shown = |(key, value)| match broker_config(key) {
        Some(definition) => (key, canonical(definition, value)),
        None => (key, value.into()),
    };
    said.map(shown).collect()
}

/// Any text, as Kafka's storage tool takes it. It becomes a line of `meta.properties`.
fn parse_cluster_id(value: &str) -> Result<Str, Allowed> {
    match value.contains(char::is_control) {
        true => Err("text without control characters".to_owned()),
        false => Ok(Str::from(value.to_owned())),
    }
}

fn read_roles(reader: &Reader<'_>) -> Result<Roles, InvalidSetting> {
    reader.parsed("process.roles", |value| {
        let has = |role| items(value).any(|item| item == role);
        Ok(Roles { broker: has("broker"), controller: has("controller") })
    })
}

/// `node.id`, or `broker.id` as older files call it. Only a node that is alone needs none.
fn read_node_id(reader: &Reader<'_>, raw: &RawConfig) -> Result<i32, InvalidSetting> {
    let older = reader.number("broker.id")?;
    let is_set = reader.text("node.id").is_some();
    let is_alone = raw.get("controller.quorum.voters").is_none() && raw.get("process.roles").is_none();
    match older {
        0.. if !is_set => Ok(older),
        _ if is_set || is_alone => reader.number("node.id"),
        _ => Err(reader.invalid("node.id", "set to a number of this node's own, from 0 to 2147483647, in a cluster")),
    }
}

fn read_voters(
    reader: &Reader<'_>,
    node_id: i32,
    roles: Roles,
    controller: &Listener,
) -> Result<Vec<Voter>, InvalidSetting> {
    const VOTERS: &str = "controller.quorum.voters";
    const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers";
    let bootstrap: Vec<&str> = reader.text(BOOTSTRAP).map(|value| items(value).collect()).unwrap_or_default();
    if let Some(voters) = reader.parsed_if_set(VOTERS, parse_voters)? {
        return checked_voters(reader, voters, node_id, roles);
    }
    let alone = roles.controller && bootstrap.len() <= 1;
    if !alone {
        return Err(reader.invalid(
            VOTERS,
            "set to the list of all controllers, id@host:port,..., because this node is not a cluster of its own",
        ));
    }
    let own = Listener {
        host: if controller.binds_every_address() { "localhost".to_owned() } else { controller.host.clone() },
        ..controller.clone()
    };
    let (host, port) = match bootstrap.first() {
        Some(text) => parse_host_port(text).ok_or_else(|| reader.invalid(BOOTSTRAP, "a list of host:port"))?,
        None => (own.host, own.port),
    };
    Ok(vec![Voter { id: node_id, host, port }])
}

fn checked_voters(
    reader: &Reader<'_>,
    voters: Vec<Voter>,
    node_id: i32,
    roles: Roles,
) -> Result<Vec<Voter>, InvalidSetting> {
    const VOTERS: &str = "controller.quorum.voters";
    let votes = voters.iter().any(|voter| voter.id == node_id);
    if roles.controller && !votes {
        let allowed =
            format!("a list that includes this node's id ({node_id}), because process.roles includes controller");
        return Err(reader.invalid(VOTERS, allowed));
    }
    if !roles.controller && votes {
        let allowed =
            format!("a list without this node's id ({node_id}), because process.roles does not include controller");
        return Err(reader.invalid(VOTERS, allowed));
    }
    Ok(voters)
}

fn read_log_dir(reader: &Reader<'_>) -> Result<PathBuf, InvalidSetting> {
    let parse = |value: &str| match items(value).collect::<Vec<_>>()[..] {
        [one] => Ok(PathBuf::from(one)),
        _ => Err("one directory: several are not supported yet".to_owned()),
    };
    match reader.parsed_if_set("log.dirs", parse)? {
        Some(dir) => Ok(dir),
        None => reader.parsed("log.dir", parse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<NodeConfig, InvalidSetting> {
        let mut raw = RawConfig::default();
        for (key, value) in settings {
            raw.set(key, *value);
        }
        let around = Surroundings { host_name: "box".to_owned(), bind_address: "127.0.0.1".to_owned() };
        NodeConfig::read(&Reader::new(&raw), &raw, &around)
    }

    const MAP: (&str, &str) = ("listener.security.protocol.map", "A:PLAINTEXT,CONTROLLER:PLAINTEXT");

    fn shown(listeners: &[Listener]) -> String {
        let shown: Vec<String> = listeners.iter().map(ToString::to_string).collect();
        shown.join(",")
    }

    #[test]
    fn without_settings_a_node_is_a_cluster_on_localhost() {
        let config = read(&[]).unwrap();
        assert_eq!(config.node_id, 1);
        assert_eq!(config.roles, Roles { broker: true, controller: true });
        assert_eq!(shown(&config.client_listeners), "PLAINTEXT://127.0.0.1:9092");
        assert_eq!(shown(&config.advertised_listeners), "PLAINTEXT://localhost:9092");
        assert_eq!(config.controller_listener.to_string(), "CONTROLLER://127.0.0.1:9093");
        let voter = Voter { id: 1, host: "127.0.0.1".to_owned(), port: 9093 };
        assert_eq!(config.voters, [voter]);
        assert_eq!(config.log_dir, PathBuf::from("./tidelog-data"));
    }

    #[test]
    fn a_file_of_kafkas_own_image_is_understood() {
        let config = read(&[
            ("node.id", "2"),
            ("process.roles", "broker,controller"),
            ("controller.quorum.voters", "1@k1:29093,2@k2:29093,3@k3:29093"),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
            ("listeners", "PLAINTEXT://:19092,CONTROLLER://:29093,PLAINTEXT_HOST://:9092"),
            ("advertised.listeners", "PLAINTEXT://k2:19092,PLAINTEXT_HOST://localhost:39092"),
            ("log.dirs", "/tmp/kraft-combined-logs"),
        ])
        .unwrap();
        assert_eq!(shown(&config.client_listeners), "PLAINTEXT://:19092,PLAINTEXT_HOST://:9092");
        assert_eq!(shown(&config.advertised_listeners), "PLAINTEXT://k2:19092,PLAINTEXT_HOST://localhost:39092");
        assert_eq!(config.controller_listener.to_string(), "CONTROLLER://:29093");
        assert_eq!(config.controller_advertised_host, "k2");
        assert_eq!(config.inter_broker_listener_name, "PLAINTEXT");
        assert_eq!(config.voters.len(), 3);
    }

    #[test]
    fn a_wildcard_is_advertised_as_this_machines_name() {
        let config = read(&[("listeners", "A://0.0.0.0:1,CONTROLLER://:2"), MAP]).unwrap();
        assert_eq!(shown(&config.advertised_listeners), "A://box:1");
        assert_eq!(config.inter_broker_listener_name, "A");
        let broker = read(&[
            ("process.roles", "broker"),
            ("node.id", "4"),
            ("controller.quorum.voters", "1@a:1"),
            ("listeners", "A://h:1"),
            MAP,
        ]);
        assert_eq!(broker.unwrap().controller_listener.to_string(), "CONTROLLER://h:0");
    }

    #[test]
    fn any_text_is_a_cluster_id() {
        for id in ["4L6g3nShT-eMCtK--X86sw", "MkU3OEVBNTcwNTJENDM2Qk", "ciWo7IWazngRchmPES6q5A==", "my-cluster"] {
            let config = read(&[("cluster.id", id)]).unwrap();
            assert_eq!(config.cluster_id.as_deref(), Some(id));
        }
    }

    #[test]
    fn what_was_said_is_described_in_its_usual_form() {
        let config = read(&[
            ("log.retention.hours", " 24 "),
            ("auto.create.topics.enable", "True"),
            ("log.cleanup.policy", "compact , delete"),
            ("num.io.threads", " 8"),
            ("broker.rack", " "),
        ])
        .unwrap();
        let described: Vec<_> = config.static_configs.iter().collect();
        let expected = [
            ("auto.create.topics.enable", "true"),
            ("log.cleanup.policy", "compact,delete"),
            ("log.retention.hours", "24"),
            ("num.io.threads", "8"),
        ];
        assert_eq!(described, expected);
    }

    #[test]
    fn mistakes_are_sentences() {
        let voters = ("controller.quorum.voters", "1@a:1,2@b:1");
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[("process.roles", "zookeeper")], "must be a list of any of broker, controller"),
            (&[("node.id", "-4")], "must be a whole number of at least 0"),
            (&[voters], "node.id= is not valid: must be set"),
            (&[voters, ("node.id", "3")], "includes this node's id (3)"),
            (&[voters, ("node.id", "1"), ("process.roles", "broker")], "without this node's id (1)"),
            (&[("process.roles", "broker"), ("node.id", "1")], "controller.quorum.voters= is not valid"),
            (&[("listeners", "CONTROLLER://:1")], "with a listener for clients"),
            (&[("listeners", "PLAINTEXT://:1")], "a listener named CONTROLLER"),
            (
                &[("process.roles", "controller"), ("node.id", "1"), ("listeners", "PLAINTEXT://:1,CONTROLLER://:2")],
                "only the controller's listener",
            ),
            (&[("advertised.listeners", "OTHER://h:1")], "defined in `listeners`; OTHER is not"),
            (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:1")], "clients can connect to"),
            (&[("inter.broker.listener.name", "X")], "the name of a listener: PLAINTEXT"),
            (&[("log.dirs", "/a,/b")], "one directory"),
            (&[("cluster.id", "two\nlines")], "text without control characters"),
            (&[("admin.listener", "9644")], "http://host:port or none"),
        ];
        for (settings, expected) in table {
            let error = read(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{settings:?}: {error}");
        }
    }
}
