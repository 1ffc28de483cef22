//! Takes what the pod's egress recorded of model calls to the log, batch by batch.

use std::time::Duration;

use aios_audit::CallHead;
use tokio_util::sync::CancellationToken;

use crate::draft::{Egress, EgressError};

/// How old a record may become before it is signed and in the log.
const EVERY: Duration = Duration::from_secs(5);

/// Where batches go.
pub trait CallLog: Send + Sync {
    /// Appends batches, each the JSON of a signed batch; those that are there are passed over.
    fn record(&self, batches: Vec<Vec<u8>>) -> impl Future<Output = Result<(), String>> + Send;
}

#[derive(Debug, thiserror::Error)]
enum Late {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the log does not take records of calls: {0}")]
    Log(String),
}

/// Takes them there until `ended`, and then a last time.
pub async fn run(egress: Egress, log: impl CallLog, ended: CancellationToken) {
    let mut taker = Taker {
        log,
        last: None,
        late: false,
    };
    loop {
        let due = tokio::time::sleep(EVERY);
        let fetched = egress.records(taker.last.as_ref(), EVERY);
        let Some(fetched) = ended.run_until_cancelled(fetched).await else {
            break;
        };
        // Whoever brings something may have more: an egress waits by itself while it has little.
        if !taker.take(fetched).await {
            ended.run_until_cancelled(due).await;
        }
    }
    let fetched = egress.records(taker.last.as_ref(), Duration::ZERO).await;
    taker.take(fetched).await;
}

/// From the egress to the log.
struct Taker<L> {
    log: L,
    /// The last that is in it.
    last: Option<CallHead>,
    late: bool,
}

impl<L: CallLog> Taker<L> {
    /// Whether something came to the log. What did not the egress keeps meanwhile.
    async fn take(&mut self, fetched: Result<Vec<(CallHead, Vec<u8>)>, EgressError>) -> bool {
        let taken = match fetched {
            Ok(batches) => self.record(batches).await,
            Err(error) => Err(error.into()),
        };
        if let (Err(error), false) = (&taken, self.late) {
            tracing::warn!(%error, "records of calls wait");
        }
        self.late = taken.is_err();
        taken.unwrap_or(false)
    }

    async fn record(&mut self, batches: Vec<(CallHead, Vec<u8>)>) -> Result<bool, Late> {
        let Some((head, _)) = batches.last() else {
            return Ok(false);
        };
        let head = head.clone();
        let batches = batches.into_iter().map(|(_, json)| json).collect();
        self.log.record(batches).await.map_err(Late::Log)?;
        self.last = Some(head);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use aios_audit::{CallBatch, Scribe};
    use axum::{
        Router,
        extract::{RawQuery, State},
        routing::get,
    };
    use tokio::{
        net::TcpListener,
        sync::mpsc::{UnboundedSender, unbounded_channel},
        time::timeout,
    };
    use tokio_util::sync::CancellationToken;

    use super::{CallLog, run};
    use crate::draft::Egress;

    /// What an egress was asked for, until it has no more.
    struct Busy {
        scribe: Scribe,
        batches: usize,
        asked: Vec<String>,
    }

    async fn records(State(busy): State<Arc<Mutex<Busy>>>, RawQuery(query): RawQuery) -> String {
        let batch = {
            let mut busy = busy.lock().unwrap();
            busy.asked.push(query.unwrap_or_default());
            let more = busy.asked.len() <= busy.batches;
            more.then(|| busy.scribe.sign(Vec::new(), 1).unwrap())
        };
        match batch {
            Some(batch) => serde_json::to_string(&batch).unwrap(),
            None => std::future::pending().await,
        }
    }

    struct Log(UnboundedSender<u64>);

    impl CallLog for Log {
        async fn record(&self, batches: Vec<Vec<u8>>) -> Result<(), String> {
            for json in batches {
                let head = CallBatch::verify(&json).unwrap().head;
                self.0.send(head.sequence).unwrap();
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_busy_egress_is_asked_again_at_once_and_an_idle_one_waits_for_more() {
        let batches = 100;
        let busy = Arc::new(Mutex::new(Busy {
            scribe: Scribe::new(&[7; 32]).unwrap(),
            batches,
            asked: Vec::new(),
        }));
        let app = Router::new().route("/v1/records", get(records));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = axum::serve(listener, app.with_state(busy.clone()));
        tokio::spawn(served.into_future());
        let (told, mut log) = unbounded_channel();
        let ended = CancellationToken::new();
        let run = run(Egress::new(&base).unwrap(), Log(told), ended.clone());
        tokio::spawn(run);
        for sequence in 0..batches as u64 {
            let next = timeout(Duration::from_mins(1), log.recv()).await;
            assert_eq!(next.unwrap(), Some(sequence));
        }
        let asked = busy.lock().unwrap().asked.clone();
        assert!(
            asked.iter().all(|query| query.starts_with("wait=5000")),
            "{asked:?}"
        );
        ended.cancel();
    }
}
