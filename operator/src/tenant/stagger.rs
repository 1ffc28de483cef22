//! When an upgrade brings other images, only so many gateways restart at once: the others keep theirs
//! until there is room. The decision is pure; the places are the leader's memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::{settings::Settings, tenant::fetch::Found};

/// A gateway that has not come up by then no longer keeps the others waiting.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// Until one that waits asks again.
pub const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Namespaces whose gateways restart, and since when.
#[derive(Default)]
pub struct Rolling(Mutex<HashMap<String, Timestamp>>);

/// The images that a gateway's pods have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pipeline: String,
    sidecar: String,
}

/// A gateway as it is.
pub struct Live {
    images: Images,
    /// All its pods are as its template says, and ready.
    settled: bool,
}

impl Rolling {
    /// Whether a gateway must keep its images for now.
    pub fn keeps(
        &self,
        namespace: &str,
        live: &Live,
        wanted: &Images,
        (most, now): (usize, Timestamp),
    ) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decide(&mut places, namespace, live, wanted, (most, now))
    }
}

fn decide(
    places: &mut HashMap<String, Timestamp>,
    namespace: &str,
    live: &Live,
    wanted: &Images,
    (most, now): (usize, Timestamp),
) -> bool {
    places.retain(|_, since| now.duration_since(*since) < LONGEST);
    if live.images == *wanted {
        if live.settled {
            places.remove(namespace);
        }
        return false;
    }
    if places.contains_key(namespace) {
        return false;
    }
    if places.len() >= most {
        return true;
    }
    places.insert(namespace.to_owned(), now);
    false
}

impl Images {
    pub fn of(settings: &Settings) -> Self {
        Self {
            pipeline: settings.image_pipeline.clone(),
            sidecar: settings.image_sidecar.clone(),
        }
    }

    /// The settings with these images.
    pub fn kept_in(&self, settings: &Settings) -> Settings {
        Settings {
            image_pipeline: self.pipeline.clone(),
            image_sidecar: self.sidecar.clone(),
            ..settings.clone()
        }
    }

    fn of_template(template: &PodTemplateSpec) -> Option<Self> {
        let pod = template.spec.as_ref()?;
        let mut sidecars = pod.init_containers.iter().flatten();
        let image = |name: &str| {
            let found = pod.containers.iter().find(|one| one.name == name);
            found.and_then(|one| one.image.clone())
        };
        Some(Self {
            pipeline: image("gateway")?,
            sidecar: sidecars.find(|one| one.name == "egress")?.image.clone()?,
        })
    }
}

impl Live {
    /// None for a gateway that is yet to be made.
    pub fn of(found: &Found) -> Option<Self> {
        if let Some(deployment) = &found.replicas {
            let (spec, status) = (deployment.spec.as_ref()?, deployment.status.as_ref());
            let wanted = spec.replicas.unwrap_or(1);
            return Some(Self {
                images: Images::of_template(&spec.template)?,
                settled: status.is_some_and(|status| {
                    status.observed_generation == deployment.metadata.generation
                        && status.updated_replicas.unwrap_or_default() >= wanted
                        && status.replicas.unwrap_or_default() <= wanted
                        && status.ready_replicas.unwrap_or_default() >= wanted
                }),
            });
        }
        let set = found.gateway.as_ref()?;
        let status = set.status.as_ref();
        Some(Self {
            images: Images::of_template(&set.spec.as_ref()?.template)?,
            settled: status.is_some_and(|status| {
                status.observed_generation == set.metadata.generation
                    && status.update_revision == status.current_revision
                    && status.ready_replicas.unwrap_or_default() > 0
            }),
        })
    }

    pub fn images(&self) -> &Images {
        &self.images
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use jiff::{SignedDuration, Timestamp};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Images, Live, decide};
    use crate::tenant::fetch::Found;

    fn images(tag: &str) -> Images {
        Images {
            pipeline: format!("pipeline:{tag}"),
            sidecar: format!("sidecar:{tag}"),
        }
    }

    fn live(tag: &str, settled: bool) -> Live {
        Live {
            images: images(tag),
            settled,
        }
    }

