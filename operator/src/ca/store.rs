//! The CA's Secret, and certificates as Secrets hold them.

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, ResourceExt, api::PostParams};

use crate::{
    ca::{Authority, CaError, Issued, Kept, Seen, Stage},
    error::{Error, Result, Verb},
    names::{self, CA, Component, FIELD_MANAGER},
};

/// Key of the CA's certificate, in its Secret and in every tenant's ConfigMap.
pub const CA_CRT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const NEXT_CRT: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS_CRT: &str = "previous.crt";

/// A person's wish for another CA: any text that is not the one before.
pub const ASKED: &str = "aios.dev/rotate-ca";
const OBEYED: &str = "aios.dev/rotated-ca";
const SINCE: &str = "aios.dev/ca-stage-since";

/// Reads the CA of the operator's namespace, or makes it. Two operators that start at once end up
/// with the same one: creation is refused to the second.
pub async fn load(client: &Client, namespace: &str, now: Timestamp) -> Result<Authority> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let failed = |verb| move |error| Error::api(verb, "Secret", CA, error);
    if let Some(secret) = api.get_opt(CA).await.map_err(failed(Verb::Get))? {
        return Ok(read(&secret)?.authority()?);
    }
    let kept = Kept::new(Authority::generate(now)?);
    match api.create(&written_by_us(), &fresh(namespace, &kept)).await {
        Ok(_) => Ok(kept.authority()?),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let secret = api.get(CA).await.map_err(failed(Verb::Get))?;
            Ok(read(&secret)?.authority()?)
        }
        Err(error) => Err(failed(Verb::Create)(error)),
    }
}

/// The certificate of a `kubernetes.io/tls` Secret, judged by the CA.
pub fn seen(authority: &Authority, secret: &Secret) -> Option<(Seen, Issued)> {
    let stored = pair(secret, "tls.crt", "tls.key")?;
    Some((authority.see(&stored)?, stored))
}

/// What the CA's Secret says.
pub fn read(secret: &Secret) -> Result<Kept, CaError> {
    let note = |key: &str| secret.annotations().get(key).cloned();
    let since = note(SINCE).and_then(|text| text.parse().ok());
    let stage = if let Some(next) = pair(secret, NEXT_CRT, NEXT_KEY) {
        Stage::Introducing { next, since }
    } else if let Some(previous) = text(secret, PREVIOUS_CRT) {
        Stage::Retiring { previous, since }
    } else {
        Stage::Settled
    };
    Ok(Kept {
        signing: pair(secret, CA_CRT, CA_KEY).ok_or(CaError::Unreadable)?,
        stage,
        asked: note(ASKED),
        obeyed: note(OBEYED),
    })
}

/// Puts it in place of what was read in `secret`; refused if somebody else wrote meanwhile.
pub async fn replace(
    api: &Api<Secret>,
    secret: &Secret,
    kept: &Kept,
) -> Result<Secret, kube::Error> {
    api.replace(CA, &written_by_us(), &with(secret.clone(), kept))
        .await
}

fn with(mut secret: Secret, kept: &Kept) -> Secret {
    let mut data = vec![
        (CA_CRT, kept.signing.certificate.as_str()),
        (CA_KEY, kept.signing.key.as_str()),
    ];
    let since = match &kept.stage {
        Stage::Settled => &None,
        Stage::Introducing { next, since } => {
            data.extend([(NEXT_CRT, next.certificate.as_str()), (NEXT_KEY, &next.key)]);
            since
        }
        Stage::Retiring { previous, since } => {
            data.push((PREVIOUS_CRT, previous));
            since
        }
    };
    let bytes = |(key, text): (&str, &str)| (key.to_owned(), ByteString(text.into()));
    secret.data = Some(data.into_iter().map(bytes).collect());
    let notes = secret.annotations_mut();
    let mut note = |key: &str, text: Option<String>| match text {
        Some(text) => notes.insert(key.to_owned(), text),
        None => notes.remove(key),
    };
    note(SINCE, since.map(|since| since.to_string()));
    note(OBEYED, kept.obeyed.clone());
    secret
}

fn fresh(namespace: &str, kept: &Kept) -> Secret {
    let mut secret = Secret {
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(CA.into());
    secret.metadata.namespace = Some(namespace.into());
    secret.metadata.labels = Some(names::labels(Component::Tenant, CA));
    with(secret, kept)
}

fn written_by_us() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

fn pair(secret: &Secret, certificate: &str, key: &str) -> Option<Issued> {
    Some(Issued {
        certificate: text(secret, certificate)?,
        key: text(secret, key)?,
    })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ASKED, fresh, read, with};
    use crate::ca::{Authority, Kept};
    use jiff::Timestamp;
    use kube::ResourceExt;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn every_stage_outlives_the_operator_in_its_secret() {
        let made = || Authority::generate(now()).unwrap();
        let mut secret = fresh("aios-system", &Kept::new(made()));
        secret.annotations_mut().insert(ASKED.into(), "once".into());
        let settled = read(&secret).unwrap();
        assert_eq!(settled.asked.as_deref(), Some("once"));
        let introduced = settled.introduced(made(), now());
        let switched = introduced.clone().switched(now());
        let retired = switched.clone().retired();
        for stage in [introduced, switched, retired] {
            secret = with(secret, &stage);
            assert!(read(&secret).unwrap() == stage);
            assert!(secret.metadata.labels.is_some());
        }
        let left = secret.data.unwrap();
        assert_eq!(left.keys().collect::<Vec<_>>(), ["ca.crt", "ca.key"]);
    }
}
