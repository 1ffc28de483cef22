//! An operator with the definitions of the release before, and back: it does its work, and it rests.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/place.rs"]
mod place;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use aios_e2e::testing::{ControlPlane, Programs, Running, control_plane, outside};
use aios_e2e::{eventually, files};
use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use place::{DEADLINE, KINDS, Place, State, difference};
use serde_json::{Value, json};

const BEFORE: &str = "crds/tests/previous";
const NOW: &str = "charts/aios-crds/templates";
/// A status that the server does not keep would be written again within this.
const WATCHED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn with_definitions_of_the_release_before_and_back_the_operator_works_and_rests() {
    the_definitions_differ().unwrap();
    let programs = Programs::ensure().await.unwrap();
    let plane = ControlPlane::start(&programs, &[outside::OPERATOR])
        .await
        .unwrap();
    let client = plane.client().await.unwrap();
    let place = Place::new(client, "upgraded".into()).await.unwrap();
    // What the release before does not know of the objects is hidden from now on.
    plane.define(Path::new(BEFORE)).await.unwrap();
    let operator = outside::built_operator().unwrap();
    let _operator = Running::operator(&plane, &operator, 16).await.unwrap();

    let with_old = place.rested().await.unwrap();
    every_object_has_conditions(&with_old).unwrap();
    nothing_is_written(&plane).await.unwrap();

    plane.define(Path::new(NOW)).await.unwrap();
    changes_are_seen(&place, Touch::There).await.unwrap();
    let with_new = place.rested().await.unwrap();
    assert_eq!(children(&with_old), children(&with_new), "other children");
    nothing_is_written(&plane).await.unwrap();

    plane.define(Path::new(BEFORE)).await.unwrap();
    changes_are_seen(&place, Touch::Back).await.unwrap();
    let back = place.rested().await.unwrap();
    assert!(back == with_old, "{}", difference(&with_old, &back));
    nothing_is_written(&plane).await.unwrap();
}

/// Or there is nothing to go back to.
fn the_definitions_differ() -> Result<()> {
    // What stands above is for Helm alone.
    let spec = |folder: &str, file: &OsStr| -> Result<String> {
        let text = std::fs::read_to_string(files::repository().join(folder).join(file))?;
        let (_, spec) = text.split_once("\nspec:\n").context("no spec")?;
        Ok(spec.to_owned())
    };
    let mut changed = 0;
    for entry in std::fs::read_dir(files::repository().join(BEFORE))? {
        let file = entry?.file_name();
        changed += usize::from(spec(BEFORE, &file)? != spec(NOW, &file)?);
    }
    ensure!(changed > 0, "the previous definitions are the present ones");
    Ok(())
}

fn every_object_has_conditions(state: &State) -> Result<()> {
    for (kind, name) in KINDS {
        let conditions = state[&format!("{kind}/{name}")].as_array();
        ensure!(
            conditions.is_some_and(|all| all.len() > 2),
            "{kind} {name} has only {conditions:?}"
        );
    }
    Ok(())
}

fn children(state: &State) -> Vec<&String> {
    state.keys().collect()
}

/// Each object is touched, so that its reconciler has to write.
async fn changes_are_seen(place: &Place, touch: Touch) -> Result<()> {
    for (kind, name) in KINDS {
        let now = changed(place, kind, name, touch).await?;
        place.observed(kind, name, now).await?;
    }
    Ok(())
}

/// Its new generation. The operator may write meanwhile.
async fn changed(place: &Place, kind: &str, name: &str, touch: Touch) -> Result<i64> {
    let api = place.own(kind);
    loop {
        let mut object = api.get(&place.name(name)).await?;
        let before = object.metadata.generation.unwrap_or_default();
        touch.apply(kind, &mut object.data["spec"]);
        match api
            .replace(&place.name(name), &PostParams::default(), &object)
            .await
        {
            Err(kube::Error::Api(refused)) if refused.code == 409 => {}
            written => {
                let now = written?.metadata.generation.unwrap_or_default();
                ensure!(now > before, "{kind} {name} did not change");
                return Ok(now);
            }
        }
    }
}

/// A change that changes no child for long.
#[derive(Clone, Copy)]
enum Touch {
    There,
    Back,
}

impl Touch {
    fn apply(self, kind: &str, spec: &mut Value) {
        let (field, there, back) = match kind {
            "ModelDeployment" => ("/limits/maxInFlight", json!(7), json!(8)),
            "PolicySet" => (
                "/rules/0/message",
                json!("No notice."),
                json!("The notice is missing."),
            ),
            "ClusterPolicySet" => (
                "/rules/0/message",
                json!("A promise."),
                json!("Nothing is free of risk."),
            ),
            "WritingRun" => ("/ttlSecondsAfterFinished", json!(7200), json!(86_400)),
            _ => ("/execution/parallelism", json!(3), json!(2)),
        };
        let value = match self {
            Self::There => there,
            Self::Back => back,
        };
        *spec.pointer_mut(field).unwrap() = value;
    }
}

async fn nothing_is_written(plane: &ControlPlane) -> Result<()> {
    let log = plane.audit();
    eventually("the operator rests", DEADLINE, async || {
        let mark = log.mark()?;
        tokio::time::sleep(WATCHED).await;
        let requests = log.since(mark)?;
        let ours = requests.iter().filter(|request| {
            let is_ours = request.is_by(control_plane::NAMESPACE, outside::OPERATOR);
            is_ours && request.is_write() && request.resource != "leases"
        });
        let written: Vec<_> = ours.collect();
        ensure!(written.is_empty(), "it writes {written:?}");
        Ok(Some(()))
    })
    .await
}
