//! The end of a group's story: everything is read and committed, all leave, and what they told is judged.

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::{Cluster, Writer, wait};

use crate::checker;
use crate::group::Group;

/// All groups read `topic`, which `writer` has to itself.
pub fn judge(cluster: &Cluster, topic: &str, partitions: i32, groups: Vec<Group>, writer: Writer) -> Result<()> {
    let produced = writer.stop()?;
    let goal = produced.acked.len() as i64;
    for mut group in groups {
        let committed = || cluster.committed_offsets(&group.name, topic, partitions);
        let what = format!("{} commits everything", group.name);
        wait::for_condition(&what, cluster.target().recovery_limit(), || Ok(committed()?.iter().sum::<i64>() == goal))
            .with_context(|| group.tails())?;
        group.leave_all()?;
        let read_to = group.read_to(topic, partitions);
        let committed = cluster.committed_offsets(&group.name, topic, partitions)?;
        ensure!(committed == read_to, "{} read to {read_to:?} and committed {committed:?}", group.name);
        checker::check(group.stories()?, &produced).with_context(|| group.name.clone())?;
    }
    Ok(())
}
