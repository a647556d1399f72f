//! `controller.quorum.voters`: `id@host:port,...`, who may vote in the controller quorum.

use super::listeners::{Allowed, items, parse_host_port};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

pub fn parse_voters(value: &str) -> Result<Vec<Voter>, Allowed> {
    let voters: Vec<Voter> = items(value).map(parse_voter).collect::<Result<_, _>>()?;
    if voters.is_empty() {
        return Err("at least one id@host:port".to_owned());
    }
    for (index, voter) in voters.iter().enumerate() {
        if voters[..index].iter().any(|other| other.id == voter.id) {
            return Err(format!("a list of distinct voter ids; {} appears twice", voter.id));
        }
    }
    Ok(voters)
}

fn parse_voter(text: &str) -> Result<Voter, Allowed> {
    let shape = || "a list of id@host:port, for example 1@localhost:9093".to_owned();
    let (id, address) = text.split_once('@').ok_or_else(shape)?;
    let (host, port) = parse_host_port(address).ok_or_else(shape)?;
    let id = id.parse().ok().filter(|&id| id >= 0).ok_or_else(shape)?;
    if host.is_empty() || port == 0 {
        return Err(shape());
    }
    Ok(Voter { id, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_voters() {
        let voters = parse_voters("1@a:9093, 2@[::1]:9193").unwrap();
        assert_eq!(voters[0], Voter { id: 1, host: "a".to_owned(), port: 9093 });
        assert_eq!(voters[1], Voter { id: 2, host: "::1".to_owned(), port: 9193 });
    }

    #[test]
    fn refuses_malformed_or_repeated_voters() {
        for bad in ["", "a:1", "x@a:1", "-1@a:1", "1@a", "1@:1", "1@a:0", "1@a:1:2"] {
            assert!(parse_voters(bad).is_err(), "{bad}");
        }
        assert!(parse_voters("1@a:1,1@b:1").unwrap_err().contains("1 appears twice"));
    }
}
