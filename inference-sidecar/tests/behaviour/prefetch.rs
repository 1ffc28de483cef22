//! Weights, fetched from a file server that misbehaves by script.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use aios_inference_sidecar::prefetch::{Args, Operator, Origin, Wanted, run, run_with};
use aios_simulator::{Listen, Served, files, start};
use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::FLUSH,
    world::{init, serve},
};

#[derive(Clone, Copy, PartialEq)]
enum Do {
    /// Serves as asked.
    Serve,
    /// Breaks off after so many bytes.
    Cut(usize),
    /// Sends the whole file whatever was asked.
    Whole,
    Status(u16),
}

/// What is still to do, and the headers that came.
type Log = (VecDeque<Do>, Vec<HeaderMap>);

#[derive(Clone)]
struct Server(Arc<Mutex<Log>>);

struct World {
    folder: TempDir,
    server: Server,
    args: Args,
}

fn weights() -> Vec<u8> {
    let rest = (0..200_000_u32).flat_map(u32::to_le_bytes);
    b"GGUF".iter().copied().chain(rest).collect()
}

fn wanted(written: &Value) -> Wanted {
    written.to_string().parse().unwrap()
}

fn args(folder: &TempDir, files: Vec<Wanted>) -> Args {
    std::fs::write(folder.path().join("why"), "").unwrap();
    Args {
        files,
        ca_file: None,
        termination_log: folder.path().join("why"),
        tries: 3,
        backoff_ms: 1,
        stall_ms: 5000,
        operator: Operator::default(),
    }
}

async fn world(script: &[Do]) -> World {
    init();
    let server = Server(Arc::new(Mutex::new((
        script.iter().copied().collect(),
        Vec::new(),
    ))));
    let app = Router::new().fallback(answer).with_state(server.clone());
    let folder = tempfile::tempdir().unwrap();
    let file = wanted(&json!({
        "name": "model",
        "uri": format!("{}/w.gguf", serve(app).await),
        "digest": aios_proto::canonical::digest(&weights()),
        "path": folder.path().join("models/w.gguf"),
    }));
    World {
        args: args(&folder, vec![file]),
        folder,
        server,
    }
}

impl World {
    fn partial(&self) -> PathBuf {
        self.folder.path().join("models/w.gguf.partial")
    }

    fn leave(&self, partial: &[u8]) {
        std::fs::create_dir_all(self.folder.path().join("models")).unwrap();
        std::fs::write(self.partial(), partial).unwrap();
    }

