//! Fetches the records of calls from an egress as its pod's own process does, so that they are signed and let go.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// More often than a gateway, so that every window has its share, and no rate fills what is kept.
const EVERY: Duration = Duration::from_secs(1);

/// Fetches until it is dropped.
pub fn fetch(egress: SocketAddr) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        stopped.run_until_cancelled(follow(egress)).await;
    });
    stop.drop_guard()
}

async fn follow(egress: SocketAddr) {
    let client = reqwest::Client::new();
    let mut after = String::new();
    loop {
        sleep(EVERY).await;
        let url = format!("http://{egress}/v1/records{after}");
        let Ok(answer) = client.get(url).send().await else {
            continue;
        };
        let text = answer.text().await.unwrap_or_default();
        after = text.lines().last().and_then(behind).unwrap_or(after);
    }
}

/// The query for what comes behind a batch.
fn behind(batch: &str) -> Option<String> {
    let batch: Value = serde_json::from_str(batch).ok()?;
    let process = batch["head"]["process"].as_str()?;
    let sequence = batch["head"]["sequence"].as_u64()?;
    Some(format!("?process={process}&after={sequence}"))
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn what_was_fetched_is_not_fetched_again() {
        let batch = r#"{"head":{"process":"ab","sequence":7,"records":2}}"#;
        assert_eq!(behind(batch).unwrap(), "?process=ab&after=7");
    }
}
