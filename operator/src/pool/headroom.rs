//! Room for the next pods of a GPU class before anybody asks: a CapacityBuffer in each namespace whose models
//! name the class, which Karpenter or cluster-autoscaler answers with nodes. It belongs to those models, so
//! that the garbage collector takes it away with the last of them.
//! <https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/proposals/buffers.md>

use std::collections::BTreeMap;

use aios_crds::ModelDeployment;
use k8s_openapi::{
    api::core::v1::{Container, PodSpec, PodTemplate, PodTemplateSpec, ResourceRequirements},
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use kube::{ResourceExt, api::ListParams};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    apply::owned_by,
    context::Context,
    error::Result,
    names::{FIELD_MANAGER, LABEL_GPU_CLASS, LABEL_MANAGED_BY, LABEL_NAME},
    pods::{container_security, pod_security},
    pool::{
        build::{labels, name, placement},
        class::{GpuClass, GpuClasses, Headroom},
        kinds::CapacityBuffer,
        watch::class_of,
    },
};

/// No pod of the template ever runs: it only says what fits.
const IMAGE: &str = "registry.k8s.io/pause:3.10";
const GPU: &str = "nvidia.com/gpu";

/// Whether the cluster has the kind.
pub struct Buffers {
    pub(super) is_served: watch::Receiver<bool>,
}

impl Buffers {
    fn is_served(&self) -> bool {
        *self.is_served.borrow()
    }
}

/// Brings the headroom of a namespace's classes, and removes what no model needs. Returns what is to be
/// said to a model of a class with headroom.
pub async fn keep(
    context: &Context,
    namespace: &str,
    class: Option<&GpuClass>,
) -> Result<Option<String>> {
    if !context.gpu_classes.offer_headroom() {
        return Ok(None);
    }
    let own = class.and_then(|class| Some((class, class.headroom.as_ref()?)));
    let is_served = context.buffers.is_served();
    let said = own.map(|(class, room)| told(class, room, namespace, is_served));
    if !is_served {
        return Ok(said);
    }
    let living = context.stores.models(namespace);
    let wanted = wanted(&context.gpu_classes, &living);
    let applier = &context.applier;
    for (class, room, owners) in &wanted {
        let name = name(namespace, &class.name);
        let buffer = buffer(class, room, namespace, owners);
        let buffer: CapacityBuffer = applier.apply_unwatched(namespace, &name, buffer).await?;
        // It goes with its buffer, which waits for it at first.
        let owner = owned_by(&buffer, false).into_iter().collect();
        let template = serde_json::to_value(template(class, room, namespace, owner))?;
        let _: PodTemplate = applier.apply_unwatched(namespace, &name, template).await?;
    }
    let ours = format!("{LABEL_GPU_CLASS},{LABEL_MANAGED_BY}={FIELD_MANAGER}");
    let selected = ListParams::default().labels(&ours);
    let buffers: Vec<CapacityBuffer> = applier.list(namespace, namespace, &selected).await?;
    for left in buffers {
        let left_name = left.name_any();
        let is_wanted = |class: &GpuClass| name(namespace, &class.name) == left_name;
        if wanted.iter().any(|(class, ..)| is_wanted(class)) {
            continue;
        }
        let uid = left.uid().unwrap_or_default();
        applier
            .delete::<CapacityBuffer>(namespace, &left_name, &uid)
            .await?;
    }
    Ok(said)
}

/// Classes with headroom that living models name, each with those models.
fn wanted<'a>(
    classes: &'a GpuClasses,
    living: &[ModelDeployment],
) -> Vec<(&'a GpuClass, &'a Headroom, Vec<OwnerReference>)> {
    let mut owners: BTreeMap<&str, Vec<OwnerReference>> = BTreeMap::new();
    for model in living {
        if let (Some(class), Some(owner)) = (class_of(model), owned_by(model, false)) {
            owners.entry(class).or_default().push(owner);
        }
    }
    let wanted = owners.into_iter().filter_map(|(class, mut owners)| {
        let class = classes.find(class).ok()?;
        owners.sort_by(|a, b| a.uid.cmp(&b.uid));
        Some((class, class.headroom.as_ref()?, owners))
    });
    wanted.collect()
}

fn told(class: &GpuClass, room: &Headroom, namespace: &str, is_served: bool) -> String {
    let Headroom { pods, gpus } = room;
    if is_served {
        let name = name(namespace, &class.name);
        return format!(
            "CapacityBuffer {name} asks for room for {pods} more pods with {gpus} GPUs"
        );
    }
    format!(
        "room for {pods} more pods is not kept, for the cluster has no CapacityBuffer of \
         autoscaling.x-k8s.io/v1beta1: install cluster-autoscaler's or Karpenter's (1.14, feature gate \
         CapacityBuffer), or take headroom out of gpuClasses[{}]",
        class.name
    )
}

