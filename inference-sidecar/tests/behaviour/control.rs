//! The control stream, against a stand-in for the operator.

use std::{pin::Pin, sync::Arc};

use aios_inference_sidecar::{
    config::{Live, Source, follow},
    metrics::Metrics,
    snapshot::Scope,
};
use aios_proto::control::{
    Ack, Down, LeaseRequest, LeaseResponse, Report, ReviewTokenRequest, ReviewTokenResponse, Role,
    Snapshot, Up, WitnessRequest, WitnessResponse,
    control_server::{Control, ControlServer},
    down, up,
};
use futures::{Stream, StreamExt};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::world::{init, model, serve, snapshot, with};

/// Sends the snapshots of a queue to whoever attaches, and passes on what comes up.
struct Operator {
    snapshots: Mutex<Option<mpsc::Receiver<Snapshot>>>,
    heard: mpsc::Sender<up::Message>,
}

#[async_trait::async_trait]
impl Control for Operator {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<Down, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<Up>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut up = request.into_inner();
        let heard = self.heard.clone();
        tokio::spawn(async move {
            while let Some(Ok(Up {
                message: Some(message),
            })) = up.next().await
            {
                heard.send(message).await.unwrap();
            }
        });
        let snapshots = self.snapshots.lock().await.take().unwrap();
        let down = ReceiverStream::new(snapshots).map(|snapshot| {
            Ok(Down {
                message: Some(down::Message::Snapshot(snapshot)),
            })
        });
        Ok(Response::new(Box::pin(down)))
    }

    async fn review_token(
        &self,
        _: Request<ReviewTokenRequest>,
    ) -> Result<Response<ReviewTokenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn witness(
        &self,
        _: Request<WitnessRequest>,
    ) -> Result<Response<WitnessResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lease(&self, _: Request<LeaseRequest>) -> Result<Response<LeaseResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// Address of an operator that sends these snapshots and passes on what it hears.
pub async fn operator(
    snapshots: mpsc::Receiver<Snapshot>,
    heard: mpsc::Sender<up::Message>,
) -> String {
    let snapshots = Mutex::new(Some(snapshots));
    let service = ControlServer::new(Operator { snapshots, heard });
    let routes = tonic::service::Routes::new(service);
    serve(routes.prepare().into_axum_router()).await
}

pub async fn next_ack(heard: &mut mpsc::Receiver<up::Message>) -> Ack {
    loop {
        if let up::Message::Ack(ack) = heard.recv().await.unwrap() {
            return ack;
        }
    }
}

#[tokio::test]
async fn snapshots_are_enforced_acknowledged_and_kept_for_the_next_start() {
    init();
    let (send, snapshots) = mpsc::channel(4);
    let (heard_send, mut heard) = mpsc::channel(16);
    let folder = tempfile::tempdir().unwrap();
    let source = Source {
        operator_uri: Some(operator(snapshots, heard_send).await),
        ca_file: None,
        control_token_file: None,
        config_file: None,
        cache_file: Some(folder.path().join("cache.json")),
    };
    let live = || {
        let metrics = Arc::new(Metrics::new(&mut Registry::default()));
        Live::new(Scope::Egress, source.cache_file.clone(), metrics)
    };
    let shutdown = CancellationToken::new();
    let (_reporting, reports) = watch::channel(Report::default());
    let first = live();
    let attachment = source.attachment(first.scope(), Vec::new()).unwrap();
    let following = tokio::spawn(follow(
        first.clone(),
        (source.clone(), attachment),
        reports,
        shutdown.clone(),
    ));
    let hello = heard.recv().await.unwrap();
    assert!(matches!(hello, up::Message::Hello(hello) if hello.role() == Role::Egress));

    let good = model("m", "http://127.0.0.1:1");
    send.send(snapshot(1, vec![good.clone()], json!([{"model": "m"}])))
        .await
        .unwrap();
    let ack = next_ack(&mut heard).await;
    assert!(
        ack.sequence == 1 && ack.items.iter().all(|item| item.accepted),
        "{ack:?}"
    );

    let bad = with(good, "endpoint", json!("nonsense"));
    send.send(snapshot(2, vec![bad], json!([{"model": "m"}])))
        .await
        .unwrap();
    let ack = next_ack(&mut heard).await;
    assert!(
        !ack.items[0].accepted && ack.items[0].message.contains("endpoint"),
        "{ack:?}"
    );
    assert_eq!(first.load().models["m"].endpoints, ["http://127.0.0.1:1"]);

    shutdown.cancel();
    following.await.unwrap().unwrap();
    let second = live();
    second.bootstrap([source.cache_file.as_deref(), None]);
    assert_eq!(second.load().sequence, 2);
    assert_eq!(second.load().models["m"].endpoints, ["http://127.0.0.1:1"]);
}
