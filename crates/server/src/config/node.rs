//! The configuration of one node, validated: what the rest of the program is given.

use std::path::PathBuf;
use std::time::Duration;

use tidelog_broker::{DiskOptions, GroupOptions, NetworkLimits, ReplicaOptions};
use tidelog_metadata::config::StaticConfigs;
use tidelog_wire::Uuid;

use super::groups::read_groups;
use super::limits::{read_disk, read_ms, read_network, read_replica};
use super::listeners::{Listener, check_security_protocol_map, items, parse_host_port, parse_listeners};
use super::quorum::{Voter, parse_voters};
use super::reader::{InvalidSetting, Reader};
use super::source::RawConfig;

/// Where the listeners bind if `listeners` is not set. The container image sets it, for a published port does not
/// reach the container's loopback.
pub const BIND_ADDRESS_VARIABLE: &str = "TIDELOG_BIND_ADDRESS";

const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub node_id: i32,
    pub roles: Roles,
    pub cluster_id: Option<Uuid>,
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
    /// Everything that was said, by name, for DescribeConfigs and the topic defaults.
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
        let session_timeout = read_ms(reader, "broker.session.timeout.ms", Duration::from_millis(1500))?;
        Ok(Self {
            node_id,
            roles,
            cluster_id: reader.parsed("cluster.id", |value| {
                value.parse().map_err(|_| "an id of 22 characters as kafka-storage random-uuid makes them".to_owned())
            })?,
            voters,
            inter_broker_listener_name: net.inter_broker,
            client_listeners: net.clients,
            advertised_listeners: net.advertised,
            controller_listener: net.controller,
            controller_advertised_host,
            admin_listener: read_admin_listener(reader)?,
            rack: reader.text("broker.rack").map(str::to_owned),
            log_dir: read_log_dir(reader)?,
            broker_session_timeout: session_timeout,
            broker_heartbeat_interval: read_ms(reader, "broker.heartbeat.interval.ms", Duration::from_millis(300))?,
            election_timeout: read_ms(reader, "controller.quorum.election.timeout.ms", Duration::from_millis(1000))?,
            auto_create_topics: reader.flag("auto.create.topics.enable", true)?,
            controlled_shutdown: reader.flag("controlled.shutdown.enable", true)?,
            network: read_network(reader)?,
            replica: read_replica(reader, session_timeout)?,
            disk: read_disk(reader)?,
            groups: read_groups(reader)?,
            static_configs: raw.iter().map(|(key, setting)| (key, setting.value.as_str())).collect(),
        })
    }
}

fn read_roles(reader: &Reader<'_>) -> Result<Roles, InvalidSetting> {
    let parse = |value: &str| {
        let mut roles = Roles { broker: false, controller: false };
        for item in items(value) {
            match item {
                "broker" => roles.broker = true,
                "controller" => roles.controller = true,
                _ => return Err("broker, controller or broker,controller".to_owned()),
            }
        }
        Ok(roles)
    };
    let both = Roles { broker: true, controller: true };
    Ok(reader.parsed("process.roles", parse)?.unwrap_or(both))
}

/// `node.id`, or `broker.id` as older files call it. Only a node that is alone needs none.
fn read_node_id(reader: &Reader<'_>, raw: &RawConfig) -> Result<i32, InvalidSetting> {
    let older = reader.number("broker.id", -1, -1..=i32::MAX)?;
    let id = reader.number("node.id", older, 0..=i32::MAX)?;
    match id {
        -1 if raw.get("controller.quorum.voters").is_some() || raw.get("process.roles").is_some() => {
            Err(reader.invalid("node.id", "set to a number of this node's own, from 0 to 2147483647, in a cluster"))
        }
        -1 => Ok(1),
        id => Ok(id),
    }
}

struct Listeners {
    clients: Vec<Listener>,
    advertised: Vec<Listener>,
    inter_broker: String,
    controller: Listener,
}

