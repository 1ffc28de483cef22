//! The data planes' end of the control stream against a plain server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use aios_proto::control::{
    Down, Item, ItemAck, LeaseRequest, LeaseResponse, PipelineReport, Report, ReviewTokenRequest,
    ReviewTokenResponse, Role, Snapshot, Up, WitnessRequest, WitnessResponse,
    control_server::{Control, ControlServer},
    down, up,
};
use aios_runtime::control::{AttachConfig, Enforce, Operator, attach};
use futures::{Stream, StreamExt};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Sends one snapshot a connection and passes on what comes up.
struct FakeOperator {
    heard: mpsc::Sender<up::Message>,
    connections: Mutex<u64>,
    hang_up_first: bool,
    /// Reviews that are answered as if there were no operator.
    away: AtomicU32,
}

#[tonic::async_trait]
impl Control for FakeOperator {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<Down, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<Up>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let connection = {
            let mut connections = self.connections.lock().unwrap();
            *connections += 1;
            *connections
        };
        let mut up = request.into_inner();
        let heard = self.heard.clone();
        let hang_up = self.hang_up_first && connection == 1;
        let (sender, receiver) = mpsc::channel(4);
        let items = vec![Item {
            name: "tone".into(),
            digest: "d".into(),
            ..Item::default()
        }];
        let snapshot = Snapshot {
            sequence: connection,
            items,
        };
        let message = Down {
            message: Some(down::Message::Snapshot(snapshot)),
        };
        sender.send(Ok(message)).await.unwrap();
        tokio::spawn(async move {
            while let Some(Ok(message)) = up.next().await {
                let message = message.message.unwrap();
                let acknowledged = matches!(message, up::Message::Ack(_));
                heard.send(message).await.unwrap();
                if hang_up && acknowledged {
                    break;
                }
            }
            drop(sender);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn review_token(
        &self,
        request: Request<ReviewTokenRequest>,
    ) -> Result<Response<ReviewTokenResponse>, Status> {
        if self
            .away
            .try_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(Status::unavailable("Connection refused"));
        }
        Ok(Response::new(ReviewTokenResponse {
            authenticated: true,
            username: request.into_inner().token,
            ..ReviewTokenResponse::default()
        }))
    }

    async fn witness(
        &self,
        _: Request<WitnessRequest>,
    ) -> Result<Response<WitnessResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn lease(&self, _: Request<LeaseRequest>) -> Result<Response<LeaseResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

struct Accepting;

impl Enforce for Accepting {
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck> {
        let ack = |item: Item| ItemAck {
            kind: item.kind,
            name: item.name,
            digest: item.digest,
            accepted: true,
            message: String::new(),
            engine: item.engine,
        };
        snapshot.items.into_iter().map(ack).collect()
    }
}

struct Fixture {
    at: SocketAddr,
    heard: mpsc::Receiver<up::Message>,
    reports: watch::Sender<Report>,
    _stop: tokio_util::sync::DropGuard,
}

fn gateway(at: SocketAddr) -> AttachConfig {
    AttachConfig {
        operator_uri: format!("http://{at}"),
        tls: None,
        token_file: None,
        certificates: Vec::new(),
        role: Role::Gateway,
        model: String::new(),
    }
}

async fn start(hang_up_first: bool) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (sender, heard) = mpsc::channel(64);
    let operator = FakeOperator {
        heard: sender,
        connections: Mutex::new(0),
        hang_up_first,
        away: AtomicU32::new(2),
    };
    let app = tonic::service::Routes::new(ControlServer::new(operator))
        .prepare()
        .into_axum_router();
    let stop = CancellationToken::new();
    tokio::spawn(aios_runtime::serve::serve(
        listener,
        app,
        None,
        stop.clone(),
    ));
    let config = gateway(at);
    let (reports, receiver) = watch::channel(Report::default());
    tokio::spawn(attach(config, Arc::new(Accepting), receiver, stop.clone()));
    Fixture {
        at,
        heard,
        reports,
        _stop: stop.drop_guard(),
    }
}

impl Fixture {
    async fn until<T>(&mut self, mut wanted: impl FnMut(up::Message) -> Option<T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                if let Some(found) = wanted(self.heard.recv().await.unwrap()) {
                    return found;
                }
            }
        })
        .await
        .unwrap()
    }
}

fn ack_of(message: up::Message) -> Option<u64> {
    match message {
        up::Message::Ack(ack) => ack.items[0].accepted.then_some(ack.sequence),
        _ => None,
    }
}

#[tokio::test]
async fn the_first_message_says_who_attaches_and_every_snapshot_is_acknowledged() {
    let mut fixture = start(false).await;
    let hello = fixture.heard.recv().await.unwrap();
    assert!(matches!(hello, up::Message::Hello(hello) if hello.role() == Role::Gateway));
    assert_eq!(fixture.until(ack_of).await, 1);
}

#[tokio::test]
async fn a_lost_stream_is_attached_again_and_the_new_snapshot_acknowledged() {
    let mut fixture = start(true).await;
    assert_eq!(fixture.until(ack_of).await, 1);
    assert_eq!(fixture.until(ack_of).await, 2);
}

#[tokio::test]
async fn a_changed_report_is_sent() {
    let mut fixture = start(false).await;
    fixture.until(ack_of).await;
    let pipelines = vec![PipelineReport {
        pipeline: "mails".into(),
        ..PipelineReport::default()
    }];
    fixture.reports.send_replace(Report {
        pipelines,
        ..Report::default()
    });
    fixture
        .until(|message| match message {
            up::Message::Report(report) => report.pipelines.first().map(|p| p.pipeline.clone()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn a_caller_is_checked_by_the_operator_that_comes_after_one_that_went() {
    let fixture = start(false).await;
    let operator = Operator::new(&gateway(fixture.at)).unwrap();
    let answer = operator.review_token("alice").await.unwrap();
    assert_eq!(answer.username, "alice");
}
