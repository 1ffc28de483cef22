//! Requests by verb and resource, from the API server's audit log.

use std::collections::BTreeMap;

use aios_e2e::testing::{AuditLog, Mark, Request, control_plane::NAMESPACE};
use anyhow::Result;

use super::contender::Contender;

/// `VERB RESOURCE[/SUBRESOURCE]` and how often.
pub type Calls = BTreeMap<String, usize>;

/// Requests of a contender since a mark, leases apart. A watch is counted when it ends.
pub fn since(log: &AuditLog, mark: Mark, contender: Contender) -> Result<Calls> {
    let requests = log.since(mark)?;
    let by = |request: &&Request| request.is_by(NAMESPACE, contender.account());
    Ok(count(requests.iter().filter(by)))
}

fn count<'a>(requests: impl Iterator<Item = &'a Request>) -> Calls {
    let mut calls = Calls::new();
    for request in requests.filter(|request| request.resource != "leases") {
        let mut resource = request.resource.clone();
        if !request.subresource.is_empty() {
            resource = format!("{resource}/{}", request.subresource);
        }
        *calls
            .entry(format!("{} {resource}", request.verb))
            .or_default() += 1;
    }
    calls
}

/// All of them but watches, which the server ends by itself every few minutes.
pub fn total(calls: &Calls) -> usize {
    let counted = calls.iter().filter(|(call, _)| !call.starts_with("watch "));
    counted.map(|(_, count)| count).sum()
}

/// All of them but watches and the lists before them, which a watch that broke begins with.
pub fn beyond_lists(calls: &Calls) -> usize {
    let lists = calls.iter().filter(|(call, _)| call.starts_with("list "));
    total(calls) - lists.map(|(_, count)| count).sum::<usize>()
}

/// Requests a change, by call, of so many changes.
pub fn each(calls: &Calls, changes: usize) -> BTreeMap<String, f64> {
    let each = |count: usize| (count as f64 / changes.max(1) as f64 * 100.0).round() / 100.0;
    calls
        .iter()
        .map(|(call, count)| (call.clone(), each(*count)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_left_out_and_watches_are_not_summed() {
        let request = |verb: &str, resource: &str, subresource: &str| Request {
            verb: verb.into(),
            user: String::new(),
            pod: String::new(),
            user_agent: String::new(),
            group: String::new(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: String::new(),
            name: String::new(),
            code: 200,
        };
        let requests = [
            request("patch", "leases", ""),
            request("watch", "pods", ""),
            request("list", "pods", ""),
            request("patch", "modeldeployments", "status"),
        ];
        let calls = count(requests.iter());
        assert_eq!(calls.get("patch modeldeployments/status"), Some(&1));
        assert_eq!(
            (calls.len(), total(&calls), beyond_lists(&calls)),
            (3, 2, 1)
        );
    }
}
