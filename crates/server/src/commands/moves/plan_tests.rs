//! Plans of small clusters by hand, and of many at random.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::plan::*;

fn assignment(partitions: &[(&str, i32, &[i32])]) -> Assignment {
    partitions.iter().map(|(topic, index, replicas)| (((*topic).to_owned(), *index), replicas.to_vec())).collect()
}

fn targets(ids: &[i32]) -> Targets {
    ids.iter().map(|id| (*id, None)).collect()
}

fn only(id: i32) -> BTreeSet<i32> {
    BTreeSet::from([id])
}

fn loads(assignment: &Assignment, targets: &Targets) -> BTreeMap<i32, usize> {
    let mut loads: BTreeMap<i32, usize> = targets.keys().map(|id| (*id, 0)).collect();
    assignment.values().flatten().for_each(|id| *loads.entry(*id).or_default() += 1);
    loads
}

#[test]
fn draining_a_broker_moves_its_replicas_and_nothing_else() {
    let current = assignment(&[("a", 0, &[1, 2, 3]), ("a", 1, &[2, 3, 4]), ("b", 0, &[4, 1]), ("b", 1, &[2, 1])]);
    let planned = plan(&current, &targets(&[1, 2, 3]), Spread::Evacuate(&only(4))).unwrap();
    let expected = assignment(&[("a", 0, &[1, 2, 3]), ("a", 1, &[2, 3, 1]), ("b", 0, &[3, 1]), ("b", 1, &[2, 1])]);
    assert_eq!(planned, expected);
    assert_eq!(changes(&current, &planned).len(), 2);
    assert_eq!(copies(&current, &planned), 2);
}

#[test]
fn draining_leaves_alone_what_is_down_meanwhile() {
    let current = assignment(&[("a", 0, &[1, 2]), ("a", 1, &[2, 3])]);
    let planned = plan(&current, &targets(&[1, 4]), Spread::Evacuate(&only(3))).unwrap();
    assert_eq!(planned, assignment(&[("a", 0, &[1, 2]), ("a", 1, &[2, 4])]));
}

#[test]
fn a_new_broker_gets_its_share_and_no_other_replica_moves() {
    let current = assignment(&[
        ("a", 0, &[1, 2]),
        ("a", 1, &[2, 3]),
        ("a", 2, &[3, 1]),
        ("a", 3, &[1, 2]),
        ("a", 4, &[2, 3]),
        ("a", 5, &[3, 1]),
    ]);
    let planned = plan(&current, &targets(&[1, 2, 3, 4]), Spread::Even).unwrap();
    assert_eq!(loads(&planned, &targets(&[1, 2, 3, 4])), BTreeMap::from([(1, 3), (2, 3), (3, 3), (4, 3)]));
    assert_eq!(copies(&current, &planned), 3, "{planned:?}");
}

#[test]
fn too_few_brokers_are_named() {
    let current = assignment(&[("a", 0, &[1, 2, 3])]);
    let why = plan(&current, &targets(&[1, 2]), Spread::Evacuate(&only(3))).unwrap_err();
    assert_eq!(why.to_string(), "a has replication factor 3, and only 2 brokers would hold it");
    // What is not on the broker that goes may stay as it is.
    let unmoved = assignment(&[("a", 0, &[1, 2])]);
    assert_eq!(plan(&unmoved, &targets(&[1, 2]), Spread::Evacuate(&only(3))), Ok(unmoved));
}

#[test]
fn replicas_leave_a_crowded_rack() {
    let racks = |id: i32| Some(if id < 3 { "east" } else { "west" }.to_owned());
    let targets: Targets = (1..=4).map(|id| (id, racks(id))).collect();
    let current = assignment(&[("a", 0, &[1, 2]), ("a", 1, &[3, 1])]);
    let planned = plan(&current, &targets, Spread::Even).unwrap();
    assert_eq!(planned[&("a".to_owned(), 0)], [4, 2], "the fuller broker of the rack gives up its replica");
    assert_eq!(copies(&current, &planned), 1);
}

#[test]
fn brokers_without_a_rack_are_one_rack_together() {
    let targets = targets(&[1, 2, 3]);
    let current = assignment(&[("a", 0, &[1, 2]), ("a", 1, &[2, 3]), ("a", 2, &[3, 1])]);
    assert_eq!(plan(&current, &targets, Spread::Even).unwrap(), current);
}

#[derive(Clone, Debug)]
struct Case {
    current: Assignment,
    /// Those that may hold something.
    brokers: Vec<i32>,
    racks: Vec<Option<String>>,
}

impl Case {
    fn targets(&self) -> Targets {
        self.brokers.iter().copied().zip(self.racks.iter().cloned()).collect()
    }
}

