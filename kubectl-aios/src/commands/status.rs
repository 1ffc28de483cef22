//! Every object in one table, and the messages of those that are not well.

use aios_crds::{
    ClusterPolicySet, ConditionType, Conditions, ModelDeployment, PolicySet, WritingPipeline,
    WritingRun,
};
use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{session::Session, table::Table, text};
use crate::cli::Status;

pub async fn show(arguments: &Status, session: &Session) -> Result<bool> {
    let rows = rows(session, arguments.all_namespaces).await?;
    if rows.is_empty() {
        println!(
            "no object of AIOS in {}: apply a WritingPipeline, or pass -n or --all-namespaces",
            session.namespace
        );
        return Ok(true);
    }
    let mut table = if arguments.all_namespaces {
        Table::new(&["NAMESPACE", "OBJECT", "READY", "REASON", "COUNTS", "AGE"])
    } else {
        Table::new(&["OBJECT", "READY", "REASON", "COUNTS", "AGE"])
    };
    for row in &rows {
        let object = format!("{}/{}", row.kind, row.name);
        let cells = [
            object,
            row.ready.clone(),
            row.reason.clone(),
            row.counts.clone(),
            row.age.clone(),
        ];
        let namespace = arguments.all_namespaces.then(|| row.namespace.clone());
        table.row(namespace.into_iter().chain(cells));
    }
    print!("{table}");
    for row in rows
        .iter()
        .filter(|row| row.ready != "True" && !row.message.is_empty())
    {
        println!("\n{}/{}: {}", row.kind, row.name, row.message);
    }
    Ok(true)
}

/// One object.
#[derive(Debug)]
pub struct Row {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub ready: String,
    pub reason: String,
    pub message: String,
    pub counts: String,
    pub age: String,
}

/// Every object of the namespace, or of all; the platform's policies as far as they may be read.
pub async fn rows(session: &Session, everywhere: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for object in list::<ModelDeployment>(session, everywhere).await? {
        let status = object.status.clone().unwrap_or_default();
        let counts = [status.model, status.summary]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        rows.push(row(&object, &status.conditions, counts.join(" ")));
    }
    // Cluster-wide: a tenant may not be allowed to read them, and status is of use without.
    let platform = Api::<ClusterPolicySet>::all(session.client.clone());
    for object in platform
        .list(&ListParams::default())
        .await
        .into_iter()
        .flatten()
    {
        let status = object.status.clone().unwrap_or_default();
        rows.push(row(
            &object,
            &status.conditions,
            rules(status.rules, status.enforced_by),
        ));
    }
    for object in list::<PolicySet>(session, everywhere).await? {
        let status = object.status.clone().unwrap_or_default();
        rows.push(row(
            &object,
            &status.conditions,
            rules(status.rules, status.enforced_by),
        ));
    }
    for object in list::<WritingPipeline>(session, everywhere).await? {
        let status = object.status.clone().unwrap_or_default();
        let documents = &status.documents;
        let under_way =
            documents.accepted - documents.published - documents.refused - documents.waiting;
        let counts = format!(
            "{} accepted = {} published + {} refused + {} waiting + {under_way} under way",
            documents.accepted, documents.published, documents.refused, documents.waiting
        );
        rows.push(row(&object, &status.conditions, counts));
    }
    for object in list::<WritingRun>(session, everywhere).await? {
        let status = object.status.clone().unwrap_or_default();
        let items = &status.items;
        let counts = format!(
            "{} accepted: {} drafted, {} published, {} refused, {} waiting",
            items.accepted, items.drafted, items.published, items.refused, items.waiting
        );
        rows.push(row(&object, &status.conditions, counts));
    }
    Ok(rows)
}

async fn list<K>(session: &Session, everywhere: bool) -> Result<Vec<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let client = session.client.clone();
    let api = if everywhere {
        Api::all(client)
    } else {
        Api::namespaced(client, &session.namespace)
    };
    let listed = api.list(&ListParams::default()).await;
    Ok(listed
        .with_context(|| format!("cannot list {}: see `kubectl aios doctor`", K::plural(&())))?
        .items)
}

fn rules(rules: i32, enforced_by: Option<String>) -> String {
    let enforced = enforced_by
        .map(|by| format!(", enforced by {by}"))
        .unwrap_or_default();
    format!("{rules} rules{enforced}")
}

fn row<K: Resource<DynamicType = ()>>(object: &K, conditions: &Conditions, counts: String) -> Row {
    let ready = conditions.get(ConditionType::Ready);
    let seconds = object
        .meta()
        .creation_timestamp
        .as_ref()
        .map(|created| Timestamp::now().as_second() - created.0.as_second());
    let (ready, reason, message) = match ready {
        Some(ready) => (ready.status, ready.reason, ready.message),
        None => ("Unknown".into(), "NotObserved".into(), String::new()),
    };
    Row {
        kind: kind::<K>(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        ready,
        reason,
        message,
        counts,
        age: seconds.map_or("-".into(), text::age),
    }
}

/// As kubectl takes it: lower case.
fn kind<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()).as_ref() {
        "ModelDeployment" => "modeldeployment",
        "PolicySet" => "policyset",
        "ClusterPolicySet" => "clusterpolicyset",
        "WritingPipeline" => "writingpipeline",
        _ => "writingrun",
    }
}
