//! Founding the cluster: its id, its configured nodes, its first defaults.

use tidelog_wire::{ErrorCode, Str};

use super::Round;
use crate::image::{ConfigResource, Node};
use crate::record::Record;
use crate::response::RequestError;

impl Round {
    pub(super) fn bootstrap(
        &mut self,
        cluster_id: &Str,
        nodes: &[Node],
        default_configs: &[(Str, Str)],
    ) -> Result<(), RequestError> {
        match self.image.cluster_id() {
            Some(known) if known != cluster_id => {
                let message = format!("this is cluster {known}, not {cluster_id}");
                return Err(RequestError::new(ErrorCode::INCONSISTENT_CLUSTER_ID, message));
            }
            Some(_) => {}
            None => self.found(cluster_id, default_configs),
        }
        for node in nodes {
            if self.image.nodes().all(|known| known != node) {
                self.push(Record::Node(node.clone()));
            }
        }
        Ok(())
    }

    fn found(&mut self, cluster_id: &Str, default_configs: &[(Str, Str)]) {
        self.push(Record::ClusterId(cluster_id.clone()));
        for (name, value) in default_configs {
            let (resource, name) = (ConfigResource::DEFAULT_BROKER, name.clone());
            self.push(Record::Config { resource, name, value: Some(value.clone()) });
        }
    }
}
