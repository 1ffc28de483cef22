//! Serving with TLS: who is let in, who is recognised, and what happens when files rotate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use aios_runtime::{
    serve::{Peer, serve},
    tls::{ClientTls, ServerTls},
};
use axum::{Extension, Router, routing::get};
use rcgen::{CertificateParams, CertifiedIssuer, Issuer, KeyPair, SanType};
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

const TENANT: &str = "spiffe://aios/ns/bank";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(issuer: &Issuer<'_, KeyPair>, folder: &Path, name: &str, uri: Option<&str>) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if let Some(uri) = uri {
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

struct Fixture {
    folder: TempDir,
    address: SocketAddr,
    ca: CertifiedIssuer<'static, KeyPair>,
    _stop: tokio_util::sync::DropGuard,
}

async fn start() -> Fixture {
    aios_runtime::init("test");
    let folder = TempDir::new().unwrap();
    let ca = authority();
    std::fs::write(folder.path().join("ca.crt"), ca.pem()).unwrap();
    issue(&ca, folder.path(), "server", None);
    issue(&ca, folder.path(), "client", Some(TENANT));
    let path = |name: &str| folder.path().join(name);
    let tls = ServerTls::new(
        &path("server.crt"),
        &path("server.key"),
        Some(&path("ca.crt")),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route(
        "/",
        get(|Extension(peer): Extension<Peer>| async move { peer.uris.join(",") }),
    );
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, app, Some(tls), stop.clone()));
    Fixture {
        folder,
        address,
        ca,
        _stop: stop.drop_guard(),
    }
}

async fn ask(fixture: &Fixture, client: &ClientTls) -> std::io::Result<(String, Vec<u8>)> {
    let stream = TcpStream::connect(fixture.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::clone(&client.config()))
        .connect(name, stream)
        .await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let serial = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    Ok((text, serial))
}

#[tokio::test]
async fn a_client_is_recognised_by_the_uri_of_its_certificate() {
    let fixture = start().await;
    let path = |name: &str| fixture.folder.path().join(name);
    let client = ClientTls::new(
        Some(&path("ca.crt")),
        Some((&path("client.crt"), &path("client.key"))),
    )
    .unwrap();
    assert!(ask(&fixture, &client).await.unwrap().0.ends_with(TENANT));
}

#[tokio::test]
async fn a_client_without_certificate_is_turned_away() {
    let fixture = start().await;
    let client = ClientTls::new(Some(&fixture.folder.path().join("ca.crt")), None).unwrap();
    assert!(ask(&fixture, &client).await.is_err());
}

#[tokio::test]
async fn a_rotated_certificate_is_served_without_restart_and_a_broken_one_is_not() {
    let fixture = start().await;
    let path = |name: &str| fixture.folder.path().join(name);
    let client = ClientTls::new(
        Some(&path("ca.crt")),
        Some((&path("client.crt"), &path("client.key"))),
    )
    .unwrap();
    let before = ask(&fixture, &client).await.unwrap().1;
    issue(&fixture.ca, fixture.folder.path(), "server", None);
    let after = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let now = ask(&fixture, &client).await.unwrap().1;
            if now != before {
                return now;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    std::fs::write(path("server.crt"), "half written").unwrap();
    assert_eq!(ask(&fixture, &client).await.unwrap().1, after);
}
