//! The client of the API server: kube's own stack over connections that keep small buffers. Each watch holds a
//! connection for good, and one that once read a list of thousands keeps the room it read it in.

use hyper_timeout::TimeoutConnector;
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt, retry::RetryPolicy},
};
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

/// Most that a connection keeps of what it has read: a few objects. hyper's own bound is 400 kB.
const READ: usize = 32 << 10;

/// As kubeconfig or the pod says.
///
/// # Errors
/// When neither says where the API server is, or what they say of TLS cannot be used.
pub async fn connect() -> Result<Client, kube::Error> {
    of(Config::infer().await.map_err(kube::Error::InferConfig)?)
}

fn of(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector()?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: legacy::Client<_, Body> = legacy::Builder::new(TokioExecutor::new())
        .http1_max_buf_size(READ)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
