//! Replicas that come to this broker and leave it: their logs are opened or deleted, as the image says.

use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::{FoundLog, Log, LogConfig, LogId, StorageError};
use tidelog_metadata::{Image, Partition, Topic, TopicIdPartition};
use tidelog_replication::{LogOffsets, Partition as Protocol};
use tidelog_wire::types::{LeaderEpoch, PartitionIndex};
use tracing::{info, warn};

use crate::damage;
use crate::metadata_applier::{assign, configuration};
use crate::partition::{PartitionHandle, PartitionHost, PartitionId};
use crate::recovery::report_of;
use crate::retry::{Attempt, Task};
use crate::shard::Shard;
use crate::throttle::Throttled;

/// The partition has a replica here: makes sure of it, and tells it what it is.
pub(crate) fn place(shard: &Rc<Shard>, image: &Image, topic: &Topic, index: PartitionIndex, partition: &Partition) {
    let id = topic.id_partition(index);
    match host(shard, image, topic, index) {
        // The broker is ending.
        Ok(host) if host.stopped.get() => {}
        Ok(host) => assign(shard, image, topic, partition, &host),
        Err(error) => {
            shard.storage_error(&error);
            shard.retries.later(Task::Place(id));
            if partition.leader == shard.node_id() {
                shard.retries.now(Task::Resign);
            }
        }
    }
}

/// The attempt at what [`place`] could not do.
pub(crate) fn place_again(shard: &Rc<Shard>, id: TopicIdPartition) -> Attempt {
    let image = shard.image();
    let placed = image.topic_by_id(id.topic_id).and_then(|topic| Some((topic, topic.partition(id.partition)?)));
    // Before it is registered nothing is placed, and with the first image everything.
    let Some((topic, partition)) =
        placed.filter(|(_, partition)| shard.is_ready.get() && partition.replicas.contains(&shard.node_id()))
    else {
        return Attempt::Done;
    };
    match host(shard, &image, topic, id.partition) {
        Ok(host) if host.stopped.get() => Attempt::Done,
        Ok(host) if is_to_be_cut(shard, &image, &host) => Attempt::Again,
        Ok(host) => {
            info!(partition = %host.id, "hosted at last");
            assign(shard, &image, topic, partition, &host);
            shard.sessions.image_changed(shard);
            Attempt::Done
        }
        Err(error) => {
            shard.storage_error(&error);
            Attempt::Again
        }
    }
}

/// The partition's host, made anew if there is none, or if its log is damaged and others have better records.
fn host(
    shard: &Rc<Shard>,
    image: &Image,
    topic: &Topic,
    index: PartitionIndex,
) -> Result<PartitionHandle, StorageError> {
    let Some(known) = shard.partitions.get(topic.id, index) else {
        return create(shard, image, topic, index);
    };
    if !is_to_be_cut(shard, image, &known) {
        return Ok(known);
    }
    if let Err(error) = known.admit_damage() {
        // It goes on as it is until then.
        shard.storage_error(&error);
        shard.retries.later(Task::Place(topic.id_partition(index)));
        return Ok(known);
    }
    set_aside(shard, &known);
    create(shard, image, topic, index)
}

pub(crate) fn is_to_be_cut(shard: &Shard, image: &Image, host: &PartitionHandle) -> bool {
    let id = host.id.id_partition();
    host.is_damaged() && damage::may_cut(image, id, shard.node_id(), host.leader_epoch())
}

/// Takes the host down and keeps its log for the next one.
pub(crate) fn set_aside(shard: &Rc<Shard>, host: &PartitionHandle) {
    let high_watermark = host.high_watermark();
    host.stop(shard);
    shard.partitions.remove(host);
    if let Some(mut log) = host.take_log() {
        // Results of jobs under way find no host any more.
        log.forget_flush();
        log.cancel_cleaning();
        shard.recovered.borrow_mut().put_back(log, high_watermark);
    }
}

fn create(
    shard: &Rc<Shard>,
    image: &Image,
    topic: &Topic,
    index: PartitionIndex,
) -> Result<PartitionHandle, StorageError> {
    let id = PartitionId { topic: topic.name.clone(), topic_id: topic.id, index };
    let (config, settings) = configuration(shard, image, topic);
    let mut log = open(shard, &id, &config)?;
    log.set_config(config);
    let checkpointed = shard.recovered.borrow().high_watermark(&id);
    let may_cut = || damage::may_cut(image, topic.id_partition(index), shard.node_id(), LeaderEpoch::NONE);
    if let Some(damage) = log.damage().filter(|_| may_cut()).cloned() {
        warn!(partition = %id, offset = %damage.offset, reason = damage.reason, "giving damaged records up");
        if let Err(error) = log.truncate_to(damage.offset) {
            let high_watermark = checkpointed.unwrap_or(log.log_start_offset());
            shard.recovered.borrow_mut().put_back(log, high_watermark);
            return Err(error);
        }
    }
    let offsets =
        LogOffsets { start: log.log_start_offset(), durable_end: log.durable_end(), end: log.log_end_offset() };
    let high_watermark = checkpointed.unwrap_or(offsets.start).clamp(offsets.start, offsets.end);
    let identity = shard.identity();
    let protocol = Protocol::new(identity.broker_id, identity.broker_epoch, settings, offsets, high_watermark);
    let host = Rc::new(PartitionHost::new(id, shard.partitions.next_key(), log, protocol));
    host.throttled.set(Throttled::of(image, topic, index, shard.node_id()));
    shard.partitions.insert(Rc::clone(&host));
    Ok(host)
}

