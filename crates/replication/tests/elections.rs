//! What becomes of logs and acks when leaders change (rules 1, 6, 7).

mod support;

use support::{Replica, image, trio};
use tidelog_replication::{AckError, Acks, Effect, FetchResponse, FetchVerdict, ProduceError};
use tidelog_wire::types::{LeaderEpoch, Offset};

/// H1 (KIP-101): a follower knows an old high watermark; cutting its log there would lose what is committed.
#[test]
fn h1_a_new_follower_does_not_truncate_to_its_high_watermark() {
    let mut one = Replica::with_log(1, &[1; 8]);
    let mut two = Replica::with_log(2, &[1; 8]);
    assert_eq!(two.high_watermark(), 0);
    two.apply(&image(1, 2, &[1, 2]));
    one.apply(&image(1, 2, &[1, 2]));
    two.fetch_from(&mut one);
    assert_eq!(two.log.end(), 8);
    assert_eq!(one.high_watermark(), 8);
}

#[test]
fn a_divergent_tail_is_cut_by_epoch() {
    let mut one = Replica::with_log(1, &[1, 1, 1, 2, 2]);
    let mut two = Replica::with_log(2, &[1, 1, 1, 1, 1, 1]);
    one.apply(&image(1, 3, &[1, 2]));
    two.apply(&image(1, 3, &[1, 2]));
    two.catch_up(&mut one);
    assert!(two.effects.contains(&Effect::TruncateTo(Offset(3))));
    assert_eq!(two.log.records, one.log.records);
}

/// H2 (KIP-279): two fast elections; neither knows the other's newest epoch.
#[test]
fn h2_logs_of_two_fast_elections_converge() {
    let mut one = Replica::with_log(1, &[1, 1, 2, 4, 4]);
    let mut two = Replica::with_log(2, &[1, 1, 1, 1, 3, 3, 3]);
    one.apply(&image(1, 5, &[1, 2]));
    two.apply(&image(1, 5, &[1, 2]));
    two.catch_up(&mut one);
    assert_eq!(two.log.records, one.log.records);
    assert_eq!(two.log.history, [(1, 0), (2, 2), (4, 3)]);

    // The epoch of the leader's answer (2) ends beyond our log, and we never heard of it.
    let mut one = Replica::with_log(1, &[1, 1, 2, 2, 2, 2, 4]);
    let mut two = Replica::with_log(2, &[1, 1, 3, 3]);
    one.apply(&image(1, 5, &[1, 2]));
    two.apply(&image(1, 5, &[1, 2]));
    two.catch_up(&mut one);
    assert_eq!(two.log.records, one.log.records);
}

#[test]
fn an_epoch_in_which_nothing_was_appended_leaves_no_trace() {
    let mut one = Replica::with_log(1, &[1, 1]);
    let mut two = Replica::with_log(2, &[1, 1]);
    one.apply(&image(1, 2, &[1, 2]));
    assert_eq!(one.log.history, [(1, 0), (2, 2)]);
    two.apply(&image(2, 3, &[1, 2]));
    one.apply(&image(2, 3, &[1, 2]));
    two.produce(2);
    two.flush();
    one.catch_up(&mut two);
    assert_eq!(one.log.history, [(1, 0), (3, 2)]);
}

/// H3 (KIP-320): a leader that does not know of its successor answers late.
#[test]
fn h3_a_zombies_truncation_is_ignored() {
    let mut zombie = Replica::with_log(1, &[1, 1]);
    let mut two = Replica::with_log(2, &[1, 1, 1, 1]);
    let mut three = Replica::with_log(3, &[1, 1, 1, 1]);
    zombie.apply(&image(1, 2, &[1, 2, 3]));
    two.apply(&image(1, 2, &[1, 2, 3]));
    let (position, fetch) = two.question();
    let (divergence, _) = zombie.respond(&fetch);
    assert!(matches!(divergence, FetchResponse::Diverging(_)));
    two.apply(&image(3, 3, &[2, 3]));
    three.apply(&image(3, 3, &[2, 3]));
    assert_eq!(two.take(&position, &divergence, &[]), FetchVerdict::Stale);
    two.catch_up(&mut three);
    assert_eq!(two.log.end(), 4);
    // And a zombie is refused when it is asked for the new epoch.
    let (_, fetch) = two.question();
    assert_eq!(zombie.respond(&fetch).0, FetchResponse::Refused);
}

/// The same, when the zombie is an earlier incarnation of the leader we follow again.
#[test]
fn h3_an_answer_is_good_for_its_leader_epoch_only() {
    let mut one = Replica::with_log(1, &[1, 1]);
    let mut two = Replica::with_log(2, &[1, 1, 1]);
    one.apply(&image(1, 2, &[1, 2]));
    two.apply(&image(1, 2, &[1, 2]));
    let (position, fetch) = two.question();
    let (divergence, _) = one.respond(&fetch);
    two.apply(&image(1, 3, &[1, 2]));
    assert_eq!(two.take(&position, &divergence, &[]), FetchVerdict::Stale);
    assert_eq!(two.log.end(), 3);
}

