//! The serving certificate of a model's ingresses.

use k8s_openapi::api::core::v1::Secret;

use crate::{
    ca::Issued,
    model::{build::meta, validate::Model},
    names::{self, Component},
    tenant::tls_secret,
};

pub fn secret(model: &Model, issued: &Issued) -> Secret {
    tls_secret(
        meta(model, names::model_tls(&model.name), Component::Ingress),
        issued,
    )
}
