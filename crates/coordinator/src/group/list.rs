//! ListGroups: which groups there are, filtered by state and type.

use std::collections::BTreeSet;

use tidelog_wire::Str;
use tidelog_wire::messages::ListGroupsRequest;
use tidelog_wire::messages::list_groups_response::ListedGroup;

use super::{Group, Groups, Kind};

/// No filter lets everything through; names in filters are compared without regard to case, as Kafka does.
pub(crate) fn list(groups: &Groups, request: &ListGroupsRequest) -> Vec<ListedGroup> {
    let listed = groups.by_id.iter().map(|(group_id, group)| listed(group_id, group));
    let (states, types) = (Filter::new(&request.states_filter), Filter::new(&request.types_filter));
    listed.filter(|group| states.lets(&group.group_state) && types.lets(&group.group_type)).collect()
}

/// Names in small letters; none lets all through.
struct Filter(BTreeSet<String>);

impl Filter {
    fn new(names: &[Str]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn lets(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(&name.to_ascii_lowercase())
    }
}

fn listed(group_id: &Str, group: &Group) -> ListedGroup {
    let (group_type, group_state, protocol_type) = match &group.kind {
        Kind::Classic(group) => ("classic", group.state_name(), group.protocol_type().clone()),
        Kind::Consumer(group) => ("consumer", group.state_name(), Str::from_static("consumer")),
    };
    ListedGroup {
        group_id: group_id.clone(),
        protocol_type,
        group_state: group_state.into(),
        group_type: group_type.into(),
    }
}
