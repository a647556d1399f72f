//! AlterConfigs, the older way: what is not named is reset to its default.

use tidelog_wire::messages::alter_configs_request::AlterConfigsResource;
use tidelog_wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use tidelog_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};
use tidelog_wire::{ErrorCode, excerpt};

use super::config_changes::{ConfigChanges, NAMED_TWICE, repeated};
use super::{Context, Round};
use crate::response::RequestError;

impl Round {
    pub(super) fn alter_configs(
        &mut self,
        request: &AlterConfigsRequest,
        context: &Context<'_>,
    ) -> AlterConfigsResponse {
        let mut scratch = request.validate_only.then(|| self.clone());
        let round = scratch.as_mut().unwrap_or(self);
        let repeated = repeated(request.resources.iter().map(|named| (named.resource_type, &named.resource_name)));
        let responses = request.resources.iter().map(|resource| {
            let outcome = match repeated.contains(&(resource.resource_type, &resource.resource_name)) {
                true => Err(RequestError::new(ErrorCode::INVALID_REQUEST, NAMED_TWICE)),
                false => round.replace_configs(resource, context),
            };
            let (error_code, error_message) = RequestError::fields_of(outcome);
            AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
            }
        });
        AlterConfigsResponse { responses: responses.collect(), ..AlterConfigsResponse::default() }
    }

    fn replace_configs(&mut self, wanted: &AlterConfigsResource, context: &Context<'_>) -> Result<(), RequestError> {
        self.check_room()?;
        let resource = self.resource(wanted.resource_type, &wanted.resource_name)?;
        let mut changes: ConfigChanges = self.image.configs(&resource).map(|(name, _)| (name.clone(), None)).collect();
        for config in &wanted.configs {
            let Some(value) = &config.value else {
                let message = format!("{} needs a value", excerpt(&config.name));
                return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
            };
            changes.insert(config.name.detached(), Some(value.detached()));
        }
        self.change_configs(&resource, changes, context)
    }
}
