//! A gateway of others as a model's server: `LiteLLM`'s proxy, before the simulator. It is installed once, which takes
//! minutes and half a gigabyte; `make bench BENCH=sidecar` uses the same.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use aios_simulator::{
    Listen,
    model::{Settings, router},
    start,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, chat, header, ingress, init, model, with};

const LITELLM: &str = "litellm[proxy]==1.106.2";
/// A port may be taken between its choice and its use.
const STARTS: u32 = 3;

/// Its packages, kept with those of the benchmarks.
async fn installed() -> PathBuf {
    let cache = env::var_os("AIOS_CACHE").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/aios"),
        PathBuf::from,
    );
    let folder = cache
        .join("peers")
        .join(LITELLM.replace(['/', '[', ']', '='], "-"));
    if folder.is_dir() {
        return folder.join("site");
    }
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let unfinished = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-compile"])
        .args(["--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--only-binary", ":all:", "--report"])
        .arg(unfinished.path().join("installed.json"))
        .arg("--target")
        .arg(unfinished.path().join("site"))
        .arg("--constraint")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks/litellm.txt"))
        .arg(LITELLM);
    assert!(pip.status().await.unwrap().success());
    // A benchmark may have been faster.
    if fs::rename(unfinished.keep(), &folder).is_err() {
        assert!(folder.is_dir(), "{}", folder.display());
    }
    folder.join("site")
}

/// Address of a proxy that knows `writer`, and its process.
async fn litellm(upstream: &str, folder: &std::path::Path) -> (String, Child) {
    let site = installed().await;
    let config = json!({"model_list": [{"model_name": "writer", "litellm_params":
        {"model": "openai/writer", "api_base": format!("{upstream}/v1"), "api_key": "sk-test"}}]});
    let file = folder.join("litellm.yaml");
    fs::write(&file, config.to_string()).unwrap();
    for _ in 0..STARTS {
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap().port()
        };
        let mut proxy = Command::new("python3")
            .arg(site.join("bin/litellm"))
            .arg("--config")
            .arg(&file)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .env("PYTHONPATH", &site)
            .env("NO_PROXY", "127.0.0.1")
            // Prices are asked of GitHub otherwise, and keys of callers.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env(
                "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY",
                "true",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let alive = format!("{address}/health/liveliness");
        // Whoever took the port meanwhile is not this process: it ends, and another port is tried.
        while proxy.try_wait().unwrap().is_none() {
            if reqwest::get(&alive)
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                return (address, proxy);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    panic!("LiteLLM ended {STARTS} times before it answered");
}

#[tokio::test]
async fn litellm_serves_as_a_models_server() {
    init();
    let simulator = router(Settings {
        say: Some("Dear Zoë, welcome!".to_owned()),
        ..Settings::default()
    });
    let never = CancellationToken::new();
    let simulator = start(simulator.unwrap(), &Listen::loopback(), &never)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (address, _proxy) = litellm(&simulator.url(), folder.path()).await;
    let body = with(model("m", &address), "model", json!("writer"));
    let body = with(
        body,
        "resilience",
        json!({"timeout": "2m", "firstTokenTimeout": "2m", "retries": 0}),
    );
    let endpoint = ingress(&body).await;
    let models = vec![with(body, "endpoint", json!(endpoint))];
    let world = World::start(models, json!([{"model": "m"}])).await;

    let plain = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&plain, "aios-usage"), "exact");
    let plain: Value = plain.json().await.unwrap();
    let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text, "Dear Zoë, welcome!");
    let streamed = world
        .call(&chat(json!({"stream": true})))
        .send()
        .await
        .unwrap();
    let streamed = streamed.text().await.unwrap();
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    let said: String = streamed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, text);
    assert!(world.metric(&["token_usage_sum", "\"output\"", "\"exact\""]));
    let refused = chat(json!({"messages": [{"role": "user", "content": [{"type": "nonsense"}]}]}));
    let refused = world.call(&refused).send().await.unwrap();
    assert!(
        refused.status().is_client_error() || refused.status() == 503,
        "{refused:?}"
    );
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["error"]["message"].is_string(), "{refused}");
}