    fn why(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("why")).unwrap()
    }

    /// The `Range` header of each request.
    fn asked(&self) -> Vec<Option<String>> {
        self.sent("range")
    }

    /// One header of each request.
    fn sent(&self, name: &str) -> Vec<Option<String>> {
        let log = self.server.0.lock().unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        log.1
            .iter()
            .map(|headers| headers.get(name).map(text))
            .collect()
    }

    fn uri(&self) -> String {
        match &self.args.files[0].origin {
            Origin::File(uri) => uri.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn to(&self) -> PathBuf {
        self.args.files[0].path.clone()
    }

    async fn succeeds(&self) {
        run(&self.args).await.unwrap();
        assert_eq!(std::fs::read(self.to()).unwrap(), weights());
        assert!(!self.partial().exists());
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap) -> Response {
    let range = headers
        .get("range")
        .map(|value| value.to_str().unwrap().to_owned());
    let todo = {
        let mut state = server.0.lock().unwrap();
        state.1.push(headers.clone());
        state.0.pop_front().unwrap_or(Do::Serve)
    };
    let whole = weights();
    let start = range.map_or(0, |range| {
        range
            .strip_prefix("bytes=")
            .unwrap()
            .strip_suffix('-')
            .unwrap()
            .parse::<usize>()
            .unwrap()
    });
    let start = if todo == Do::Whole { 0 } else { start };
    if let Do::Status(status) = todo {
        return Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap();
    }
    if start >= whole.len() {
        return Response::builder().status(416).body(Body::empty()).unwrap();
    }
    let part = whole[start..].to_vec();
    let mut response = Response::builder()
        .header("content-length", part.len())
        .header("etag", "\"first\"");
    if start > 0 {
        let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        response = response.status(206).header("content-range", range);
    }
    let sent = if let Do::Cut(at) = todo {
        part[..at].to_vec()
    } else {
        part
    };
    let cut = matches!(todo, Do::Cut(_));
    let tail = futures::stream::once(async move {
        if !cut {
            return Ok(Bytes::new());
        }
        tokio::time::sleep(FLUSH).await;
        Err(std::io::Error::other("cut"))
    });
    let pieces = futures::stream::iter([Ok(Bytes::from(sent))]).chain(tail);
    response.body(Body::from_stream(pieces)).unwrap()
}

#[tokio::test]
async fn a_file_is_fetched_once_and_then_left_alone() {
    let world = world(&[]).await;
    world.succeeds().await;
    world.succeeds().await;
    assert_eq!(world.asked(), [None]);
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was() {
    let world = world(&[Do::Status(503), Do::Cut(300_000)]).await;
    world.succeeds().await;
    let asked = world.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked[2].as_ref().unwrap().starts_with("bytes="),
        "{asked:?}"
    );
    // The rest is asked for only if it is of the same file.
    let conditions = world.sent("if-range");
    assert_eq!(conditions, [None, None, Some("\"first\"".to_owned())]);
}

#[tokio::test]
async fn a_part_from_an_earlier_run_is_used() {
    let world = world(&[]).await;
    world.leave(&weights()[..1000]);
    world.succeeds().await;
    assert_eq!(world.asked(), [Some("bytes=1000-".to_owned())]);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_understood() {
    let world = world(&[Do::Whole]).await;
    world.leave(&weights()[..1000]);
    world.succeeds().await;
}

#[tokio::test]
async fn a_part_of_another_file_is_thrown_away() {
    let world = world(&[]).await;
    world.leave(&[7; 1000]);
    world.succeeds().await;
    assert_eq!(world.asked(), [Some("bytes=1000-".to_owned()), None]);
}

#[tokio::test]
async fn a_whole_part_needs_no_byte_more() {
    let world = world(&[]).await;
    world.leave(&weights());
    world.succeeds().await;
}

#[tokio::test]
async fn another_file_in_its_place_is_replaced() {
    let world = world(&[]).await;
    std::fs::create_dir_all(world.folder.path().join("models")).unwrap();
    std::fs::write(world.to(), "old").unwrap();
    world.succeeds().await;
}

#[tokio::test]
async fn a_file_with_another_digest_is_refused_and_not_kept() {
    let mut world = world(&[]).await;
    world.args.files[0] = wanted(&json!({
        "name": "adapter style",
        "uri": world.uri(),
        "digest": aios_proto::canonical::digest(b"other"),
        "path": world.to(),
    }));
    let error = run(&world.args).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(!world.to().exists() && !world.partial().exists());
    let why = world.why();
    assert!(
        why.contains(&aios_proto::canonical::digest(&weights())),
        "{why}"
    );
    assert!(why.starts_with("adapter style has digest"), "{why}");
    assert_eq!(why.lines().count(), 1);
}

#[tokio::test]
async fn a_server_that_keeps_failing_and_a_missing_file_are_unavailable() {
    let failing = world(&[Do::Status(500); 9]).await;
    assert_eq!(run(&failing.args).await.unwrap_err().exit_code(), 4);
    assert_eq!(failing.asked().len(), 3);
    let missing = world(&[Do::Status(404)]).await;
    assert_eq!(run(&missing.args).await.unwrap_err().exit_code(), 4);
    assert_eq!(missing.asked().len(), 1);
    assert!(missing.why().contains("404"));
}

#[test]
fn wrong_flags_are_named() {
    let good = json!({"name": "model", "uri": "https://models.example/a.gguf", "path": "/w/a.gguf",
        "digest": format!("sha256:{}", "ab".repeat(32))});
    assert!(good.to_string().parse::<Wanted>().is_ok());
    for (field, value) in [
        ("digest", "sha256:zz"),
        ("uri", "ftp://x/y"),
        ("token", "secret"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = json!(value);
        let error = wrong.to_string().parse::<Wanted>().unwrap_err();
        assert!(error.contains(field), "{error}");
    }
    let mut folder = good;
    folder["snapshot"] =
        json!({"hub": "https://hub.example", "repository": "org/repo", "commit": "c0"});
    let error = folder.to_string().parse::<Wanted>().unwrap_err();
    assert!(error.contains("not both"), "{error}");
    folder["uri"] = json!(null);
    let error = folder.to_string().parse::<Wanted>().unwrap_err();
    assert!(error.contains("no GGUF file"), "{error}");
    folder["format"] = json!("Any");
    assert!(folder.to_string().parse::<Wanted>().is_ok());
    folder["snapshot"]["repository"] = json!("repo/../x");
    assert!(folder.to_string().parse::<Wanted>().is_err());
}

/// The simulator's store of weights, with a folder that holds `a.gguf` and `b.gguf`.
async fn store(token: Option<&str>) -> (Served, TempDir) {
    init();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.gguf"), weights()).unwrap();
    std::fs::write(folder.path().join("b.gguf"), b"GGUF of an adapter").unwrap();
    let settings = files::Settings {
        bearer_token: token.map(str::to_owned),
        ..files::Settings::new(folder.path())
    };
    let app = files::router(&settings).unwrap();
    let served = start(app, &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap();
    (served, folder)
}

#[tokio::test]
async fn model_and_adapters_come_in_one_go_and_tell_how_far_they_are() {
    let (served, source) = store(None).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, file: &str, content: &[u8]| {
        wanted(&json!({
            "name": name,
            "uri": format!("{}/{file}", served.url()),
            "digest": aios_proto::canonical::digest(content),
            "path": folder.path().join(file),
        }))
    };
    let mut files = vec![
        file("model", "a.gguf", &weights()),
        file("adapter style", "b.gguf", b"GGUF of an adapter"),
    ];
    // A mounted file needs no address and is only read.
    files.push(wanted(&json!({
        "name": "adapter law",
        "digest": aios_proto::canonical::digest(b"GGUF of an adapter"),
        "path": source.path().join("b.gguf"),
    })));
    let args = args(&folder, files);
    let teller = args.operator.attach(CancellationToken::new());
    run_with(&args, &teller).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("a.gguf")).unwrap(),
        weights()
    );
    assert!(folder.path().join("b.gguf").exists());
    let told = teller.latest().unwrap();
    assert_eq!(
        (told.file.as_str(), told.percent, told.checking),
        ("adapter law", 100, true)
    );
}

#[tokio::test]
async fn a_mounted_file_that_is_missing_or_another_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    let file = wanted(&json!({"name": "model", "path": path,
        "digest": aios_proto::canonical::digest(&weights())}));
    let args = args(&folder, vec![file]);
    let error = run(&args).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("a.gguf"), "{error}");
    std::fs::write(&path, "another").unwrap();
    assert_eq!(run(&args).await.unwrap_err().exit_code(), 3);
    assert_eq!(std::fs::read(&path).unwrap(), b"another");
    std::fs::write(&path, weights()).unwrap();
    run(&args).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_file_of_another_format_is_refused_although_its_digest_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    std::fs::write(&path, "<html>").unwrap();
    let file = wanted(&json!({"name": "model", "path": path,
        "digest": aios_proto::canonical::digest(b"<html>")}));
    let error = run(&args(&folder, vec![file])).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("GGUF"), "{error}");
}

