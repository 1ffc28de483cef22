//! Weights, fetched from a file server that misbehaves by script.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use aios_inference_sidecar::prefetch::{Args, run};
use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use tempfile::TempDir;

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

/// What is still to do, and the `Range` headers that came.
type Log = (VecDeque<Do>, Vec<Option<String>>);

#[derive(Clone)]
struct Server(Arc<Mutex<Log>>);

struct World {
    folder: TempDir,
    server: Server,
    args: Args,
}

fn weights() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

async fn world(script: &[Do]) -> World {
    init();
    let server = Server(Arc::new(Mutex::new((
        script.iter().copied().collect(),
        Vec::new(),
    ))));
    let app = Router::new().fallback(answer).with_state(server.clone());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("why"), "").unwrap();
    let args = Args {
        uri: format!("{}/w.gguf", serve(app).await).parse().unwrap(),
        digest: aios_proto::canonical::digest(&weights()),
        to: folder.path().join("models/w.gguf"),
        ca_file: None,
        termination_log: folder.path().join("why"),
        tries: 3,
        backoff_ms: 1,
        stall_ms: 5000,
    };
    World {
        folder,
        server,
        args,
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
        self.server.0.lock().unwrap().1.clone()
    }

    async fn succeeds(&self) {
        run(&self.args).await.unwrap();
        assert_eq!(std::fs::read(&self.args.to).unwrap(), weights());
        assert!(!self.partial().exists());
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap) -> Response {
    let range = headers
        .get("range")
        .map(|value| value.to_str().unwrap().to_owned());
    let todo = {
        let mut state = server.0.lock().unwrap();
        state.1.push(range.clone());
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
    let mut response = Response::builder().header("content-length", part.len());
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
    std::fs::write(&world.args.to, "old").unwrap();
    world.succeeds().await;
}

#[tokio::test]
async fn a_file_with_another_digest_is_refused_and_not_kept() {
    let mut world = world(&[]).await;
    world.args.digest = aios_proto::canonical::digest(b"other");
    let error = run(&world.args).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(!world.args.to.exists() && !world.partial().exists());
    let why = world.why();
    assert!(
        why.contains(&aios_proto::canonical::digest(&weights())),
        "{why}"
    );
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

#[tokio::test]
async fn wrong_flags_are_named() {
    let mut wrong = world(&[]).await;
    wrong.args.digest = "sha256:zz".into();
    let error = run(&wrong.args).await.unwrap_err();
    assert!(
        error.exit_code() == 2 && error.to_string().contains("--digest"),
        "{error}"
    );
    let mut wrong = world(&[]).await;
    wrong.args.uri = "ftp://x/y".parse().unwrap();
    assert_eq!(run(&wrong.args).await.unwrap_err().exit_code(), 2);
}