/// Up to 8 brokers, of which the last ones may be no targets, and up to 40 partitions of up to 3 replicas.
fn cases(racks_max: usize) -> impl Strategy<Value = Case> {
    (3usize..=8, 3usize..=8).prop_flat_map(move |(all, kept)| {
        let replicas = (1usize..=3, Just((1..=all as i32).collect::<Vec<i32>>()).prop_shuffle())
            .prop_map(|(count, ids)| ids[..count].to_vec());
        let racks = vec(0..=racks_max, kept);
        (vec(replicas, 1..40), racks).prop_map(move |(partitions, racks)| Case {
            current: (0..).zip(partitions).map(|(index, replicas)| (("t".to_owned(), index), replicas)).collect(),
            brokers: (1..=kept as i32).collect(),
            racks: racks.into_iter().map(|rack| (rack > 0).then(|| format!("rack-{rack}"))).collect(),
        })
    })
}

fn check_shape(case: &Case, planned: &Assignment) {
    let targets = case.targets();
    assert!(planned.keys().eq(case.current.keys()));
    for (partition, replicas) in planned {
        assert_eq!(replicas.len(), case.current[partition].len(), "replication factor of {partition:?}");
        let distinct: BTreeSet<i32> = replicas.iter().copied().collect();
        assert_eq!(distinct.len(), replicas.len(), "{partition:?} is twice on one broker: {replicas:?}");
        assert!(replicas.iter().all(|id| targets.contains_key(id)), "{partition:?}: {replicas:?}");
    }
}

fn racks_of(replicas: &[i32], targets: &Targets) -> usize {
    replicas.iter().map(|id| &targets[id]).collect::<BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn evacuation_moves_exactly_what_must_go(case in cases(3)) {
        let targets = case.targets();
        let vacated: BTreeSet<i32> = (1..=8).filter(|id| !targets.contains_key(id)).collect();
        let planned = plan(&case.current, &targets, Spread::Evacuate(&vacated)).unwrap();
        check_shape(&case, &planned);
        let must_go = case.current.values().flatten().filter(|id| !targets.contains_key(id)).count();
        prop_assert_eq!(copies(&case.current, &planned), must_go);
        for (partition, replicas) in &planned {
            let before = &case.current[partition];
            if before.iter().all(|id| targets.contains_key(id)) {
                prop_assert_eq!(before, replicas, "it need not change");
            }
            let kept: Vec<i32> = before.iter().copied().filter(|id| targets.contains_key(id)).collect();
            let racks = targets.values().collect::<BTreeSet<_>>().len();
            let gone = before.len() - kept.len();
            let possible = (racks_of(&kept, &targets) + gone).min(racks);
            prop_assert_eq!(racks_of(replicas, &targets), possible, "{:?}: {:?} of {:?}", partition, replicas, targets);
        }
    }

    #[test]
    fn even_plans_differ_by_one_replica_at_most_and_copy_no_more_than_needed(case in cases(0)) {
        let targets = case.targets();
        let planned = plan(&case.current, &targets, Spread::Even).unwrap();
        check_shape(&case, &planned);
        let after = loads(&planned, &targets);
        let (least, most) = (after.values().min().unwrap(), after.values().max().unwrap());
        prop_assert!(most - least <= 1, "{after:?}");

        let kept = loads(&case.current, &targets);
        let total: usize = kept.values().sum();
        let (floor, ceiling) = (total / targets.len(), total.div_ceil(targets.len()));
        let must_go: usize = kept.iter().filter(|(id, _)| !targets.contains_key(id)).map(|(_, count)| count).sum();
        let of_targets = kept.iter().filter(|(id, _)| targets.contains_key(id));
        let (mut too_many, mut too_few) = (0, 0);
        for (_, count) in of_targets {
            too_many += count.saturating_sub(ceiling);
            too_few += floor.saturating_sub(*count);
        }
        let needed = (must_go + too_many).max(too_few);
        let copies = copies(&case.current, &planned);
        prop_assert!(copies >= needed);
        // What must go cannot always go where there is room: the partition may be there already.
        prop_assert!(copies <= needed + must_go, "{copies} copies where {needed} and {must_go} would do");
    }

    #[test]
    fn even_plans_use_as_many_racks_as_there_are(case in cases(3)) {
        let targets = case.targets();
        let planned = plan(&case.current, &targets, Spread::Even).unwrap();
        check_shape(&case, &planned);
        let racks = targets.values().collect::<BTreeSet<_>>().len();
        for replicas in planned.values() {
            prop_assert_eq!(racks_of(replicas, &targets), racks.min(replicas.len()));
        }
        prop_assert_eq!(&plan(&planned, &targets, Spread::Even).unwrap(), &planned, "a second plan has nothing to do");
    }
}
