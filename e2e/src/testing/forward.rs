//! Loopback ports that lead to pods and Services.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Cluster, TestNamespace};
use crate::node::relay;

/// A loopback port that leads into the cluster for as long as this value lives.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// To a Service's port, as pods reach it: a pod that goes is replaced by
    /// the next for new connections.
    pub async fn forward_service(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
    ) -> Result<Forward> {
        let services = Api::<Service>::namespaced(self.client(), namespace);
        let found = services
            .get(service)
            .await
            .with_context(|| format!("no Service {service}"))?;
        let ip = found
            .spec
            .as_ref()
            .and_then(|spec| spec.cluster_ip.clone())
            .filter(|ip| ip != "None");
        match ip {
            Some(ip) if self.is_local() => self.relayed(format!("{ip}:{port}")).await,
            _ => {
                self.through_api(namespace, Target::Service(Box::new(found)), port)
                    .await
            }
        }
    }

    /// To a pod's port, for as long as it has its address.
    pub async fn forward_pod(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward> {
        if !self.is_local() {
            return self
                .through_api(namespace, Target::Pod(pod.to_owned()), port)
                .await;
        }
        let found = Api::<Pod>::namespaced(self.client(), namespace)
            .get(pod)
            .await?;
        let ip = found
            .status
            .and_then(|status| status.pod_ip)
            .with_context(|| format!("{pod} has no address yet"))?;
        self.relayed(format!("{ip}:{port}")).await
    }

    /// To a port that a pod opens on its own loopback only.
    pub async fn forward_loopback(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward> {
        self.through_api(namespace, Target::Pod(pod.to_owned()), port)
            .await
    }

    async fn relayed(&self, inside: String) -> Result<Forward> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let socket = self.options().dir.dial_socket();
        let task = tokio::spawn(async move {
            let _ = relay::serve_outside(listener, &socket, &inside).await;
        });
        Ok(Forward { address, task })
    }

    /// Through the API server's `portforward`: also for clusters of others.
    async fn through_api(&self, namespace: &str, target: Target, port: u16) -> Result<Forward> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (client, namespace) = (self.client(), namespace.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                let (client, namespace, target) =
                    (client.clone(), namespace.clone(), target.clone());
                tokio::spawn(async move {
                    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
                    let (pod, port) = target.resolve(&pods, port).await?;
                    let mut forwarder = pods.portforward(&pod, &[port]).await?;
                    let mut inside = forwarder
                        .take_stream(port)
                        .context("the port has no stream")?;
                    copy_bidirectional(&mut outside, &mut inside).await?;
                    anyhow::Ok(())
                });
            }
        });
        Ok(Forward { address, task })
    }
}

impl TestNamespace {
    /// See [`Cluster::forward_service`].
    pub async fn forward_service(&self, service: &str, port: u16) -> Result<Forward> {
        self.cluster()
            .forward_service(self.name(), service, port)
            .await
    }

    /// See [`Cluster::forward_pod`].
    pub async fn forward_pod(&self, pod: &str, port: u16) -> Result<Forward> {
        self.cluster().forward_pod(self.name(), pod, port).await
    }
}

#[derive(Clone)]
enum Target {
    Pod(String),
    Service(Box<Service>),
}

impl Target {
    /// The pod a new connection goes to, and its port.
    async fn resolve(&self, pods: &Api<Pod>, port: u16) -> Result<(String, u16)> {
        let service = match self {
            Self::Pod(name) => return Ok((name.clone(), port)),
            Self::Service(service) => service.spec.clone().unwrap_or_default(),
        };
        let selector: Vec<_> = service
            .selector
            .iter()
            .flatten()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let found = pods
            .list(&ListParams::default().labels(&selector.join(",")))
            .await?;
        let Some(pod) = found.items.iter().find(|pod| is_ready(pod)) else {
            bail!("no pod of the Service is ready")
        };
        let wanted = i32::from(port);
        let target = service
            .ports
            .iter()
            .flatten()
            .find(|each| each.port == wanted)
            .and_then(|each| each.target_port.clone());
        let number = match target {
            None => wanted,
            Some(IntOrString::Int(number)) => number,
            Some(IntOrString::String(name)) => {
                named_port(pod, &name).with_context(|| format!("no port named {name}"))?
            }
        };
        Ok((pod.name_any(), u16::try_from(number)?))
    }
}

/// Whether a pod is ready and does not end.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one.type_ == "Ready" && one.status == "True")
        })
}

fn named_port(pod: &Pod, name: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let containers = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten());
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}
