//! The gRPC service: one stream a data plane, and the unary calls beside it.

use std::{pin::Pin, sync::Arc, time::Duration};

use aios_proto::{
    config::FORMAT,
    control::{
        self as proto, Down, LeaseRefusal, LeaseRequest, LeaseResponse, ModelSpeed, Replicas,
        ReviewTokenRequest, ReviewTokenResponse, Snapshot, Up, WitnessRequest, WitnessResponse,
        control_server::Control, down, up,
    },
};
use futures::Stream;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{
    ca::{KeyId, Papers},
    control::{
        Account, Authenticator, Budgets, Hub, Index, Key, Kind, NoAccount, Seat, Teller, Witness,
        auth::Caller, hub::Line,
    },
    metrics::Metrics,
    share::Share,
};

/// Audience of the tokens that users show to a gateway.
const USERS: &str = "aios";
/// How long a data plane may take to say what it is.
const HELLO: Duration = Duration::from_secs(10);
/// How long the API server may take to say whose a next token is.
const REVIEW: Duration = Duration::from_secs(10);
/// CAs that a data plane may name: never are there more than two.
const KEYS: usize = 8;

#[derive(Clone)]
pub struct ControlService {
    pub hub: Arc<Hub>,
    pub authenticator: Arc<Authenticator>,
    pub witness: Arc<Witness>,
    pub budgets: Arc<Budgets>,
    pub share: Share,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
}

type Downs = Pin<Box<dyn Stream<Item = Result<Down, Status>> + Send>>;

#[tonic::async_trait]
impl Control for ControlService {
    type AttachStream = Downs;

