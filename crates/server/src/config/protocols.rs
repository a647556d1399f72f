//! `listener.security.protocol.map`: which security protocol a listener's name stands for. Only PLAINTEXT is served, and
//! a listener of another protocol must not be served in plain text.

use super::listeners::{Allowed, Listener, items};
use super::reader::{InvalidSetting, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Plaintext,
    /// Kafka's name of one that is not served.
    Unsupported(&'static str),
}

/// Refuses listeners that cannot be served as configured. Names are in upper case.
pub fn check_protocols(
    reader: &Reader<'_>,
    listeners: &[Listener],
    controller_names: &[String],
) -> Result<(), InvalidSetting> {
    const MAP: &str = "listener.security.protocol.map";
    let map = reader.parsed(MAP, parse_map)?;
    let is_set = reader.text(MAP).is_some();
    let of = |name: &str| map.iter().rfind(|(mapped, _)| mapped == name).map(|(_, protocol)| *protocol);
    for name in listeners.iter().map(|listener| &listener.name).chain(controller_names) {
        match of(name) {
            Some(Protocol::Plaintext) => {}
            Some(Protocol::Unsupported(protocol)) => {
                let allowed = format!(
                    "listeners that use PLAINTEXT: {name} uses {protocol}, and TLS and SASL are not supported yet"
                );
                return Err(reader.invalid("listeners", allowed));
            }
            // As in Kafka, the default map is thought of as having the controller's listeners.
            None if !is_set && controller_names.contains(name) => {}
            None => {
                let allowed = format!("a list that has every listener, for example {name}:PLAINTEXT");
                return Err(reader.invalid(MAP, allowed));
            }
        }
    }
    Ok(())
}

fn parse_map(value: &str) -> Result<Vec<(String, Protocol)>, Allowed> {
    items(value).map(parse_item).collect()
}

fn parse_item(item: &str) -> Result<(String, Protocol), Allowed> {
    let shape = || "a list of NAME:PROTOCOL, for example PLAINTEXT:PLAINTEXT".to_owned();
    let (name, protocol) = item.split_once(':').ok_or_else(shape)?;
    let protocol = match protocol.trim().to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Protocol::Plaintext,
        "SSL" => Protocol::Unsupported("SSL"),
        "SASL_PLAINTEXT" => Protocol::Unsupported("SASL_PLAINTEXT"),
        "SASL_SSL" => Protocol::Unsupported("SASL_SSL"),
        _ => return Err(format!("{}; {item} names no security protocol", shape())),
    };
    Ok((name.trim().to_ascii_uppercase(), protocol))
}

#[cfg(test)]
mod tests {
    use super::super::RawConfig;
    use super::super::listeners::parse_listeners;
    use super::*;

    fn check(listeners: &str, map: Option<&str>) -> Result<(), String> {
        let mut raw = RawConfig::default();
        raw.set("listeners", listeners);
        if let Some(map) = map {
            raw.set("listener.security.protocol.map", map);
        }
        let listeners = parse_listeners(listeners).unwrap();
        check_protocols(&Reader::new(&raw), &listeners, &["CONTROLLER".to_owned()]).map_err(|refused| refused.sentence)
    }

    #[test]
    fn a_listener_of_another_protocol_than_plaintext_is_refused() {
        for name in ["SSL", "SASL_SSL", "SASL_PLAINTEXT"] {
            let refused = check(&format!("{name}://:1,CONTROLLER://:2"), None).unwrap_err();
            assert!(
                refused.contains(&format!("{name} uses {name}, and TLS and SASL are not supported yet")),
                "{refused}"
            );
        }
        let mapped = check("OUT://:1", Some("OUT:SASL_SSL,CONTROLLER:PLAINTEXT")).unwrap_err();
        assert!(mapped.contains("OUT uses SASL_SSL"), "{mapped}");
        let controller = check("PLAINTEXT://:1", Some("CONTROLLER:SSL,PLAINTEXT:PLAINTEXT")).unwrap_err();
        assert!(controller.contains("CONTROLLER uses SSL"), "{controller}");
    }

    #[test]
    fn a_name_that_the_map_lacks_does_not_pass_for_plaintext() {
        for map in [None, Some("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT")] {
            let refused = check("INSIDE://:1,CONTROLLER://:2", map).unwrap_err();
            assert!(
                refused.contains("must be a list that has every listener, for example INSIDE:PLAINTEXT"),
                "{refused}"
            );
        }
        let controller = check("PLAINTEXT://:1", Some("PLAINTEXT:PLAINTEXT")).unwrap_err();
        assert!(controller.contains("CONTROLLER:PLAINTEXT"), "{controller}");
    }

    #[test]
    fn mapped_names_are_served_whatever_else_the_map_names() {
        assert_eq!(check("PLAINTEXT://:1,CONTROLLER://:2", None), Ok(()));
        let map = " inside : plaintext , CONTROLLER:PLAINTEXT,SSL:SSL,UNUSED:SASL_SSL,";
        assert_eq!(check("INSIDE://:1,CONTROLLER://:2", Some(map)), Ok(()));
    }

    #[test]
    fn a_map_of_another_shape_is_refused() {
        for bad in ["X", "X:Y", "X:PLAINTEXT,Y"] {
            let refused = check("X://:1", Some(bad)).unwrap_err();
            assert!(refused.contains("NAME:PROTOCOL"), "{refused}");
        }
    }
}
