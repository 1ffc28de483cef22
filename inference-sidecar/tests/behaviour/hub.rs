//! Folders from a hub. The hub is a stand-in for Hugging Face's that holds callers to what is published of
//! its API (`/api/models/{repo}/tree/{rev}?recursive=true` in pages, and `/{repo}/resolve/{rev}/{path}`): any
//! other request is answered with 400 and makes the test fail.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use aios_inference_sidecar::prefetch::{Args, Operator, run, run_with};
use aios_proto::canonical;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::FLUSH,
    world::{init, serve},
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPOSITORY: &str = "org/house-7b";
/// Files that are at least so long are kept outside Git.
const LARGE: usize = 1000;

#[derive(Clone)]
struct Hub(Arc<Mutex<Inside>>);

struct Inside {
    files: BTreeMap<String, Vec<u8>>,
    token: Option<String>,
    /// What the hub lists of a file, in place of what it holds.
    listed: BTreeMap<String, Vec<u8>>,
    /// Path of which the next body breaks off after so many bytes.
    cut: Option<(String, usize)>,
    /// `PATH` or `PATH from BYTE`, of each body that was asked for, and `list` of each page.
    asked: Vec<String>,
    wrong: Vec<String>,
}

struct World {
    hub: Hub,
    uri: String,
    root: TempDir,
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let shard = |seed: u32| (0..50_000_u32).flat_map(move |n| (n ^ seed).to_le_bytes());
    [
        (".gitattributes", b"*.safetensors filter=lfs\n".to_vec()),
        (
            "config.json",
            b"{\"quantization_config\": {\"quant_method\": \"awq\"}}".to_vec(),
        ),
        ("model-00001-of-00002.safetensors", shard(1).collect()),
        ("model-00002-of-00002.safetensors", shard(2).collect()),
        ("empty.txt", Vec::new()),
        ("sub/a b.json", b"{}".to_vec()),
    ]
    .into_iter()
    .map(|(path, content)| (path.to_owned(), content))
    .collect()
}

/// As `sha256sum` prints each file, in the order of paths, hashed once more.
fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    let line = |(path, content): (&String, &Vec<u8>)| {
        let digest = canonical::digest(content);
        format!("{}  {path}\n", digest.trim_start_matches("sha256:"))
    };
    canonical::digest(files.iter().map(line).collect::<String>().as_bytes())
}

async fn world() -> World {
    init();
    let hub = Hub(Arc::new(Mutex::new(Inside {
        files: files(),
        token: None,
        listed: BTreeMap::new(),
        cut: None,
        asked: Vec::new(),
        wrong: Vec::new(),
    })));
    World {
        uri: serve(Router::new().fallback(answer).with_state(hub.clone())).await,
        hub,
        root: tempfile::tempdir().unwrap(),
    }
}

impl World {
    fn path(&self) -> PathBuf {
        self.root.path().join("cache/house-7b")
    }

    fn args(&self, digest: &str, quantization: Option<&str>) -> Args {
        let why = self.root.path().join("why");
        std::fs::write(&why, "").unwrap();
        let mut file = json!({"name": "model", "digest": digest, "path": self.path(),
            "format": {"Folder": {"quantization": quantization}},
            "snapshot": {"hub": self.uri, "repository": REPOSITORY, "commit": COMMIT}});
        let token = self.root.path().join("token");
        if token.exists() {
            file["tokenFile"] = json!(token);
        }
        Args {
            files: vec![file.to_string().parse().unwrap()],
            ca_file: None,
            termination_log: why,
            tries: 3,
            backoff_ms: 1,
            stall_ms: 5000,
            operator: Operator::default(),
        }
    }

    fn inside<T>(&self, change: impl FnOnce(&mut Inside) -> T) -> T {
        change(&mut self.hub.0.lock().unwrap())
    }

    /// What was asked for since the last call. Nothing was asked for wrongly.
    fn asked(&self) -> Vec<String> {
        self.inside(|inside| {
            assert!(inside.wrong.is_empty(), "{:?}", inside.wrong);
            std::mem::take(&mut inside.asked)
        })
    }

    /// What stands in the folder.
    fn stands(&self) -> BTreeMap<String, Vec<u8>> {
        let read = |path: &String| {
            let content = std::fs::read(self.path().join(path)).unwrap();
            (path.clone(), content)
        };
        self.inside(|inside| inside.files.keys().map(read).collect())
    }