    async fn attach(&self, request: Request<Streaming<Up>>) -> Result<Response<Downs>, Status> {
        let caller = self.authenticator.caller(request.metadata()).await?;
        let (sender, receiver) = mpsc::channel(4);
        let service = self.clone();
        let up = request.into_inner();
        // The stream lives as long as its task: the data plane's hello comes after our headers.
        tokio::spawn(async move {
            if let Err(status) = service.converse(&caller, up, &sender).await {
                tracing::debug!(
                    pod = caller.pod,
                    namespace = caller.namespace,
                    message = status.message(),
                    "control stream ended"
                );
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn review_token(
        &self,
        request: Request<ReviewTokenRequest>,
    ) -> Result<Response<ReviewTokenResponse>, Status> {
        let caller = self.authenticator.caller(request.metadata()).await?;
        gateway_only(&caller)?;
        let status = self
            .authenticator
            .review(&request.get_ref().token, USERS)
            .await?;
        let user = status.user.unwrap_or_default();
        Ok(Response::new(ReviewTokenResponse {
            authenticated: status.authenticated.unwrap_or_default(),
            username: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            error: status.error.unwrap_or_default(),
        }))
    }

    async fn witness(
        &self,
        request: Request<WitnessRequest>,
    ) -> Result<Response<WitnessResponse>, Status> {
        let caller = self.authenticator.caller(request.metadata()).await?;
        gateway_only(&caller)?;
        self.serves(&caller)?;
        let namespace = &caller.namespace;
        let pipelines: Vec<String> = self.hub.read(|index| {
            let keys = index.keys(namespace).into_iter();
            keys.filter(|key| key.kind == Kind::Pipeline)
                .map(|key| key.name)
                .collect()
        });
        let answer = self
            .witness
            .show(namespace, request.get_ref(), &pipelines)
            .await?;
        Ok(Response::new(answer))
    }

    async fn lease(
        &self,
        request: Request<LeaseRequest>,
    ) -> Result<Response<LeaseResponse>, Status> {
        let caller = self.authenticator.caller(request.metadata()).await?;
        if !caller.may_sit(&Seat::Egress) {
            return Err(Status::permission_denied("only egresses may ask this"));
        }
        self.serves(&caller)?;
        let request = request.get_ref();
        let (of, now) = ((request.scope(), request.name.as_str()), Timestamp::now());
        let found = self
            .hub
            .read(|index| Account::find(index, &caller.namespace, of, now));
        let (account, allowance) = match found {
            Ok(found) => found,
            Err(NoAccount::Gone) => {
                return Ok(Response::new(LeaseResponse {
                    refusal: LeaseRefusal::Gone.into(),
                    ..LeaseResponse::default()
                }));
            }
            Err(error) => return Err(Status::failed_precondition(error.to_string())),
        };
        let of = (&account, &allowance);
        let answer = self
            .budgets
            .lease(of, &caller.pod_uid, request, now)
            .await?;
        Ok(Response::new(answer))
    }
}

impl ControlService {
    /// One stream's life: hello, then snapshots down, acknowledgements and reports up. It ends with
    /// the token that was shown last, and with the pod.
    async fn converse(
        &self,
        caller: &Caller,
        mut up: Streaming<Up>,
        answers: &mpsc::Sender<Result<Down, Status>>,
    ) -> Result<(), Status> {
        let seat = hello(caller, &mut up).await?;
        self.serves(caller)?;
        let _connected = self.metrics.stream(&seat);
        tracing::info!(
            pod = caller.pod,
            namespace = caller.namespace,
            role = seat.as_str(),
            "data plane attached"
        );
        let line = self.hub.line(&caller.namespace, &caller.pod_uid);
        let teller = self.metrics.speeds.teller(&caller.namespace);
        let mut versions = self.hub.subscribe(&caller.namespace);
        versions.mark_changed();
        let mut offered: Option<Facts> = None;
        let mut reached: Option<Replicas> = None;
        let expired = tokio::time::sleep(left(caller.expires));
        tokio::pin!(expired);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    return Err(Status::unavailable("this operator is shutting down"));
                }
                () = line.cut() => {
                    return Err(Status::unauthenticated("the pod is gone"));
                }
                () = &mut expired => {
                    return Err(Status::unauthenticated("the token expired: attach with a new one"));
                }
                changed = versions.changed() => {
                    changed.map_err(|_| Status::unavailable("the operator dropped this namespace"))?;
                    self.serves(caller)?;
                    let namespace = &caller.namespace;
                    let (snapshot, replicas) = self.hub.read(|index| {
                        (index.snapshot(namespace, &seat), index.replicas(namespace, &seat))
                    });
                    // The first may be empty: it replaces what another leader said.
                    if seat == Seat::Egress && reached.as_ref() != Some(&replicas) {
                        reached = Some(replicas.clone());
                        let message = Some(down::Message::Replicas(replicas));
                        if answers.send(Ok(Down { message })).await.is_err() {
                            return Ok(());
                        }
                    }
                    let Some(snapshot) = snapshot else {
                        continue;
                    };
                    let new = facts(&snapshot);
                    if offered == Some(new) {
                        continue;
                    }
                    let message = down::Message::Snapshot(snapshot);
                    if answers.send(Ok(Down { message: Some(message) })).await.is_err() {
                        return Ok(());
                    }
                    offered = Some(new);
                }
                message = up.next() => match message.transpose()?.map(|up| up.message) {
                    Some(Some(up::Message::Renewal(renewal))) => {
                        if let Some(left) = self.renewed(caller, &renewal.token).await? {
                            expired.as_mut().reset(Instant::now() + left);
                        }
                    }
                    Some(Some(message)) => self.hear(caller, &seat, (&line, &teller), message),
                    // Of a later release.
                    Some(None) => {}
                    None => return Ok(()),
                },
            }
        }
    }

    /// How long the caller's next token lasts. While the API server cannot say whose it is, the one
    /// before still counts, until its end.
    async fn renewed(&self, caller: &Caller, token: &str) -> Result<Option<Duration>, Status> {
        let asked = tokio::time::timeout(REVIEW, self.authenticator.of_token(token));
        let next = match asked.await {
            Ok(Ok(next)) => next,
            Ok(Err(status)) if status.code() != Code::Unavailable => return Err(status),
            Ok(Err(_)) | Err(_) => return Ok(None),
        };
        if !next.is_same_pod(caller) {
            return Err(Status::permission_denied("the token is another pod's"));
        }
        Ok(Some(left(next.expires)))
    }

    /// Who is sent away keeps what it runs until the operator that serves it now calls it.
    fn serves(&self, caller: &Caller) -> Result<(), Status> {
        let namespace = &caller.namespace;
        if self.share.serves(namespace) {
            return Ok(());
        }
        let message = format!("this operator does not serve namespace {namespace} now");
        Err(Status::failed_precondition(message))
    }

    fn hear(
        &self,
        caller: &Caller,
        seat: &Seat,
        (line, teller): (&Line<'_>, &Teller),
        message: up::Message,
    ) {
        match (message, seat) {
            (up::Message::Ack(ack), _) => {
                self.hub
                    .acknowledged(&caller.namespace, &caller.pod_uid, seat, ack);
            }
            (up::Message::Papers(papers), _) => {
                let pod = (caller.namespace.as_str(), caller.pod_uid.as_str());
                self.hub.papers_came(pod, seat, parsed(&papers));
            }
            (up::Message::Report(report), Seat::Gateway) => {
                self.hub
                    .reported(&caller.namespace, &caller.pod_uid, report);
            }
            (up::Message::Report(report), Seat::Prefetch(model)) => {
                if let Some(weights) = report.weights {
                    self.hub.weights_came(&caller.namespace, model, weights);
                }
            }
            (up::Message::Report(report), Seat::Ingress(model)) => {
                if let Some(start) = report.start {
                    let pod = (caller.namespace.as_str(), caller.pod_uid.as_str());
                    self.hub.started(pod, model, start);
                }
            }
            (up::Message::Report(report), Seat::Egress) => {
                line.demands(report.models, Timestamp::now());
                // Only of models that exist, so that metrics are no more than those.
                let exists = |speed: &ModelSpeed| {
                    let key = Key::new(Kind::Model, &speed.model);
                    let owner = |index: &Index| index.owner(&caller.namespace, &key).is_some();
                    self.hub.read(owner)
                };
                teller.tell(report.speeds.into_iter().filter(exists).collect());
            }
            _ => {}
        }
    }
}

/// The first message, checked against who the caller is.
async fn hello(caller: &Caller, up: &mut Streaming<Up>) -> Result<Seat, Status> {
    let first = tokio::time::timeout(HELLO, up.next())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello"))?
        .ok_or_else(|| Status::cancelled("no hello"))??;
    let Some(up::Message::Hello(hello)) = first.message else {
        return Err(Status::invalid_argument("the first message must be Hello"));
    };
    if hello.format != FORMAT {
        return Err(Status::failed_precondition(format!(
            "this operator writes format {FORMAT}, this data plane reads {}: use images of one release",
            hello.format
        )));
    }
    let seat = Seat::of_wire(hello.role, &hello.model)
        .ok_or_else(|| Status::invalid_argument("Hello names no role"))?;
    if !caller.may_sit(&seat) {
        return Err(Status::permission_denied(format!(
            "service account `{}` may not be {}",
            caller.service_account,
            seat.as_str()
        )));
    }
    Ok(seat)
}

fn parsed(papers: &proto::Papers) -> Papers {
    let keys = |of: &[Vec<u8>]| of.iter().take(KEYS).map(|key| KeyId::new(key)).collect();
    Papers {
        trusted: keys(&papers.trusted),
        shown: keys(&papers.shown),
    }
}

fn gateway_only(caller: &Caller) -> Result<(), Status> {
    if caller.may_sit(&Seat::Gateway) {
        return Ok(());
    }
    Err(Status::permission_denied("only gateways may ask this"))
}

/// Time until a token ends; a token without an end is shown again after an hour.
fn left(expires: Option<Timestamp>) -> Duration {
    expires.map_or(Duration::from_hours(1), |at| {
        Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
    })
}

/// Digest of what a seat reads: of thousands of streams, none keeps the texts that it was sent.
type Facts = [u8; 32];

/// The sequence alone is no reason to send.
fn facts(snapshot: &Snapshot) -> Facts {
    let mut hash = Sha256::new();
    for item in &snapshot.items {
        hash.update(item.kind.to_be_bytes());
        for text in [&item.name, &item.owner_uid, &item.digest] {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
