//! Who is in the ISR, and what holds while that changes (rule 4).

mod support;

use support::{LAG_MS, Replica, image, trio};
use tidelog_replication::{FetchAnswer, FetchError, IsrOutcome, IsrProposal};
use tidelog_wire::types::{BrokerEpoch, BrokerId, Offset, PartitionEpoch};

fn members(proposal: &IsrProposal) -> Vec<(i32, i64)> {
    proposal.new_isr.iter().map(|(id, epoch)| (id.get(), epoch.get())).collect()
}

/// Leader 1 and follower 2 in the ISR, 3 just outside.
fn pair_and_outsider() -> (Replica, Replica, Replica) {
    let (mut one, mut two, mut three) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let first = image(1, 1, &[1, 2]);
    for replica in [&mut one, &mut two, &mut three] {
        replica.apply(&first);
    }
    one.produce(3);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 3);
    one.effects.clear();
    (one, two, three)
}

#[test]
fn a_follower_that_reached_the_high_watermark_is_proposed() {
    let (mut one, _, mut three) = pair_and_outsider();
    three.fetch_from(&mut one);
    assert_eq!(one.proposals(), [], "it asked, but has nothing yet");
    three.fetch_from(&mut one);
    let proposal = one.proposal();
    assert_eq!(members(&proposal), [(1, 10), (2, 20), (3, 30)]);
    assert_eq!(proposal.partition_epoch, PartitionEpoch(10));
    one.accept(&proposal);
    assert_eq!(one.partition.isr(), [BrokerId(1), BrokerId(2), BrokerId(3)]);
}

/// H6 (KIP-497): while the controller may already have accepted it, a joining replica must have every record.
#[test]
fn h6_a_joining_replica_binds_before_the_controller_has_answered() {
    let (mut one, mut two, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.produce(4);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 3, "3 lacks the rest, and may be in the ISR by now");
    one.accept(&proposal);
    assert_eq!(one.high_watermark(), 3);
    three.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 7);
}

#[test]
fn a_pending_expansion_does_not_count_towards_min_isr() {
    let (mut one, mut two) = (Replica::new(1), Replica::new(2));
    let mut alone = image(1, 1, &[1]);
    alone.elr = vec![];
    one.apply(&alone);
    two.apply(&alone);
    one.produce(2);
    one.flush();
    two.catch_up(&mut one);
    let proposal = one.proposal();
    assert_eq!(one.high_watermark(), 0);
    one.accept(&proposal);
    assert_eq!(one.high_watermark(), 2);
}

/// H5: what was committed under an earlier leader may be above the new leader's high watermark.
#[test]
fn h5_a_follower_joins_only_at_the_epochs_start() {
    let mut two = Replica::with_log(2, &[1; 10]);
    let mut three = Replica::with_log(3, &[1; 4]);
    let second = image(2, 2, &[2]);
    two.apply(&second);
    three.apply(&second);
    assert_eq!(two.high_watermark(), 0);
    let (_, fetch) = three.question();
    two.serve(&fetch);
    assert_eq!(two.proposals(), [], "4 is above the high watermark, but 10 may have been committed");
    three.catch_up(&mut two);
    assert_eq!(members(&two.proposal()), [(2, 20), (3, 30)]);
}

