//! Disks that lose, damage or refuse data.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::Missing;
use tidelog_cluster_tests::process::run;
use tidelog_cluster_tests::segments::{batches, segment_files, wait_identical};
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, kafka_differs, scenario};

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
    if Target::from_environment().is_ok_and(|t| kafka_differs(t, "it takes the disk offline and ends")) {
        return;
    }
    let disk = match SmallDisk::mount(512) {
        Ok(disk) => disk,
        Err(error) => return tidelog_cluster_tests::scenario::finish(Err(error)),
    };
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
