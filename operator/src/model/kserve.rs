//! Where KServe is installed, its controller runs the models of engine KServe: a group's pod, with the
//! ingress in it, is the predictor of an `InferenceService`, and what KServe says of that is read back.

use std::time::Duration;

use aios_crds::{ConditionType, Reason, model_deployment::EngineName};
use k8s_openapi::api::core::v1::PodSpec;
use kube::{CustomResource, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::{
    conditions::Fact,
    context::Context,
    error::Result,
    model::{
        fetch::Found,
        status::Standing,
        validate::{Backend, Model, Own},
    },
    names,
};

/// Group and version of the kind. The group prefers a version of other kinds.
const API: &str = "serving.kserve.io/v1beta1";
const PLURAL: &str = "inferenceservices";
/// Until one that is not ready is asked about again: nothing of KServe's is watched.
const LOOK: Duration = Duration::from_secs(15);

/// What of an `InferenceService` is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource)]
#[kube(
    group = "serving.kserve.io",
    version = "v1beta1",
    kind = "InferenceService",
    namespaced,
    status = "InferenceServiceStatus",
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(default)]
pub struct InferenceServiceSpec {
    pub predictor: Predictor,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Predictor {
    pub min_replicas: u32,
    pub max_replicas: u32,
    #[serde(flatten)]
    pub pod: PodSpec,
}

/// What of it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InferenceServiceStatus {
    pub observed_generation: i64,
    pub conditions: Vec<Said>,
}

/// One of KServe's conditions, which lack what Kubernetes' own must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// The `InferenceService` of a model that is to exist.
#[derive(Debug, Default)]
pub enum Wanted {
    #[default]
    None,
    /// The one that there is, until new weights are proven.
    Kept,
    Exactly(Box<InferenceService>),
}

/// What an `InferenceService` says.
#[derive(Clone, Debug)]
pub struct Told {
    pub name: String,
    pub fact: Fact,
    /// When it is asked again.
    pub again: Option<Duration>,
    pub standing: Standing,
}

/// Whether KServe can run it: groups that stand by, or beside those of another revision until they have
/// earned their calls, are nothing that KServe has.
pub fn may_run(own: &Own) -> bool {
    own.engine.name == EngineName::KServe && own.standby == 0 && own.rollout.is_none()
}

/// Whether KServe is installed, of a model that it may run, or ran.
pub async fn is_concerned(context: &Context, model: &Model) -> Result<bool> {
    let may_run = matches!(&model.backend, Backend::Own(own) if may_run(own));
    if !may_run && !model.had_inference_service {
        return Ok(false);
    }
    context.applier.serves(API, PLURAL).await
}

/// Brings it to what is wanted; what there is then.
pub async fn apply(
    context: &Context,
    model: &Model,
    found: &Found,
    wanted: &Wanted,
) -> Result<Option<InferenceService>> {
    if !found.kserve {
        return Ok(None);
    }
    let (applier, namespace) = (&context.applier, model.namespace.as_str());
    if let Wanted::Exactly(desired) = wanted {
        let (name, desired) = (desired.name_any(), serde_json::to_value(desired)?);
        let brought = applier.apply_unwatched(namespace, &name, desired);
        return brought.await.map(Some);
    }
    let name = names::model_inference(&model.name);
    let existing = applier.get::<InferenceService>(namespace, &name).await?;
    match (wanted, existing) {
        (Wanted::None, Some(orphan)) if is_of(model, &orphan) => {
            let uid = orphan.uid().unwrap_or_default();
            applier
                .delete::<InferenceService>(namespace, &name, &uid)
                .await?;
            Ok(None)
        }
        (Wanted::None, _) => Ok(None),
        (_, existing) => Ok(existing),
    }
}

fn is_of(model: &Model, object: &InferenceService) -> bool {
    let owners = object.owner_references();
    let mut own = model.owner.iter();
    own.any(|own| owners.iter().any(|owner| owner.uid == own.uid))
}

/// What it says of itself, in its own words.
pub fn told(object: &InferenceService) -> Told {
    let (name, status) = (object.name_any(), object.status.clone().unwrap_or_default());
    let is_current = Some(status.observed_generation) >= object.metadata.generation;
    let said = status.conditions.iter().find(|said| said.kind == "Ready");
    let is_ready = is_current && said.is_some_and(|said| said.status == "True");
    let words = match said {
        Some(said) if is_current => [said.reason.as_str(), said.message.as_str()]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(": "),
        _ => "KServe has not looked at it yet".to_owned(),
    };
    let kind = ConditionType::ShardsReady;
    let fact = if is_ready {
        Fact::yes(
            kind,
            Reason::Ready,
            format!("InferenceService `{name}` is ready"),
        )
    } else {
        let message = format!("InferenceService `{name}` is not ready: {words}");
        Fact::pending(kind, Reason::PodsNotReady, message)
    };
    let replicas = object.spec.predictor.min_replicas;
    let replicas = i32::try_from(replicas).unwrap_or(i32::MAX);
    Told {
        name,
        fact,
        again: (!is_ready).then_some(LOOK),
        standing: Standing {
            replicas,
            ready: if is_ready { replicas } else { 0 },
            updated: is_current,
            ..Standing::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::{ConditionType, Reason};
    use serde_json::json;

    use super::{InferenceService, told};
    use crate::conditions::State;

    fn object(generation: i64, observed: i64, ready: &str) -> InferenceService {
        serde_json::from_value(json!({
            "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "house-engine", "generation": generation},
            "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 2, "containers": []}},
            "status": {"observedGeneration": observed, "conditions": [
                {"type": "PredictorReady", "status": "False"},
                {"type": "Ready", "status": ready, "reason": "PredictorNotReady",
                    "message": "no node has a GPU"}]},
        }))
        .unwrap()
    }

    #[test]
    fn what_kserve_says_is_said_in_its_words() {
        let waits = told(&object(3, 3, "False"));
        assert_eq!(waits.fact.kind, ConditionType::ShardsReady);
        assert_eq!(
            (waits.fact.state, waits.fact.reason),
            (State::Unknown, Reason::PodsNotReady)
        );
        let words =
            "InferenceService `house-engine` is not ready: PredictorNotReady: no node has a GPU";
        assert_eq!(waits.fact.message, words);
        assert!(waits.again.is_some() && waits.standing.ready == 0);
        let ready = told(&object(3, 3, "True"));
        assert_eq!((ready.fact.state, ready.standing.ready), (State::True, 2));
        assert_eq!(ready.again, None);
    }

    #[test]
    fn what_kserve_said_of_an_older_spec_does_not_count() {
        let stale = told(&object(4, 3, "True"));
        assert_eq!(stale.fact.state, State::Unknown);
        assert!(
            stale.fact.message.contains("has not looked at it yet"),
            "{:?}",
            stale.fact
        );
    }
}
