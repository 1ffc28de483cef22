//! The certificate of a model. It is read only when it is not known to be good: values of Secrets are in
//! no cache. A model that cannot be brought to its spec keeps it, for its pods go on with what was good
//! before.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    ca::{Authority, CaError, Issued, Need, Subject, need, seen},
    context::Context,
    error::Result,
    model::{build::certificate, validate::Model},
    names,
    tenant::{paper as kept_or_issued, tls_secret},
};

/// The certificate of a model that is brought to its spec.
pub struct Paper {
    /// `None` while the stored one is known to be good.
    pub issued: Option<Issued>,
    /// When to look again.
    pub left: Duration,
    /// What the certificate is good for.
    purpose: String,
}

/// As it is stored if it is good, else a fresh one.
pub async fn paper(model: &Model, context: &Context) -> Result<Paper> {
    let (namespace, name) = (model.namespace.as_str(), names::model_tls(&model.name));
    let (authority, subject, now) = (context.authority.get(), model.server(), Timestamp::now());
    let purpose = purpose(&authority, &subject, model);
    let known = context.applier.known();
    let until = known.good_until(namespace, &name, &purpose);
    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        return Ok(Paper {
            issued: None,
            left,
            purpose,
        });
    }
    let stored = context.applier.get_own(namespace, &name).await?;
    let (issued, left) = kept_or_issued(&authority, &subject, stored.as_ref(), now)?;
    Ok(Paper {
        issued: Some(issued),
        left,
        purpose,
    })
}

/// The certificate was found or written as it is to be.
pub fn note(model: &Model, paper: &Paper, context: &Context) {
    if paper.issued.is_some() {
        let name = names::model_tls(&model.name);
        let until = Timestamp::now() + paper.left;
        let known = context.applier.known();
        known.good(&model.namespace, &name, &paper.purpose, until);
    }
}

/// All that a Secret with a certificate is made from.
fn purpose(authority: &Authority, subject: &Subject, model: &Model) -> String {
    let metadata = certificate::metadata(model);
    let names = subject.names().join(" ");
    let (signer, trusted) = (authority.certificate(), authority.bundle());
    format!("{names}\n{metadata:?}\n{signer}\n{trusted}")
}

/// Issues it again if it is due or of another CA. Without a certificate there are no pods.
pub async fn renew(namespace: &str, model: &str, context: &Context) -> Result<()> {
    let (applier, name) = (&context.applier, names::model_tls(model));
    let Some(stored) = applier.get_own::<Secret>(namespace, &name).await? else {
        return Ok(());
    };
    let fresh = fresh(&context.authority.get(), &stored, Timestamp::now())?;
    if let Some(fresh) = fresh {
        applier.apply(namespace, &fresh).await?;
    }
    Ok(())
}

/// The same for the same names, unless it is good.
fn fresh(
    authority: &Authority,
    stored: &Secret,
    now: Timestamp,
) -> Result<Option<Secret>, CaError> {
    let Some((found, _)) = seen(authority, stored) else {
        return Ok(None);
    };
    if matches!(need(Some(&found), &found.names, now), Need::Keep(_)) {
        return Ok(None);
    }
    let issued = authority.issue(&Subject::Server(found.names), now)?;
    let kept = stored.metadata.clone();
    let metadata = ObjectMeta {
        name: kept.name,
        namespace: kept.namespace,
        labels: kept.labels,
        owner_references: kept.owner_references,
        ..ObjectMeta::default()
    };
    Ok(Some(tls_secret(metadata, &issued)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::fresh;
    use crate::{
        ca::{Authority, Subject, seen},
        tenant::tls_secret,
    };
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    #[test]
    fn a_certificate_of_another_ca_is_issued_again_for_the_same_names_and_a_good_one_stays() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let authority = || Authority::open(&Authority::generate(now).unwrap()).unwrap();
        let (old, new) = (authority(), authority());
        let names = vec!["small-model".to_owned(), "small-model.team.svc".to_owned()];
        let issued = old.issue(&Subject::Server(names.clone()), now).unwrap();
        let metadata = ObjectMeta {
            name: Some("small-model-tls".into()),
            labels: Some([("of".to_owned(), "small".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let stored = tls_secret(metadata.clone(), &issued);
        assert!(fresh(&old, &stored, now).unwrap().is_none());
        let renewed = fresh(&new, &stored, now).unwrap().unwrap();
        assert_eq!(renewed.metadata, metadata);
        let (found, _) = seen(&new, &renewed).unwrap();
        assert!(found.ours);
        assert_eq!(found.names, names);
    }
}
