//! Where settings come from, strongest first: `--override`, the environment, `server.properties`. The result keeps with
//! each value where it was said, so that a complaint can name the place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::properties;

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File { path: PathBuf, line: usize },
    Environment { variable: String },
    CommandLine,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::CommandLine => f.write_str("--override"),
            Self::Default => f.write_str("default"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    pub origin: Origin,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read {}: {error}; give --config the path of a server.properties file", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}, {error}", path.display())]
    Malformed { path: PathBuf, error: properties::MalformedEscape },
    #[error("--override {text:?} is not of the form key=value, for example --override num.partitions=3")]
    BadOverride { text: String },
}

/// Settings by Kafka's name, before anyone looked at what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawConfig {
    settings: BTreeMap<String, Setting>,
}

impl RawConfig {
    /// Merges all sources. `environment` is the process's own, passed in so that tests can have theirs.
    pub fn gather(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        overrides: &[String],
    ) -> Result<Self, SourceError> {
        let mut raw = Self::default();
        if let Some(path) = file {
            raw.add_file(path)?;
        }
        raw.add_environment(environment);
        for text in overrides {
            raw.add_override(text)?;
        }
        Ok(raw)
    }

    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Says something a stronger source has not said: for the nodes of `tidelog dev`, whose settings are computed.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings.insert(key.to_owned(), Setting { value: value.into(), origin: Origin::CommandLine });
    }

    fn add_file(&mut self, path: &Path) -> Result<(), SourceError> {
        let text = std::fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| SourceError::Unreadable { path: path.to_owned(), error })?;
        let parsed =
            properties::parse(&text).map_err(|error| SourceError::Malformed { path: path.to_owned(), error })?;
        for property in parsed {
            let origin = Origin::File { path: path.to_owned(), line: property.line };
            self.settings.insert(property.key, Setting { value: property.value, origin });
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: impl Iterator<Item = (String, String)>) {
        let mut found: Vec<(EnvironmentName, String, String)> = environment
            .filter_map(|(variable, value)| property_of_variable(&variable).map(|name| (name, variable, value)))
            .collect();
        found.sort();
        for (name, variable, value) in found {
            self.settings.insert(name.key, Setting { value, origin: Origin::Environment { variable } });
        }
    }

    fn add_override(&mut self, text: &str) -> Result<(), SourceError> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty())
            .ok_or_else(|| SourceError::BadOverride { text: text.to_owned() })?;
        self.set(key.trim(), value.trim());
        Ok(())
    }
}

/// Sorts `KAFKA_CFG_X` before `KAFKA_X`, which is the image's own spelling and therefore said last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EnvironmentName {
    native: bool,
    key: String,
}

/// The property a variable stands for: `KAFKA_NODE_ID` is `node.id`, `__` an underscore, `___` a dash.
fn property_of_variable(variable: &str) -> Option<EnvironmentName> {
    if variable == "CLUSTER_ID" {
        return Some(EnvironmentName { native: true, key: "cluster.id".to_owned() });
    }
    let mangled = variable.strip_prefix("KAFKA_")?;
    if mangled.is_empty() || is_no_setting(variable) {
        return None;
    }
    let (native, mangled) = match mangled.strip_prefix("CFG_") {
        Some(rest) if !rest.is_empty() => (false, rest),
        _ => (true, mangled),
    };
    let key = match mangled.to_ascii_lowercase().replace("___", "-").replace("__", "\0").replace('_', ".") {
        id if id == "cluster.id" || id == "kraft.cluster.id" => "cluster.id".to_owned(),
        key => key.replace('\0', "_"),
    };
    Some(EnvironmentName { native, key })
}

/// Variables of Kafka's start scripts and of Kubernetes' service links, which share the prefix and set no property.
fn is_no_setting(variable: &str) -> bool {
    const SCRIPTS: [&str; 16] = [
        "KAFKA_HOME",
        "KAFKA_OPTS",
        "KAFKA_VERSION",
        "KAFKA_HEAP_OPTS",
        "KAFKA_JMX_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_JMX_HOSTNAME",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_DEBUG",
        "KAFKA_CLASSPATH",
        "KAFKA_USER",
    ];
    SCRIPTS.contains(&variable)
        || variable == "KAFKA_PORT"
        || ["KAFKA_PORT_", "KAFKA_SERVICE_", "KAFKA_PEER_"].iter().any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn variables_name_properties_as_in_kafkas_image() {
        let table = [
            ("KAFKA_NODE_ID", Some("node.id")),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", Some("controller.quorum.voters")),
            ("KAFKA_CFG_NODE_ID", Some("node.id")),
            ("KAFKA_SOME__KEY", Some("some_key")),
            ("KAFKA_SOME___KEY_X", Some("some-key.x")),
            ("CLUSTER_ID", Some("cluster.id")),
            ("KAFKA_CLUSTER_ID", Some("cluster.id")),
            ("KAFKA_KRAFT_CLUSTER_ID", Some("cluster.id")),
            ("KAFKA_HEAP_OPTS", None),
            ("KAFKA_PORT_9092_TCP", None),
            ("PATH", None),
            ("KAFKA_", None),
        ];
        for (variable, key) in table {
            assert_eq!(property_of_variable(variable).map(|n| n.key).as_deref(), key, "{variable}");
        }
    }

    #[test]
    fn the_command_line_beats_the_environment_beats_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a.a=file\nb.b=file\nc.c=file\n").unwrap();
        let env = environment(&[("KAFKA_B_B", "env"), ("KAFKA_CFG_B_B", "cfg"), ("KAFKA_C_C", "env")]);
        let raw = RawConfig::gather(Some(file.path()), env, &["c.c=cli".to_owned()]).unwrap();
        let said = |key| raw.get(key).map(|s| (s.value.as_str(), s.origin.to_string()));
        assert_eq!(said("a.a"), Some(("file", format!("{}, line 1", file.path().display()))));
        assert_eq!(said("b.b"), Some(("env", "environment variable KAFKA_B_B".to_owned())));
        assert_eq!(said("c.c"), Some(("cli", "--override".to_owned())));
    }

    #[test]
    fn an_override_without_a_key_or_a_missing_file_is_an_error_with_a_way_out() {
        let none = || environment(&[]);
        for bad in ["novalue", "=x"] {
            let error = RawConfig::gather(None, none(), &[bad.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("key=value") && error.contains(bad), "{error}");
        }
        let error = RawConfig::gather(Some(Path::new("/nowhere/x.properties")), none(), &[]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.properties"), "{error}");
    }
}