#[test]
fn a_replica_that_kept_deleted_records_joins_only_without_them() {
    let (mut one, _, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.resolve(&proposal, IsrOutcome::Ineligible);
    one.delete_records(2);
    one.now_ms += 1000;
    let (_, fetch) = three.question();
    one.serve(&fetch);
    assert_eq!(one.proposals(), [], "as leader it would bring them back");
    three.catch_up(&mut one);
    assert_eq!(three.log.start, 2);
    assert_eq!(one.proposals().len(), 1);
}

/// H7 (KIP-903): a follower lost its tail and rebooted; its earlier fetches must not bring it back into the ISR.
#[test]
fn h7_a_rebooted_follower_cannot_rejoin_on_a_stale_fetch() {
    let (mut one, _, mut three) = pair_and_outsider();
    three.fetch_from(&mut one);
    let (_, stale) = three.question();
    let mut three = three.reboot(31, 0);
    let mut rebooted = image(1, 1, &[1, 2]);
    rebooted.partition_epoch = 11;
    rebooted.brokers[2] = (3, 31, true);
    one.apply(&rebooted);
    three.apply(&rebooted);
    let refused = one.serve(&stale);
    assert_eq!(refused, FetchAnswer::Error(FetchError::NotLeaderOrFollower));
    assert_eq!(one.proposals(), []);
    three.catch_up(&mut one);
    assert_eq!(members(&one.proposal()), [(1, 10), (2, 20), (3, 31)]);
}

/// H7, the other order: the leader does not know yet that the incarnation it heard is gone.
#[test]
fn h7_a_proposal_names_the_incarnation_that_fetched() {
    let (mut one, _, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    assert_eq!(members(&one.proposal())[2], (3, 30));

    let (mut one, _, three) = pair_and_outsider();
    let mut three = three.reboot(31, 0);
    let old_image = image(1, 1, &[1, 2]);
    three.apply(&old_image);
    three.catch_up(&mut one);
    assert_eq!(one.proposals(), [], "a registration our image does not show");
    let mut rebooted = old_image;
    rebooted.brokers[2] = (3, 31, true);
    one.apply(&rebooted);
    assert_eq!(members(&one.proposal())[2], (3, 31));

    let mut again = rebooted.clone();
    again.brokers[2] = (3, 32, true);
    let (mut one, _, mut three) = pair_and_outsider();
    let mut fenced = image(1, 1, &[1, 2]);
    fenced.brokers[2] = (3, 30, false);
    one.apply(&fenced);
    three.catch_up(&mut one);
    assert_eq!(one.proposals(), [], "fenced");
    one.apply(&again);
    assert_eq!(one.proposals(), [], "what incarnation 30 had says nothing of 32");
}

/// Its connection outlived the fencing, the leader and its epoch stayed, and nobody appends: nothing makes it ask again.
#[test]
fn an_idle_replica_that_was_fenced_for_a_while_joins_without_asking_again() {
    let (mut one, _, _) = trio();
    let mut fenced = image(1, 1, &[1, 2]);
    fenced.partition_epoch = 11;
    fenced.brokers[2].2 = false;
    one.apply(&fenced);
    assert_eq!(one.proposals(), []);
    fenced.brokers[2].2 = true;
    one.apply(&fenced);
    assert_eq!(members(&one.proposal()), [(1, 10), (2, 20), (3, 30)]);
}

#[test]
fn a_follower_that_stays_behind_too_long_is_dropped_and_binds_until_then() {
    let (mut one, mut two, mut three) = trio();
    one.now_ms = 500_000;
    one.produce(2);
    one.flush();
    two.catch_up(&mut one);
    // 3 had everything until now, although an idle partition is not named in fetches.
    assert_eq!(one.partition.next_deadline_ms(), Some(500_000 + LAG_MS));
    one.tick(500_000 + LAG_MS - 1, i64::MAX);
    assert_eq!(one.proposals(), []);
    one.tick(500_000 + LAG_MS, i64::MAX);
    let proposal = one.proposal();
    assert_eq!(members(&proposal), [(1, 10), (2, 20)]);
    assert_eq!(one.high_watermark(), 0, "the controller may refuse, and elect 3");
    one.accept(&proposal);
    assert_eq!(one.high_watermark(), 0, "it may have kept 3 eligible: the image tells");
    let mut shrunk = image(1, 1, &[1, 2]);
    shrunk.partition_epoch = 11;
    one.apply(&shrunk);
    assert_eq!(one.high_watermark(), 2);
    assert_eq!(one.proposals(), [], "it comes back by fetching, not by what it had");
    three.catch_up(&mut one);
    assert_eq!(one.proposals().len(), 1);
}

#[test]
fn an_unknown_outcome_stays_pending_and_is_asked_again() {
    let (mut one, mut two, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.resolve(&proposal, IsrOutcome::Unknown);
    one.produce(1);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 3, "it may have been accepted");
    let retry_ms = one.partition.next_deadline_ms().expect("asks again");
    one.tick(retry_ms, i64::MAX);
    assert_eq!(one.proposals(), [proposal]);
}

/// The first attempt was lost on the way, the second refused (3 was fenced just then). The first may still arrive, when 3
/// is eligible again.
#[test]
fn a_refusal_after_an_unknown_outcome_is_confirmed_before_it_counts() {
    let (mut one, mut two, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.resolve(&proposal, IsrOutcome::Unknown);
    one.tick(one.partition.next_deadline_ms().unwrap(), i64::MAX);
    one.resolve(&proposal, IsrOutcome::Ineligible);
    one.produce(1);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 3);
    one.effects.clear();
    one.tick(one.partition.next_deadline_ms().unwrap(), i64::MAX);
    let confirmation = one.proposal();
    assert_eq!(members(&confirmation), [(1, 10), (2, 20)]);
    one.accept(&confirmation);
    assert_eq!(one.high_watermark(), 4);
}

#[test]
fn a_plain_refusal_ends_the_proposal_and_it_is_made_again_later() {
    let (mut one, mut two, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.resolve(&proposal, IsrOutcome::Ineligible);
    one.produce(1);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 4, "3 is not in the ISR, for certain");
    assert_eq!(one.partition.next_deadline_ms(), None, "and behind by now");
    one.now_ms = 1000;
    three.catch_up(&mut one);
    assert_eq!(one.proposals().len(), 1);
}

#[test]
fn an_outdated_proposal_waits_for_the_image() {
    let (mut one, mut two, mut three) = pair_and_outsider();
    three.catch_up(&mut one);
    let proposal = one.proposal();
    one.resolve(&proposal, IsrOutcome::Outdated);
    assert_eq!(one.partition.next_deadline_ms(), Some(1000), "asked again if the image says nothing");
    one.produce(1);
    one.flush();
    two.catch_up(&mut one);
    assert_eq!(one.high_watermark(), 3);
    let mut newer = image(1, 1, &[1, 2]);
    newer.partition_epoch = 11;
    newer.brokers[2] = (3, 30, false);
    one.apply(&newer);
    assert_eq!(one.high_watermark(), 4);
    one.accept(&proposal);
    assert_eq!(one.partition.isr(), [BrokerId(1), BrokerId(2)], "an answer from before the image");
}

#[test]
fn requests_are_fenced_by_epoch_both_ways() {
    let (mut one, mut two, _) = trio();
    one.apply(&image(1, 2, &[1, 2, 3]));
    let (_, old) = two.question();
    assert_eq!(one.serve(&old), FetchAnswer::Error(FetchError::FencedLeaderEpoch));
    two.apply(&image(1, 3, &[1, 2, 3]));
    let (_, newer) = two.question();
    assert_eq!(one.serve(&newer), FetchAnswer::WaitForImage);
    let mut stranger = newer;
    stranger.replica = BrokerId(9);
    stranger.broker_epoch = BrokerEpoch(90);
    stranger.current_leader_epoch = old.current_leader_epoch;
    assert_eq!(one.serve(&stranger), FetchAnswer::Error(FetchError::FencedLeaderEpoch));
    assert_eq!(
        one.partition.consumer_fetch(Some(old.current_leader_epoch), Offset(0)),
        Err(FetchError::FencedLeaderEpoch)
    );
    assert_eq!(two.serve(&old), FetchAnswer::Error(FetchError::FencedLeaderEpoch), "a follower serves nobody");
}
