//! `host:port,host:port`: where to ask for the cluster first.

/// Kafka's port, for entries that name none.
const DEFAULT_PORT: u16 = 9092;

/// Hosts and ports of a bootstrap list, at least one.
pub fn parse_bootstrap(text: &str) -> Result<Vec<(String, u16)>, String> {
    let entries: Vec<(String, u16)> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| parse_entry(entry).ok_or_else(|| format!("{entry:?} is not of the form host:port")))
        .collect::<Result<_, _>>()?;
    match entries.is_empty() {
        true => Err("the list of bootstrap servers is empty".to_owned()),
        false => Ok(entries),
    }
}

fn parse_entry(entry: &str) -> Option<(String, u16)> {
    if let Some(bracketed) = entry.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        let port = match rest {
            "" => DEFAULT_PORT,
            _ => rest.strip_prefix(':')?.parse().ok()?,
        };
        return Some((host.to_owned(), port));
    }
    let (host, port) = match entry.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (entry, DEFAULT_PORT),
    };
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    is_host.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_hosts() {
        let table: &[(&str, &[(&str, u16)])] = &[
            ("localhost:9092", &[("localhost", 9092)]),
            ("a:1, b:2,", &[("a", 1), ("b", 2)]),
            ("kafka", &[("kafka", 9092)]),
            ("[::1]:5,[::2]", &[("::1", 5), ("::2", 9092)]),
        ];
        for (text, expected) in table {
            let got = parse_bootstrap(text).unwrap();
            let got: Vec<(&str, u16)> = got.iter().map(|(host, port)| (host.as_str(), *port)).collect();
            assert_eq!(&got, expected, "{text}");
        }
        for bad in ["", ",", "a:b", ":1", "a:70000", "http://a:1", "[::1"] {
            assert!(parse_bootstrap(bad).is_err(), "{bad}");
        }
    }
}
