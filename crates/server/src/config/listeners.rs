//! `listeners`, `advertised.listeners` and the names that go with them.
//!
//! `NAME://host:port,...`; an empty host or 0.0.0.0 binds every address. A listener is the controller's if
//! `controller.listener.names` says so; every other one serves clients. What clients are told is `advertised.listeners`,
//! or the listener itself where that names a host.

use std::fmt;

/// `NAME://host:port`. An empty host means every address (to bind) or "not said" (to advertise).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
}

impl Listener {
    pub fn binds_every_address(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "{}://[{}]:{}", self.name, self.host, self.port);
        }
        write!(f, "{}://{}:{}", self.name, self.host, self.port)
    }
}

/// What is allowed where a value is not: the end of the sentence "... must be".
pub type Allowed = String;

pub fn parse_listeners(value: &str) -> Result<Vec<Listener>, Allowed> {
    let listeners: Vec<Listener> = items(value).map(parse_listener).collect::<Result<_, _>>()?;
    if listeners.is_empty() {
        return Err("at least one NAME://host:port".to_owned());
    }
    for (index, one) in listeners.iter().enumerate() {
        let earlier = &listeners[..index];
        if earlier.iter().any(|other| other.name == one.name) {
            return Err(format!("listeners with distinct names; {} appears twice", one.name));
        }
        if one.port != 0 && earlier.iter().any(|other| other.port == one.port && other.host == one.host) {
            return Err(format!("listeners with distinct ports; {} appears twice", one.port));
        }
    }
    Ok(listeners)
}

fn parse_listener(text: &str) -> Result<Listener, Allowed> {
    let shape = || "a list of NAME://host:port, for example PLAINTEXT://:9092".to_owned();
    let (name, address) = text.split_once("://").ok_or_else(shape)?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(shape());
    }
    let (host, port) = parse_host_port(address).ok_or_else(shape)?;
    Ok(Listener { name: name.to_ascii_uppercase(), host, port })
}

/// `host:port` or `[v6]:port`.
pub fn parse_host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

/// A comma-separated list without its blanks and empty items.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_shape_of_address() {
        let table = [
            ("PLAINTEXT://:9092", ("PLAINTEXT", "", 9092)),
            ("plaintext://localhost:9092", ("PLAINTEXT", "localhost", 9092)),
            ("IN-TERNAL_1://0.0.0.0:0", ("IN-TERNAL_1", "0.0.0.0", 0)),
            ("A://[::1]:1", ("A", "::1", 1)),
        ];
        for (text, (name, host, port)) in table {
            let expected = Listener { name: name.to_owned(), host: host.to_owned(), port };
            assert_eq!(parse_listeners(text).unwrap(), [expected], "{text}");
        }
        let two = parse_listeners(" A://:1 , B://h:2 ").unwrap();
        assert_eq!(two.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A://:1", "B://h:2"]);
    }

    #[test]
    fn refuses_what_is_no_address_or_said_twice() {
        for bad in ["", ":9092", "A://", "A://h", "A://h:port", "A://h:70000", "A://::1:9", "://h:1", "A B://h:1"] {
            assert!(parse_listeners(bad).is_err(), "{bad}");
        }
        assert!(parse_listeners("A://:1,A://:2").unwrap_err().contains("A appears twice"));
        assert!(parse_listeners("A://:1,B://:1").unwrap_err().contains("1 appears twice"));
        assert!(parse_listeners("A://h:1,B://g:1").is_ok());
    }
}
