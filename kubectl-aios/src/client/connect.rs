//! Makes connections: finds a ready pod of the Service, forwards to it, and shakes hands.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::Uri;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    error::ClientError,
    hop::{Hop, Stream},
};

/// Name of the gateway's Service.
pub(super) const SERVICE: &str = "aios-gateway";
/// Port of the REST interface.
pub(super) const PORT: u16 = 8443;
const CA: &str = "aios-ca";
const CA_KEY: &str = "ca.crt";

/// How bytes get to a gateway.
enum Reach {
    Forward { client: Client, namespace: String },
    Address(SocketAddr),
}

/// Makes a connection whenever the pool has none.
#[derive(Clone)]
pub(super) struct Connector {
    reach: Arc<Reach>,
    tls: TlsConnector,
    name: ServerName<'static>,
}

impl Connector {
    /// Through the API server, trusted by the namespace's CA.
    pub(super) async fn through_api(client: Client, namespace: &str) -> Result<Self, ClientError> {
        let ca = Api::<ConfigMap>::namespaced(client.clone(), namespace)
            .get_opt(CA)
            .await
            .map_err(ClientError::kubernetes(format!(
                "cannot read ConfigMap {CA} in {namespace}"
            )))?
            .and_then(|map| map.data?.remove(CA_KEY))
            .ok_or_else(|| ClientError::NoCa {
                namespace: namespace.to_owned(),
            })?;
        let reach = Reach::Forward {
            client,
            namespace: namespace.to_owned(),
        };
        Self::new(reach, &ca, &host(namespace))
    }

    /// Straight to an address.
    pub(super) fn to_address(
        address: SocketAddr,
        ca: &str,
        namespace: &str,
    ) -> Result<Self, ClientError> {
        Self::new(Reach::Address(address), ca, &host(namespace))
    }

    fn new(reach: Reach, ca: &str, name: &str) -> Result<Self, ClientError> {
        let bad = |error: &dyn std::fmt::Display| ClientError::BadCa(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            let certificate = certificate.map_err(|e| bad(&e))?;
            roots.add(certificate).map_err(|e| bad(&e))?;
        }
        if roots.is_empty() {
            return Err(bad(&"it holds no certificate in PEM form"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            reach: Arc::new(reach),
            tls: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(name.to_owned()).map_err(|e| bad(&e))?,
        })
    }

    async fn connect(self) -> Result<Hop, ClientError> {
        let stream = self.reach.dial().await?;
        let shaken = self.tls.connect(self.name.clone(), stream).await;
        shaken.map(Hop::new).map_err(|error| ClientError::Tls {
            name: self.name.to_str().into_owned(),
            error: error.to_string(),
        })
    }
}

impl Reach {
    async fn dial(&self) -> Result<Box<dyn Stream>, ClientError> {
        match self {
            Self::Address(address) => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|error| ClientError::Transport(error.to_string()))?;
                // Small requests would wait for acknowledgements otherwise.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Forward { client, namespace } => {
                let (pod, port) = target(client, namespace).await?;
                let pods = Api::<Pod>::namespaced(client.clone(), namespace);
                let mut forward = pods.portforward(&pod, &[port]).await.map_err(
                    ClientError::kubernetes(format!(
                        "cannot forward to pod {pod} (allow yourself `create` on pods/portforward)"
                    )),
                )?;
                let stream = forward.take_stream(port).ok_or_else(|| {
                    ClientError::Transport("the forwarded port has no stream".into())
                })?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Hop;
    type Error = ClientError;
    type Future = BoxFuture<'static, Result<Hop, ClientError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// Name in the gateway's certificate.
pub(super) fn host(namespace: &str) -> String {
    format!("{SERVICE}.{namespace}.svc")
}

/// A ready pod of the Service, and the port behind the Service's.
async fn target(client: &Client, namespace: &str) -> Result<(String, u16), ClientError> {
    let owned = || namespace.to_owned();
    let service = Api::<Service>::namespaced(client.clone(), namespace)
        .get_opt(SERVICE)
        .await
        .map_err(ClientError::kubernetes(format!(
            "cannot read Service {SERVICE} in {namespace}"
        )))?
        .and_then(|service| service.spec)
        .ok_or_else(|| ClientError::NoGateway { namespace: owned() })?;
    let selector: Vec<_> = service
        .selector
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default().labels(&selector.join(",")))
        .await
        .map_err(ClientError::kubernetes(format!(
            "cannot list pods in {namespace}"
        )))?;
    let pod = pods
        .items
        .into_iter()
        .find(is_ready)
        .ok_or_else(|| ClientError::NotReady { namespace: owned() })?;
    let port = service
        .ports
        .iter()
        .flatten()
        .find(|port| port.port == i32::from(PORT))
        .and_then(|port| port.target_port.clone());
    let number = match port {
        None => Some(i32::from(PORT)),
        Some(IntOrString::Int(number)) => Some(number),
        Some(IntOrString::String(name)) => named_port(&pod, &name),
    };
    let number = number.and_then(|number| u16::try_from(number).ok());
    Ok((pod.name_any(), number.unwrap_or(PORT)))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|one| one.type_ == "Ready" && one.status == "True")
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
