//! What both assignors promise, over many groups.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// An owned group, which specs borrow from.
#[derive(Clone, Debug)]
struct Fixture {
    topics: Vec<TopicSpec>,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    rack: Option<String>,
    topics: Vec<usize>,
    target: Partitions,
}

fn topic_id(topic: usize) -> Uuid {
    Uuid::from_u128(1000 + topic as u128)
}

impl Fixture {
    /// Topics of the given sizes, and members that subscribe to all of them.
    fn homogeneous(partition_counts: &[usize], members: usize) -> Self {
        let all: Vec<usize> = (0..partition_counts.len()).collect();
        let member = Member { rack: None, topics: all, target: Partitions::default() };
        Self { topics: topics(partition_counts), members: vec![member; members] }
    }

    fn spec(&self) -> GroupSpec<'_> {
        let members = self.members.iter().map(|member| MemberSpec {
            rack: member.rack.as_deref(),
            topics: member.topics.clone(),
            target: &member.target,
        });
        GroupSpec { members: members.collect(), topics: self.topics.clone() }
    }

    /// Assigns, and makes the outcome the members' target for the next time.
    fn assign(&mut self, assignor: Assignor) -> Vec<Partitions> {
        let assigned = assign(assignor, &self.spec());
        self.check_each_partition_has_one_subscriber(&assigned);
        for (member, target) in self.members.iter_mut().zip(&assigned) {
            member.target = target.clone();
        }
        assigned
    }

    fn check_each_partition_has_one_subscriber(&self, assigned: &[Partitions]) {
        let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
        for (member, partitions) in assigned.iter().enumerate() {
            for (topic, partitions) in partitions.iter() {
                let position = self.topics.iter().position(|spec| spec.id == *topic).expect("a topic of the group");
                assert!(self.members[member].topics.contains(&position), "only subscribers own");
                for partition in partitions {
                    assert_eq!(owners.insert((*topic, *partition), member), None, "one owner");
                }
            }
        }
        for (topic, spec) in self.topics.iter().enumerate() {
            let is_wanted = self.members.iter().any(|member| member.topics.contains(&topic));
            let owned = owners.range((spec.id, i32::MIN)..=(spec.id, i32::MAX)).count();
            assert_eq!(owned, if is_wanted { spec.partition_count } else { 0 });
        }
    }

    /// Of the partitions that still exist for their old owners, how many changed hands.
    fn moves(&self, assigned: &[Partitions]) -> usize {
        self.members.iter().zip(assigned).map(|(member, now)| self.still_valid(member).difference(now).count()).sum()
    }

    fn still_valid(&self, member: &Member) -> Partitions {
        member.target.filtered(|id, partition| {
            member
                .topics
                .iter()
                .any(|topic| self.topics[*topic].id == id && (partition as usize) < self.topics[*topic].partition_count)
        })
    }

    fn rack_matches(&self, assigned: &[Partitions]) -> usize {
        let mut matches = 0;
        for (member, partitions) in self.members.iter().zip(assigned) {
            for (topic, partitions) in partitions.iter() {
                let spec = self.topics.iter().find(|spec| spec.id == *topic).expect("a topic of the group");
                let has_match = |partition: &&i32| {
                    spec.racks[**partition as usize].iter().any(|rack| Some(rack.as_str()) == member.rack.as_deref())
                };
                matches += partitions.iter().filter(has_match).count();
            }
        }
        matches
    }
}

fn topics(partition_counts: &[usize]) -> Vec<TopicSpec> {
    let spec = |(topic, count): (usize, &usize)| TopicSpec {
        id: topic_id(topic),
        partition_count: *count,
        racks: vec![Vec::new(); *count],
    };
    partition_counts.iter().enumerate().map(spec).collect()
}

fn loads(assigned: &[Partitions]) -> Vec<usize> {
    assigned.iter().map(Partitions::count).collect()
}

fn spread(assigned: &[Partitions]) -> usize {
    let loads = loads(assigned);
    loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0)
}

/// Fewest moves that even out members who have this much.
fn fewest_moves(had: &[usize], partitions: usize) -> usize {
    let (low, extra) = (partitions / had.len(), partitions % had.len());
    let above = had.iter().filter(|had| **had > low).count();
    let lost: usize = had.iter().map(|had| had.saturating_sub(low)).sum();
    lost - above.min(extra)
}

#[test]
fn uniform_spreads_and_moves_only_what_a_new_member_takes() {
    let mut group = Fixture::homogeneous(&[6, 3], 2);
    assert_eq!(loads(&group.assign(Assignor::Uniform)), [5, 4]);
    group.members.push(Member { target: Partitions::default(), ..group.members[0].clone() });
    let before = group.clone();
    let after = group.assign(Assignor::Uniform);
    assert_eq!(loads(&after), [3, 3, 3]);
    assert_eq!(before.moves(&after), 3);
}

