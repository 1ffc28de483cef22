//! Brings groups to their places: StatefulSets, then the roles of running pods, then the restart of
//! groups that lost a shard.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use serde_json::{Value, json};

use crate::{
    context::Context,
    error::Result,
    model::{
        build::DesiredGroup,
        groups::{Group, Role},
    },
    names::{ANNOTATION_MEMBERS, LABEL_COMPONENT, LABEL_SPARE},
};

/// Those that are to take traffic come first in `desired`, so that a Service loses its endpoint
/// only after it has another.
pub async fn apply(
    context: &Context,
    namespace: &str,
    seen: &[Group],
    desired: &[DesiredGroup],
) -> Result<()> {
    for group in desired {
        for set in &group.sets {
            context.applier.apply(namespace, set).await?;
        }
        if let Some(seen) = seen.iter().find(|seen| seen.name == group.name) {
            bring(context, namespace, seen, group).await?;
        }
    }
    Ok(())
}

async fn bring(
    context: &Context,
    namespace: &str,
    seen: &Group,
    desired: &DesiredGroup,
) -> Result<()> {
    let (applier, role, spare) = (&context.applier, desired.place.role, desired.place.spare);
    if desired.sets.is_empty() && seen.role != role {
        // Of an older revision: nothing else of it may change, or it would be another one.
        let labels = role_labels(role, role == Role::Standby);
        let patch = json!({"metadata": {"labels": labels},
            "spec": {"template": {"metadata": {"labels": labels}}}});
        applier
            .merge::<StatefulSet>(namespace, &seen.name, &patch)
            .await?;
    }
    for member in &seen.members {
        let changes = |known: Role| known != role || member.spare != spare;
        if member.role.is_some_and(changes) {
            tracing::info!(namespace, pod = member.name, role = ?role, spare, "changing a group's role");
            let patch = json!({"metadata": {"labels": role_labels(role, spare)}});
            applier
                .merge::<Pod>(namespace, &member.name, &patch)
                .await?;
        }
    }
    if seen.is_torn() {
        return start_again(context, namespace, seen).await;
    }
    if let Some(record) = seen.to_record() {
        let patch = json!({"metadata": {"annotations": {ANNOTATION_MEMBERS: record}}});
        applier
            .merge::<StatefulSet>(namespace, &seen.name, &patch)
            .await?;
    }
    Ok(())
}

/// The record goes last: a pass that dies before it finds the group torn again.
async fn start_again(context: &Context, namespace: &str, group: &Group) -> Result<()> {
    tracing::warn!(
        namespace,
        group = group.name,
        "a shard was lost: the group starts again"
    );
    let (leader, shards): (Vec<_>, Vec<_>) = group
        .members
        .iter()
        .partition(|member| member.role.is_some());
    // Shards first: the next leader is not to find them.
    for member in shards.into_iter().chain(leader) {
        context
            .applier
            .delete::<Pod>(namespace, &member.name, &member.uid)
            .await?;
    }
    let patch = json!({"metadata": {"annotations": {ANNOTATION_MEMBERS: null}}});
    context
        .applier
        .merge::<StatefulSet>(namespace, &group.name, &patch)
        .await
        .map(drop)
}

fn role_labels(role: Role, spare: bool) -> Value {
    json!({LABEL_COMPONENT: role.component().as_str(), LABEL_SPARE: spare.then_some("true")})
}