/// H10: an answer to an earlier question, from the same leader in the same epoch.
#[test]
fn h10_a_delayed_answer_neither_truncates_nor_appends_twice() {
    let mut one = Replica::with_log(1, &[1, 2, 2]);
    let mut two = Replica::with_log(2, &[1, 1]);
    one.apply(&image(1, 3, &[1, 2]));
    two.apply(&image(1, 3, &[1, 2]));
    let (position, fetch) = two.question();
    let (divergence, _) = one.respond(&fetch);
    two.take(&position, &divergence, &[]);
    let (next, fetch) = two.question();
    let (records_answer, records) = one.respond(&fetch);
    two.take(&next, &records_answer, &records);
    two.flush();
    assert_eq!(two.log.end(), 3);
    assert_eq!(two.take(&position, &divergence, &[]), FetchVerdict::Stale);
    assert_eq!(two.take(&next, &records_answer, &records), FetchVerdict::Stale);
    assert_eq!(two.log.records, one.log.records);
}

/// Rule 7, H15: appended and replicated everywhere, then the leader is moved: not a failure.
#[test]
fn h15_a_demoted_leaders_acks_complete_when_it_follows() {
    let (mut one, mut two, mut three) = trio();
    one.produce(5);
    one.flush();
    two.catch_up(&mut one);
    let second = image(2, 2, &[1, 2, 3]);
    for replica in [&mut one, &mut two, &mut three] {
        replica.apply(&second);
    }
    assert_eq!((one.released(), one.has_failed_acks()), (None, false));
    assert_eq!(one.partition.check_produce(Acks::All), Err(ProduceError::NotLeaderOrFollower));
    let (position, fetch) = one.question();
    let (answer, _) = two.respond(&fetch);
    one.take(&position, &answer, &[]);
    assert_eq!(one.released(), None, "a prefix of the new leader's log, but not committed yet");
    two.effects.clear();
    three.catch_up(&mut two);
    assert_eq!(two.high_watermark(), 5);
    assert!(two.effects.contains(&Effect::WakeFollowers), "the demoted leader waits for it");
    // The new leader has nothing to send, and says so that there is news.
    let (position, fetch) = one.question();
    let news = two.partition.follower_answer(&fetch, &two.log);
    assert!(matches!(news, tidelog_replication::FetchAnswer::Read { news: true, .. }));
    let (answer, _) = two.respond(&fetch);
    one.take(&position, &answer, &[]);
    assert_eq!((one.released(), one.has_failed_acks()), (Some(5), false));
}

#[test]
fn a_demoted_leaders_acks_are_unknown_when_its_records_are_cut() {
    let (mut one, mut two, mut three) = trio();
    one.produce(2);
    one.flush();
    two.catch_up(&mut one);
    one.produce(3);
    one.flush();
    let second = image(2, 2, &[1, 2, 3]);
    for replica in [&mut one, &mut two, &mut three] {
        replica.apply(&second);
    }
    two.produce(9);
    two.flush();
    one.catch_up(&mut two);
    let unknown = Effect::FailAcks { beyond: Offset(2), error: AckError::NotLeaderOrFollower };
    assert!(one.effects.contains(&unknown));
    three.catch_up(&mut two);
    one.catch_up(&mut two);
    assert!(one.released() >= Some(2), "the first produce is committed all the same");
}

#[test]
fn a_follower_below_the_leaders_log_start_begins_anew() {
    let mut one = Replica::with_log(1, &[1; 9]);
    let mut two = Replica::with_log(2, &[1; 3]);
    let mut alone = image(1, 2, &[1]);
    alone.min_isr = 1;
    one.apply(&alone);
    two.apply(&alone);
    one.delete_records(6);
    two.catch_up(&mut one);
    assert!(two.effects.contains(&Effect::RestartAt(Offset(6))));
    assert_eq!((two.log.start, two.log.end()), (6, 9));
}

#[test]
fn a_follower_with_nothing_but_older_epochs_begins_anew_at_the_leaders_log_start() {
    let mut one = Replica::with_log(1, &[1, 1, 1, 2, 2, 2]);
    let mut two = Replica::with_log(2, &[1, 1, 1, 1, 1]);
    let mut alone = image(1, 3, &[1]);
    alone.min_isr = 1;
    one.apply(&alone);
    two.apply(&alone);
    one.delete_records(4);
    assert_eq!(one.log.history, [(2, 4), (3, 6)]);
    two.catch_up(&mut one);
    assert!(two.effects.contains(&Effect::RestartAt(Offset(4))), "what it has at 3 is not what was there");
    assert_eq!(two.log.records, one.log.records);
}

