//! Where a gateway keeps its documents. Pure. Documents never move by themselves: a store that may
//! hold some stays the gateway's, whatever Secrets come or go.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Secret},
};

use crate::{
    names::{GATEWAY, GATEWAY_DATA},
    tenant::fetch::Found,
};

/// Key of the Secret, and file in the pod.
pub const URI: &str = "uri";
/// Volume of the Secret in the pod.
pub const POSTGRES: &str = "postgres";

/// Where the documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// SQLite on a volume, of one pod.
    Volume,
    /// The PostgreSQL of this Secret, of several pods.
    Postgres { secret: String },
}

/// A store, and why it is not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub store: Store,
    pub conflict: Option<String>,
}

/// `wanted` is the name that the platform gave such Secrets.
pub fn choose(found: &Found, wanted: Option<&str>) -> Choice {
    let given = found.postgres.as_ref().zip(wanted);
    if let Some(live) = &found.replicas {
        return stay_in_postgres(live, given);
    }
    let Some((secret, name)) = given else {
        return Choice {
            store: Store::Volume,
            conflict: None,
        };
    };
    if found.gateway.is_some() || found.claim.as_ref().is_some_and(remains) {
        return Choice {
            store: Store::Volume,
            conflict: Some(format!(
                "Secret `{name}` asks for PostgreSQL, and documents of this namespace are on volume \
                 {GATEWAY_DATA}, where they stay in use. Delete the Secret; or, to begin anew without \
                 them, delete persistentvolumeclaim/{GATEWAY_DATA} and statefulset/{GATEWAY}"
            )),
        };
    }
    Choice {
        store: Store::Postgres {
            secret: name.to_owned(),
        },
        conflict: (!has_uri(secret)).then(|| {
            format!(
                "Secret `{name}` has no key `{URI}`: add it, as \
                 postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full"
            )
        }),
    }
}

fn stay_in_postgres(live: &Deployment, given: Option<(&Secret, &str)>) -> Choice {
    if let Some((_, name)) = given.filter(|(secret, _)| has_uri(secret)) {
        let secret = name.to_owned();
        return Choice {
            store: Store::Postgres { secret },
            conflict: None,
        };
    }
    let secret = secret_of(live).unwrap_or_default();
    let conflict = format!(
        "documents of this namespace are in the PostgreSQL of Secret `{secret}`, which is gone, has no \
         key `{URI}`, or is not named by chart value gateway.postgres.secretName any more. Bring it back; \
         or, to begin anew on a volume without them, delete deployment/{GATEWAY}"
    );
    Choice {
        store: Store::Postgres { secret },
        conflict: Some(conflict),
    }
}

/// The Secret that a living gateway mounts.
fn secret_of(live: &Deployment) -> Option<String> {
    let volumes = live.spec.as_ref()?.template.spec.as_ref()?.volumes.as_ref();
    let mut volumes = volumes?.iter();
    let mounted = volumes.find(|volume| volume.name == POSTGRES)?;
    mounted.secret.as_ref()?.secret_name.clone()
}

/// One that is being deleted was given up by a person.
fn remains(claim: &PersistentVolumeClaim) -> bool {
    claim.metadata.deletion_timestamp.is_none()
}

fn has_uri(secret: &Secret) -> bool {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(URI))
        .is_some_and(|uri| !uri.0.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Store, choose};
    use crate::tenant::fetch::Found;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn secret() -> Value {
        json!({"metadata": {"name": "db"}, "data": {"uri": "cG9zdGdyZXNxbDovL2g="}})
    }

    fn deployment() -> Value {
        json!({"metadata": {"name": "aios-gateway"}, "spec": {"selector": {}, "template": {"spec":
            {"containers": [], "volumes": [{"name": "postgres", "secret": {"secretName": "db"}}]}}}})
    }

    fn postgres() -> Store {
        Store::Postgres {
            secret: "db".into(),
        }
    }

    #[test]
    fn a_new_tenant_has_postgres_if_its_secret_is_there_and_a_volume_if_not() {
        let found = Found {
            postgres: Some(read(secret())),
            ..Found::default()
        };
        let choice = choose(&found, Some("db"));
        assert_eq!((choice.store, choice.conflict), (postgres(), None));
        let choice = choose(&Found::default(), Some("db"));
        assert_eq!((choice.store, choice.conflict), (Store::Volume, None));
        let choice = choose(&Found::default(), None);
        assert_eq!((choice.store, choice.conflict), (Store::Volume, None));
    }

    #[rstest]
    #[case::gateway(Some(json!({"metadata": {"name": "aios-gateway"}})), None)]
    #[case::retained_claim(None, Some(json!({"metadata": {"name": "data-aios-gateway-0"}})))]
    fn a_secret_does_not_take_a_tenant_from_its_volume(
        #[case] gateway: Option<Value>,
        #[case] claim: Option<Value>,
    ) {
        let found = Found {
            gateway: gateway.map(read),
            claim: claim.map(read),
            postgres: Some(read(secret())),
            ..Found::default()
        };
        let choice = choose(&found, Some("db"));
        assert_eq!(choice.store, Store::Volume);
        assert!(choice.conflict.unwrap().contains("Delete the Secret"));
    }

    #[test]
    fn a_claim_that_a_person_deleted_is_given_up() {
        let claim = json!({"metadata": {"name": "data-aios-gateway-0",
            "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let found = Found {
            claim: Some(read(claim)),
            postgres: Some(read(secret())),
            ..Found::default()
        };
        assert_eq!(choose(&found, Some("db")).store, postgres());
    }

    #[test]
    fn without_its_secret_a_tenant_stays_with_its_postgres_and_says_so() {
        let found = Found {
            replicas: Some(read(deployment())),
            ..Found::default()
        };
        for wanted in [Some("db"), Some("other"), None] {
            let choice = choose(&found, wanted);
            assert_eq!(choice.store, postgres());
            assert!(choice.conflict.unwrap().contains("Bring it back"));
        }
        let found = Found {
            postgres: Some(read(secret())),
            ..found
        };
        assert_eq!(choose(&found, Some("db")).conflict, None);
    }

    #[test]
    fn a_secret_without_a_uri_is_named() {
        let found = Found {
            postgres: Some(read(json!({"metadata": {"name": "db"}}))),
            ..Found::default()
        };
        let choice = choose(&found, Some("db"));
        assert_eq!(choice.store, postgres());
        assert!(choice.conflict.unwrap().contains("no key `uri`"));
    }
}
