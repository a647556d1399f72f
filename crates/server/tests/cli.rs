//! The binary's contract with scripts where no cluster is needed: exit codes, sentences, where they are printed.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

const OK: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const CANNOT_CONNECT: i32 = 3;

/// Runs the binary with none of the caller's settings in its environment.
fn tidelog(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelog"));
    for (variable, _) in std::env::vars() {
        if variable.starts_with("KAFKA_") || variable.starts_with("TIDELOG_") || variable == "CLUSTER_ID" {
            command.env_remove(variable);
        }
    }
    command.args(arguments).output().expect("the binary runs")
}

fn exit_and_complaint(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().expect("no signal"), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_wrong_setting_is_a_sentence_with_file_key_value_and_what_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.properties");
    let path = file.to_str().unwrap();
    let table = [
        ("node.id=one", "line 1: node.id=one is not valid: must be a whole number of at least 0"),
        (
            "\nprocess.roles=zookeeper",
            "line 2: process.roles=zookeeper is not valid: must be a list of any of broker, controller",
        ),
        ("listeners=9092", "listeners=9092 is not valid: must be a list of NAME://host:port"),
        ("log.retention.ms=soon", "log.retention.ms"),
        ("a=\\u12", "line 1: \\u must be followed by four hexadecimal digits"),
    ];
    for (text, expected) in table {
        fs::write(&file, text).unwrap();
        let (exit, complaint) = exit_and_complaint(&tidelog(&["server", "--config", path]));
        assert_eq!(exit, USAGE, "{complaint}");
        assert!(complaint.contains(path) && complaint.contains(expected), "{text}: {complaint}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let table: &[&[&str]] = &[
        &["frobnicate"],
        &["topic", "create"],
        &["topic", "create", "x", "--partitions", "0"],
        &["produce", "x", "--acks", "2"],
        &["topic", "list", "-b", "host:port"],
        &["server", "--override", "no-equals-sign"],
        &["server", "--config", "/nowhere/server.properties"],
        &["dev", "--brokers", "0"],
        &["group", "reset-offsets", "g", "--topic", "t"],
        &["group", "reset-offsets", "g", "--topic", "t", "--to-earliest", "--to-latest"],
        &["group", "reset-offsets", "g", "--topic", "t:x", "--to-earliest"],
        &["group", "reset-offsets", "g", "--topic", "t", "--to-datetime", "yesterday"],
        &["group", "describe", "g", "--members", "--state"],
        &["group", "delete"],
        &["topic", "reassign", "generate"],
        &["topic", "reassign", "execute", "plan.json", "--throttle", "fast"],
        &["topic", "reassign", "cancel"],
        &["broker", "drain"],
    ];
    for arguments in table {
        let (exit, complaint) = exit_and_complaint(&tidelog(arguments));
        assert_eq!(exit, USAGE, "{arguments:?}: {complaint}");
        assert!(!complaint.is_empty());
    }
}

#[test]
fn nobody_listening_is_exit_code_3_with_a_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for command in [&["topic", "list"][..], &["cluster", "health"], &["produce", "x"], &["consume", "x"]] {
        let arguments = [command, &["--bootstrap-server", &address]].concat();
        let (exit, complaint) = exit_and_complaint(&tidelog(&arguments));
        assert_eq!(exit, CANNOT_CONNECT, "{complaint}");
        assert!(complaint.contains(&address) && complaint.contains("try: "), "{complaint}");
    }
}

#[test]
fn dev_refuses_the_data_of_a_cluster_of_another_size() {
    let directory = tempfile::tempdir().unwrap();
    for node in ["1", "2", "3"] {
        fs::create_dir(directory.path().join(node)).unwrap();
    }
    let data_dir = directory.path().to_str().unwrap();
    let (exit, complaint) = exit_and_complaint(&tidelog(&["dev", "--brokers", "1", "--data-dir", data_dir]));
    assert_eq!(exit, USAGE, "{complaint}");
    assert!(
        complaint.contains("holds a cluster of 3 nodes, not 1") && complaint.contains("--brokers 3"),
        "{complaint}"
    );
}

/// Arguments of a single node in `data`, on ports that are free now.
fn lone_server(data: &str) -> Vec<String> {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (client, controller) = (free(), free());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (client, controller) = (port(&client), port(&controller));
    let settings = [
        format!("listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}"),
        format!("log.dirs={data}"),
        "admin.listener=none".to_owned(),
    ];
    let overrides = settings.into_iter().flat_map(|setting| ["--override".to_owned(), setting]);
    ["server".to_owned()].into_iter().chain(overrides).collect()
}

#[test]
fn a_broker_that_cannot_use_its_directory_ends_the_process() {
    let directory = tempfile::tempdir().unwrap();
    // Where the broker looks for a file.
    fs::create_dir(directory.path().join(".kafka_cleanshutdown")).unwrap();
    let arguments = lone_server(directory.path().to_str().unwrap());
    let (exit, complaint) = exit_and_complaint(&tidelog(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(exit, FAILED, "{complaint}");
    assert!(complaint.contains(".kafka_cleanshutdown") && complaint.contains("node 1 stopped"), "{complaint}");
}

#[test]
fn a_port_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let controller = format!("CONTROLLER://{}", taken.local_addr().unwrap());
    let mut arguments = lone_server(directory.path().to_str().unwrap());
    arguments.extend(["--override".to_owned(), format!("listeners=PLAINTEXT://127.0.0.1:0,{controller}")]);
    let (exit, complaint) = exit_and_complaint(&tidelog(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(exit, FAILED, "{complaint}");
    assert!(complaint.contains(&controller) && complaint.contains("in use"), "{complaint}");
}

#[test]
fn nodes_on_one_host_are_told_to_have_an_admin_listener_each() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap();
    let mut arguments = lone_server(directory.path().to_str().unwrap());
    arguments.extend(["--override".to_owned(), format!("admin.listener=http://{admin}")]);
    let (exit, complaint) = exit_and_complaint(&tidelog(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(exit, FAILED, "{complaint}");
    assert!(complaint.contains(&format!("{admin} (admin.listener)")), "{complaint}");
    assert!(complaint.contains("each need their own admin.listener"), "{complaint}");
}

#[test]
fn help_names_the_exit_codes() {
    let output = tidelog(&["--help"]);
    assert_eq!(output.status.code(), Some(OK));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in
        ["server", "dev", "topic", "group", "broker", "produce", "consume", "cluster", "bench", "10 cluster unhealthy"]
    {
        assert!(help.contains(word), "{word}");
    }
}
