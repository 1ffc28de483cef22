//! The API server's audit log: which requests were made, for tests that count
//! them. Every request is in it once, when it has been answered.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

/// The beginning of the log.
pub const BEGINNING: Mark = Mark(0);

/// One answered request. A watch is in the log when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: String,
    /// Such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The pod that a ServiceAccount's token is bound to; empty for other tokens.
    pub pod: String,
    pub user_agent: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// The HTTP status.
    pub code: u16,
}

impl Request {
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Whether it came from this ServiceAccount.
    pub fn is_by(&self, namespace: &str, service_account: &str) -> bool {
        self.user == format!("system:serviceaccount:{namespace}:{service_account}")
    }
}

#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Result<Mark> {
        let length = self
            .path
            .metadata()
            .with_context(|| format!("no audit log at {}", self.path.display()))?
            .len();
        Ok(Mark(length))
    }

    /// All requests after a mark that have been answered by now.
    pub fn since(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(requests(&self.text(mark)?))
    }

    fn text(&self, mark: Mark) -> Result<String> {
        let mut file = File::open(&self.path)
            .with_context(|| format!("no audit log at {}", self.path.display()))?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Requests after a mark that were refused for want of a permission, and not by admission.
    pub fn unpermitted(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(unpermitted(&self.text(mark)?))
    }

    /// How many requests after a mark meet a condition.
    pub fn count(&self, mark: Mark, condition: impl Fn(&Request) -> bool) -> Result<usize> {
        Ok(self
            .since(mark)?
            .iter()
            .filter(|request| condition(request))
            .count())
    }
}

/// The requests of whole lines: the last may be in the making. Pure.
fn requests(text: &str) -> Vec<Request> {
    events(text).filter_map(Event::into_request).collect()
}

/// Admission refuses with the same code what the one who authorizes let pass. Pure.
fn unpermitted(text: &str) -> Vec<Request> {
    let is_unpermitted = |event: &Event| event.annotations.decision == "forbid";
    events(text)
        .filter(is_unpermitted)
        .filter_map(Event::into_request)
        .collect()
}

fn events(text: &str) -> impl Iterator<Item = Event> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line).ok())
}

/// The fields of `audit.k8s.io/v1` `Event` that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    extra: HashMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

#[derive(Default, Deserialize)]
struct Annotations {
    /// `allow` or `forbid`.
    #[serde(rename = "authorization.k8s.io/decision", default)]
    decision: String,
}

impl Event {
    /// A watch also has an event when it begins: that one is not counted.
    fn into_request(self) -> Option<Request> {
        let is_last = matches!(self.stage.as_str(), "ResponseComplete" | "Panic");
        let pod = self.user.extra.get("authentication.kubernetes.io/pod-name");
        is_last.then(|| Request {
            pod: pod
                .and_then(|names| names.first())
                .cloned()
                .unwrap_or_default(),
            verb: self.verb,
            user: self.user.username,
            user_agent: self.user_agent,
            group: self.object_ref.api_group,
            resource: self.object_ref.resource,
            subresource: self.object_ref.subresource,
            namespace: self.object_ref.namespace,
            name: self.object_ref.name,
            code: self.response_status.code,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch","user":{"username":"system:serviceaccount:a:b","extra":{"authentication.kubernetes.io/pod-name":["b-0"]}},"userAgent":"operator/1","objectRef":{"resource":"jobs","namespace":"n","name":"j","apiGroup":"batch","subresource":"status"},"responseStatus":{"code":200}}"#;

    #[test]
    fn a_request_is_read_with_who_and_what() {
        let requests = requests(&format!("{LINE}\n"));
        let request = requests.first().unwrap();
        assert!(request.is_write() && request.is_by("a", "b"));
        assert_eq!(request.pod, "b-0");
        assert_eq!(
            (
                request.resource.as_str(),
                request.subresource.as_str(),
                request.code
            ),
            ("jobs", "status", 200)
        );
    }

    #[test]
    fn only_a_refusal_for_want_of_a_permission_counts_as_one() {
        let refused = |decision: &str| {
            let status = format!(
                r#""code":403}},"annotations":{{"authorization.k8s.io/decision":"{decision}""#
            );
            format!("{}\n", LINE.replace(r#""code":200"#, &status))
        };
        assert_eq!(unpermitted(&refused("forbid")).len(), 1);
        let by_admission = refused("allow");
        assert!(unpermitted(&by_admission).is_empty());
        assert_eq!(requests(&by_admission).len(), 1);
        assert!(unpermitted(&format!("{LINE}\n")).is_empty());
    }

    #[test]
    fn a_line_in_the_making_and_a_watchs_beginning_are_not_counted() {
        let begun = LINE.replace("ResponseComplete", "ResponseStarted");
        assert_eq!(
            requests(&format!("{LINE}\n{begun}\n{}", &LINE[..20])).len(),
            1
        );
        assert!(requests(&LINE[..20]).is_empty());
    }
}
