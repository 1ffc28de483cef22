//! Witness of every tenant's log: a signed head is kept only if it extends the one before. Heads
//! stand in the operator's namespace, out of the tenant's reach.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use aios_audit::{Checkpoint, Hash, LogKey, VerifierKey, verify_consistency};
use aios_proto::control::{WitnessRequest, WitnessResponse};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use tonic::Status;

use crate::{
    names::{self, Component, FIELD_MANAGER, LABEL_COMPONENT, TENANT_KEYS},
    triggers::Triggers,
};

const CHECKPOINT: &str = "checkpoint";
const FAULT: &str = "fault";
const LABEL_NAMESPACE: &str = "aios.dev/namespace";
const COMPONENT: &str = "witness";

/// What is kept of a tenant's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub checkpoint: Checkpoint,
    /// How the log was bent, if it was. Stays until a person removes the object.
    pub fault: Option<String>,
}

/// What becomes of a shown head.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It extends the kept one.
    Keep,
    /// It is the kept one.
    Known,
    /// The proof starts elsewhere.
    ProveFrom(u64),
    Bent(String),
}

pub struct Witness {
    client: Client,
    /// The operator's namespace.
    namespace: String,
    kept: Mutex<HashMap<String, Kept>>,
    triggers: Triggers,
}

#[derive(Clone)]
struct Kept {
    head: Head,
    resource_version: Option<String>,
}

