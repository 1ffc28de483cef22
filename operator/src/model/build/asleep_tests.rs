#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aios_crds::ModelDeployment;
use jiff::Timestamp;
use rstest::rstest;
use serde_json::json;

use super::{build, tests::found};
use crate::{
    control::Load,
    model::{
        groups::{Role, group},
        prefetch::Fetched,
        scale::{Past, decide},
        validate::{Backend, validate},
    },
    testing::{self_hosted, settings},
};

/// Groups that take traffic, and groups that wait.
type Groups = (usize, usize);

/// What a model with one standby, of which there are the groups of before, becomes with so many replicas.
fn groups(model: &ModelDeployment, replicas: u32, before: Groups) -> Groups {
    let mut valid = validate(model).unwrap();
    if let Backend::Own(own) = &mut valid.backend {
        own.replicas = replicas;
    }
    let mut found = found(Some(Fetched::Ready), None);
    let revision = super::revision(&settings(), &valid).unwrap();
    let roles = [(Role::Active, before.0), (Role::Standby, before.1)];
    let roles = roles.into_iter().flat_map(|(role, n)| vec![role; n]);
    let seen = (1..).zip(roles);
    found.groups = seen
        .map(|(slot, role)| group(&revision, slot, role, true))
        .collect();
    let desired = build(&settings(), &valid, &found, None);
    let wanted = usize::try_from(valid.groups()).unwrap();
    assert_eq!(wanted, desired.groups.len(), "nodes are asked for as many");
    let services = desired.services.iter();
    let mut names = services.filter_map(|service| service.metadata.name.as_deref());
    let stands = names.any(|name| name == "small-standby");
    assert!(stands, "egresses know its address in any case");
    let of = |role: Role| desired.groups.iter().filter(move |g| g.place.role == role);
    (of(Role::Active).count(), of(Role::Standby).count())
}

#[rstest]
#[case::goes_to_sleep(0, (1, 1), (0, 0))]
#[case::sleeps(0, (0, 0), (0, 0))]
#[case::wakes(1, (0, 0), (1, 1))]
#[case::is_awake(2, (1, 1), (2, 1))]
fn a_standby_goes_with_the_last_group_and_comes_back_with_the_first(
    #[case] replicas: u32,
    #[case] before: Groups,
    #[case] after: Groups,
) {
    assert_eq!(groups(&self_hosted(1), replicas, before), after);
}

#[test]
fn a_model_that_others_scale_to_zero_has_no_standby_either() {
    let mut model = self_hosted(1);
    model.spec.replicas = 0;
    model.spec.scaling = serde_json::from_value(json!({"mode": "External"})).unwrap();
    let valid = validate(&model).unwrap();
    let found = found(Some(Fetched::Ready), None);
    assert!(build(&settings(), &valid, &found, None).groups.is_empty());
}

#[rstest]
#[case::nobody_asks(0, false, (0, 0))]
#[case::a_schedule(2, false, (2, 1))]
#[case::a_run_with_a_deadline_or_of_a_trigger(0, true, (1, 1))]
fn waking_ahead_brings_groups_and_standby_together(
    #[case] scheduled: i32,
    #[case] is_expected: bool,
    #[case] after: Groups,
) {
    let scaling = json!({"min": 0, "max": 4});
    let past = Past {
        desired: Some(0),
        first: 1,
        ready: 0,
        is_expected,
        scheduled,
    };
    let now = Timestamp::UNIX_EPOCH + Duration::from_hours(1);
    let idle = Load::new(Timestamp::UNIX_EPOCH);
    let scaling = serde_json::from_value(scaling).unwrap();
    let desired = decide(&scaling, past, &idle, now).desired;
    let replicas = desired.unsigned_abs();
    assert_eq!(groups(&self_hosted(1), replicas, (0, 0)), after);
}
