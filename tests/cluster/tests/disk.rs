//! Disks that lose, damage or refuse data.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_client::{Client, ClientOptions, Connection};
use tidelog_cluster_tests::external::Missing;
use tidelog_cluster_tests::process::run;
use tidelog_cluster_tests::segments::{batches, segment_files, wait_identical};
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, kafka_differs, scenario};
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::{FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest};
use tidelog_wire::{ErrorCode, Str};
use tokio::time::{Instant, sleep};

const TOPIC: &str = "disk";
const SOME: usize = 400;

#[test]
fn a_wiped_follower_is_filled_again() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        let victim = cluster.follower(TOPIC, 0)?;
        cluster.kill(victim)?;
        cluster.wipe(victim)?;
        cluster.start_node(victim)?;
        cluster.wait_in_sync(TOPIC, 1, 3)?;
        writer.wait_acked(SOME)?;
        let history = writer.stop()?;
        history.check_no_failure()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}

#[test]
fn a_damaged_replica_is_repaired_from_the_others() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        let victim = cluster.leader(TOPIC, 0)?;
        cluster.kill(victim)?;
        damage(cluster, victim)?;
        cluster.start_node(victim)?;
        cluster.wait_in_sync(TOPIC, 1, 3)?;
        writer.wait_acked(SOME)?;
        let history = writer.stop()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}

#[test]
fn a_replica_damaged_while_all_were_down_does_not_lead() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        let history = writer.stop()?;
        let victim = cluster.leader(TOPIC, 0)?;
        cluster.kill_all()?;
        damage(cluster, victim)?;
        cluster.start_all()?;
        cluster.wait_in_sync(TOPIC, 1, 3)?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}

/// Flips one bit of a record in the middle of a replica's log.
fn damage(cluster: &Cluster, node: i32) -> Result<()> {
    let dir = cluster.partition_dir(node, TOPIC, 0);
    let used: usize = batches(&dir)?.values().map(Vec::len).sum();
    let segment = segment_files(&dir)?.into_iter().next().context("no segment")?;
    let file = File::options().read(true).write(true).open(segment)?;
    let (mut byte, at) = ([0], used as u64 / 2);
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(())
}

