//! What must hold of every image, and between one image and the next (P10, P11 and P13 of the promises, and that
//! indexes and snapshots agree with what they are made from).

use std::collections::BTreeSet;

use tidelog_metadata::{Image, Partition, TopicIdPartition};
use tidelog_wire::types::BrokerId;

pub fn check(before: &Image, after: &Image) {
    for topic in after.topics() {
        let configured = after.configured_min_insync_replicas(&topic.name);
        for (index, partition) in topic.partitions() {
            let id = topic.id_partition(index);
            check_partition(after, id, partition, configured);
            if let Some(earlier) = before.partition(id) {
                check_step(before, after, id, earlier, partition);
            }
        }
    }
    check_broker_epochs(before, after);
    check_indexes(after);
    check_diff(before, after);
    assert_eq!(replayed(after), *after, "a snapshot restores the image");
}

fn check_partition(image: &Image, id: TopicIdPartition, partition: &Partition, configured_min_isr: Option<i32>) {
    let Partition { replicas, isr, elr, last_known_elr, leader, .. } = partition;
    let sets = [isr, elr, last_known_elr];
    let members: Vec<&BrokerId> = sets.into_iter().flatten().collect();
    let distinct: BTreeSet<&BrokerId> = members.iter().copied().collect();
    assert_eq!(members.len(), distinct.len(), "{id}: ISR, ELR and last known are disjoint: {partition:?}");
    assert!(distinct.iter().all(|member| replicas.contains(member)), "{id}: members are replicas: {partition:?}");
    assert!(isr.iter().all(|member| image.is_active(*member)), "{id}: only active brokers are in sync: {partition:?}");
    check_reassignment(id, partition);
    for member in isr.iter().chain(elr) {
        let broker = image.broker(*member);
        let is_whole = broker.is_some_and(|broker| !broker.unclean.contains_key(&id));
        assert!(is_whole, "{id}: an unclean or unknown replica is in ISR or ELR: {partition:?}");
    }
    if *leader == BrokerId::NONE {
        assert!(isr.is_empty(), "{id}: an ISR has a leader: {partition:?}");
        assert!(!elr.iter().any(|member| image.is_active(*member)), "{id}: an eligible broker leads: {partition:?}");
    } else {
        assert!(isr.contains(leader), "{id}: the leader is in the ISR: {partition:?}");
    }
    let min_isr = tidelog_metadata::min_insync_replicas(configured_min_isr, partition.min_isr_replica_count());
    if isr.len() >= min_isr {
        assert!(elr.is_empty() && last_known_elr.is_empty(), "{id}: ELR only below min ISR: {partition:?}");
    }
}

fn check_reassignment(id: TopicIdPartition, partition: &Partition) {
    let Partition { replicas, adding_replicas: adding, removing_replicas: removing, original_replicas, .. } = partition;
    let distinct: BTreeSet<&BrokerId> = replicas.iter().collect();
    assert_eq!(distinct.len(), replicas.len(), "{id}: each replica once: {partition:?}");
    let are_replicas = adding.iter().chain(removing).all(|replica| replicas.contains(replica));
    assert!(are_replicas, "{id}: what is added and removed is a replica meanwhile: {partition:?}");
    assert!(!adding.iter().any(|replica| removing.contains(replica)), "{id}: added or removed: {partition:?}");
    let original: BTreeSet<&BrokerId> = original_replicas.iter().collect();
    let expected: BTreeSet<&BrokerId> = match partition.is_reassigning() {
        true => replicas.iter().filter(|replica| !adding.contains(replica)).collect(),
        false => BTreeSet::new(),
    };
    assert_eq!(original, expected, "{id}: what cancellation returns to: {partition:?}");
}

fn check_step(before: &Image, after: &Image, id: TopicIdPartition, was: &Partition, is: &Partition) {
    if was == is {
        return;
    }
    assert!(is.partition_epoch > was.partition_epoch, "{id}: the partition epoch grows");
    assert!(is.leader_epoch >= was.leader_epoch, "{id}: the leader epoch does not fall");
    if is.leader != was.leader {
        assert!(is.leader_epoch > was.leader_epoch, "{id}: a new leader has a new epoch");
    }
    if was.replicas.iter().any(|replica| !is.replicas.contains(replica)) {
        assert!(is.leader_epoch > was.leader_epoch, "{id}: who was dropped is known to the leader no more");
        assert!(was.isr.is_empty() || !is.isr.is_empty() || is.elr.iter().any(|id| was.isr.contains(id)), "{id}");
    }
    let epoch_of = |image: &Image| image.broker(is.leader).map(|broker| broker.epoch);
    if is.leader != BrokerId::NONE && is.leader == was.leader && epoch_of(before) != epoch_of(after) {
        assert!(is.leader_epoch > was.leader_epoch, "{id}: no incarnation leads in an earlier one's epoch");
    }
}

fn check_broker_epochs(before: &Image, after: &Image) {
    assert!(after.next_broker_epoch() >= before.next_broker_epoch(), "broker epochs grow");
    let mut epochs = BTreeSet::new();
    for broker in after.brokers() {
        assert!(broker.epoch < after.next_broker_epoch());
        assert!(epochs.insert(broker.epoch), "epoch {} was given twice", broker.epoch);
        if let Some(earlier) = before.broker(broker.id) {
            let same_incarnation = earlier.incarnation_id == broker.incarnation_id;
            assert_eq!(same_incarnation, earlier.epoch == broker.epoch, "one epoch per incarnation");
            assert!(broker.epoch >= earlier.epoch, "broker epochs grow");
        }
    }
}

fn check_indexes(image: &Image) {
    let mut counts = std::collections::BTreeMap::<BrokerId, usize>::new();
    for topic in image.topics() {
        assert_eq!(image.topic_id(&topic.name), Some(topic.id));
        for (_, partition) in topic.partitions() {
            for replica in &partition.replicas {
                *counts.entry(*replica).or_default() += 1;
            }
        }
    }
    for (broker_id, count) in counts {
        assert_eq!(image.partitions_on(broker_id).count(), count, "index of broker {broker_id}");
        assert_eq!(image.replica_count(broker_id), count, "index of broker {broker_id}");
    }
}

fn check_diff(before: &Image, after: &Image) {
    let diff = after.diff(before);
    assert_eq!(diff.is_empty(), before == after, "the diff says whether anything changed");
    for change in &diff.topics {
        for partition in change.partitions() {
            assert_ne!(partition.before, partition.after, "the diff shows what changed");
        }
    }
}

fn replayed(image: &Image) -> Image {
    let mut copy = Image::new();
    for record in image.to_records() {
        copy.apply(&record).expect("a snapshot's records fit");
    }
    copy
}