/// The log as recovery found it, or opened now. A directory that another topic of the same name has left behind is in the
/// way: the image shows that it was deleted.
fn open(shard: &Shard, id: &PartitionId, config: &Arc<LogConfig>) -> Result<Log, StorageError> {
    let log_id = id.log_id();
    let left = shard.recovered.borrow_mut().take(&id.topic, id.index);
    match left {
        Some(log) if *log.id() == log_id => return Ok(log),
        Some(other) => delete(shard, other)?,
        None => {}
    }
    let open = || {
        let (log, report) = shard.log_dir.open_log(&log_id, Arc::clone(config), shard.clock.wall_ms())?;
        if !report.unclean.is_empty() {
            shard.retries.now(Task::ReportLack(report_of(&log_id, &log, &report)));
        }
        Ok(log)
    };
    match open() {
        Err(StorageError::TopicIdMismatch { found, .. }) => {
            let other = LogId { topic_id: found, ..log_id.clone() };
            let files = shard.log_dir.delete_found(&FoundLog { id: other }, shard.clock.wall_ms())?;
            shard.deletions.add(files);
            open()
        }
        opened => opened,
    }
}

/// The partition has no replica here any more.
pub(crate) fn remove(shard: &Rc<Shard>, topic: &Topic, index: PartitionIndex) {
    let Some(host) = shard.partitions.get(topic.id, index) else {
        return;
    };
    info!(partition = %host.id, "replica removed");
    host.stop(shard);
    shard.partitions.remove(&host);
    if let Some(log) = host.take_log() {
        delete_now_or_later(shard, log);
    }
}

/// Deletes what the cluster does not place here any more: topics deleted or moved while this broker was away.
pub(crate) fn discard_strays(shard: &Shard) {
    let strays = shard.recovered.borrow_mut().take_all();
    for log in strays {
        let id = log.id();
        warn!(topic = %id.topic, partition = %id.partition, "deleting a log that is not placed here");
        delete_now_or_later(shard, log);
    }
}

fn delete_now_or_later(shard: &Shard, log: Log) {
    let id = log.id().clone();
    if let Err(error) = delete(shard, log) {
        shard.storage_error(&error);
        shard.retries.later(Task::Discard(id));
    }
}

fn delete(shard: &Shard, log: Log) -> Result<(), StorageError> {
    shard.deletions.add(shard.log_dir.delete_log(log, shard.clock.wall_ms())?);
    Ok(())
}

