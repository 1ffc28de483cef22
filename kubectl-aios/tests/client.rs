//! The gateway's client against a labelled fake on loopback, with TLS of a namespace's own CA.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use aios_runtime::{serve::serve, tls::ServerTls};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{delete, get, post, put},
};
use kubectl_aios::client::{ClientError, DocumentFilter, Gateway};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "fake-token";
const DIGEST: &str = "sha256:aa";

struct Fake {
    address: SocketAddr,
    ca: String,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Fake {
    fn gateway(&self, namespace: &str, token: &str) -> Gateway {
        Gateway::at(self.address, &self.ca, namespace, token).unwrap()
    }
}

fn problem(status: u16, title: &str, detail: &str) -> axum::response::Response {
    let body = json!({"type": "about:blank", "status": status, "title": title, "detail": detail});
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (
        StatusCode::from_u16(status).unwrap(),
        kind,
        body.to_string(),
    )
        .into_response()
}

/// A gateway that knows one document. It answers what it was asked, so that tests see the request.
fn app() -> Router {
    Router::new()
        .route(
            "/v1/pipelines/{p}/context/{name}",
            put(async |body: Bytes| {
                let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
                Json(json!({"records": lines}))
            }),
        )
        .route(
            "/v1/pipelines/{p}/documents",
            post(async |headers: HeaderMap, Json(body): Json<Value>| {
                let key = headers["idempotency-key"].to_str().unwrap();
                let id = format!("{key}-{}", body["pointer"]["customerId"]);
                (StatusCode::ACCEPTED, Json(json!({"id": id, "status": "Accepted"})))
            })
            .get(async |RawQuery(query): RawQuery| {
                Json(json!({"documents": [{"id": query.unwrap_or_default(), "status": "Published", "new": 1}]}))
            }),
        )
        .route(
            "/v1/pipelines/{p}/documents/{id}",
            get(async |Path((_, id)): Path<(String, String)>| {
                if id != "d 1" {
                    return problem(404, "no such document", "document is unknown");
                }
                let part = json!({"name": "text", "kind": "Plain", "text": "Hello"});
                Json(json!({"id": id, "status": "Review", "digest": DIGEST, "parts": [part]})).into_response()
            }),
        )
        .route(
            "/v1/pipelines/{p}/documents/{id}/{verb}",
            post(async |Json(body): Json<Value>| {
                if body["digest"] != DIGEST {
                    return problem(409, "the text changed", "read it again and decide anew");
                }
                Json(json!({"status": "Publishing", "asked": body})).into_response()
            }),
        )
        .route("/v1/pipelines/{p}/replay", post(replay))
        .route("/v1/audit/checkpoint", get(async || "aios.dev/bank\n3\n"))
        .route("/v1/audit/bundle", get(async || vec![b'x'; 300_000]))
        .route("/v1/subjects/{id}", delete(async || StatusCode::NO_CONTENT))
        .layer(axum::middleware::from_fn(
            async |request: axum::extract::Request, next: axum::middleware::Next| {
                let given = request.headers().get(header::AUTHORIZATION);
                if given.is_none_or(|given| given != &format!("Bearer {TOKEN}")) {
                    return problem(401, "unknown token", "the token is not valid");
                }
                next.run(request).await
            },
        ))
}

/// Three answers: what is asked for after a document begins with the next.
async fn replay(Json(body): Json<Value>) -> Json<Value> {
    let change = |id: &str| json!({"id": id, "before": "Pass", "after": body["policy"]["says"], "fire": ["p/r"], "rest": []});
    Json(match body["after"].as_str() {
        None => json!({"judged": 100, "changes": [change("d1"), change("d100")], "next": "d100"}),
        Some("d100") => json!({"judged": 99, "changes": [], "next": "d200"}),
        Some(_) => json!({"judged": 4, "changes": [change("d204")], "next": null}),
    })
}

async fn start() -> Fake {
    aios_runtime::init("test");
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["aios-gateway.bank.svc".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let (cert, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let tls = ServerTls::new(&cert, &key_file, None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, app(), Some(tls), stop.clone()));
    Fake {
        address,
        ca: ca.pem(),
        _folder: folder,
        _stop: stop.drop_guard(),
    }
}

#[tokio::test]
async fn documents_are_created_read_listed_and_decided() {
    let fake = start().await;
    let gateway = fake.gateway("bank", TOKEN);
    let uploaded = gateway
        .put_context("savings", "customer", "{}\n{}\n")
        .await
        .unwrap();
    assert_eq!(uploaded.records, 2);
    let pointer: Map<String, Value> = serde_json::from_value(json!({"customerId": 17})).unwrap();
    assert_eq!(
        gateway
            .create_document("savings", &pointer, "k")
            .await
            .unwrap()
            .id,
        "k-17"
    );
    let filter = DocumentFilter {
        status: Some("Published".into()),
        run: Some("a&b".into()),
    };
    let listed = gateway.documents("savings", &filter).await.unwrap();
    assert_eq!(listed[0].id, "status=Published&run=a%26b");
    let document = gateway.document("savings", "d 1").await.unwrap();
    assert_eq!(document.parts[0].text, "Hello");
    let receipt = gateway.approve("savings", "d 1", DIGEST).await.unwrap();
    assert_eq!(receipt.status, "Publishing");
    let receipt = gateway
        .edit("savings", "d 1", DIGEST, &document.parts)
        .await
        .unwrap();
    assert_eq!(receipt.more["asked"]["parts"][0]["name"], "text");
}

#[tokio::test]
async fn many_requests_share_a_connection_at_once() {
    let fake = start().await;
    let gateway = fake.gateway("bank", TOKEN);
    let calls = (0..50).map(|_| gateway.document("savings", "d 1"));
    for result in futures::future::join_all(calls).await {
        assert_eq!(result.unwrap().digest.as_deref(), Some(DIGEST));
    }
}

#[tokio::test]
async fn refusals_keep_the_gateways_words_and_status() {
    let fake = start().await;
    let gateway = fake.gateway("bank", TOKEN);
    let error = gateway
        .approve("savings", "d 1", "sha256:old")
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(409));
    assert!(
        error
            .to_string()
            .contains("the text changed: read it again"),
        "{error}"
    );
    let error = gateway.document("savings", "d-9").await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    let error = fake
        .gateway("bank", "other")
        .checkpoint()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("--as-service-account"),
        "{error}"
    );
}