/// A folder of a model whose `config.json` says how it is quantized, and its digest as the shell's
/// `sha256sum` gives it.
fn folder_of_weights(root: &TempDir, quantized: &str) -> (PathBuf, String) {
    let folder = root.path().join("model");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let config = json!({"quantization_config": {"quant_method": quantized}}).to_string();
    std::fs::write(folder.join("config.json"), config).unwrap();
    std::fs::write(folder.join("sub/a.safetensors"), "weights").unwrap();
    std::fs::write(folder.join("Z.txt"), "").unwrap();
    let lines =
        "find -L . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum";
    let told = std::process::Command::new("sh")
        .args(["-c", lines])
        .current_dir(&folder)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let digest = format!("sha256:{}", told.split(' ').next().unwrap());
    (folder, digest)
}

#[tokio::test]
async fn a_mounted_folder_is_proven_by_one_digest_over_all_its_files() {
    let root = tempfile::tempdir().unwrap();
    let (folder, digest) = folder_of_weights(&root, "awq");
    let file = wanted(&json!({"name": "model", "path": folder, "digest": digest,
        "format": {"Folder": {"quantization": null}}}));
    let args = args(&root, vec![file]);
    run(&args).await.unwrap();
    std::fs::write(folder.join("sub/b.safetensors"), "more").unwrap();
    assert_eq!(run(&args).await.unwrap_err().exit_code(), 3);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(run(&args).await.unwrap_err().exit_code(), 4);
}