    fn partial(&self) -> PathBuf {
        self.path().with_file_name("house-7b.partial")
    }
}

async fn answer(State(hub): State<Hub>, request: Request) -> Response {
    let mut inside = hub.0.lock().unwrap();
    let sent = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    if let Some(token) = &inside.token
        && sent("authorization") != Some(format!("Bearer {token}"))
    {
        return status(StatusCode::UNAUTHORIZED);
    }
    let (path, query) = (request.uri().path(), request.uri().query());
    let tree = format!("/api/models/{REPOSITORY}/tree/{COMMIT}");
    let resolve = format!("/{REPOSITORY}/resolve/{COMMIT}/");
    if request.method() == Method::GET && path == tree {
        let (first, next) = match query {
            Some("recursive=true") => (true, format!("{tree}?recursive=true&cursor=c2")),
            Some("recursive=true&cursor=c2") => (false, String::new()),
            _ => return wrong(&mut inside, &request),
        };
        inside.asked.push("list".to_owned());
        let host = sent("host").unwrap();
        return page(&inside, first, &format!("http://{host}{next}"));
    }
    let file = path
        .strip_prefix(&resolve)
        .map(|path| path.replace("%20", " "))
        .filter(|path| query.is_none() && inside.files.contains_key(path));
    match (request.method(), file) {
        (&Method::GET, Some(file)) => {
            let start = sent("range").map(|range| {
                let start = range.strip_prefix("bytes=").unwrap();
                start.strip_suffix('-').unwrap().parse().unwrap()
            });
            body(&mut inside, &file, start)
        }
        _ => wrong(&mut inside, &request),
    }
}