#[tokio::test]
async fn the_log_is_streamed_and_a_person_erased() {
    let fake = start().await;
    let gateway = fake.gateway("bank", TOKEN);
    assert_eq!(gateway.checkpoint().await.unwrap(), "aios.dev/bank\n3\n");
    let mut bundle = Vec::new();
    assert_eq!(gateway.bundle(&mut bundle).await.unwrap(), 300_000);
    assert_eq!(bundle.len(), 300_000);
    assert_eq!(gateway.erase_subject("17").await.unwrap(), Value::Null);
}

#[tokio::test]
async fn another_namespaces_gateway_and_another_ca_are_not_trusted() {
    let fake = start().await;
    let error = fake.gateway("other", TOKEN).checkpoint().await.unwrap_err();
    assert!(
        error.to_string().contains("aios-gateway.other.svc"),
        "{error}"
    );
    let stranger = start().await;
    let gateway = Gateway::at(fake.address, &stranger.ca, "bank", TOKEN).unwrap();
    assert!(gateway.checkpoint().await.is_err());
    let error = Gateway::at(fake.address, "no pem", "bank", TOKEN)
        .err()
        .unwrap();
    assert!(matches!(error, ClientError::BadCa(_)), "{error}");
}

#[tokio::test]
async fn a_policy_is_replayed_until_no_document_is_left() {
    let fake = start().await;
    let gateway = fake.gateway("bank", TOKEN);
    let policy = json!({"says": "Block"});
    let told = gateway.replay_all("savings", &policy).await.unwrap();
    let changed: Vec<_> = told.changes.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((told.judged, told.next), (203, None));
    assert_eq!(changed, ["d1", "d100", "d204"]);
}
