//! The CA's Secret, and certificates as Secrets hold them.

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};

use crate::{
    ca::{Authority, Issued, Seen},
    error::{Error, Result, Verb},
    names::{self, CA, Component, FIELD_MANAGER},
};

/// Key of the CA's certificate, in its Secret and in every tenant's ConfigMap.
pub const CA_CRT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";

/// Reads the CA of the operator's namespace, or makes it. Two operators that start at once end up
/// with the same one: creation is refused to the second.
pub async fn load(client: &Client, namespace: &str, now: Timestamp) -> Result<Authority> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let failed = |verb| move |error| Error::api(verb, "Secret", CA, error);
    if let Some(secret) = api.get_opt(CA).await.map_err(failed(Verb::Get))? {
        return open(&secret);
    }
    let issued = Authority::generate(now)?;
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    };
    match api.create(&params, &secret(namespace, &issued)).await {
        Ok(_) => Ok(Authority::open(&issued)?),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            open(&api.get(CA).await.map_err(failed(Verb::Get))?)
        }
        Err(error) => Err(failed(Verb::Create)(error)),
    }
}

/// The certificate of a `kubernetes.io/tls` Secret, judged by the CA.
pub fn seen(authority: &Authority, secret: &Secret) -> Option<(Seen, Issued)> {
    let stored = pair(secret, "tls.crt", "tls.key")?;
    Some((authority.see(&stored)?, stored))
}

fn open(secret: &Secret) -> Result<Authority> {
    let kept = pair(secret, CA_CRT, CA_KEY).ok_or(crate::ca::CaError::Unreadable)?;
    Ok(Authority::open(&kept)?)
}

fn pair(secret: &Secret, certificate: &str, key: &str) -> Option<Issued> {
    let text = |name: &str| {
        let bytes = secret.data.as_ref()?.get(name)?;
        String::from_utf8(bytes.0.clone()).ok()
    };
    Some(Issued {
        certificate: text(certificate)?,
        key: text(key)?,
    })
}

fn secret(namespace: &str, issued: &Issued) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let mut secret = Secret {
        type_: Some("Opaque".into()),
        data: Some(
            [
                (CA_CRT.to_owned(), bytes(&issued.certificate)),
                (CA_KEY.to_owned(), bytes(&issued.key)),
            ]
            .into(),
        ),
        ..Secret::default()
    };
    secret.metadata.name = Some(CA.into());
    secret.metadata.namespace = Some(namespace.into());
    secret.metadata.labels = Some(names::labels(Component::Tenant, CA));
    secret
}