/// A file system of bounded size, unmounted when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where the test ends here: against Kafka, or because nothing can be mounted, which may fail the test.
    fn to_fill() -> Option<Self> {
        if Target::from_environment().is_ok_and(|t| kafka_differs(t, "it takes the disk offline and ends")) {
            return None;
        }
        let mounted = Self::mount(512);
        mounted.map_err(|error| tidelog_cluster_tests::scenario::finish(Err(error))).ok()
    }

    fn mount(mebibytes: u32) -> Result<SmallDisk> {
        let disk = SmallDisk { dir: tempfile::tempdir()? };
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(disk.path());
        match run(mount, "", Duration::from_secs(10)) {
            Ok(_) => Ok(disk),
            Err(error) => Err(Missing(format!("mounting a small file system needs root: {error:#}")).into()),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills all but `spare` bytes of what is free.
    fn fill(&self, spare: u64) -> Result<PathBuf> {
        let free = rustix::fs::statvfs(self.path())?;
        let size = (free.f_bavail * free.f_frsize).checked_sub(spare).context("the disk is full already")?;
        let ballast = self.path().join("ballast");
        let mut file = File::create(&ballast)?;
        let block = vec![1; 1 << 20];
        for at in (0..size).step_by(block.len()) {
            file.write_all(&block[..block.len().min((size - at) as usize)])?;
        }
        Ok(ballast)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the cluster on it may still be dying. A disk that was never mounted has nothing to unmount.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_heals_when_space_comes_back() {
    let Some(disk) = SmallDisk::to_fill() else { return };
    let load = Load { value_bytes: 20_000, ..Load::default() };
    scenario(Spec::brokers(3).data_root(disk.path()), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let writer = Writer::confluent(cluster, TOPIC, load, &[])?;
        writer.wait_acked(SOME)?;
        let ballast = disk.fill(96 << 20)?;
        writer.wait_silent(Duration::from_secs(3))?;
        cluster.check_running()?;
        let acked = writer.acked();
        ensure!(read_all(cluster, TOPIC)?.len() >= acked, "what is there can be read while the disk is full");
        fs::remove_file(ballast)?;
        writer.wait_acked(SOME)?;
        let history = writer.stop()?;
        history.check_no_failure()?;
        history.check(&read_all(cluster, TOPIC)?)?;
        wait_identical(cluster, TOPIC)
    });
}

const GROUP: Str = Str::from_static("readers");
/// Partitions of the topic.
const COMMITTED: i32 = 50;
const LIMIT: Duration = Duration::from_secs(30);

/// Where offsets of the group are committed, and how far.
struct Committing {
    coordinator: Connection,
    committed: i64,
}

impl Committing {
    async fn begin(cluster: &Cluster) -> Result<Self> {
        let client = Client::connect(&cluster.bootstrap(), ClientOptions::default()).await?;
        let request = FindCoordinatorRequest { coordinator_keys: vec![GROUP], ..FindCoordinatorRequest::default() };
        let began = Instant::now();
        while client.send(&request).await?.coordinators[0].error_code != ErrorCode::NONE {
            ensure!(began.elapsed() < LIMIT, "no coordinator");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { coordinator: client.any().await?, committed: -1 })
    }

    /// One offset more of each partition, in a batch of some size.
    async fn commit(&mut self) -> Result<ErrorCode> {
        let offset = self.committed + 1;
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: offset,
            committed_metadata: Some(Str::from("x".repeat(4000))),
            ..OffsetCommitRequestPartition::default()
        };
        let partitions = (0..COMMITTED).map(partition).collect();
        let topic = OffsetCommitRequestTopic { name: Str::from_static(TOPIC), partitions, ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: GROUP,
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let response = self.coordinator.send_at_most(&request, 9).await?;
        let error_code = response.topics[0].partitions[0].error_code;
        if error_code == ErrorCode::NONE {
            self.committed = offset;
        }
        Ok(error_code)
    }

    async fn until(&mut self, wanted: impl Fn(ErrorCode) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let error_code = self.commit().await?;
            if wanted(error_code) {
                return Ok(());
            }
            ensure!(began.elapsed() < LIMIT, "commits are answered with {error_code:?}");
        }
    }

    async fn fetched(&self) -> Result<i64> {
        let topic = OffsetFetchRequestTopics {
            name: Str::from_static(TOPIC),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup { group_id: GROUP, topics: Some(vec![topic]), ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
        let response = self.coordinator.send_at_most(&request, 9).await?;
        Ok(response.groups[0].topics[0].partitions[0].committed_offset)
    }
}

fn loads(cluster: &Cluster) -> Result<usize> {
    let log = fs::read_to_string(cluster.log_file(1))?;
    Ok(log.matches("groups loaded").count())
}

#[test]
fn a_full_disk_costs_groups_one_replay_and_no_offset() {
    let Some(disk) = SmallDisk::to_fill() else { return };
    scenario(Spec::brokers(1).data_root(disk.path()), |cluster| {
        cluster.create_topic(TOPIC, COMMITTED)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut group = Committing::begin(cluster).await?;
            group.until(|error_code| error_code == ErrorCode::NONE).await?;
            let ballast = disk.fill(96 << 20)?;
            group.until(|error_code| error_code != ErrorCode::NONE).await?;
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(5) {
                let error_code = group.commit().await?;
                let is_retriable = [ErrorCode::COORDINATOR_NOT_AVAILABLE, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS]
                    .contains(&error_code);
                ensure!(is_retriable, "{error_code:?}");
            }
            ensure!(group.fetched().await? == group.committed, "what is there can be read while the disk is full");
            let loads = loads(cluster)?;
            ensure!(loads <= 1, "the log was replayed {loads} times");
            fs::remove_file(ballast)?;
            group.until(|error_code| error_code == ErrorCode::NONE).await?;
            ensure!(group.fetched().await? == group.committed);
            Ok(())
        })
    });
}
