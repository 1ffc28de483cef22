//! Who the ingresses of one model are. The control service lets them read that model alone.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::{
    model::{build::meta, validate::Model},
    names::{self, Component},
};

pub fn account(model: &Model) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(model, names::model_service(&model.name), Component::Ingress),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
