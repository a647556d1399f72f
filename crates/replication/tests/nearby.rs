//! Consumers that read from a follower in their own rack (KIP-392).

mod support;

use support::{Image, Replica, image, settings, trio};
use tidelog_replication::{Durability, Effect, FetchAnswer, FetchError, FollowerFetch, Settings};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

fn read(replica: &Replica, epoch: Option<i32>, offset: i64) -> Result<i64, FetchError> {
    let view = replica.partition.nearby_fetch(epoch.map(LeaderEpoch), Offset(offset));
    view.map(|view| view.high_watermark.get())
}

fn serving() -> Settings {
    Settings { followers_serve_consumers: true, ..settings(Durability::Flushed) }
}

#[test]
fn a_follower_serves_up_to_the_high_watermark_it_knows() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(read(&two, Some(1), 3), Ok(0), "nothing is committed: it has to wait");
    three.catch_up(&mut one);
    one.produce(1);
    two.effects.clear();
    two.fetch_from(&mut one);
    assert_eq!(read(&two, Some(1), 3), Ok(5));
    assert!(two.effects.contains(&Effect::WakeConsumers), "who waits there is looked at");
    assert_eq!(read(&two, None, 6), Ok(5), "seen elsewhere, and on its way to here");
}

#[test]
fn a_follower_refuses_as_a_leader_does() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    one.flush();
    for follower in [&mut two, &mut three] {
        follower.catch_up(&mut one);
    }
    assert_eq!(read(&two, Some(0), 3), Err(FetchError::FencedLeaderEpoch));
    assert_eq!(read(&two, Some(2), 3), Err(FetchError::UnknownLeaderEpoch));
    let out_of_range = Err(FetchError::OffsetOutOfRange { log_start: Offset(0) });
    assert_eq!(read(&two, Some(1), 9), out_of_range, "the leader knows whether there is such an offset");
    assert!(two.partition.consumer_fetch(None, Offset(0)).is_err(), "who reads from leaders only is sent there");
    two.apply(&image(2, 3, &[1, 2, 3]));
    assert!(read(&two, None, 3).is_err(), "a new leader shows nothing before its own epoch is committed");
}

#[test]
fn a_follower_that_truncates_serves_nothing() {
    let (mut one, mut two, mut three) = trio();
    one.produce(2);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    two.slow_disk = true;
    let mut fork = Replica::with_log(3, &[]);
    fork.apply(&image(3, 2, &[3]));
    two.apply(&image(3, 2, &[3]));
    fork.produce(1);
    fork.flush();
    two.fetch_from(&mut fork);
    assert_eq!(read(&two, None, 0), Err(FetchError::OffsetNotAvailable));
}

#[test]
fn the_leader_knows_which_in_sync_followers_can_go_on() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    let able = |one: &Replica, offset| one.partition.followers_at(Offset(offset)).collect::<Vec<_>>();
    assert_eq!(able(&one, 3), [(BrokerId(2), Offset(5))], "3 has fetched nothing");
    three.catch_up(&mut one);
    assert_eq!(able(&one, 5), [(BrokerId(2), Offset(5)), (BrokerId(3), Offset(5))]);
    assert_eq!(able(&one, 6), []);
    one.apply(&Image { partition_epoch: 19, ..image(1, 1, &[1, 3]) });
    assert_eq!(able(&one, 0), [(BrokerId(3), Offset(5))], "2 is out of sync");
    assert_eq!(able(&two, 0), [], "only the leader knows");
}

#[test]
fn every_high_watermark_is_news_where_followers_serve() {
    let (mut one, mut two, mut three) = trio();
    one.drive(|partition, _, out| partition.settings_changed(serving(), out));
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    one.effects.clear();
    three.catch_up(&mut one);
    assert!(one.effects.contains(&Effect::WakeFollowers));
    let (_, fetch) = two.question();
    assert!(matches!(one.serve(&fetch), FetchAnswer::Read { news: true, .. }), "though there are no more records");
    two.fetch_from(&mut one);
    assert_eq!(two.high_watermark(), 5);
    let (_, fetch) = two.question();
    assert!(matches!(one.serve(&fetch), FetchAnswer::Read { news: false, .. }));
}

/// What a leader answers at once to a follower of an idle partition, until it parks.
fn hear_news(follower: &mut Replica, leader: &mut Replica) {
    for _ in 0..5 {
        let (_, fetch) = follower.question();
        match leader.serve(&fetch) {
            FetchAnswer::Read { from, up_to, news, .. } if from < up_to || news => {
                follower.fetch_from(leader);
            }
            _ => return,
        }
    }
    panic!("it never parks");
}

fn idle_with_five_records() -> (Replica, Replica) {
    let (mut one, mut two, mut three) = trio();
    for replica in [&mut one, &mut two, &mut three] {
        replica.drive(|partition, _, out| partition.settings_changed(serving(), out));
    }
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    two.fetch_from(&mut one);
    assert_eq!(two.high_watermark(), 5);
    (one, two)
}

#[test]
fn a_follower_that_came_back_is_told_the_high_watermark_of_an_idle_partition() {
    let (mut one, two) = idle_with_five_records();
    one.apply(&Image { partition_epoch: 11, ..image(1, 1, &[1, 3]) });
    let mut two = two.reboot(21, 5);
    let back = Image {
        partition_epoch: 12,
        brokers: vec![(1, 10, true), (2, 21, true), (3, 30, true)],
        ..image(1, 1, &[1, 3])
    };
    one.apply(&back);
    two.apply(&back);
    assert_eq!(two.high_watermark(), 0, "it was killed before it wrote a checkpoint");
    hear_news(&mut two, &mut one);
    assert_eq!(two.high_watermark(), 5);
}

#[test]
fn what_an_earlier_session_sent_may_not_have_arrived() {
    let (mut one, mut two) = idle_with_five_records();
    one.produce(1);
    one.flush();
    two.fetch_from(&mut one);
    two.flush();
    let (_, fetch) = two.question();
    one.serve(&fetch);
    // So that the high watermark moves.
    one.serve(&FollowerFetch { replica: BrokerId(3), broker_epoch: BrokerEpoch(30), ..fetch });
    // The answer that says so is sent, and the connection breaks.
    let _ = one.respond(&fetch);
    assert!(matches!(one.serve(&fetch), FetchAnswer::Read { news: false, .. }));
    one.partition.session_opened(fetch.replica);
    hear_news(&mut two, &mut one);
    assert_eq!(two.high_watermark(), 6);
}