#[test]
fn a_follower_with_records_never_drops_them_for_a_confused_answer() {
    let mut two = Replica::with_log(2, &[1; 5]);
    two.apply(&image(1, 2, &[1, 2]));
    let (position, _) = two.question();
    for log_start in [None, Some(Offset(0)), Some(Offset(4))] {
        let answer = FetchResponse::OffsetOutOfRange { log_start };
        assert_eq!(two.take(&position, &answer, &[]), FetchVerdict::BackOff);
    }
    assert_eq!(two.log.end(), 5);
}

/// Rule 6: the grant was made to the incarnation before this one.
#[test]
fn a_restarted_broker_takes_no_leadership_before_its_own_registration() {
    let mut one = Replica::with_log(1, &[1, 1]).reboot(11, 1);
    let granted_before = image(1, 2, &[1, 2, 3]);
    one.apply(&granted_before);
    assert!(!one.partition.is_leader());
    assert_eq!(one.partition.check_produce(Acks::Leader), Err(ProduceError::NotLeaderOrFollower));
    let mut granted_again = image(1, 3, &[1, 2, 3]);
    granted_again.brokers[0] = (1, 11, true);
    one.apply(&granted_again);
    assert_eq!(one.partition.check_produce(Acks::Leader), Ok(LeaderEpoch(3)));
}

#[test]
fn an_older_image_changes_nothing() {
    let (mut one, _, _) = trio();
    one.apply(&image(2, 2, &[1, 2, 3]));
    one.apply(&image(1, 1, &[1, 2, 3]));
    assert!(!one.partition.is_leader());
    assert_eq!(one.position().map(|position| position.leader_epoch), Some(LeaderEpoch(2)));
}

/// A leader, and a follower that was told by it to cut its log and is not done yet.
fn truncation_under_way() -> (Replica, Replica) {
    let mut one = Replica::with_log(1, &[1, 2]);
    let mut two = Replica::with_log(2, &[1, 1, 1]);
    two.slow_disk = true;
    one.apply(&image(1, 3, &[1, 2]));
    two.apply(&image(1, 3, &[1, 2]));
    two.fetch_from(&mut one);
    assert_eq!(two.position(), None, "nothing is asked meanwhile");
    (one, two)
}

#[test]
fn a_leadership_waits_for_the_truncation_under_way() {
    let (_, mut two) = truncation_under_way();
    two.apply(&image(2, 4, &[2]));
    assert!(!two.partition.is_leader());
    two.effects.clear();
    two.truncate(1);
    assert!(two.effects.contains(&Effect::ReapplyAssignment));
    two.apply(&image(2, 4, &[2]));
    assert!(two.effects.contains(&Effect::StartEpoch { leader_epoch: LeaderEpoch(4), start: Offset(1) }));
}

/// A read failed, or the disk is full: the log is as it was.
#[test]
fn a_truncation_that_failed_is_asked_for_again() {
    let (mut one, mut two) = truncation_under_way();
    two.drive(|partition, _, out| partition.change_failed(out));
    two.slow_disk = false;
    two.catch_up(&mut one);
    assert_eq!(two.log.records, one.log.records);
}

#[test]
fn a_leadership_does_not_wait_for_a_truncation_that_failed() {
    let (_, mut two) = truncation_under_way();
    two.drive(|partition, _, out| partition.change_failed(out));
    two.apply(&image(2, 4, &[2]));
    assert!(two.partition.is_leader());
}

#[test]
fn a_log_start_that_could_not_be_moved_is_told_again() {
    let (mut one, mut two, mut three) = trio();
    one.produce(8);
    one.flush();
    two.catch_up(&mut one);
    three.catch_up(&mut one);
    one.delete_records(6);
    two.slow_disk = true;
    two.fetch_from(&mut one);
    assert_eq!((two.log.start, two.position()), (0, None));
    two.drive(|partition, _, out| partition.change_failed(out));
    two.slow_disk = false;
    two.fetch_from(&mut one);
    assert_eq!(two.log.start, 6);
}

#[test]
fn a_removed_replica_answers_its_producers() {
    let (mut one, _, _) = trio();
    one.produce(1);
    one.drive(|partition, _, out| partition.stopped(out));
    assert!(one.has_failed_acks());
    assert_eq!(one.partition.check_produce(Acks::Leader), Err(ProduceError::NotLeaderOrFollower));
}

/// An epoch without records leaves nothing to cut: after a restart of all, thousands of idle partitions just go on.
#[test]
fn a_former_leader_of_an_empty_log_follows_without_starting_over() {
    let (mut one, mut two, _) = trio();
    let second = image(2, 2, &[1, 2, 3]);
    one.apply(&second);
    two.apply(&second);
    one.effects.clear();
    one.fetch_from(&mut two);
    assert!(!one.effects.iter().any(|effect| matches!(effect, Effect::RestartAt(_) | Effect::TruncateTo(_))));
    two.produce(3);
    two.flush();
    one.catch_up(&mut two);
    assert_eq!(one.log.end(), 3);
}
