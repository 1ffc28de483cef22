//! Whatever is done to a field of a spec, it is refused with a remedy, or it is taken; and once it is
//! taken back, everything is as if it had never been. Against a real API server, without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/place.rs"]
mod place;

use std::sync::Arc;

use aios_e2e::eventually;
use aios_e2e::testing::{ControlPlane, Programs, Running, outside};
use anyhow::{Result, bail, ensure};
use kube::api::PostParams;
use mutate::{Mutation, mutations};
use place::{DEADLINE, FULL, KINDS, Place, State, difference};
use serde_json::Value;
use tokio::task::{JoinSet, LocalSet};

/// Namespaces in which fields are changed at once.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn three_hundred_mutated_specs_are_refused_with_a_remedy_or_leave_no_trace() {
    let programs = Programs::ensure().await.unwrap();
    let plane = ControlPlane::start(&programs, &[outside::OPERATOR])
        .await
        .unwrap();
    let operator = outside::built_operator().unwrap();
    let _operator = Running::operator(&plane, &operator, 16).await.unwrap();

    let mut places = Vec::new();
    for index in 0..AT_ONCE {
        let client = plane.client().await.unwrap();
        places.push(
            Place::new(client, format!("mutated-{index}"))
                .await
                .unwrap(),
        );
    }
    let table = Arc::new(Place::table());
    assert!(table.len() >= 300, "{} mutations", table.len());
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for (index, place) in places.into_iter().enumerate() {
        let table = table.clone();
        let suffering = async move {
            let before = place.rested().await.unwrap();
            let mut bad = Vec::new();
            for (kind, name, mutation) in table.iter().skip(index).step_by(AT_ONCE) {
                if let Err(error) = place.suffers(kind, name, mutation, &before).await {
                    let (at, how) = (&mutation.at, mutation.how);
                    let said = format!("{kind} {name} {at}, {how}: {error:#}");
                    eprintln!("{said}");
                    bad.push(said);
                }
            }
            bad
        };
        tasks.spawn_local_on(suffering, &local);
    }
    let bad: Vec<String> = local.run_until(tasks.join_all()).await.concat();
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        table.len(),
        bad.join("\n")
    );
}

impl Place {
    /// As it was written: what the server fills in is nobody's field to forget.
    fn table() -> Vec<(&'static str, &'static str, Mutation)> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(FULL).unwrap();
        let mut table = Vec::new();
        for (kind, name) in KINDS {
            let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
            let object = objects.iter().find(is).unwrap();
            table.extend(mutations(object).into_iter().map(|one| (kind, name, one)));
        }
        table
    }

    /// One field is changed and changed back.
    async fn suffers(
        &self,
        kind: &str,
        name: &str,
        mutation: &Mutation,
        before: &State,
    ) -> Result<()> {
        let good = self.get(kind, name).await?;
        match self.write(kind, name, &mutation.of(&good)["spec"]).await? {
            Written::Refused(said) => return remedy(mutation, &said),
            Written::Taken(generation) => self.observed(kind, name, generation).await?,
        }
        stalled_says_why(&self.get(kind, name).await?)?;
        match self.write(kind, name, &good["spec"]).await? {
            Written::Refused(said) => bail!("the good spec was refused: {said}"),
            Written::Taken(generation) => self.observed(kind, name, generation).await?,
        }
        eventually("all is as before", DEADLINE, async || {
            let now = self.state().await?;
            ensure!(now == *before, "{}", difference(before, &now));
            Ok(Some(()))
        })
        .await
    }

    /// Replaces the spec.
    async fn write(&self, kind: &str, name: &str, spec: &Value) -> Result<Written> {
        let api = self.own(kind);
        loop {
            let mut object = api.get(name).await?;
            object.data["spec"] = spec.clone();
            match api.replace(name, &PostParams::default(), &object).await {
                Ok(object) => {
                    return Ok(Written::Taken(
                        object.metadata.generation.unwrap_or_default(),
                    ));
                }
                Err(kube::Error::Api(error)) if error.code == 409 => {}
                Err(kube::Error::Api(error)) if error.code == 422 || error.code == 400 => {
                    return Ok(Written::Refused(error.message.clone()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

enum Written {
    Taken(i64),
    Refused(String),
}

/// A refusal names the field, or what it belongs to.
fn remedy(mutation: &Mutation, said: &str) -> Result<()> {
    let named = mutation.names().any(|name| said.contains(name));
    ensure!(
        named && said.len() > 20,
        "the refusal does not say what to mend: {said}"
    );
    Ok(())
}

/// An object that cannot be brought about says which field is to blame.
fn stalled_says_why(object: &Value) -> Result<()> {
    let conditions = object["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten() {
        let is = |key: &str, value: &str| condition[key] == value;
        if is("type", "Stalled") && is("status", "True") && is("reason", "InvalidSpec") {
            let said = condition["message"].as_str().unwrap_or_default();
            ensure!(
                said.contains("spec") && said.contains(": "),
                "it is stalled without a remedy: {said}"
            );
        }
    }
    Ok(())
}
