//! A node's addresses: `listeners` and the settings that refer to them, held against each other.

use super::listeners::{Allowed, Listener, items, parse_host_port, parse_listeners};
use super::node::{Roles, Surroundings};
use super::protocols::check_protocols;
use super::reader::{InvalidSetting, Reader};

const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;

/// What a node listens on.
pub struct Listeners {
    pub clients: Vec<Listener>,
    /// What clients are told, in the same order and with the same names.
    pub advertised: Vec<Listener>,
    pub inter_broker: String,
    pub controller: Listener,
}

pub fn read_listeners(reader: &Reader<'_>, roles: Roles, around: &Surroundings) -> Result<Listeners, InvalidSetting> {
    let controller_names = reader.parsed("controller.listener.names", parse_names)?;
    let said = reader.parsed_if_set("listeners", parse_listeners)?;
    let by_default = said.is_none();
    let all = said.unwrap_or_else(|| default_listeners(roles, &controller_names[0], &around.bind_address));
    check_protocols(reader, &all, &controller_names)?;
    let (controllers, clients): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|listener| controller_names.contains(&listener.name));
    if roles.broker && clients.is_empty() {
        return Err(reader.invalid("listeners", "a list with a listener for clients, for example PLAINTEXT://:9092"));
    }
    if !roles.broker && !clients.is_empty() {
        let names = controller_names.join(",");
        return Err(reader.invalid(
            "listeners",
            format!("only the controller's listener ({names}), because process.roles does not include broker"),
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

fn parse_names(value: &str) -> Result<Vec<String>, Allowed> {
    let names: Vec<String> = items(value).map(str::to_ascii_uppercase).collect();
    if names.is_empty() { Err("the name of a listener".to_owned()) } else { Ok(names) }
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
    let mut said = reader.parsed_if_set(KEY, parse_listeners)?.unwrap_or_default();
    said.retain(|listener| !controller_names.contains(&listener.name));
    if let Some(stray) = said.iter().find(|listener| !clients.iter().any(|client| client.name == listener.name)) {
        return Err(reader
            .invalid(KEY, format!("a list that only names listeners defined in `listeners`; {} is not", stray.name)));
    }
    if let Some(vague) = said.iter().find(|listener| listener.binds_every_address() || listener.port == 0) {
        return Err(reader.invalid(KEY, format!("a list of addresses that clients can connect to; {vague} is not one")));
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
    if let Some(name) = reader.parsed_if_set(KEY, known)? {
        return Ok(name);
    }
    let plaintext = clients.iter().find(|client| client.name == "PLAINTEXT");
    Ok(plaintext.or(clients.first()).map_or_else(String::new, |client| client.name.clone()))
}

pub fn read_admin_listener(reader: &Reader<'_>) -> Result<Option<(String, u16)>, InvalidSetting> {
    let parse = |value: &str| match value {
        "none" => Ok(None),
        _ => value
            .strip_prefix("http://")
            .and_then(|address| parse_host_port(address.trim_end_matches('/')))
            .map(Some)
            .ok_or_else(|| "http://host:port or none".to_owned()),
    };
    reader.parsed("admin.listener", parse)
}