fn read_listeners(reader: &Reader<'_>, roles: Roles, around: &Surroundings) -> Result<Listeners, InvalidSetting> {
    reader.parsed("listener.security.protocol.map", check_security_protocol_map)?;
    let controller_names: Vec<String> =
        items(&reader.text_or("controller.listener.names", "CONTROLLER")).map(str::to_ascii_uppercase).collect();
    let said = reader.parsed("listeners", parse_listeners)?;
    let by_default = said.is_none();
    let all = said.unwrap_or_else(|| default_listeners(roles, &controller_names[0], &around.bind_address));
    let (controllers, clients): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|listener| controller_names.contains(&listener.name));
    if roles.broker && clients.is_empty() {
        return Err(reader.invalid("listeners", "a list with a listener for clients, for example PLAINTEXT://:9092"));
    }
    if !roles.broker && !clients.is_empty() {
        let names = controller_names.join(",");
        return Err(reader.invalid(
            "listeners",
            format!("the controller's listener alone ({names}), for process.roles has no broker"),
        ));
    }
    let controller = match controllers.into_iter().next() {
        Some(controller) => controller,
        None if roles.controller => {
            let example = format!("a list with a listener named {}, for example {0}://:9093", controller_names[0]);
            return Err(reader.invalid("listeners", example));
        }
        // A broker that does not vote still receives the metadata log; any free port will do.
        None => Listener { name: controller_names[0].clone(), host: bind_host(&clients), port: 0 },
    };
    let advertised = read_advertised(reader, &clients, &controller_names, by_default, around)?;
    let inter_broker = read_inter_broker(reader, &clients)?;
    Ok(Listeners { clients, advertised, inter_broker, controller })
}

fn bind_host(clients: &[Listener]) -> String {
    clients.first().map(|listener| listener.host.clone()).unwrap_or_default()
}

fn default_listeners(roles: Roles, controller_name: &str, bind_address: &str) -> Vec<Listener> {
    let listener = |name: &str, port| Listener { name: name.to_owned(), host: bind_address.to_owned(), port };
    let mut all = Vec::new();
    if roles.broker {
        all.push(listener("PLAINTEXT", CLIENT_PORT));
    }
    if roles.controller {
        all.push(listener(controller_name, CONTROLLER_PORT));
    }
    all
}

/// One advertised address for each client listener: as said, else the listener's own host, else this machine's name.
fn read_advertised(
    reader: &Reader<'_>,
    clients: &[Listener],
    controller_names: &[String],
    by_default: bool,
    around: &Surroundings,
) -> Result<Vec<Listener>, InvalidSetting> {
    const KEY: &str = "advertised.listeners";
    let mut said = reader.parsed(KEY, parse_listeners)?.unwrap_or_default();
    said.retain(|listener| !controller_names.contains(&listener.name));
    if let Some(stray) = said.iter().find(|listener| !clients.iter().any(|client| client.name == listener.name)) {
        return Err(reader.invalid(KEY, format!("names that listeners has too, which {} is not", stray.name)));
    }
    if let Some(vague) = said.iter().find(|listener| listener.binds_every_address() || listener.port == 0) {
        return Err(reader.invalid(KEY, format!("addresses that clients can connect to, which {vague} is not")));
    }
    let advertised = clients.iter().map(|client| {
        if let Some(listener) = said.iter().find(|listener| listener.name == client.name) {
            return listener.clone();
        }
        let host = match client.binds_every_address() {
            _ if by_default => "localhost".to_owned(),
            true => around.host_name.clone(),
            false => client.host.clone(),
        };
        Listener { host, ..client.clone() }
    });
    Ok(advertised.collect())
}

