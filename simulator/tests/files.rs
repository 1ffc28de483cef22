//! Serving weights: ranges, HEAD, resuming, and nothing outside the directory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use aios_simulator::Served;
use aios_simulator::files::{Settings, router};
use common::{client, serve};
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("weights/model")).unwrap();
    std::fs::write(dir.path().join("weights/model/a.gguf"), "0123456789").unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", dir.path().join("weights/link")).unwrap();
    dir
}

async fn served(dir: &TempDir) -> Served {
    serve(router(&Settings::new(dir.path().join("weights"))).unwrap()).await
}

fn file(served: &Served, method: Method) -> RequestBuilder {
    client().request(method, format!("{}/model/a.gguf", served.url()))
}

#[tokio::test]
async fn a_file_is_served_whole_and_by_head_without_body() {
    let dir = store();
    let served = served(&dir).await;
    let whole = file(&served, Method::GET).send().await.unwrap();
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.headers()["content-length"], "10");
    assert_eq!(whole.headers()["aios-simulator"], "true");
    assert_eq!(whole.text().await.unwrap(), "0123456789");
    let head = file(&served, Method::HEAD).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &"10".parse().unwrap())
    );
    assert_eq!(head.text().await.unwrap(), "");
    assert_eq!(
        file(&served, Method::PUT).send().await.unwrap().status(),
        405
    );
}

#[tokio::test]
async fn a_range_is_served_unless_the_file_changed_meanwhile() {
    let dir = store();
    let served = served(&dir).await;
    let part = file(&served, Method::GET)
        .header("range", "bytes=4-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 4-9/10");
    let etag = part.headers()["etag"].clone();
    assert_eq!(part.text().await.unwrap(), "456789");

    let beyond = file(&served, Method::GET)
        .header("range", "bytes=10-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-range"], "bytes */10");

    let resumed = file(&served, Method::GET)
        .header("range", "bytes=4-")
        .header("if-range", etag);
    assert_eq!(
        resumed.try_clone().unwrap().send().await.unwrap().status(),
        206
    );
    std::fs::write(dir.path().join("weights/model/a.gguf"), "another file").unwrap();
    assert_eq!(resumed.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn nothing_outside_the_directory_is_reachable() {
    let dir = store();
    let served = served(&dir).await;
    for path in [
        "/../secret",
        "/model/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/link",
        "/model",
        "/none",
    ] {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_cut_body_can_be_resumed() {
    let dir = store();
    let settings = Settings {
        cut_after: Some(3),
        ..Settings::new(dir.path().join("weights"))
    };
    let served = serve(router(&settings).unwrap()).await;
    assert!(
        file(&served, Method::GET)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .is_err()
    );
    let rest = file(&served, Method::GET)
        .header("range", "bytes=3-")
        .send()
        .await
        .unwrap();
    assert_eq!(rest.text().await.unwrap(), "3456789");
}

#[tokio::test]
async fn a_bearer_token_is_demanded_when_set() {
    let dir = store();
    let settings = Settings {
        bearer_token: Some("t".into()),
        ..Settings::new(dir.path().join("weights"))
    };
    let served = serve(router(&settings).unwrap()).await;
    assert_eq!(
        file(&served, Method::GET).send().await.unwrap().status(),
        401
    );
    assert_eq!(
        file(&served, Method::GET)
            .bearer_auth("t")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert!(router(&Settings::new("/does/not/exist")).is_err());
}
