//! Whatever is done to a field of a spec, it is refused with a remedy, or it is taken; and once it is
//! taken back, everything is as if it had never been. Against a real API server, without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/contradict.rs"]
mod contradict;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/place.rs"]
mod place;

use std::fmt;
use std::sync::Arc;

use aios_e2e::eventually;
use aios_e2e::testing::{ControlPlane, Programs, Running, outside};
use anyhow::{Result, bail, ensure};
use contradict::{Contradiction, contradictions};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, PostParams};
use mutate::{Mutation, mutations};
use place::{DEADLINE, KINDS, Named, OTHERS, Place, SECRETS, State, difference, documents};
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
        let place = Place::new(client, format!("mutated-{index}"))
            .await
            .unwrap();
        places.push(place.widened().await.unwrap());
    }
    let table = Arc::new(table());
    assert!(table.len() >= 300, "{} mutations", table.len());
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for (index, place) in places.into_iter().enumerate() {
        let table = table.clone();
        let suffering = async move {
            let before = place.rested().await.unwrap();
            let mut bad = Vec::new();
            for case in table.iter().skip(index).step_by(AT_ONCE) {
                if let Err(error) = place.suffers(case, &before).await {
                    let said = format!("{case}: {error:#}");
                    eprintln!("{said}");
                    bad.push(said);
                }
            }
            if let Err(error) = place.no_event_tells_a_secret().await {
                bad.push(format!("{error:#}"));
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

/// What is done to an object.
enum Case {
    Field(Named, Mutation),
    Fields(Contradiction),
}

/// As it was written: what the server fills in is nobody's field to forget.
fn table() -> Vec<Case> {
    let objects = documents();
    let mut table: Vec<Case> = contradictions().into_iter().map(Case::Fields).collect();
    for (kind, name) in KINDS.into_iter().chain(OTHERS) {
        let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let object = objects.iter().find(is).unwrap();
        let own = mutations(object).into_iter().filter(is_of_one_place);
        table.extend(own.map(|one| Case::Field((kind, name), one)));
    }
    table
}

/// A policy of the platform that selects no label selects every place.
fn is_of_one_place(mutation: &Mutation) -> bool {
    let selects = mutation.at.starts_with("/spec/namespaceSelector");
    !(selects && matches!(mutation.how, "missing" | "empty"))
}

impl Case {
    fn of(&self) -> Named {
        match self {
            Self::Field(named, _) => *named,
            Self::Fields(contradiction) => contradiction.of,
        }
    }

    fn spec(&self, good: &Value) -> Value {
        match self {
            Self::Field(_, mutation) => mutation.of(good)["spec"].take(),
            Self::Fields(contradiction) => contradiction.of_object(good)["spec"].take(),
        }
    }

    fn is_refused_well(&self, said: &str) -> Result<()> {
        match self {
            Self::Field(_, mutation) => remedy(mutation, said),
            Self::Fields(contradiction) => {
                ensure!(said.contains(contradiction.says), "it says {said}");
                Ok(())
            }
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.of();
        match self {
            Self::Field(_, Mutation { at, how, .. }) => write!(f, "{kind} {name} {at}, {how}"),
            Self::Fields(Contradiction { says, .. }) => write!(f, "{kind} {name}, \"{says}\""),
        }
    }
}

impl Place {
    /// Fields are changed and changed back.
    async fn suffers(&self, case: &Case, before: &State) -> Result<()> {
        let (kind, name) = case.of();
        let good = self.get(kind, name).await?;
        match self.write(kind, name, &case.spec(&good)).await? {
            Written::Refused(said) => return case.is_refused_well(&said),
            // Whatever is wrong is taken back, or the next case finds it.
            Written::Taken(generation) => {
                let told = self.tells_of(case, generation).await;
                self.taken_back(kind, name, &good).await?;
                told?;
            }
        }
        eventually("all is as before", DEADLINE, async || {
            let now = self.state().await?;
            ensure!(now == *before, "{}", difference(before, &now));
            Ok(Some(()))
        })
        .await
    }

    /// What an object that was taken must say.
    async fn tells_of(&self, case: &Case, generation: i64) -> Result<()> {
        let (kind, name) = case.of();
        self.observed(kind, name, generation).await?;
        if let Case::Fields(Contradiction { says, told_by, .. }) = case {
            self.says(told_by, says).await?;
        }
        let suffering = self.get(kind, name).await?;
        stalled_says_why(&suffering)?;
        tells_no_secret(&suffering["status"].to_string())
    }

    async fn taken_back(&self, kind: &str, name: &str, good: &Value) -> Result<()> {
        match self.write(kind, name, &good["spec"]).await? {
            Written::Refused(said) => bail!("the good spec was refused: {said}"),
            Written::Taken(generation) => self.observed(kind, name, generation).await,
        }
    }

    /// Waits until a condition of the object says so.
    async fn says(&self, (kind, name): &Named, words: &str) -> Result<()> {
        eventually("the object says why", DEADLINE, async || {
            let object = self.get(kind, name).await?;
            let conditions = object["status"]["conditions"].as_array();
            let told = conditions.into_iter().flatten();
            let mut told = told.filter_map(|condition| condition["message"].as_str());
            ensure!(
                told.any(|message| message.contains(words)),
                "no condition says {words}: {}",
                object["status"]["conditions"]
            );
            Ok(Some(()))
        })
        .await
    }

    async fn no_event_tells_a_secret(&self) -> Result<()> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await?;
        ensure!(!events.items.is_empty(), "there is no event");
        tells_no_secret(&serde_json::to_string(&events.items)?)?;
        let made: Vec<String> = self.state().await?.values().map(Value::to_string).collect();
        tells_no_secret(&made.concat())
    }

    /// Replaces the spec.
    async fn write(&self, kind: &str, name: &str, spec: &Value) -> Result<Written> {
        let api = self.own(kind);
        loop {
            let mut object = api.get(&self.name(name)).await?;
            object.data["spec"] = spec.clone();
            match api
                .replace(&self.name(name), &PostParams::default(), &object)
                .await
            {
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

fn tells_no_secret(text: &str) -> Result<()> {
    for secret in SECRETS {
        ensure!(!text.contains(secret), "a Secret's value is told: {text}");
    }
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