fn read_inter_broker(reader: &Reader<'_>, clients: &[Listener]) -> Result<String, InvalidSetting> {
    const KEY: &str = "inter.broker.listener.name";
    let known = |name: &str| {
        let name = name.to_ascii_uppercase();
        if clients.is_empty() || clients.iter().any(|client| client.name == name) {
            return Ok(name);
        }
        let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
        Err(format!("the name of a listener: {}", names.join(" or ")))
    };
    if let Some(name) = reader.parsed(KEY, known)? {
        return Ok(name);
    }
    let plaintext = clients.iter().find(|client| client.name == "PLAINTEXT");
    Ok(plaintext.or(clients.first()).map_or_else(String::new, |client| client.name.clone()))
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
    if let Some(voters) = reader.parsed(VOTERS, parse_voters)? {
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
        return Err(
            reader.invalid(VOTERS, format!("a list with this node's id {node_id}, for process.roles has controller"))
        );
    }
    if !roles.controller && votes {
        return Err(reader
            .invalid(VOTERS, format!("a list without this node's id {node_id}, for process.roles has no controller")));
    }
    Ok(voters)
}

fn read_admin_listener(reader: &Reader<'_>) -> Result<Option<(String, u16)>, InvalidSetting> {
    let parse = |value: &str| match value {
        "none" => Ok(None),
        _ => value
            .strip_prefix("http://")
            .and_then(|address| parse_host_port(address.trim_end_matches('/')))
            .map(Some)
            .ok_or_else(|| "http://host:port or none".to_owned()),
    };
    let default = Some(("127.0.0.1".to_owned(), 9644));
    Ok(reader.parsed("admin.listener", parse)?.unwrap_or(default))
}

fn read_log_dir(reader: &Reader<'_>) -> Result<PathBuf, InvalidSetting> {
    let older = reader.text("log.dir").unwrap_or("./tidelog-data");
    let dirs: Vec<&str> = items(reader.text("log.dirs").unwrap_or(older)).collect();
    match dirs[..] {
        [one] => Ok(PathBuf::from(one)),
        _ => Err(reader.invalid("log.dirs", "one directory: several are not served yet")),
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
        let config = read(&[("listeners", "A://0.0.0.0:1,CONTROLLER://:2")]).unwrap();
        assert_eq!(shown(&config.advertised_listeners), "A://box:1");
        assert_eq!(config.inter_broker_listener_name, "A");
        let broker = read(&[
            ("process.roles", "broker"),
            ("node.id", "4"),
            ("controller.quorum.voters", "1@a:1"),
            ("listeners", "A://h:1"),
        ]);
        assert_eq!(broker.unwrap().controller_listener.to_string(), "CONTROLLER://h:0");
    }

    #[test]
    fn mistakes_are_sentences() {
        let voters = ("controller.quorum.voters", "1@a:1,2@b:1");
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[("process.roles", "zookeeper")], "must be broker, controller or broker,controller"),
            (&[("node.id", "-4")], "must be a whole number from 0 to 2147483647"),
            (&[voters], "node.id= is not valid: must be set"),
            (&[voters, ("node.id", "3")], "with this node's id 3"),
            (&[voters, ("node.id", "1"), ("process.roles", "broker")], "without this node's id 1"),
            (&[("process.roles", "broker"), ("node.id", "1")], "controller.quorum.voters= is not valid"),
            (&[("listeners", "CONTROLLER://:1")], "with a listener for clients"),
            (&[("listeners", "PLAINTEXT://:1")], "a listener named CONTROLLER"),
            (
                &[("process.roles", "controller"), ("node.id", "1"), ("listeners", "A://:1,CONTROLLER://:2")],
                "controller's listener alone",
            ),
            (&[("advertised.listeners", "OTHER://h:1")], "which OTHER is not"),
            (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:1")], "clients can connect to"),
            (&[("inter.broker.listener.name", "X")], "the name of a listener: PLAINTEXT"),
            (&[("log.dirs", "/a,/b")], "one directory"),
            (&[("cluster.id", "short")], "an id of 22 characters"),
            (&[("admin.listener", "9644")], "http://host:port or none"),
        ];
        for (settings, expected) in table {
            let error = read(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{settings:?}: {error}");
        }
    }
}
