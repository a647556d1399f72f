//! IncrementalAlterConfigs: set, delete, append to and subtract from single configs (KIP-339).

use std::collections::BTreeSet;

use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use tidelog_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use tidelog_wire::{ErrorCode, Str, excerpt};

use super::config_changes::{ConfigChanges, NAMED_TWICE, definition_of, repeated};
use super::{Context, Round};
use crate::config::{ConfigType, list_items};
use crate::image::{ConfigResource, ConfigResourceType};
use crate::response::RequestError;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Round {
    pub(super) fn incremental_alter_configs(
        &mut self,
        request: &IncrementalAlterConfigsRequest,
        context: &Context<'_>,
    ) -> IncrementalAlterConfigsResponse {
        let mut scratch = request.validate_only.then(|| self.clone());
        let round = scratch.as_mut().unwrap_or(self);
        let repeated = repeated(request.resources.iter().map(|named| (named.resource_type, &named.resource_name)));
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in &request.resources {
            let outcome = match repeated.contains(&(resource.resource_type, &resource.resource_name)) {
                true => Err(RequestError::new(ErrorCode::INVALID_REQUEST, NAMED_TWICE)),
                false => round.alter_incrementally(resource, context),
            };
            responses.push(answer(resource, outcome));
        }
        IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
    }

    fn alter_incrementally(
        &mut self,
        wanted: &AlterConfigsResource,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        self.check_room()?;
        let resource = self.resource(wanted.resource_type, &wanted.resource_name)?;
        let mut changes = ConfigChanges::new();
        for config in &wanted.configs {
            let value = self.altered_value(&resource, config, context)?;
            if changes.insert(config.name.detached(), value).is_some() {
                let message = format!("{} is altered twice", excerpt(&config.name));
                return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
            }
        }
        self.change_configs(&resource, changes, context)
    }

    fn altered_value(
        &self,
        resource: &ConfigResource,
        config: &AlterableConfig,
        context: &Context<'_>,
    ) -> Result<Option<Str>, RequestError> {
        if config.config_operation == DELETE {
            return Ok(None);
        }
        let Some(value) = &config.value else {
            let message = format!("{} needs a value", excerpt(&config.name));
            return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
        };
        match config.config_operation {
            SET => Ok(Some(value.detached())),
            APPEND => {
                let in_force = self.list_in_force(resource, &config.name, context)?;
                let mut seen = BTreeSet::new();
                let items = in_force.iter().map(String::as_str).chain(list_items(value));
                let items: Vec<&str> = items.filter(|item| seen.insert(*item)).collect();
                Ok(Some(Str::from(items.join(","))))
            }
            SUBTRACT => {
                let removed: BTreeSet<&str> = list_items(value).collect();
                let mut items = self.list_in_force(resource, &config.name, context)?;
                items.retain(|item| !removed.contains(item.as_str()));
                Ok(Some(Str::from(items.join(","))))
            }
            operation => {
                let message = format!("{operation} is not an operation on configs");
                Err(RequestError::new(ErrorCode::INVALID_REQUEST, message))
            }
        }
    }

    /// What is appended to or subtracted from: the value set, or else the one in force by default.
    fn list_in_force(
        &self,
        resource: &ConfigResource,
        name: &Str,
        context: &Context<'_>,
    ) -> Result<Vec<String>, RequestError> {
        let definition = definition_of(resource, name).filter(|definition| definition.kind == ConfigType::List);
        let Some(definition) = definition else {
            let message = format!("{} is not a list; it can be set and deleted only", excerpt(name));
            return Err(RequestError::new(ErrorCode::INVALID_CONFIG, message));
        };
        let resolver = self.resolver(context);
        let value = match self.image.config(resource, name) {
            Some(value) => Some(value.as_str().into()),
            None if resource.kind == ConfigResourceType::Topic => resolver.topic_default(definition),
            None => resolver.broker_value(definition.name),
        };
        Ok(value.map(|value| list_items(&value).map(str::to_owned).collect()).unwrap_or_default())
    }
}

fn answer(resource: &AlterConfigsResource, outcome: Result<(), RequestError>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = RequestError::fields_of(outcome);
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    }
}