    #[test]
    fn only_so_many_gateways_restart_until_one_has_come_up() {
        let (mut places, now) = (HashMap::new(), Timestamp::UNIX_EPOCH);
        let mut keeps = |namespace: &str, live: &Live| {
            decide(&mut places, namespace, live, &images("2"), (2, now))
        };
        assert!(!keeps("a", &live("1", true)));
        assert!(!keeps("b", &live("1", true)));
        assert!(keeps("c", &live("1", true)));
        assert!(!keeps("a", &live("1", true)), "it has its place");
        assert!(!keeps("a", &live("2", false)));
        assert!(keeps("c", &live("1", true)));
        assert!(!keeps("a", &live("2", true)));
        assert!(!keeps("c", &live("1", true)));
    }

    #[test]
    fn one_that_does_not_come_up_gives_its_place_up_after_a_while() {
        let (mut places, now) = (HashMap::new(), Timestamp::UNIX_EPOCH);
        let wanted = images("2");
        assert!(!decide(
            &mut places,
            "a",
            &live("1", true),
            &wanted,
            (1, now)
        ));
        assert!(!decide(
            &mut places,
            "a",
            &live("2", false),
            &wanted,
            (1, now)
        ));
        assert!(decide(
            &mut places,
            "b",
            &live("1", true),
            &wanted,
            (1, now)
        ));
        let later = now + SignedDuration::from_mins(5);
        assert!(!decide(
            &mut places,
            "b",
            &live("1", true),
            &wanted,
            (1, later)
        ));
    }

    fn pod(tag: &str) -> Value {
        json!({
            "initContainers": [
                {"name": "trust", "image": "other:9"},
                {"name": "egress", "image": format!("sidecar:{tag}")},
            ],
            "containers": [
                {"name": "other", "image": "other:9"},
                {"name": "gateway", "image": format!("pipeline:{tag}")},
            ],
        })
    }

    fn workload(pod: &Value, status: &Value) -> Value {
        json!({
            "metadata": {"name": "aios-gateway", "generation": 4},
            "spec": {"replicas": 2, "serviceName": "aios-gateway", "selector": {},
                "template": {"spec": pod}},
            "status": status,
        })
    }

    /// Of a gateway with PostgreSQL.
    fn replicated(pod: &Value, status: &Value) -> Option<Live> {
        let deployment = serde_json::from_value(workload(pod, status)).unwrap();
        Live::of(&Found {
            replicas: Some(deployment),
            ..Found::default()
        })
    }

    /// Of a gateway with a volume.
    fn alone(pod: &Value, status: &Value) -> Option<Live> {
        let set = serde_json::from_value(workload(pod, status)).unwrap();
        Live::of(&Found {
            gateway: Some(set),
            ..Found::default()
        })
    }

    #[test]
    fn a_gateways_images_are_those_of_its_two_containers() {
        for of in [replicated, alone] {
            let live = of(&pod("1"), &json!({})).unwrap();
            assert_eq!(*live.images(), images("1"));
            let strange = json!({"containers": [{"name": "gateway", "image": "pipeline:1"}]});
            assert!(of(&strange, &json!({})).is_none(), "it has no egress");
        }
        assert!(Live::of(&Found::default()).is_none());
    }

    #[rstest]
    #[case::all_are_new_and_ready(4, 2, 2, 2, true)]
    #[case::not_seen_yet(3, 2, 2, 2, false)]
    #[case::an_old_one_is_left(4, 2, 3, 2, false)]
    #[case::not_all_are_new(4, 1, 2, 2, false)]
    #[case::not_all_are_ready(4, 2, 2, 1, false)]
    fn replicas_have_come_up_once_all_are_new_ready_and_alone(
        #[case] observed: i64,
        #[case] updated: i32,
        #[case] replicas: i32,
        #[case] ready: i32,
        #[case] settled: bool,
    ) {
        let status = json!({"observedGeneration": observed, "updatedReplicas": updated,
            "replicas": replicas, "readyReplicas": ready});
        assert_eq!(replicated(&pod("1"), &status).unwrap().settled, settled);
    }

    #[rstest]
    #[case::new_and_ready(4, "b", 1, true)]
    #[case::not_seen_yet(3, "b", 1, false)]
    #[case::still_the_old_one(4, "a", 1, false)]
    #[case::not_ready(4, "b", 0, false)]
    fn a_gateway_with_a_volume_has_come_up_once_its_pod_is_new_and_ready(
        #[case] observed: i64,
        #[case] current: &str,
        #[case] ready: i32,
        #[case] settled: bool,
    ) {
        let status = json!({"observedGeneration": observed, "currentRevision": current,
            "updateRevision": "b", "replicas": 1, "readyReplicas": ready});
        assert_eq!(alone(&pod("1"), &status).unwrap().settled, settled);
    }
}
