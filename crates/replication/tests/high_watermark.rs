//! When a record is committed, who is told, and what consumers see (rules 1, 2, 3).

mod support;

use support::{Heard, Image, Replica, image, settings, trio};
use tidelog_replication::{AckError, Acks, Durability, Effect, FetchError, FetchResponse, ProduceError};
use tidelog_wire::types::{LeaderEpoch, Offset};

#[test]
fn high_watermark_waits_for_the_slowest_in_sync_replica() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!((one.high_watermark(), one.released()), (0, None));
    three.catch_up(&mut one);
    assert_eq!((one.high_watermark(), one.released()), (5, Some(5)));
    assert!(one.effects.contains(&Effect::WakeConsumers));
}

#[test]
fn the_leaders_own_disk_counts_too() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 0);
    one.flush();
    assert_eq!(one.high_watermark(), 5);
}

#[test]
fn a_follower_asks_only_for_what_comes_after_its_durable_end() {
    let (mut one, mut two, _) = trio();
    one.produce(3);
    let (position, fetch) = two.question();
    let (response, records) = one.respond(&fetch);
    two.take(&position, &response, &records);
    assert_eq!(two.position(), None, "appended, but not on disk");
    two.effects.clear();
    two.flush();
    assert_eq!(two.effects, [Effect::FetchReady]);
    assert_eq!(two.position().map(|position| position.fetch_offset), Some(Offset(3)));
}

#[test]
fn with_write_caching_the_page_cache_counts() {
    let mut one = Replica::start(1, 10, support::Log::default(), Durability::PageCache);
    let mut two = Replica::start(2, 20, support::Log::default(), Durability::PageCache);
    let first = image(1, 1, &[1, 2]);
    one.apply(&first);
    two.apply(&first);
    one.produce(4);
    let (position, fetch) = two.question();
    let (response, records) = one.respond(&fetch);
    two.take(&position, &response, &records);
    let (_, fetch) = two.question();
    one.serve(&fetch);
    assert_eq!((one.log.durable_end, two.log.durable_end), (0, 0));
    assert_eq!(one.high_watermark(), 4);
    one.drive(|partition, _, out| partition.settings_changed(settings(Durability::Flushed), out));
    assert_eq!(one.high_watermark(), 4, "it never goes back");
}

#[test]
fn nothing_is_committed_below_min_isr_and_acks_are_told_so() {
    let (mut one, _, _) = trio();
    one.produce(2);
    one.flush();
    let mut alone = image(1, 1, &[1]);
    alone.partition_epoch = 11;
    alone.elr = vec![2, 3];
    one.apply(&alone);
    assert_eq!(one.high_watermark(), 0);
    assert_eq!(one.partition.check_produce(Acks::All), Err(ProduceError::NotEnoughReplicas));
    assert_eq!(one.partition.check_produce(Acks::Leader), Ok(LeaderEpoch(1)));
    assert_eq!(one.partition.expired_ack_error(), AckError::NotEnoughReplicasAfterAppend);
    assert!(!one.has_failed_acks(), "they wait: the ISR may grow again in time");
}

#[test]
fn a_parked_ack_that_runs_out_of_time_says_why() {
    let (one, two, _) = trio();
    assert_eq!(one.partition.expired_ack_error(), AckError::RequestTimedOut);
    assert_eq!(two.partition.expired_ack_error(), AckError::NotLeaderOrFollower);
}

/// H8: the last replica standing must not commit alone what its eligible predecessors never saw.
#[test]
fn h8_an_eligible_leader_outside_the_isr_has_everything_committed() {
    let (mut one, mut two, mut three) = trio();
    one.produce(3);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    // 3 leaves, then 2: the ISR is too small, and 2 stays eligible.
    let mut shrunk = image(1, 1, &[1]);
    shrunk.partition_epoch = 12;
    shrunk.elr = vec![2];
    one.apply(&shrunk);
    one.produce(4);
    one.flush();
    // Even if min.insync.replicas is lowered meanwhile: who may be elected binds.
    shrunk.min_isr = 1;
    one.apply(&shrunk);
    assert_eq!(one.high_watermark(), 3);
    assert!(two.log.end() >= one.high_watermark());
}

/// H9, H23: what a new leader knows of the high watermark is older than what consumers have seen.
#[test]
fn h23_a_new_leader_asks_consumers_to_wait_until_it_knows_what_is_committed() {
    let mut two = Replica::with_log(2, &[1; 100]);
    let mut three = Replica::with_log(3, &[1; 100]);
    let second = image(2, 2, &[2, 3]);
    two.apply(&second);
    three.apply(&second);
    assert_eq!(two.high_watermark(), 0);
    // Neither "start over" for one that read up to 90, nor an older high watermark.
    let refused = two.partition.consumer_fetch(Some(LeaderEpoch(2)), Offset(90));
    assert_eq!(refused, Err(FetchError::OffsetNotAvailable));
    assert_eq!(two.view(), Err(FetchError::OffsetNotAvailable));
    two.effects.clear();
    three.fetch_from(&mut two);
    assert!(two.effects.contains(&Effect::WakeConsumers));
    assert_eq!(two.view(), Ok(100));
    let beyond = two.partition.consumer_fetch(None, Offset(101));
    assert_eq!(beyond, Err(FetchError::OffsetOutOfRange { log_start: Offset(0) }));
}

