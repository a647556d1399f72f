//! Founding the cluster: its id, its configured nodes, its first defaults. Asked again at each term of an active
//! controller, for nodes and `server.properties` may have changed.

use tidelog_wire::{ErrorCode, Str, excerpt};

use super::config_changes::{ConfigChanges, MIN_INSYNC_REPLICAS};
use super::{Context, Round};
use crate::features::FEATURES;
use crate::image::{ConfigResource, Node};
use crate::record::Record;
use crate::response::RequestError;

impl Round {
    pub(super) fn bootstrap(
        &mut self,
        cluster_id: &Str,
        nodes: &[Node],
        default_configs: &[(Str, Str)],
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        match self.image.cluster_id() {
            Some(known) if known != cluster_id => {
                let message = format!("this is cluster {known}, not {}", excerpt(cluster_id));
                return Err(RequestError::new(ErrorCode::INCONSISTENT_CLUSTER_ID, message));
            }
            Some(_) => {}
            None => self.found(cluster_id, default_configs),
        }
        for node in nodes {
            let known = self.image.nodes().find(|known| known.id == node.id).cloned();
            // A broker that was forgotten stays so until it registers; who is registered counts anyway.
            let is_broker = node.is_broker && known.as_ref().is_none_or(|known| known.is_broker);
            let node = Node { is_broker, ..node.clone() };
            if known.as_ref() != Some(&node) {
                self.push(Record::Node(node));
            }
        }
        self.finalize_features();
        self.adopt_static_min_isr(context)
    }

    /// Levels only rise: a controller of an older version leaves those of a newer one alone.
    fn finalize_features(&mut self) {
        for (name, level) in FEATURES {
            let finalized = self.image.features().find(|(known, _)| known.as_str() == name);
            if finalized.is_none_or(|(_, finalized)| finalized < level) {
                self.push(Record::FeatureLevel { name: Str::from_static(name), level });
            }
        }
    }

    /// Leader and controller count min ISR from the image alone, so one in `server.properties` is made the cluster-wide
    /// dynamic default, unless there is one.
    fn adopt_static_min_isr(&mut self, context: &Context<'_>) -> Result<(), RequestError> {
        let resource = ConfigResource::DEFAULT_BROKER;
        let Some(value) = context.static_configs.get(MIN_INSYNC_REPLICAS) else { return Ok(()) };
        if self.image.config(&resource, MIN_INSYNC_REPLICAS).is_some() {
            return Ok(());
        }
        let value = Some(Str::from(value.trim().to_owned()));
        let changes = ConfigChanges::from([(Str::from_static(MIN_INSYNC_REPLICAS), value)]);
        self.change_configs(&resource, changes, context)
    }

    fn found(&mut self, cluster_id: &Str, default_configs: &[(Str, Str)]) {
        self.push(Record::ClusterId(cluster_id.clone()));
        for (name, value) in default_configs {
            let (resource, name) = (ConfigResource::DEFAULT_BROKER, name.clone());
            self.push(Record::Config { resource, name, value: Some(value.clone()) });
        }
    }
}
