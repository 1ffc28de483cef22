//! The data planes' end of the control stream: one loop that keeps it, and the unary calls beside it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use aios_proto::{
    config::FORMAT,
    control::{
        Ack, Hello, ItemAck, LeaseRequest, LeaseResponse, Replicas, Report, ReviewTokenRequest,
        ReviewTokenResponse, Role, Snapshot, Up, WitnessRequest, WitnessResponse,
        control_client::ControlClient, down, up,
    },
};
use futures::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    channel,
    channel::ChannelError,
    papers::{Files, Watched},
    tls::ClientTls,
};

/// Snapshots are small objects of text; a namespace of many pipelines may still pass tonic's 4 MiB.
const MAX_MESSAGE: usize = 64 << 20;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// A caller waits so long for the operator that takes the place of one that went: it needs up to ten seconds.
const TAKEOVER: Duration = Duration::from_secs(15);
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// What this process needs to attach.
#[derive(Clone)]
pub struct AttachConfig {
    /// As in `https://aios-operator.aios-system.svc:8443`.
    pub operator_uri: String,
    /// CA of the operator; none only for plaintext in tests.
    pub tls: Option<ClientTls>,
    /// Projected token, read again at each connection, and shown again when it has changed.
    pub token_file: Option<PathBuf>,
    /// Certificates that this process shows to others. The operator trusts a CA of its own until none
    /// is signed by it any more.
    pub certificates: Vec<PathBuf>,
    /// What this process is.
    pub role: Role,
    /// Ingress and prefetch only: their ModelDeployment.
    pub model: String,
}

/// Puts a snapshot in force.
pub trait Enforce: Send + Sync + 'static {
    /// Called for each snapshot in order, from one task. Returns one acknowledgement an item; an
    /// item that is refused keeps its predecessor in force.
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck>;

    /// Egresses only: where groups of models are reached one by one.
    fn replicas(&self, _: Replicas) {}
}

/// Unary calls to the operator.
#[derive(Clone)]
pub struct Operator {
    client: ControlClient<Channel>,
    token_file: Option<PathBuf>,
}

/// Keeps the stream until shutdown: reconnects with back-off, enforces, acknowledges and sends each
/// changed report. The last good configuration stays in force while the operator is away.
///
/// # Errors
/// When the operator's address cannot be used at all.
pub async fn attach(
    config: AttachConfig,
    enforce: Arc<dyn Enforce>,
    mut reports: watch::Receiver<Report>,
    shutdown: CancellationToken,
) -> Result<(), ChannelError> {
    let channel = channel::connect(&config.operator_uri, config.tls.clone())?;
    let mut delay = FIRST_RETRY;
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            ended = stream(&config, channel.clone(), enforce.as_ref(), &mut reports) => ended,
        };
        match ended {
            // The stream was up: whatever ended it, the next try may be quick.
            Ok(()) => delay = FIRST_RETRY,
            Err(status) => tracing::warn!(code = ?status.code(), message = status.message(),
                "control stream"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(jittered(delay)) => {}
        }
        delay = (delay * 2).min(LAST_RETRY);
    }
}

/// One connection's life. `Ok` when it was up and then ended.
async fn stream(
    config: &AttachConfig,
    channel: Channel,
    enforce: &dyn Enforce,
    reports: &mut watch::Receiver<Report>,
) -> Result<(), Status> {
    let (sender, receiver) = mpsc::channel::<Up>(16);
    let hello = Hello {
        role: config.role.into(),
        format: FORMAT,
        model: config.model.clone(),
    };
    send(&sender, up::Message::Hello(hello)).await?;
    let mut files = Watched::new(Files {
        ca: config.tls.as_ref().and_then(ClientTls::ca_file),
        certificates: config.certificates.clone(),
        token: config.token_file.clone(),
    });
    let mut client = ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let request = authorized(ReceiverStream::new(receiver), config.token_file.as_ref())?;
    let mut down = client.attach(request).await?.into_inner();
    tracing::info!("attached to the operator");
    reports.mark_changed();
    let mut reporting = true;
    loop {
        tokio::select! {
            message = down.next() => match message {
                Some(Ok(message)) => {
                    match message.message {
                        Some(down::Message::Snapshot(snapshot)) => {
                            let sequence = snapshot.sequence;
                            let items = enforce.enforce(snapshot);
                            send(&sender, up::Message::Ack(Ack { sequence, items })).await?;
                        }
                        Some(down::Message::Replicas(replicas)) => enforce.replicas(replicas),
                        // Of a later release.
                        None => {}
                    }
                }
                Some(Err(status)) => {
                    tracing::info!(code = ?status.code(), "the operator went away");
                    return Ok(());
                }
                None => return Ok(()),
            },
            changed = reports.changed(), if reporting => {
                reporting = changed.is_ok();
                let report = reports.borrow_and_update().clone();
                send(&sender, up::Message::Report(report)).await?;
            }
            news = files.news() => send(&sender, news).await?,
        }
    }
}

async fn send(sender: &mpsc::Sender<Up>, message: up::Message) -> Result<(), Status> {
    let message = Up {
        message: Some(message),
    };
    sender
        .send(message)
        .await
        .map_err(|_| Status::unavailable("the stream is closed"))
}

/// Spreads reconnections of many data planes over half the delay.
fn jittered(delay: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    delay / 2 + (delay / 2).mul_f64(f64::from(nanos % 1000) / 1000.0)
}

// === impl Operator ===

impl Operator {
    /// Connects on first use.
    ///
    /// # Errors
    /// When the operator's address cannot be used at all.
    pub fn new(config: &AttachConfig) -> Result<Self, ChannelError> {
        let channel = channel::connect(&config.operator_uri, config.tls.clone())?;
        Ok(Self {
            client: ControlClient::new(channel),
            token_file: config.token_file.clone(),
        })
    }

    /// Whose token this is. Waits while one operator takes the place of another.
    ///
    /// # Errors
    /// When the operator cannot be reached for fifteen seconds or refuses this data plane.
    pub async fn review_token(&self, token: &str) -> Result<ReviewTokenResponse, Status> {
        let until = Instant::now() + TAKEOVER;
        loop {
            let message = ReviewTokenRequest {
                token: token.to_owned(),
            };
            let request = authorized(message, self.token_file.as_ref())?;
            match self.client.clone().review_token(request).await {
                Err(away) if away.code() == Code::Unavailable && Instant::now() < until => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                answer => return Ok(answer?.into_inner()),
            }
        }
    }

    /// Shows a signed tree head.
    ///
    /// # Errors
    /// When the operator cannot be reached or refuses this data plane.
    pub async fn witness(&self, message: WitnessRequest) -> Result<WitnessResponse, Status> {
        let request = authorized(message, self.token_file.as_ref())?;
        Ok(self.client.clone().witness(request).await?.into_inner())
    }

    /// Asks for a part of a budget.
    ///
    /// # Errors
    /// When the operator cannot be reached or refuses this data plane. What it did is then unknown.
    pub async fn lease(&self, message: LeaseRequest) -> Result<LeaseResponse, Status> {
        let request = authorized(message, self.token_file.as_ref())?;
        Ok(self.client.clone().lease(request).await?.into_inner())
    }
}

fn authorized<T>(message: T, token_file: Option<&PathBuf>) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    if let Some(path) = token_file {
        let token = std::fs::read_to_string(path).map_err(|error| {
            Status::unauthenticated(format!("cannot read {}: {error}", path.display()))
        })?;
        let value = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|_| Status::unauthenticated("the token file holds no token"))?;
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}
