//! ListGroups: which groups there are, filtered by state and type.

use tidelog_wire::Str;
use tidelog_wire::messages::ListGroupsRequest;
use tidelog_wire::messages::list_groups_response::ListedGroup;

use super::{Group, Groups, Kind};

/// No filter lets everything through; names in filters are compared without regard to case, as Kafka does.
pub(crate) fn list(groups: &Groups, request: &ListGroupsRequest) -> Vec<ListedGroup> {
    let listed = groups.by_id.iter().map(|(group_id, group)| listed(group_id, group));
    let is_wanted = |group: &ListedGroup| {
        passes(&request.states_filter, &group.group_state) && passes(&request.types_filter, &group.group_type)
    };
    listed.filter(is_wanted).collect()
}

fn passes(filter: &[Str], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
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