#[test]
fn uniform_gives_what_a_leaver_had_to_the_others_and_moves_nothing_else() {
    let mut group = Fixture::homogeneous(&[9], 3);
    group.assign(Assignor::Uniform);
    group.members.remove(1);
    let before = group.clone();
    let after = group.assign(Assignor::Uniform);
    assert_eq!(spread(&after), 1);
    assert_eq!(before.moves(&after), 0);
}

#[test]
fn uniform_evens_out_members_with_different_subscriptions() {
    let mut group = Fixture::homogeneous(&[4, 4], 3);
    group.members[0].topics = vec![0];
    group.members[1].topics = vec![0, 1];
    group.members[2].topics = vec![1];
    let mut loads = loads(&group.assign(Assignor::Uniform));
    loads.sort_unstable();
    assert_eq!(loads, [2, 3, 3]);
}

#[test]
fn uniform_prefers_the_members_rack_without_losing_balance() {
    let mut group = Fixture::homogeneous(&[6], 3);
    for (member, rack) in ["a", "b", "c"].into_iter().enumerate() {
        group.members[member].rack = Some(rack.to_owned());
    }
    for (partition, rack) in ["c", "c", "b", "b", "a", "a"].into_iter().enumerate() {
        group.topics[0].racks[partition] = vec![rack.into()];
    }
    let assigned = group.assign(Assignor::Uniform);
    assert_eq!(group.rack_matches(&assigned), 6);
    // All replicas move to one rack: two partitions match, and nobody has more than before.
    for racks in &mut group.topics[0].racks {
        *racks = vec!["a".into()];
    }
    let assigned = group.assign(Assignor::Uniform);
    assert_eq!((group.rack_matches(&assigned), spread(&assigned)), (2, 0));
}

#[test]
fn range_gives_partitions_of_the_same_number_to_one_member() {
    let mut group = Fixture::homogeneous(&[5, 5, 2], 2);
    let assigned = group.assign(Assignor::Range);
    assert_eq!(assigned[0].of(topic_id(0)), [0, 1, 2]);
    assert_eq!(assigned[0].of(topic_id(1)), [0, 1, 2]);
    assert_eq!(assigned[1].of(topic_id(1)), [3, 4]);
    assert_eq!(assigned[1].of(topic_id(2)), [1]);
}

#[test]
fn range_keeps_the_order_in_which_members_stood() {
    let mut group = Fixture::homogeneous(&[10], 2);
    group.members[0].target.add(topic_id(0), vec![5, 6, 7, 8, 9]);
    group.members[1].target.add(topic_id(0), vec![0, 1, 2, 3, 4]);
    group.members.insert(0, Member { target: Partitions::default(), ..group.members[0].clone() });
    let assigned = group.assign(Assignor::Range);
    assert_eq!(assigned[2].of(topic_id(0)), [0, 1, 2, 3]);
    assert_eq!(assigned[1].of(topic_id(0)), [4, 5, 6]);
    assert_eq!(assigned[0].of(topic_id(0)), [7, 8, 9]);
}

#[test]
fn range_puts_members_where_their_racks_are() {
    let mut group = Fixture::homogeneous(&[4, 4], 2);
    group.members[0].rack = Some("b".to_owned());
    group.members[1].rack = Some("a".to_owned());
    for topic in &mut group.topics {
        for (partition, rack) in ["a", "a", "b", "b"].into_iter().enumerate() {
            topic.racks[partition] = vec![rack.into()];
        }
    }
    let assigned = group.assign(Assignor::Range);
    assert_eq!(group.rack_matches(&assigned), 8);
}

#[test]
fn a_member_more_than_partitions_gets_none() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let mut group = Fixture::homogeneous(&[2], 3);
        assert_eq!(loads(&group.assign(assignor)), [1, 1, 0]);
    }
}

#[test]
fn ten_thousand_partitions_and_a_thousand_members_take_no_time() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let mut group = Fixture::homogeneous(&[20; 500], 1000);
        for (position, member) in group.members.iter_mut().enumerate() {
            member.rack = Some(format!("rack-{}", position % 3));
            if position % 2 == 0 {
                member.topics.truncate(400);
            }
        }
        for topic in &mut group.topics {
            for (partition, racks) in topic.racks.iter_mut().enumerate() {
                *racks = vec![format!("rack-{}", partition % 3).into(), format!("rack-{}", (partition + 1) % 3).into()];
            }
        }
        group.assign(assignor);
        group.members.truncate(900);
        group.assign(assignor);
    }
}

prop_compose! {
    fn any_group()(
        partition_counts in prop::collection::vec(0..9usize, 1..6),
        subscriptions in prop::collection::vec((any::<u8>(), 0..4u8), 1..8),
        racks in prop::collection::vec(0..3u8, 64),
        is_homogeneous in any::<bool>(),
        has_racks in any::<bool>(),
    ) -> Fixture {
        let mut group = Fixture::homogeneous(&partition_counts, subscriptions.len());
        for (member, (mask, rack)) in group.members.iter_mut().zip(&subscriptions) {
            if !is_homogeneous {
                member.topics.retain(|topic| mask & (1 << topic) != 0);
            }
            // Some members never say where they are.
            member.rack = (has_racks && *rack < 3).then(|| format!("rack-{rack}"));
        }
        let mut racks = racks.iter().cycle();
        for of_partition in group.topics.iter_mut().flat_map(|topic| &mut topic.racks) {
            *of_partition = vec![format!("rack-{}", racks.next().expect("a cycle")).into()];
        }
        group
    }
}

