//! How a model's pods stand. Only read while some group is not ready: what is ready has its node.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{ResourceExt, api::ListParams};

use crate::{
    context::Context,
    error::Result,
    names::LABEL_MODEL,
    pool::explain::{Standing, Waiting},
};

/// Karpenter repeats itself every five minutes while nothing changes.
const FRESH: Duration = Duration::from_mins(10);
const KARPENTER: &str = "karpenter";

pub async fn standing(
    context: &Context,
    (namespace, model): (&str, &str),
    wanted: i32,
    is_settled: bool,
) -> Result<Standing> {
    let mut standing = Standing {
        wanted,
        is_settled,
        ..Standing::default()
    };
    // With no group wanted, weights may still be fetched.
    if is_settled && wanted > 0 {
        return Ok(standing);
    }
    let selected = ListParams::default().labels(&format!("{LABEL_MODEL}={model}"));
    let pods: Vec<Pod> = context.applier.list(namespace, model, &selected).await?;
    sort(&mut standing, &pods);
    let uid = |waiting: &Waiting| {
        let pod = pods.iter().find(|pod| pod.name_any() == waiting.pod)?;
        pod.uid()
    };
    // Pods of one model wait for the same reason: the first one's answer is enough.
    if let Some(first) = standing.waiting.first_mut()
        && let Some(uid) = uid(first)
    {
        first.karpenter = answer(&events(context, namespace, &uid).await?, Timestamp::now());
    }
    Ok(standing)
}

/// Pods with a node, and without. Pure.
fn sort(standing: &mut Standing, pods: &[Pod]) {
    for pod in pods {
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        if pod.metadata.deletion_timestamp.is_some()
            || matches!(phase, Some("Succeeded" | "Failed"))
        {
            continue;
        }
        match pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) {
            Some(node) => standing.nodes.push(node),
            None => standing.waiting.push(Waiting {
                pod: pod.name_any(),
                scheduler: unscheduled(pod),
                karpenter: None,
            }),
        }
    }
    standing.nodes.sort();
    standing.nodes.dedup();
    standing.waiting.sort_by(|a, b| a.pod.cmp(&b.pod));
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions
        .iter()
        .find(|one| one.type_ == "PodScheduled" && one.status == "False")?;
    scheduled.message.clone().filter(|said| !said.is_empty())
}

async fn events(context: &Context, namespace: &str, uid: &str) -> Result<Vec<Event>> {
    let fields = format!("involvedObject.uid={uid},reason=FailedScheduling");
    let selected = ListParams::default().fields(&fields);
    context
        .applier
        .list::<Event>(namespace, uid, &selected)
        .await
}

/// The last thing that Karpenter said about a pod, unless it is long ago. Pure.
fn answer(events: &[Event], now: Timestamp) -> Option<String> {
    let said = events.iter().filter(|event| {
        let source = event.source.as_ref().and_then(|s| s.component.as_deref());
        source == Some(KARPENTER) || event.reporting_component.as_deref() == Some(KARPENTER)
    });
    let dated = said.filter_map(|event| {
        let at = event
            .last_timestamp
            .as_ref()
            .or(event.first_timestamp.as_ref())?
            .0;
        let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        (age < FRESH).then_some((at, event.message.clone()?))
    });
    let (_, message) = dated.max_by_key(|(at, _)| *at)?;
    let bare = message.strip_prefix("Failed to schedule pod, ");
    Some(bare.unwrap_or(&message).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{answer, sort};
    use crate::pool::explain::Standing;
    use jiff::Timestamp;
    use serde_json::json;

    #[test]
    fn pods_without_a_node_wait_and_those_that_ended_do_not_count() {
        let pods = json!([
            {"metadata": {"name": "b"}, "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]}},
            {"metadata": {"name": "a"}, "spec": {"nodeName": "n1", "containers": []}},
            {"metadata": {"name": "c"}, "status": {"phase": "Succeeded"}},
        ]);
        let pods: Vec<_> = serde_json::from_value(pods).unwrap();
        let mut standing = Standing::default();
        sort(&mut standing, &pods);
        assert_eq!(standing.nodes, ["n1"]);
        let [waiting] = standing.waiting.as_slice() else {
            unreachable!()
        };
        assert_eq!(waiting.pod, "b");
        assert_eq!(waiting.scheduler.as_deref(), Some("0/1 nodes"));
    }

    #[test]
    fn only_what_karpenter_said_lately_is_its_answer() {
        let event = |who: &str, at: &str, what: &str| {
            json!({"metadata": {}, "involvedObject": {}, "source": {"component": who},
                "lastTimestamp": at, "message": what})
        };
        let events: Vec<_> = serde_json::from_value(json!([
            event(
                "karpenter",
                "2026-01-01T00:00:00Z",
                "Failed to schedule pod, long ago"
            ),
            event(
                "karpenter",
                "2026-01-01T10:00:00Z",
                "Failed to schedule pod, no room"
            ),
            event("default-scheduler", "2026-01-01T10:00:01Z", "0/1 nodes"),
        ]))
        .unwrap();
        let now: Timestamp = "2026-01-01T10:01:00Z".parse().unwrap();
        assert_eq!(answer(&events, now).as_deref(), Some("no room"));
        let later: Timestamp = "2026-01-01T11:00:00Z".parse().unwrap();
        assert_eq!(answer(&events, later), None);
    }
}