/// With too few in sync nothing new is committed, and yet what was committed stays readable.
#[test]
fn a_new_leader_below_min_isr_serves_what_it_knows_to_be_committed() {
    let (mut one, mut two, mut three) = trio();
    one.produce(4);
    one.flush();
    three.catch_up(&mut one);
    two.catch_up(&mut one);
    one.produce(5);
    two.fetch_from(&mut one);
    two.flush();
    assert_eq!((two.high_watermark(), two.log.end()), (4, 9));
    two.apply(&image(2, 2, &[2]));
    let below = two.partition.consumer_fetch(None, Offset(3)).map(|view| (view.high_watermark, view.is_settled));
    assert_eq!(below, Ok((Offset(4), false)));
    assert_eq!(two.partition.consumer_fetch(None, Offset(4)), Err(FetchError::OffsetNotAvailable));
    assert_eq!(two.view(), Err(FetchError::OffsetNotAvailable));
}

#[test]
fn an_alone_leader_serves_at_once() {
    let mut one = Replica::with_log(1, &[1, 1, 1]);
    let mut single = image(1, 2, &[1]);
    single.min_isr = 1;
    one.apply(&single);
    assert_eq!(one.view(), Ok(3));
}

#[test]
fn the_low_watermark_waits_for_every_in_sync_replica() {
    let (mut one, mut two, mut three) = trio();
    one.produce(9);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    one.effects.clear();
    one.delete_records(6);
    assert!(one.effects.contains(&Effect::WakeFollowers));
    two.catch_up(&mut one);
    assert_eq!(one.partition.low_watermark(), Some(Offset(0)));
    three.catch_up(&mut one);
    assert_eq!(one.partition.low_watermark(), Some(Offset(6)));
    assert!(one.effects.contains(&Effect::LowWatermark(Offset(6))));
    assert_eq!((two.log.start, three.log.start), (6, 6));
}

#[test]
fn a_deletion_is_not_confirmed_below_min_isr() {
    let (mut one, mut two, mut three) = trio();
    one.produce(9);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    let mut alone = image(1, 1, &[1]);
    alone.partition_epoch = 11;
    one.apply(&alone);
    one.effects.clear();
    one.delete_records(6);
    assert!(!one.effects.contains(&Effect::LowWatermark(Offset(6))), "who is elected next may still have them");
}

#[test]
fn a_followers_high_watermark_ends_with_its_log() {
    let (mut one, mut two, mut three) = trio();
    one.produce(9);
    one.flush();
    three.catch_up(&mut one);
    let (position, fetch) = two.question();
    let (response, records) = one.respond(&fetch);
    let FetchResponse::Ok { log_start, has_records, .. } = response else { panic!("{response:?}") };
    let ahead = FetchResponse::Ok { high_watermark: Offset(9), log_start, has_records };
    two.take(&position, &ahead, &records[..4]);
    assert_eq!(two.high_watermark(), 4);
}

#[test]
fn an_isolated_leader_steps_aside_when_its_followers_are_silent_too() {
    let (mut one, _, _) = trio();
    one.produce(1);
    one.partition.controller_contact_lost(1000);
    assert_eq!(one.partition.next_deadline_ms(), Some(2500));
    one.tick(2500, 2400);
    assert!(!one.effects.contains(&Effect::StepAside), "all followers fetch: it goes on without controllers");
    assert_eq!(one.partition.next_deadline_ms(), Some(3900));
    one.effects.clear();
    one.tick(3900, 2400);
    assert!(one.effects.contains(&Effect::StepAside) && one.has_failed_acks());
    assert_eq!(one.partition.check_produce(Acks::Leader), Err(ProduceError::NotLeaderOrFollower));
    assert_eq!(one.view(), Err(FetchError::NotLeaderOrFollower));
    one.effects.clear();
    one.tick(4000, 3990);
    assert!(one.effects.contains(&Effect::Resume));
    assert_eq!(one.partition.check_produce(Acks::All), Ok(LeaderEpoch(1)));
}

/// The controller may have elected an eligible leader that left the ISR, as the last one in it cannot know.
#[test]
fn an_isolated_leader_that_is_alone_in_the_isr_steps_aside_for_the_elr() {
    let (mut one, _, _) = trio();
    // So that nobody is about to join the ISR again.
    one.produce(1);
    one.apply(&Image { partition_epoch: 11, elr: vec![2], ..image(1, 1, &[1]) });
    one.partition.controller_contact_lost(0);
    one.tick(1500, 1400);
    assert!(!one.effects.contains(&Effect::StepAside), "the eligible leader fetches");
    one.tick(2900, 1400);
    assert!(one.effects.contains(&Effect::StepAside));

    let (mut one, _, _) = trio();
    one.produce(1);
    one.apply(&Image { partition_epoch: 11, ..image(1, 1, &[1]) });
    one.partition.controller_contact_lost(0);
    one.tick(1500, i64::MIN);
    assert!(!one.effects.contains(&Effect::StepAside), "nobody else can be elected");
}

#[test]
fn contact_with_the_controller_ends_the_isolation() {
    let (mut one, _, _) = trio();
    one.partition.controller_contact_lost(0);
    one.tick(1500, i64::MIN);
    assert!(one.effects.contains(&Effect::StepAside));
    one.drive(|partition, _, out| partition.controller_contact_regained(out));
    assert!(one.effects.contains(&Effect::Resume));
    assert_eq!(one.partition.next_deadline_ms(), None);
}

#[test]
fn an_idle_partition_waits_for_nothing() {
    let (mut one, mut two, mut three) = trio();
    one.produce(2);
    assert!(one.partition.next_deadline_ms().is_some(), "followers are behind");
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    assert_eq!(one.partition.next_deadline_ms(), None);
    one.effects.clear();
    one.drive(|partition, _, out| partition.tick(i64::MAX, &Heard(0), out));
    assert_eq!(one.effects, []);
}
