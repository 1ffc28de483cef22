//! The serving certificate of a model's ingresses.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    ca::Issued,
    model::{build::meta, validate::Model},
    names::{self, Component},
    tenant::tls_secret,
};

pub fn secret(model: &Model, issued: &Issued) -> Secret {
    tls_secret(metadata(model), issued)
}

pub fn metadata(model: &Model) -> ObjectMeta {
    meta(model, names::model_tls(&model.name), Component::Ingress)
}
