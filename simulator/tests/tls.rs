//! All three serve HTTPS the same way; a lost answer is one over HTTP/2 too.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use aios_simulator::{Listen, start, webhook};
use reqwest::{Certificate, Client, Version};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_certificate_makes_it_https_and_a_dropped_response_is_never_a_success() {
    aios_runtime::init("test");
    let dir = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    fs::write(&cert, issued.cert.pem()).unwrap();
    fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let listen = Listen {
        tls_cert: Some(cert),
        tls_key: Some(key),
        ..Listen::loopback()
    };
    let app = webhook::router(&webhook::Settings::default()).unwrap();
    let served = start(app, &listen, &CancellationToken::new())
        .await
        .unwrap();

    let root = Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap();
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve("localhost", served.addr)
        .build()
        .unwrap();
    let url = |path: &str| format!("https://localhost:{}{path}", served.addr.port());
    let fault = r#"{"mode": "drop-response"}"#;
    let added = client
        .post(url("/faults"))
        .body(fault)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (added.status().as_u16(), added.version()),
        (204, Version::HTTP_2)
    );

    let deliver = || {
        client
            .post(url("/deliveries"))
            .header("webhook-id", "d-1")
            .body("hello")
            .send()
    };
    let lost = deliver().await;
    assert!(lost.is_err() || lost.is_ok_and(|response| response.status() == 504));
    let found = client.get(url("/deliveries/d-1")).send().await.unwrap();
    assert_eq!(found.status(), 200);
}
