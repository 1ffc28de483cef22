//! The deadline of a leader's writes. It stands before every request, so that no code path can
//! forget it, and its clock runs on while the process or the machine is frozen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Request;
use kube::{Client, client::Body};
use rustix::time::{ClockId, clock_gettime};
use tower::{BoxError, service_fn};

/// A write that was not sent, because another operator may lead by now.
#[derive(Debug, thiserror::Error)]
#[error("the lease was not confirmed in time: another operator may lead")]
pub struct Unconfirmed;

/// Until when this process leads, as far as it knows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tenure(Arc<AtomicU64>);

impl Tenure {
    /// Time left to write in; zero for who does not lead.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire)).saturating_sub(uptime())
    }

    /// Leads until `end`, on the clock of [`uptime`].
    pub(super) fn lasts_until(&self, end: Duration) {
        let end = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        self.0.store(end, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// Time since the machine started, suspended times included: `CLOCK_BOOTTIME` of `clock_gettime(2)`.
pub(super) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A client that sends nothing but reads once the tenure is over. A request that was let through and
/// lay in a frozen process is the API server's to refuse.
pub fn fenced(client: &Client, tenure: Tenure) -> Client {
    let (inner, namespace) = (client.clone(), client.default_namespace().to_owned());
    let service = service_fn(move |request: Request<Body>| {
        let may_pass = request.method().is_safe() || !tenure.left().is_zero();
        let inner = inner.clone();
        async move {
            if !may_pass {
                return Err(BoxError::from(Unconfirmed));
            }
            inner.send(request).await.map_err(BoxError::from)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Tenure, fenced, uptime};
    use crate::testing::server::Server;
    use http::Method;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, api::PostParams};
    use std::time::Duration;

    #[tokio::test]
    async fn writes_pass_only_while_the_lease_is_confirmed_and_reads_always() {
        let server = Server::start(|_, sent| (200, sent.clone()));
        let tenure = Tenure::default();
        let maps: Api<ConfigMap> = Api::namespaced(fenced(&server.client, tenure.clone()), "team");
        let mut map = ConfigMap::default();
        map.metadata.name = Some("trust".into());
        let write = async || maps.create(&PostParams::default(), &map).await;

        let refused = write().await.unwrap_err();
        assert!(
            format!("{refused:?}").contains("Unconfirmed"),
            "{refused:?}"
        );
        tenure.lasts_until(uptime() + Duration::from_mins(1));
        write().await.unwrap();
        tenure.end();
        write().await.unwrap_err();
        let _ = maps.get("trust").await;
        assert_eq!(server.methods(), [Method::POST, Method::GET]);
    }
}