fn meta(class: &GpuClass, namespace: &str, owners: Vec<OwnerReference>) -> ObjectMeta {
    let mut labels = labels(namespace, &class.name);
    labels.insert(LABEL_NAME.into(), "aios".into());
    labels.insert(LABEL_MANAGED_BY.into(), FIELD_MANAGER.into());
    ObjectMeta {
        name: Some(name(namespace, &class.name)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        owner_references: Some(owners),
        ..ObjectMeta::default()
    }
}

/// The shape of a pod of the class.
fn template(
    class: &GpuClass,
    room: &Headroom,
    namespace: &str,
    owner: Vec<OwnerReference>,
) -> PodTemplate {
    let gpus: BTreeMap<_, _> = [(GPU.to_owned(), Quantity(room.gpus.to_string()))].into();
    let mut pod = PodSpec {
        automount_service_account_token: Some(false),
        security_context: Some(pod_security()),
        containers: vec![Container {
            name: "room".into(),
            image: Some(IMAGE.into()),
            security_context: Some(container_security()),
            resources: Some(ResourceRequirements {
                requests: Some(gpus.clone()),
                limits: Some(gpus),
                claims: None,
            }),
            ..Container::default()
        }],
        ..PodSpec::default()
    };
    placement(class, namespace).put(&mut pod);
    PodTemplate {
        metadata: meta(class, namespace, owner),
        template: Some(PodTemplateSpec {
            metadata: None,
            spec: Some(pod),
        }),
    }
}

fn buffer(class: &GpuClass, room: &Headroom, namespace: &str, owners: &[OwnerReference]) -> Value {
    json!({
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": meta(class, namespace, owners.to_vec()),
        "spec": {
            "podTemplateRef": {"name": name(namespace, &class.name)},
            "replicas": room.pods,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::ModelDeployment;
    use serde_json::json;

    use super::{buffer, template, told, wanted};
    use crate::{pool::class::GpuClasses, testing::self_hosted};

    fn classes() -> GpuClasses {
        GpuClasses::parse(
            r#"[{"name": "l4", "nodes": "Existing", "labels": {"gpu": "l4"},
                    "headroom": {"pods": 2, "gpus": 4}},
                {"name": "rack", "nodes": "Existing", "labels": {"gpu": "old"}}]"#,
        )
        .unwrap()
    }

    fn model(name: &str, class: Option<&str>) -> ModelDeployment {
        let mut model = self_hosted(0);
        model.metadata.name = Some(name.into());
        model.metadata.uid = Some(format!("uid-{name}"));
        let gpu = model.spec.self_hosted.as_mut().unwrap().gpu.as_mut();
        gpu.unwrap().class = class.map(Into::into);
        model
    }

    #[test]
    fn headroom_is_kept_for_the_classes_that_living_models_name_and_belongs_to_them() {
        let classes = classes();
        let living = [
            model("b", Some("l4")),
            model("a", Some("l4")),
            model("c", Some("rack")),
            model("d", None),
            model("e", Some("unknown")),
        ];
        let wanted = wanted(&classes, &living);
        let [(class, room, owners)] = wanted.as_slice() else {
            unreachable!("{wanted:?}");
        };
        assert_eq!(class.name, "l4");
        let uids: Vec<_> = owners.iter().map(|owner| owner.uid.as_str()).collect();
        assert_eq!(uids, ["uid-a", "uid-b"]);
        assert!(owners.iter().all(|owner| owner.controller.is_none()));

        let buffer = buffer(class, room, "team", owners);
        assert_eq!(buffer["spec"]["replicas"], 2);
        let template = serde_json::to_value(template(class, room, "team", Vec::new())).unwrap();
        let name = &template["metadata"]["name"];
        assert_eq!(&buffer["spec"]["podTemplateRef"]["name"], name);
        assert_eq!(&buffer["metadata"]["name"], name);
        let pod = &template["template"]["spec"];
        assert_eq!(pod["nodeSelector"], json!({"gpu": "l4"}));
        assert_eq!(pod["tolerations"][0]["key"], "nvidia.com/gpu");
        let asked = &pod["containers"][0]["resources"]["requests"];
        assert_eq!(asked, &json!({"nvidia.com/gpu": "4"}));
        crate::testing::assert_restricted(&json!({"spec": template}));
    }

    #[test]
    fn without_the_kind_a_model_says_so_and_what_to_install() {
        let classes = classes();
        let class = classes.find("l4").unwrap();
        let room = class.headroom.as_ref().unwrap();
        let said = told(class, room, "team", false);
        assert!(said.contains("feature gate"), "{said}");
        assert!(said.contains("gpuClasses[l4]"), "{said}");
        let said = told(class, room, "team", true);
        assert!(said.contains("2 more pods with 4 GPUs"), "{said}");
    }
}