fn status(status: StatusCode) -> Response {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

fn wrong(inside: &mut Inside, request: &Request) -> Response {
    inside
        .wrong
        .push(format!("{} {}", request.method(), request.uri()));
    status(StatusCode::BAD_REQUEST)
}

/// Half of the entries: directories are among them, and large files have a pointer's id beside their own.
fn page(inside: &Inside, first: bool, next: &str) -> Response {
    let entry = |path: &String| {
        let content = inside.listed.get(path).unwrap_or(&inside.files[path]);
        let mut entry = json!({"type": "file", "oid": "ab".repeat(20), "path": path,
            "size": content.len()});
        if content.len() >= LARGE {
            let digest = canonical::digest(content);
            entry["lfs"] = json!({"oid": digest.trim_start_matches("sha256:"),
                "size": content.len(), "pointerSize": 134});
        }
        entry
    };
    let mut entries: Vec<Value> = inside.files.keys().map(entry).collect();
    entries.push(json!({"type": "directory", "oid": "cd".repeat(20), "size": 0, "path": "sub"}));
    let rest = entries.split_off(3);
    let response = Response::builder().header("content-type", "application/json");
    let (response, entries) = if first {
        (
            response.header("link", format!("<{next}>; rel=\"next\"")),
            entries,
        )
    } else {
        (response, rest)
    };
    response
        .body(Body::from(json!(entries).to_string()))
        .unwrap()
}

fn body(inside: &mut Inside, file: &str, start: Option<usize>) -> Response {
    let whole = inside.files[file].clone();
    let asked = match start {
        Some(start) => format!("{file} from {start}"),
        None => file.to_owned(),
    };
    inside.asked.push(asked);
    let start = start.unwrap_or(0);
    if start > 0 && start >= whole.len() {
        return status(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let part = whole[start..].to_vec();
    let mut response = Response::builder()
        .header("etag", format!("\"{}\"", canonical::digest(&whole)))
        .header("content-length", part.len());
    if start > 0 {
        let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        response = response.status(206).header("content-range", range);
    }
    let sent = match inside.cut.take_if(|cut| cut.0 == file) {
        Some((_, at)) => {
            let tail = futures::stream::once(async {
                tokio::time::sleep(FLUSH).await;
                Err(std::io::Error::other("cut"))
            });
            let sent = Ok(Bytes::from(part[..at].to_vec()));
            Body::from_stream(futures::stream::iter([sent]).chain(tail))
        }
        None => Body::from(part),
    };
    response.body(sent).unwrap()
}

#[tokio::test]
async fn a_repository_comes_as_a_folder_once_and_tells_how_far_it_is() {
    let world = world().await;
    let args = world.args(&digest(&files()), Some("AWQ"));
    let teller = args.operator.attach(CancellationToken::new());
    run_with(&args, &teller).await.unwrap();
    assert_eq!(world.stands(), files());
    assert!(!world.partial().exists());
    // The small ones come first: they tell whether the large ones are worth their time.
    let asked = world.asked();
    assert_eq!(asked[..2], ["list", "list"]);
    assert!(
        asked[6].starts_with("model-00001") && asked[7].starts_with("model-00002"),
        "{asked:?}"
    );
    let told = teller.latest().unwrap();
    let whole: usize = files().values().map(Vec::len).sum();
    assert_eq!(
        (told.file.as_str(), told.percent, told.bytes, told.checking),
        ("model", 100, whole as u64, false)
    );
    run(&args).await.unwrap();
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_digest_is_told_with_the_right_one_before_anything_large_is_fetched() {
    let world = world().await;
    let error = run(&world.args(&canonical::digest(b"other"), None))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(&digest(&files())), "{error}");
    assert!(
        !world
            .asked()
            .iter()
            .any(|asked| asked.starts_with("model-"))
    );
    assert!(!world.path().exists() && !world.partial().exists());
}

#[tokio::test]
async fn each_file_goes_on_where_it_was_cut_also_in_a_later_run() {
    let world = world().await;
    let shard = "model-00002-of-00002.safetensors";
    world.inside(|inside| inside.cut = Some((shard.to_owned(), 100_000)));
    let args = world.args(&digest(&files()), None);
    let once = Args {
        tries: 1,
        ..args.clone()
    };
    assert_eq!(run(&once).await.unwrap_err().exit_code(), 4);
    world.asked();
    run(&args).await.unwrap();
    assert_eq!(world.stands(), files());
    let asked = world.asked();
    assert!(
        asked
            .iter()
            .any(|asked| asked.starts_with(&format!("{shard} from "))),
        "{asked:?}"
    );
    // Of what was whole nothing came again.
    assert!(asked.contains(&"model-00001-of-00002.safetensors from 200000".to_owned()));
}

#[tokio::test]
async fn a_file_that_is_not_what_the_hub_lists_is_not_kept() {
    let world = world().await;
    let shard = "model-00001-of-00002.safetensors".to_owned();
    let mut listed = files();
    listed.get_mut(&shard).unwrap().reverse();
    let wanted = digest(&listed);
    world.inside(|inside| inside.listed = listed);
    let error = run(&world.args(&wanted, None)).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains(&shard), "{error}");
    assert!(!world.path().exists() && !world.partial().join(shard).exists());
}

#[tokio::test]
async fn what_an_earlier_try_left_does_not_get_into_the_folder() {
    let world = world().await;
    std::fs::create_dir_all(world.partial()).unwrap();
    std::fs::write(world.partial().join("stray.bin"), "x").unwrap();
    std::fs::create_dir_all(world.path()).unwrap();
    std::fs::write(world.path().join("old.bin"), "x").unwrap();
    run(&world.args(&digest(&files()), None)).await.unwrap();
    assert_eq!(world.stands(), files());
    assert!(!world.path().join("old.bin").exists() && !world.path().join("stray.bin").exists());
}

#[tokio::test]
async fn a_gated_repository_is_read_with_the_token_and_refused_without() {
    let world = world().await;
    world.inside(|inside| inside.token = Some("hf_right".to_owned()));
    let wanted = digest(&files());
    let error = run(&world.args(&wanted, None)).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let why = error.to_string();
    assert!(why.contains("401") && why.contains("credentials"), "{why}");
    std::fs::write(world.root.path().join("token"), "hf_right\n").unwrap();
    run(&world.args(&wanted, None)).await.unwrap();
    assert_eq!(world.stands(), files());
}

#[tokio::test]
async fn a_folder_that_is_quantized_otherwise_is_refused() {
    let world = world().await;
    let error = run(&world.args(&digest(&files()), Some("GPTQ")))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().contains("awq by its config.json"),
        "{error}"
    );
}