/// What happens between two assignments.
#[derive(Clone, Debug)]
enum Event {
    Join(u8),
    Leave(usize),
    Grow(usize),
    Recreate(usize),
    Subscribe(usize, u8),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u8>().prop_map(Event::Join),
        any::<usize>().prop_map(Event::Leave),
        any::<usize>().prop_map(Event::Grow),
        any::<usize>().prop_map(Event::Recreate),
        (any::<usize>(), any::<u8>()).prop_map(|(member, mask)| Event::Subscribe(member, mask)),
    ]
}

impl Event {
    fn happen(&self, group: &mut Fixture) {
        let subscription = |mask: u8| (0..group.topics.len()).filter(|topic| mask & (1 << topic) != 0).collect();
        match *self {
            Self::Join(mask) => {
                let topics = subscription(mask);
                group.members.push(Member { rack: None, topics, target: Partitions::default() });
            }
            Self::Leave(member) if group.members.len() > 1 => {
                group.members.remove(member % group.members.len());
            }
            Self::Leave(_) => {}
            Self::Grow(topic) => {
                let topic = topic % group.topics.len();
                group.topics[topic].partition_count += 2;
                group.topics[topic].racks.extend([Vec::new(), Vec::new()]);
            }
            Self::Recreate(topic) => {
                let topic = topic % group.topics.len();
                group.topics[topic].partition_count = 1;
                group.topics[topic].racks.truncate(1);
                group.topics[topic].racks.resize(1, Vec::new());
            }
            Self::Subscribe(member, mask) => {
                let topics = subscription(mask);
                let member = member % group.members.len();
                group.members[member].topics = topics;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_partition_has_one_subscriber_whatever_happens(
        mut group in any_group(),
        events in prop::collection::vec(any_event(), 0..12),
        is_range in any::<bool>(),
    ) {
        let assignor = if is_range { Assignor::Range } else { Assignor::Uniform };
        group.assign(assignor);
        for event in events {
            event.happen(&mut group);
            group.assign(assignor);
        }
    }

    #[test]
    fn uniform_leaves_nothing_that_one_move_would_even_out(
        mut group in any_group(),
        events in prop::collection::vec(any_event(), 0..12),
    ) {
        for event in &events {
            event.happen(&mut group);
            let assigned = group.assign(Assignor::Uniform);
            let loads = loads(&assigned);
            for (giver, partitions) in assigned.iter().enumerate() {
                for (taker, member) in group.members.iter().enumerate() {
                    let may_take = member.topics.iter().any(|topic| !partitions.of(topic_id(*topic)).is_empty());
                    prop_assert!(!may_take || loads[giver] < loads[taker] + 2, "{giver} could give to {taker}: {loads:?}");
                }
            }
        }
    }

    #[test]
    fn uniform_moves_as_little_as_balance_allows(
        mut group in any_group(),
        joined in 0..3usize,
        left in prop::collection::vec(any::<usize>(), 0..3),
    ) {
        let all: Vec<usize> = (0..group.topics.len()).collect();
        for member in &mut group.members {
            (member.rack, member.topics) = (None, all.clone());
        }
        group.assign(Assignor::Uniform);
        for leaver in left {
            Event::Leave(leaver).happen(&mut group);
        }
        for _ in 0..joined {
            group.members.push(Member { rack: None, topics: all.clone(), target: Partitions::default() });
        }
        let had: Vec<usize> = group.members.iter().map(|member| member.target.count()).collect();
        let partitions = group.topics.iter().map(|topic| topic.partition_count).sum();
        let before = group.clone();
        let assigned = group.assign(Assignor::Uniform);
        prop_assert!(spread(&assigned) <= 1);
        prop_assert_eq!(before.moves(&assigned), fewest_moves(&had, partitions));
    }

    #[test]
    fn racks_never_get_worse_and_settle(mut group in any_group()) {
        let mut matches = 0;
        let mut last = Vec::new();
        for _ in 0..80 {
            let assigned = group.assign(Assignor::Uniform);
            prop_assert!(group.rack_matches(&assigned) >= matches);
            matches = group.rack_matches(&assigned);
            if assigned == last {
                return Ok(());
            }
            last = assigned;
        }
        prop_assert!(false, "an unchanged group never comes to rest");
    }

    #[test]
    fn an_unchanged_group_stays_as_it_is(mut group in any_group(), is_range in any::<bool>()) {
        let assignor = if is_range { Assignor::Range } else { Assignor::Uniform };
        for member in &mut group.members {
            member.rack = None;
        }
        let first = group.assign(assignor);
        prop_assert_eq!(group.assign(assignor), first);
    }
}
