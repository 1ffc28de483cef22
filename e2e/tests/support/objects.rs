//! What stands in a test's namespace because of AIOS.

#![allow(clippy::unwrap_used, reason = "a test that cannot look fails")]
// Every suite that includes this file uses another part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use aios_e2e::TestNamespace;
use anyhow::Result;

const KINDS: &str = "deployments,statefulsets,replicasets,pods,jobs,services,configmaps,secrets,\
    serviceaccounts,roles,rolebindings,networkpolicies,persistentvolumeclaims,\
    modeldeployments,policysets,writingpipelines,writingruns";
/// Made by Kubernetes, by the tests, or by Helm.
const OTHERS: [&str; 9] = [
    "/kube-root-ca.crt",
    "serviceaccount/default",
    "/model-simulator",
    "/webhook-receiver",
    "/author",
    "/reviewer",
    "/auditor",
    "/publisher",
    "/sh.helm.release",
];

/// `kind/name` of every object, sorted.
pub async fn names(namespace: &TestNamespace) -> Result<Vec<String>> {
    Ok(objects(namespace).await?.into_keys().collect())
}

/// Resource versions by `kind/name`.
pub async fn versions(namespace: &TestNamespace) -> BTreeMap<String, String> {
    objects(namespace).await.unwrap()
}

async fn objects(namespace: &TestNamespace) -> Result<BTreeMap<String, String>> {
    let row = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let listed = namespace
        .kubectl(&["get", KINDS, "-o", &format!("jsonpath={row}")])
        .await?;
    let rows = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(rows
        .filter_map(|(name, version)| {
            let (kind, name) = name.split_once('/')?;
            Some((
                format!("{}/{name}", kind.to_lowercase()),
                version.to_owned(),
            ))
        })
        .filter(|(name, _)| !OTHERS.iter().any(|other| name.contains(other)))
        .collect())
}