#[tokio::test]
async fn weights_of_any_format_are_proven_as_file_or_folder() {
    let root = tempfile::tempdir().unwrap();
    let (folder, digest) = folder_of_weights(&root, "awq");
    let path = root.path().join("any.bin");
    std::fs::write(&path, "any").unwrap();
    let any = |path: &PathBuf, digest: String| {
        wanted(&json!({"name": "model", "path": path, "digest": digest, "format": "Any"}))
    };
    let file = any(&path, aios_proto::canonical::digest(b"any"));
    run(&args(&root, vec![any(&folder, digest), file]))
        .await
        .unwrap();
    let wrong = any(&path, aios_proto::canonical::digest(b"other"));
    assert_eq!(
        run(&args(&root, vec![wrong]))
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
}

#[tokio::test]
async fn a_folder_that_is_quantized_otherwise_than_the_spec_says_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (folder, digest) = folder_of_weights(&root, "gptq");
    let bring = async |method: &str| {
        let file = wanted(&json!({"name": "model", "path": folder, "digest": digest,
            "format": {"Folder": {"quantization": method}}}));
        run(&args(&root, vec![file])).await
    };
    bring("GPTQ").await.unwrap();
    let error = bring("AWQ").await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().contains("gptq by its config.json"),
        "{error}"
    );
}

/// A file of the store, asked for with a token from a file of this content.
fn with_token(folder: &TempDir, uri: &str, token: &str) -> Args {
    let file = folder.path().join("token");
    std::fs::write(&file, token).unwrap();
    let file = wanted(&json!({
        "name": "model",
        "uri": uri,
        "digest": aios_proto::canonical::digest(&weights()),
        "path": folder.path().join("a.gguf"),
        "tokenFile": file,
    }));
    args(folder, vec![file])
}

#[tokio::test]
async fn a_store_that_asks_for_a_token_gets_it_and_a_wrong_one_is_told_without_its_value() {
    let (served, _source) = store(Some("hf_right")).await;
    let uri = format!("{}/a.gguf", served.url());
    let folder = tempfile::tempdir().unwrap();
    let error = run(&with_token(&folder, &uri, "hf_wrong"))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let why = std::fs::read_to_string(folder.path().join("why")).unwrap();
    assert!(why.contains("401") && why.contains("credentials"), "{why}");
    assert!(!why.contains("hf_wrong"), "{why}");
    assert_eq!(
        run(&with_token(&folder, &uri, "\n"))
            .await
            .unwrap_err()
            .exit_code(),
        2
    );
    run(&with_token(&folder, &uri, "hf_right\n")).await.unwrap();
}

#[tokio::test]
async fn a_token_stays_with_its_host_when_the_store_sends_on() {
    let store = world(&[]).await;
    let target = store.uri();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let hub = Router::new().fallback(move |headers: HeaderMap| {
        log.lock()
            .unwrap()
            .push(headers.get("authorization").cloned());
        std::future::ready((StatusCode::FOUND, [("location", target.clone())]))
    });
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("{}/org/repo/resolve/main/a.gguf", serve(hub).await);
    run(&with_token(&folder, &uri, "hf_secret")).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[..],
        [Some(HeaderValue::from_static("Bearer hf_secret"))]
    );
    assert_eq!(store.sent("authorization"), [None]);
    assert_eq!(store.sent("referer"), [None]);
}

#[tokio::test]
async fn a_second_prefetch_of_the_same_file_waits_and_finds_it() {
    let world = world(&[Do::Cut(300_000)]).await;
    let (first, second) = tokio::join!(run(&world.args), run(&world.args));
    first.unwrap();
    second.unwrap();
    // One of them fetched, with one resumption; the other found the file.
    assert_eq!(world.asked().len(), 2);
    assert_eq!(std::fs::read(world.to()).unwrap(), weights());
}