/// The attempt at a deletion that failed.
pub(crate) fn discard(shard: &Shard, id: &LogId) -> Attempt {
    let partition = TopicIdPartition { topic_id: id.topic_id, partition: id.partition };
    let image = shard.image();
    let is_here_again = image.partition(partition).is_some_and(|state| state.replicas.contains(&shard.node_id()));
    if is_here_again || shard.partitions.get(id.topic_id, id.partition).is_some() {
        return Attempt::Done;
    }
    match shard.log_dir.delete_found(&FoundLog { id: id.clone() }, shard.clock.wall_ms()) {
        Ok(files) => {
            shard.deletions.add(files);
            Attempt::Done
        }
        Err(error) => {
            shard.storage_error(&error);
            Attempt::Again
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use bytes::Bytes;
    use tidelog_commitlog::{ReadError, ReadStart};
    use tidelog_metadata::{LogPosition, Record};
    use tidelog_replication::{EpochEnd, FetchResponse, FetchVerdict};
    use tidelog_wire::types::{BrokerId, Offset};
    use tokio::task::LocalSet;

    use super::*;
    use crate::metadata_applier::MetadataApplier;
    use crate::testing::{LEADER, Scene, TOPIC, US, batch, shard};

    fn log_end(shard: &Shard, scene: &Scene) -> Offset {
        let host = shard.partitions.get(scene.partition.topic_id, scene.partition.partition).expect("it is hosted");
        host.log_extent().expect("it has a log").1
    }

    fn log_id(scene: &Scene) -> LogId {
        LogId { topic: TOPIC, partition: scene.partition.partition, topic_id: scene.partition.topic_id }
    }

    /// Five records on disk, of which the third batch is not what it was any more.
    fn damaged_log(shard: &Shard, id: &LogId) -> Log {
        let (mut log, _) = shard.log_dir.open_log(id, Arc::default(), 0).expect("a new log");
        for _ in 0..5 {
            log.append_all_as_leader(&[batch()], LeaderEpoch(0), 0).remove(0).expect("it is appended");
        }
        log.flush().expect("it is flushed");
        let path = shard.log_dir.path().join(format!("{TOPIC}-0")).join("00000000000000000000.log");
        let file = std::fs::File::options().write(true).open(path).expect("the segment");
        file.write_all_at(&[0x77], 2 * batch().len() as u64 + 16).expect("it is changed");
        log
    }

    /// Recovery has found a damaged log, and nothing is placed yet.
    fn damaged_scene(shard: &Shard) -> Scene {
        let scene = Scene::new();
        let log = damaged_log(shard, &log_id(&scene));
        shard.recovered.borrow_mut().put_back(log, Offset(0));
        scene
    }

    fn come_upon_damage(shard: &Rc<Shard>, scene: &Scene) {
        let host = shard.partitions.get(scene.partition.topic_id, scene.partition.partition).expect("it is hosted");
        let read = match host.read(Offset(0), Offset(5), 1 << 20, true) {
            Ok(ReadStart::Cold(job)) => job.run(),
            Ok(ReadStart::Ready(bytes)) => Ok(bytes),
            Err(error) => Err(error),
        };
        match read {
            Err(ReadError::Storage(error)) => damage::met(shard, &host, &error),
            other => panic!("{other:?}"),
        }
    }

    /// Until the controller has heard of the damage it may elect this replica for the records behind it.
    #[tokio::test]
    async fn a_damaged_follower_cuts_nothing_while_the_controller_counts_on_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let test = async {
            let shard = shard(directory.path()).await;
            let mut scene = damaged_scene(&shard);
            let mut applier = MetadataApplier::new(Rc::clone(&shard));
            applier.apply(Arc::new(scene.image.clone()));
            come_upon_damage(&shard, &scene);

            scene.change(|change| change.isr = Some(vec![LEADER, US]));
            applier.apply(Arc::new(scene.image.clone()));
            assert_eq!(log_end(&shard, &scene), Offset(5), "in the ISR");
            scene.change(|change| (change.isr, change.elr) = (Some(vec![LEADER]), Some(vec![US])));
            applier.apply(Arc::new(scene.image.clone()));
            assert_eq!(log_end(&shard, &scene), Offset(5), "in the ELR");

            let position = LogPosition { last_epoch: LeaderEpoch(0), log_end: Offset(5) };
            scene.apply(&Record::ReplicaUnclean { broker_id: US, partition: scene.partition, position });
            scene.change(|change| (change.elr, change.leader) = (Some(Vec::new()), Some(LEADER)));
            applier.apply(Arc::new(scene.image.clone()));
            assert_eq!(log_end(&shard, &scene), Offset(2), "reported");
        };
        LocalSet::new().run_until(test).await;
    }

    /// Its leader's log parts from this one behind what cannot be read: no retry would ever cut it there.
    #[tokio::test]
    async fn damage_in_the_way_of_a_truncation_is_noted() {
        let directory = tempfile::tempdir().expect("a directory");
        let test = async {
            let shard = shard(directory.path()).await;
            let mut scene = damaged_scene(&shard);
            scene.change(|change| (change.isr, change.leader) = (Some(vec![LEADER]), Some(LEADER)));
            MetadataApplier::new(Rc::clone(&shard)).apply(Arc::new(scene.image.clone()));
            let TopicIdPartition { topic_id, partition } = scene.partition;
            let host = shard.partitions.get(topic_id, partition).expect("it is hosted");

            let asked = host.fetch_position().expect("all it has is on disk");
            let parts = EpochEnd { leader_epoch: LeaderEpoch(0), end_offset: Offset(4) };
            let verdict = host.fetch_answered(&shard, &asked, &FetchResponse::Diverging(parts), Bytes::new());
            assert_eq!(verdict, FetchVerdict::BackOff);
            assert!(host.is_damaged());
            assert_eq!(log_end(&shard, &scene), Offset(5), "the controller is to hear of it first");
        };
        LocalSet::new().run_until(test).await;
    }

    #[test]
    fn only_what_others_have_is_cut() {
        let mut scene = Scene::new();
        scene.change(|change| change.isr = Some(vec![LEADER]));
        let may_cut = |scene: &Scene| damage::may_cut(&scene.image, scene.partition, US, LeaderEpoch::NONE);
        assert!(may_cut(&scene));
        scene.change(|change| change.isr = Some(vec![LEADER, US]));
        scene.change(|change| change.leader = Some(US));
        assert!(!may_cut(&scene), "it leads");
        scene.change(|change| (change.isr, change.leader) = (Some(Vec::new()), Some(BrokerId::NONE)));
        assert!(!may_cut(&scene), "nobody leads");
    }
}
