//! The certificate of a model that cannot be brought to its spec: its pods go on with what was good
//! before, and without a good certificate they would not.

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    ca::{Authority, CaError, Need, Subject, need, seen},
    context::Context,
    error::Result,
    names,
    tenant::tls_secret,
};

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
