//! Desired objects of a model. Pure: one file per kind of child.

mod account;
pub mod certificate;
mod copy;
mod deployment;
mod engines;
mod evaluation;
mod group;
mod inference;
mod ingress;
mod job;
mod network;
mod service;
mod shards;
mod volume;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, PodSpec, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    ca::Issued,
    model::{
        fetch::{Credentials, Found},
        groups::{Place, Want, beside, whole},
        kserve::{self, Wanted},
        prefetch::Fetched,
        rollout::Course,
        validate::{Backend, Model, Own},
    },
    names::{self, Component},
    pods::pod_security,
    settings::Settings,
};

/// Longest answer that a pod may finish when it is told to go.
const DRAIN_SECONDS: i64 = 60;

pub struct Desired {
    pub account: ServiceAccount,
    /// `None` while the one that is stored is good.
    pub certificate: Option<Secret>,
    pub services: Vec<Service>,
    pub network: Option<NetworkPolicy>,
    pub claim: Option<PersistentVolumeClaim>,
    pub prefetch: Option<Job>,
    /// The ingress of a hosted model. `None` until its key is there.
    pub hosted: Option<Deployment>,
    /// A Deployment that stays as it is until the key is there.
    pub kept: Option<String>,
    /// What groups run now. `None` until weights are there.
    pub revision: Option<String>,
    pub groups: Vec<DesiredGroup>,
    /// What KServe runs in place of groups.
    pub inference: Wanted,
    /// Asks a revision on trial. `None` while it is not to be asked.
    pub evaluation: Option<Job>,
}

/// A group that is to exist.
pub struct DesiredGroup {
    pub name: String,
    pub place: Place,
    /// Leader, then shards. Empty for a group of an older revision, which stays as it is.
    pub sets: Vec<StatefulSet>,
    /// Whether it is of a revision that a rollout keeps: nothing is to replace it.
    pub kept: bool,
}

pub fn build(
    settings: &Settings,
    model: &Model,
    found: &Found,
    certificate: Option<&Issued>,
) -> Desired {
    let mut desired = Desired {
        account: account::account(model),
        certificate: certificate.map(|issued| certificate::secret(model, issued)),
        services: Vec::new(),
        network: None,
        claim: None,
        prefetch: None,
        hosted: None,
        kept: None,
        revision: None,
        groups: Vec::new(),
        inference: Wanted::None,
        evaluation: None,
    };
    match &model.backend {
        Backend::Hosted { credentials } => {
            let service = service::active(model, Component::Ingress);
            desired.services.push(service);
            if matches!(found.credentials, Some(Credentials::Missing { .. })) {
                desired.kept = Some(names::model_service(&model.name));
            } else {
                desired.hosted = Some(deployment::hosted(settings, model, credentials.as_ref()));
            }
        }
        Backend::Own(own) => served_here(settings, model, own, found, &mut desired),
    }
    desired
}

fn served_here(
    settings: &Settings,
    model: &Model,
    own: &Own,
    found: &Found,
    desired: &mut Desired,
) {
    let service = service::active(model, Component::Engine);
    desired.services.push(service);
    if own.standby > 0 {
        desired.services.push(service::standby(model));
    }
    if own.pods > 1 {
        let meeting = engines::meeting(own);
        desired.services.push(service::shards(model, meeting));
        desired.network = Some(network::shards(model, meeting));
    }
    if own.engine.name.is_tenants_own() {
        desired.network = Some(network::ingress_only(model));
    }
    desired.claim = volume::claim(model, own);
    let is_kserves = found.kserve && kserve::may_run(own);
    desired.prefetch = (!own.weights.is_empty()).then(|| {
        let is_first = found.groups.is_empty() && !is_kserves;
        job::prefetch(settings, model, own, is_first)
    });
    let is_loadable =
        own.weights.is_empty() || found.weights.as_ref().is_some_and(Fetched::is_ready);
    if is_kserves {
        desired.inference = match (is_loadable, own.replicas) {
            (_, 0) => Wanted::None,
            (false, _) => Wanted::Kept,
            (true, _) => Wanted::Exactly(Box::new(inference::service(settings, model, own))),
        };
        return;
    }
    let wanted = group::revision(settings, model, own);
    desired.revision = is_loadable.then(|| wanted.clone());
    let want = Want {
        revision: desired.revision.as_deref(),
        active: own.replicas as usize,
        standby: own.waiting() as usize,
        now: found.at,
    };
    let mut stable = None;
    let places = match found.rollout.as_ref().map(|rollout| &rollout.course) {
        Some(Course::Beside {
            stable: kept,
            candidates,
        }) => {
            if *candidates > 0 {
                desired.services.push(service::next(model));
            }
            stable = Some(kept.as_str());
            beside(&want, kept, *candidates, &found.groups)
        }
        Some(Course::Whole { leaving }) => whole(&want, &wanted, *leaving, &found.groups),
        None => whole(&want, &wanted, false, &found.groups),
    };
    desired.groups = places
        .into_iter()
        .map(|place| {
            let kept = stable == Some(place.revision.as_str());
            let revision = desired.revision.as_deref();
            let mut group = desired_group(settings, model, own, revision, place);
            group.kept = kept;
            if kept && found.groups.iter().all(|seen| seen.name != group.name) {
                group.sets = copy::group(&found.sets, &group.name, &group.place);
            }
            group
        })
        .collect();
    desired.evaluation = found.rollout.as_ref().and_then(|rollout| {
        let (asking, set) = (rollout.due.as_ref()?, rollout.set.as_ref().ok()?);
        let evaluation = &own.rollout.as_ref()?.evaluation;
        Some(evaluation::job(settings, model, evaluation, asking, set))
    });
}

/// Names what the pods of a self-hosted model run by its spec.
pub fn revision(settings: &Settings, model: &Model) -> Option<String> {
    match &model.backend {
        Backend::Own(own) => Some(group::revision(settings, model, own)),
        Backend::Hosted { .. } => None,
    }
}

fn desired_group(
    settings: &Settings,
    model: &Model,
    own: &Own,
    revision: Option<&str>,
    place: Place,
) -> DesiredGroup {
    let name = names::model_group(&model.name, &place.revision, place.slot);
    let mut sets = Vec::new();
    if revision == Some(place.revision.as_str()) {
        sets.push(group::leader(settings, model, own, &name, &place));
        if own.pods > 1 {
            sets.push(shards::shards(settings, model, own, &name, &place));
        }
    }
    DesiredGroup {
        name,
        place,
        sets,
        kept: false,
    }
}

fn meta(model: &Model, name: String, component: Component) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(model.namespace.clone()),
        labels: Some(names::model_labels(component, &model.name)),
        owner_references: Some(model.owner.clone()),
        ..ObjectMeta::default()
    }
}

/// What all pods of a model share.
fn base(model: &Model) -> PodSpec {
    let mut pod = PodSpec {
        service_account_name: Some(names::model_service(&model.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(DRAIN_SECONDS),
        security_context: Some(pod_security()),
        ..PodSpec::default()
    };
    model.placement.put(&mut pod);
    pod
}

#[cfg(test)]
mod asleep_tests;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod revision_tests;
#[cfg(test)]
mod rollout_tests;
#[cfg(test)]
mod tests;
