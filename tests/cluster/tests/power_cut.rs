//! Power cuts: what was not synced is gone, on one node or on all at once, and nothing acknowledged is.
//!
//! Each node keeps its data on an ext4 of its own in a loop device. A cut freezes the process, shuts the file system down
//! without writing back even its journal, kills the process and mounts what the "disk" holds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustix::ioctl::{Opcode, Setter, ioctl};
use tempfile::TempDir;
use tidelog_cluster_tests::external::Missing;
use tidelog_cluster_tests::process::run;
use tidelog_cluster_tests::scenario::{finish, report};
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer, kafka_differs, scenario};

const TOPIC: &str = "power";
const PARTITIONS: i32 = 4;
const SOME: usize = 400;
const NODES: i32 = 3;
const DISK_BYTES: u64 = 512 << 20;
const MOUNT_LIMIT: Duration = Duration::from_secs(20);

/// `FS_IOC_SHUTDOWN` of Linux, and its mode that loses the journal's unwritten part too.
const FS_IOC_SHUTDOWN: Opcode = 0x8004_587d;
const WITHOUT_LOG_FLUSH: u32 = 2;

/// The nodes' disks, where [`Spec::data_root`] expects their directories.
struct Disks {
    root: TempDir,
}

impl Disks {
    fn make() -> Result<Disks> {
        let disks = Disks { root: tempfile::tempdir()? };
        for node in 1..=NODES {
            File::create(disks.image(node))?.set_len(DISK_BYTES)?;
            let mut format = Command::new("mkfs.ext4");
            format.arg("-q").arg(disks.image(node));
            let made = run(format, "", MOUNT_LIMIT);
            made.map_err(|error| Missing(format!("mkfs.ext4 is needed: {error:#}")))?;
            fs::create_dir(disks.mount_point(node))?;
            let mounted = disks.mount(node);
            mounted.map_err(|error| Missing(format!("mounting a loop device needs root: {error:#}")))?;
        }
        Ok(disks)
    }

    fn image(&self, node: i32) -> PathBuf {
        self.root.path().join(format!("disk-{node}"))
    }

    fn mount_point(&self, node: i32) -> PathBuf {
        self.root.path().join(format!("data-{node}"))
    }

    fn mount(&self, node: i32) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.image(node)).arg(self.mount_point(node));
        run(mount, "", MOUNT_LIMIT).map(drop)
    }

    fn unmount(&self, node: i32) -> Result<()> {
        let mut unmount = Command::new("umount");
        unmount.arg(self.mount_point(node));
        run(unmount, "", MOUNT_LIMIT).map(drop)
    }

    /// The nodes lose their power at the same moment, and get it back.
    fn cut(&self, cluster: &mut Cluster, nodes: &[i32]) -> Result<()> {
        nodes.iter().try_for_each(|node| cluster.pause(*node))?;
        nodes.iter().try_for_each(|node| shut_down(&self.mount_point(*node)))?;
        for node in nodes {
            cluster.kill(*node)?;
            self.unmount(*node)?;
            self.mount(*node)?;
        }
        nodes.iter().try_for_each(|node| cluster.start_node(*node))
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for node in 1..=NODES {
            // Lazily: the cluster on it may still be dying. One that was never mounted has nothing to unmount.
            let _ = Command::new("umount").args(["--lazy", "--quiet"]).arg(self.mount_point(node)).status();
        }
    }
}

fn shut_down(mount_point: &Path) -> Result<()> {
    let root = File::open(mount_point)?;
    // SAFETY: the request reads one u32, which the setter holds.
    unsafe { ioctl(root, Setter::<FS_IOC_SHUTDOWN, u32>::new(WITHOUT_LOG_FLUSH)) }?;
    Ok(())
}

/// Cuts the power of some nodes under load, again and again, and checks every promise.
fn cut_under_load(rounds: usize, victims: impl Fn(&Cluster) -> Result<Vec<i32>>) {
    if Target::from_environment().is_ok_and(|target| kafka_differs(target, "it acknowledges before the disk has it")) {
        return;
    }
    let disks = match Disks::make() {
        Ok(disks) => disks,
        Err(error) => return finish(Err(error)),
    };
    scenario(Spec::brokers(NODES as usize).data_root(disks.root.path()), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writers =
            [Writer::confluent(cluster, TOPIC, Load::default(), &[])?, Writer::own(cluster, TOPIC, PARTITIONS)];
        for _ in 0..rounds {
            writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
            let victims = victims(cluster)?;
            disks.cut(cluster, &victims)?;
            writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
            cluster.wait_in_sync(TOPIC, PARTITIONS, NODES as usize)?;
        }
        let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
        let read = read_all(cluster, TOPIC)?;
        for history in histories {
            report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
            history.check(&read)?;
        }
        wait_identical(cluster, TOPIC)
    });
}

#[test]
fn cutting_the_power_of_every_node_at_once_loses_nothing() {
    cut_under_load(3, |cluster| Ok(cluster.ids().collect()));
}

#[test]
fn cutting_the_power_of_a_leader_loses_nothing() {
    cut_under_load(2, |cluster| Ok(vec![cluster.leader(TOPIC, 0)?]));
}