impl Witness {
    /// Reads every kept head.
    pub async fn load(
        client: Client,
        namespace: &str,
        triggers: Triggers,
    ) -> Result<Self, kube::Error> {
        let selector = format!("{LABEL_COMPONENT}={COMPONENT}");
        let maps = Api::<ConfigMap>::namespaced(client.clone(), namespace)
            .list(&ListParams::default().labels(&selector))
            .await?;
        let kept = maps
            .items
            .iter()
            .filter_map(|map| Some((map.labels().get(LABEL_NAMESPACE)?.clone(), read(map)?)))
            .collect();
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
            kept: Mutex::new(kept),
            triggers,
        })
    }

    /// The head kept of a namespace's log.
    pub fn head(&self, namespace: &str) -> Option<Head> {
        self.lock().get(namespace).map(|kept| kept.head.clone())
    }

    /// Takes up what the object of a namespace says now.
    async fn reload(&self, namespace: &str) -> Result<(), kube::Error> {
        let map = self.api().get_opt(&names::witness(namespace)).await?;
        let found = map.as_ref().and_then(read);
        match found {
            Some(kept) => drop(self.lock().insert(namespace.to_owned(), kept)),
            None => drop(self.lock().remove(namespace)),
        }
        Ok(())
    }

    /// Judges a head that a namespace's gateway shows.
    pub async fn show(
        &self,
        namespace: &str,
        request: &WitnessRequest,
        pipelines: &[String],
    ) -> Result<WitnessResponse, Status> {
        if self
            .head(namespace)
            .is_some_and(|head| head.fault.is_some())
        {
            // A person may have looked into it and removed the object.
            self.reload(namespace).await.map_err(unavailable)?;
        }
        let kept = self.lock().get(namespace).cloned();
        if let Some(fault) = kept.as_ref().and_then(|kept| kept.head.fault.clone()) {
            return Ok(refused(kept.as_ref(), fault));
        }
        let key = self.verifier(namespace, &request.checkpoint).await?;
        let shown = Checkpoint::verify(&request.checkpoint, &key)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let head = kept.as_ref().map(|kept| &kept.head.checkpoint);
        let fault = match judge(head, &shown, request.proof_from, &proof(&request.proof)?) {
            Verdict::Known => return Ok(accepted(shown.size)),
            Verdict::ProveFrom(size) => {
                let message = format!("show a proof from the {size} leaves that are kept");
                return Ok(WitnessResponse {
                    accepted: false,
                    kept_size: size,
                    message,
                });
            }
            Verdict::Keep => None,
            Verdict::Bent(why) => Some(why),
        };
        let text = match (&fault, &kept) {
            // What was true before the log was bent is the evidence.
            (Some(_), Some(kept)) => kept.head.checkpoint.clone(),
            _ => shown.clone(),
        };
        let data = BTreeMap::from([
            (
                CHECKPOINT.to_owned(),
                unsigned_or(&request.checkpoint, &text, fault.is_some()),
            ),
            ("treeSize".to_owned(), text.size.to_string()),
            ("root".to_owned(), text.root.to_string()),
        ]);
        self.write(namespace, data, fault.clone(), kept.as_ref())
            .await?;
        for name in pipelines {
            self.triggers.pipeline(namespace, name);
        }
        match fault {
            None => Ok(accepted(shown.size)),
            Some(why) => {
                tracing::error!(namespace, why, "the tenant's log was bent");
                Ok(refused(kept.as_ref(), why))
            }
        }
    }

    /// The tenant's public key, derived from the seed that only its gateway and the operator read.
    async fn verifier(&self, namespace: &str, checkpoint: &str) -> Result<VerifierKey, Status> {
        let origin = Checkpoint::parse(checkpoint)
            .map_err(|error| Status::invalid_argument(error.to_string()))?
            .origin;
        if !origin.split('/').any(|segment| segment == namespace) {
            let message = format!("log `{origin}` is not one of namespace `{namespace}`");
            return Err(Status::permission_denied(message));
        }
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace)
            .get(TENANT_KEYS)
            .await
            .map_err(unavailable)?;
        let seed: [u8; 32] = secret
            .data
            .as_ref()
            .and_then(|data| data.get("signing.key"))
            .and_then(|bytes| bytes.0.clone().try_into().ok())
            .ok_or_else(|| {
                Status::failed_precondition("the tenant's signing key is not 32 bytes")
            })?;
        let key = LogKey::new(&origin, &seed)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(key.verifier())
    }

    /// Writes only over what was judged: another writer's head is never lost.
    async fn write(
        &self,
        namespace: &str,
        mut data: BTreeMap<String, String>,
        fault: Option<String>,
        kept: Option<&Kept>,
    ) -> Result<(), Status> {
        data.extend(fault.map(|why| (FAULT.to_owned(), why)));
        let mut map = ConfigMap {
            data: Some(data),
            ..ConfigMap::default()
        };
        map.metadata.name = Some(names::witness(namespace));
        map.metadata.namespace = Some(self.namespace.clone());
        let mut labels = names::labels(Component::Tenant, namespace);
        labels.insert(LABEL_COMPONENT.into(), COMPONENT.into());
        labels.insert(LABEL_NAMESPACE.into(), namespace.into());
        map.metadata.labels = Some(labels);
        let api = self.api();
        let written = match kept.and_then(|kept| kept.resource_version.clone()) {
            None => {
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PostParams::default()
                };
                api.create(&params, &map).await
            }
            Some(version) => {
                // A merge, because an apply would make an object anew that a person deleted.
                let patch = merge(&map, &version);
                let params = PatchParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                api.patch(&names::witness(namespace), &params, &Patch::Merge(&patch))
                    .await
            }
        };
        match written {
            Ok(map) => {
                if let Some(kept) = read(&map) {
                    self.lock().insert(namespace.to_owned(), kept);
                }
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.reload(namespace).await.map_err(unavailable)?;
                Err(Status::aborted(
                    "another head was kept meanwhile: show this one again",
                ))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn api(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a head may be kept.
fn judge(kept: Option<&Checkpoint>, shown: &Checkpoint, from: u64, proof: &[Hash]) -> Verdict {
    let Some(kept) = kept else {
        return Verdict::Keep;
    };
    if kept == shown {
        return Verdict::Known;
    }
    // A smaller head, too: another gateway of the namespace may have shown a later one while this one
    // was on its way. Only who knows what is kept and still has less admits that the log shrank.
    let moved = kept.origin == shown.origin && kept.size != shown.size;
    if moved && from != kept.size {
        return Verdict::ProveFrom(kept.size);
    }
    match verify_consistency(kept, shown, proof) {
        Ok(()) => Verdict::Keep,
        Err(error) => Verdict::Bent(error.to_string()),
    }
}

fn read(map: &ConfigMap) -> Option<Kept> {
    let data = map.data.as_ref()?;
    let checkpoint = Checkpoint::parse(data.get(CHECKPOINT)?).ok()?;
    let head = Head {
        checkpoint,
        fault: data.get(FAULT).cloned(),
    };
    Some(Kept {
        head,
        resource_version: map.resource_version(),
    })
}

/// The signed text as shown; after a fault the kept head, whose signature is in the object's past.
fn unsigned_or(signed: &str, kept: &Checkpoint, bent: bool) -> String {
    if bent {
        format!("{kept}\n\n")
    } else {
        signed.to_owned()
    }
}

fn proof(hashes: &[Vec<u8>]) -> Result<Vec<Hash>, Status> {
    hashes
        .iter()
        .map(|bytes| bytes.clone().try_into().map(Hash))
        .collect::<Result<_, _>>()
        .map_err(|_| Status::invalid_argument("each hash of the proof has 32 bytes"))
}

fn accepted(size: u64) -> WitnessResponse {
    WitnessResponse {
        accepted: true,
        kept_size: size,
        message: String::new(),
    }
}

fn refused(kept: Option<&Kept>, message: String) -> WitnessResponse {
    let kept_size = kept.map_or(0, |kept| kept.head.checkpoint.size);
    WitnessResponse {
        accepted: false,
        kept_size,
        message,
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "used as a function of map_err"
)]
fn unavailable(error: kube::Error) -> Status {
    tracing::warn!(%error, "witness");
    Status::unavailable("the API server does not answer")
}

/// What changes a kept head that is still at `version`; a fault that is over is taken out.
fn merge(map: &ConfigMap, version: &str) -> serde_json::Value {
    let mut data = serde_json::json!(map.data);
    if let Some(data) = data.as_object_mut() {
        data.entry(FAULT).or_insert(serde_json::Value::Null);
    }
    serde_json::json!({
        "metadata": {"resourceVersion": version, "labels": map.metadata.labels},
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Verdict, judge};
    use aios_audit::{Checkpoint, Log, leaf_hash};

    fn log(leaves: &[&str]) -> Log {
        leaves
            .iter()
            .map(|leaf| leaf_hash(leaf.as_bytes()))
            .collect()
    }

    fn head(log: &Log) -> Checkpoint {
        Checkpoint {
            origin: "aios.dev/team/u".into(),
            size: log.size(),
            root: log.root(),
        }
    }

    #[test]
    fn the_first_head_is_kept() {
        assert_eq!(judge(None, &head(&log(&["a"])), 0, &[]), Verdict::Keep);
    }

    #[test]
    fn a_head_that_extends_the_kept_one_is_kept() {
        let (old, new) = (log(&["a", "b"]), log(&["a", "b", "c"]));
        let proof = new.consistency_proof(2, 3).unwrap();
        assert_eq!(
            judge(Some(&head(&old)), &head(&new), 2, &proof),
            Verdict::Keep
        );
        assert_eq!(
            judge(Some(&head(&old)), &head(&old), 0, &[]),
            Verdict::Known
        );
    }

    #[test]
    fn a_proof_from_elsewhere_is_asked_for_again() {
        let (old, new) = (log(&["a", "b"]), log(&["a", "b", "c"]));
        let proof = new.consistency_proof(1, 3).unwrap();
        assert_eq!(
            judge(Some(&head(&old)), &head(&new), 1, &proof),
            Verdict::ProveFrom(2)
        );
    }

    #[test]
    fn a_head_that_another_gateway_outran_is_asked_for_again() {
        let (old, new) = (log(&["a"]), log(&["a", "b"]));
        assert_eq!(
            judge(Some(&head(&new)), &head(&old), 1, &[]),
            Verdict::ProveFrom(2)
        );
    }

    #[test]
    fn rewritten_shrunk_and_exchanged_logs_are_bent() {
        let old = log(&["a", "b"]);
        let forked = log(&["a", "x", "c"]);
        let proof = forked.consistency_proof(2, 3).unwrap();
        let bent = |shown: &Checkpoint, proof: &[_]| {
            matches!(judge(Some(&head(&old)), shown, 2, proof), Verdict::Bent(_))
        };
        assert!(bent(&head(&forked), &proof));
        assert!(bent(&head(&log(&["a"])), &[]));
        let mut other = head(&log(&["a", "b", "c"]));
        other.origin = "aios.dev/team/v".into();
        assert!(bent(&other, &[]));
    }
}
