//! `tidelog dev` as a user has it: start, create, produce, consume, kill, start again, find everything.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const BROKERS: u16 = 3;
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A cluster in a process; killed when dropped.
struct Dev {
    process: Child,
    port: u16,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Dev {
    /// Starts and waits for the banner.
    fn start(data_dir: &Path, port: u16) -> Self {
        let mut process = binary()
            .args(["dev", "--data-dir", data_dir.to_str().unwrap(), "--port", &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut dev = Self { process, port, stdout: None };
        dev.wait_for_banner(stdout);
        dev
    }

    fn wait_for_banner(&mut self, mut stdout: BufReader<ChildStdout>) {
        let (found, banner) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).unwrap_or(0) > 0 {
                if line.contains("Ctrl-C stops the cluster") {
                    let _ = found.send(stdout);
                    return;
                }
                line.clear();
            }
        });
        self.stdout = Some(banner.recv_timeout(READY_WITHIN).expect("a banner, once all brokers are active"));
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        let bootstrap = format!("localhost:{}", self.port);
        let mut command = binary()
            .args(arguments)
            .args(["--bootstrap-server", &bootstrap])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        command.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        command.wait_with_output().unwrap()
    }

    /// Standard output of a command that must succeed.
    fn ok(&self, arguments: &[&str], stdin: &str) -> String {
        let output = self.run(arguments, stdin);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {} {complaint}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelog"));
    command.env_remove("TIDELOG_BOOTSTRAP_SERVER").env_remove("RUST_LOG");
    command
}

/// A port from which on all that a dev cluster needs are free.
fn free_ports() -> u16 {
    let offsets: Vec<u16> = (0..BROKERS).flat_map(|node| [0, 1, 552].map(|after| node * 100 + after)).collect();
    let first = 10_000 + (std::process::id() % 16_000) as u16;
    (first..u16::MAX - 1000)
        .step_by(7)
        .find(|port| offsets.iter().all(|offset| TcpListener::bind(("127.0.0.1", port + offset)).is_ok()))
        .expect("free ports")
}

/// Not found, and said at once.
fn refused_with_5(dev: &Dev, arguments: &[&str], complaint: &str) {
    let began = Instant::now();
    let output = dev.run(arguments, "");
    assert_eq!(output.status.code(), Some(5), "{arguments:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(complaint), "{said}");
    assert!(began.elapsed() < Duration::from_secs(10), "{arguments:?} took {:?}", began.elapsed());
}

#[test]
fn a_cluster_keeps_its_data_through_kill_and_restart() {
    let data_dir = tempfile::tempdir().unwrap();
    let port = free_ports();
    let mut dev = Dev::start(data_dir.path(), port);
    let created = dev.ok(&["topic", "create", "sample", "--partitions", "2", "--replication-factor", "3"], "");
    assert_eq!(created, "Created topic sample with 2 partitions and replication factor 3.\n");
    dev.ok(&["produce", "sample", "--key-separator", "="], "a=1\nb=2\nc=3\n");
    dev.signal(rustix::process::Signal::KILL);

    let mut dev = Dev::start(data_dir.path(), port);
    dev.ok(&["produce", "sample", "--key-separator", "="], "d=4\n");
    let consumed = dev.ok(&["consume", "sample", "--from-beginning", "--exit-at-end", "--key-separator", "="], "");
    let mut lines: Vec<&str> = consumed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a=1", "b=2", "c=3", "d=4"]);
    let again = dev.run(&["topic", "create", "sample"], "");
    assert_eq!(again.status.code(), Some(6), "it exists");
    let delay = dev.ok(&["config", "get", "broker", "1", "group.initial.rebalance.delay.ms"], "");
    assert!(delay.contains(" 0 "), "whoever tries a consumer out waits for no other: {delay}");
    dev.ok(&["group", "reset-offsets", "some", "--topic", "sample", "--to-latest", "--execute"], "");
    let own = dev.run(&["topic", "delete", "__consumer_offsets"], "");
    assert_eq!(own.status.code(), Some(2), "one word does not take every group's offsets");
    dev.ok(&["group", "describe", "some"], "");
    refused_with_5(&dev, &["produce", "sample", "--partition", "2"], "topic sample, partition 2, does not exist");
    refused_with_5(&dev, &["config", "get", "broker", "9"], "no broker 9 is in service");
    assert_eq!(dev.signal(rustix::process::Signal::TERM), Some(0));

    let dev = Dev::start(data_dir.path(), port);
    let described = dev.ok(&["topic", "describe", "sample", "--format", "json"], "");
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described[0]["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(described[0]["partitions"][0]["replicas"].as_array().unwrap().len(), 3);
}
