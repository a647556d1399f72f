//! One whole run: faults, then peace, then what must be true in the end.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::groups::{Member, PARTITIONS};
use crate::world::{Options, World};

/// In peace, after this long the partition is whole again and everybody has been answered.
const RECOVERY_MS: i64 = 15_000;
const QUIET_MS: i64 = 10_000;

/// What a run was about; mainly to see that runs are about something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub steps: u64,
    pub acked: usize,
    pub leader_epochs: i32,
    pub recoveries: usize,
    pub moves: usize,
    pub commits: usize,
    /// Batches sent again that were in the log.
    pub retries: usize,
}

/// Panics with a sentence when an invariant is broken.
pub fn run(seed: u64) -> Outcome {
    let options = Options::random(&mut StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let faults_until_ms = options.faults_until_ms;
    let mut world = World::new(options, seed);
    world.run_until(faults_until_ms);
    world.heal();
    let acked_before = world.checker.acked.len();
    world.run_until(faults_until_ms + RECOVERY_MS);
    let acked_after = world.checker.acked.len();
    let mut end_ms = faults_until_ms + RECOVERY_MS;
    if world.options.groups {
        world.lose_members_and_coordinator();
        end_ms += RECOVERY_MS;
        world.run_until(end_ms);
    }
    world.producing = false;
    world.run_until(end_ms + QUIET_MS);
    check_recovered(&mut world);
    check_groups(&world);
    assert!(world.checker.lossy || acked_after > acked_before, "liveness: nothing was acknowledged any more");
    Outcome {
        steps: world.steps,
        acked: acked_after,
        leader_epochs: world.controller.image().leader_epoch,
        recoveries: world.controller.recoveries,
        moves: world.moves_begun,
        commits: world.ledger.acked_count,
        retries: world.retries,
    }
}

/// Whoever lives and was told to be out is in again, all of a group in one generation, and every partition has one owner.
fn check_groups(world: &World) {
    for group in world.members.chunk_by(|one, other| one.group() == other.group()) {
        let group: Vec<&Member> = group.iter().filter(|member| !member.is_gone).collect();
        let generation = group[0].generation;
        let agree = group.iter().all(|member| member.is_in() && member.generation == generation);
        let mut assigned: Vec<i32> = group.iter().flat_map(|member| member.assigned.clone()).collect();
        assigned.sort_unstable();
        let is_whole = assigned.into_iter().eq(0..PARTITIONS);
        assert!(agree && is_whole, "liveness: the group does not settle: {group:#?}");
    }
}

fn check_recovered(world: &mut World) {
    world.nodes.iter_mut().for_each(|node| node.log.check());
    let image = world.controller.image();
    assert!(image.leader > 0, "liveness: no leader: {image:?}");
    let leader = &world.nodes[image.leader as usize - 1];
    let in_sync = image.isr.len() == image.replicas.len();
    assert!(in_sync, "liveness: not all replicas are in sync: {image:?} {:?}", leader.partition);
    assert!(image.moving_to.is_empty(), "liveness: a move does not end: {image:?}");
    for node in world.nodes.iter().filter(|node| !image.replicas.contains(&node.id)) {
        assert!(node.partition.is_none() && node.log.end() == 0, "node {} keeps what moved away", node.id);
    }
    for node in world.nodes.iter().filter(|node| image.replicas.contains(&node.id)) {
        let partition = node.partition.as_ref().expect("every replica's node is up and registered");
        assert_eq!(node.log.end(), leader.log.end(), "liveness: node {} is behind", node.id);
        // A deletion that was not confirmed may be known to some only.
        let range = leader.log.start().max(node.log.start())..leader.log.end();
        let same = range.clone().all(|offset| node.log.get(offset) == leader.log.get(offset));
        assert!(same, "the logs of {} and {} differ", node.id, leader.id);
        assert!(node.parked_acks.is_empty(), "liveness: node {} never answered a producer", node.id);
        assert!(partition.is_leader() || partition.next_deadline_ms().is_none(), "an idle follower waits for time");
    }
    let waiting = world.producers.iter().find(|producer| !producer.is_answered() && !world.checker.lossy);
    assert!(waiting.is_none(), "liveness: a producer was never answered: {waiting:?}");
    let partition = leader.partition.as_ref().expect("the leader is registered");
    assert_eq!(partition.high_watermark().get(), leader.log.end(), "liveness: records stay uncommitted");
    assert_eq!(partition.next_deadline_ms(), None, "an idle leader waits for time");
    for &(offset, value) in world.checker.acked.iter().filter(|_| !world.checker.lossy) {
        let kept = leader.log.get(offset).map_or(offset < leader.log.start(), |record| record.value == value);
        assert!(kept, "acknowledged at {offset}, but something else is there");
    }
}
