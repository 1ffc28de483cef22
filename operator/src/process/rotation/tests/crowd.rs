//! Pods of one namespace: each has its files, which a kubelet writes when it comes round to it, and
//! its control stream; some serve, all call.

use std::{
    collections::HashSet,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aios_proto::control::{ItemAck, Report, Role, Snapshot};
use aios_runtime::{
    control::{AttachConfig, Enforce, Operator, attach},
    serve::serve,
    tls::{ClientTls, ServerTls},
};
use axum::{Router, routing::get};
use jiff::Timestamp;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::{
    ca::{Authority, Current, Issued, Subject},
    control::{Hub, Pod},
    names::Component,
    testing::reviews,
};

const MODEL: &str = "small";
/// One pod in so many serves.
const SERVES: usize = 10;
/// Who calls at the same time.
const CALLERS: usize = 2;
/// A kubelet comes to each pod in turn within this time.
const ROUND: Duration = Duration::from_secs(4);

/// Where those that serve listen.
type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// What the namespace holds: a bundle, a client's and a server's certificate.
#[derive(Clone)]
struct Published {
    bundle: String,
    client: Issued,
    server: Issued,
}

pub struct Crowd {
    folder: TempDir,
    seats: Vec<Seat>,
    published: watch::Sender<Published>,
    port: u16,
    /// Attachments so far, by their first snapshot.
    pub attached: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    tasks: JoinSet<()>,
    askers: JoinSet<()>,
    asks: CancellationToken,
}

/// A pod's files, and whether it serves.
#[derive(Clone)]
struct Seat {
    name: String,
    folder: PathBuf,
    serves: bool,
}

/// Files as they were before a rotation.
pub struct Keepsake(PathBuf);

/// Counts the snapshots that it is sent: one for each attachment, as nothing changes.
struct Counting(Arc<AtomicUsize>);

impl Enforce for Counting {
    fn enforce(&self, _: Snapshot) -> Vec<ItemAck> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    }
}

impl Crowd {
    pub fn gather(count: usize, port: u16, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let published = issue(authority, None);
        let seat = |index: usize| {
            let name = format!("p-{index}");
            let folder = folder.path().join(&name);
            std::fs::create_dir(&folder).unwrap();
            let serves = index.is_multiple_of(SERVES);
            let seat = Seat {
                name,
                folder,
                serves,
            };
            seat.write(&published);
            seat.write_token();
            seat
        };
        Self {
            seats: (0..count).map(seat).collect(),
            folder,
            published: watch::Sender::new(published),
            port,
            attached: Arc::default(),
            calls: Arc::default(),
            failed: Arc::default(),
            tasks: JoinSet::new(),
            askers: JoinSet::new(),
            asks: CancellationToken::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Publishes what an operator's CA asks for, from now on, as its reconcilers do.
    pub fn follow(&mut self, current: &Current) {
        let (current, published) = (current.clone(), self.published.clone());
        let mut changes = current.changes();
        changes.mark_changed();
        self.tasks.spawn(async move {
            while changes.changed().await.is_ok() {
                let authority = current.get();
                published.send_modify(|before| *before = issue(&authority, Some(before)));
            }
        });
    }

    /// Everything begins: kubelets, streams, servers and callers.
    pub fn run(&mut self) {
        let addresses = Addresses::default();
        for (index, seat) in self.seats.iter().enumerate() {
            let turn = ROUND.mul_f64(index as f64 / self.seats.len() as f64);
            let kubelet = kubelet(seat.clone(), turn, self.published.subscribe());
            self.tasks.spawn(kubelet);
            let counting = Counting(self.attached.clone());
            self.tasks.spawn(stream(seat.attaches(self.port), counting));
            if seat.serves {
                self.tasks.spawn(seat.clone().serve(addresses.clone()));
            }
        }
        for caller in 0..CALLERS {
            let calls = Calls {
                clients: self.seats.iter().map(Seat::client).collect(),
                addresses: addresses.clone(),
                made: self.calls.clone(),
                failed: self.failed.clone(),
            };
            self.tasks.spawn(calls.run(caller));
        }
        let attaching = self.seats.iter().map(|seat| seat.attaches(self.port));
        let asking = ask(attaching.collect(), self.asks.clone(), self.failed.clone());
        self.askers.spawn(asking);
    }

    /// The operator's own watch of pods shows them.
    pub fn show_pods(&self, hub: &Hub) {
        for seat in &self.seats {
            let (component, model) = if seat.serves {
                (Component::Engine, Some(MODEL.to_owned()))
            } else {
                (Component::Worker, None)
            };
            let shown = Pod {
                uid: format!("uid-{}", seat.name),
                name: seat.name.clone(),
                component,
                model,
                seen: Timestamp::UNIX_EPOCH,
            };
            hub.pod("team", shown);
        }
    }

    /// Whether every pod's files name these CAs.
    pub fn trusts_only(&self, bundle: &str) -> bool {
        let bundles = self
            .seats
            .iter()
            .map(|seat| std::fs::read_to_string(seat.ca()).unwrap());
        bundles.collect::<HashSet<_>>() == HashSet::from([bundle.to_owned()])
    }

    /// A copy of one pod's files as they are now.
    pub fn keepsake(&self) -> Keepsake {
        let folder = self.folder.path().join("before");
        std::fs::create_dir(&folder).unwrap();
        for name in ["ca.crt", "client.crt", "client.key"] {
            std::fs::copy(self.seats[1].folder.join(name), folder.join(name)).unwrap();
        }
        Keepsake(folder)
    }

    /// Who still trusts what was trusted then reaches nobody now, and who still shows what was shown
    /// then is let in by nobody.
    pub async fn fails_with(&mut self, old: &Keepsake) {
        let addresses = Addresses::default();
        let server = self.seats[0].clone();
        self.tasks.spawn(server.serve(addresses.clone()));
        while addresses.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let address = addresses.lock().unwrap()[0];
        let now = &self.seats[1];
        let tls = |ca: &Path, identity: &Path| {
            let (cert, key) = (identity.join("client.crt"), identity.join("client.key"));
            ClientTls::new(Some(ca), Some((&cert, &key))).unwrap()
        };
        call(address, &tls(&now.ca(), &now.folder)).await.unwrap();
        let trusting = tls(&old.0.join("ca.crt"), &now.folder);
        call(address, &trusting).await.unwrap_err();
        let showing = tls(&now.ca(), &old.0);
        call(address, &showing).await.unwrap_err();
    }

    /// No call to the operator itself from here on: it will be away.
    pub async fn asks_no_more(&mut self) {
        self.asks.cancel();
        while let Some(ended) = self.askers.join_next().await {
            ended.unwrap();
        }
    }

    /// Ends everything. Calls that were made, and what became of those that failed.
    pub async fn ended(mut self) -> (usize, Vec<String>) {
        self.tasks.shutdown().await;
        let failed = self.failed.lock().unwrap().clone();
        (self.calls.load(Ordering::SeqCst), failed)
    }
}

impl Seat {
    fn ca(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    fn client(&self) -> ClientTls {
        let identity = (
            self.folder.join("client.crt"),
            self.folder.join("client.key"),
        );
        ClientTls::new(Some(&self.ca()), Some((&identity.0, &identity.1))).unwrap()
    }

    fn attaches(&self, port: u16) -> AttachConfig {
        let (role, model, shown) = if self.serves {
            (Role::Ingress, MODEL, "tls.crt")
        } else {
            (Role::Egress, "", "client.crt")
        };
        AttachConfig {
            operator_uri: format!("https://localhost:{port}"),
            tls: Some(ClientTls::new(Some(&self.ca()), None).unwrap()),
            token_file: Some(self.folder.join("token")),
            certificates: vec![self.folder.join(shown)],
            role,
            model: model.to_owned(),
        }
    }

    async fn serve(self, addresses: Addresses) {
        let (cert, key) = (self.folder.join("tls.crt"), self.folder.join("tls.key"));
        let tls = ServerTls::new(&cert, &key, Some(&self.ca())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        addresses.lock().unwrap().push(address);
        let app = Router::new().route("/", get(|| async { "text" }));
        let never = CancellationToken::new();
        serve(listener, app, Some(tls), never).await.unwrap();
    }

    /// Keys before certificates: a reader between the two keeps what it had.
    fn write(&self, published: &Published) {
        for (name, text) in [
            ("ca.crt", &published.bundle),
            ("client.key", &published.client.key),
            ("client.crt", &published.client.certificate),
            ("tls.key", &published.server.key),
            ("tls.crt", &published.server.certificate),
        ] {
            self.put(name, text);
        }
    }

    fn write_token(&self) {
        let account = if self.serves {
            "small-model"
        } else {
            "aios-worker"
        };
        let end = Timestamp::now() + Duration::from_hours(1);
        let token = reviews::token(&format!("{account}@{}", self.name), end);
        self.put("token", &token);
    }

    fn put(&self, name: &str, text: &str) {
        let fresh = self.folder.join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.folder.join(name)).unwrap();
    }
}

/// Writes a new token, and files that are no longer as they are published, when it is the pod's turn.
async fn kubelet(seat: Seat, turn: Duration, published: watch::Receiver<Published>) {
    tokio::time::sleep(turn).await;
    let mut round = tokio::time::interval(ROUND);
    loop {
        round.tick().await;
        let now = published.borrow().clone();
        let held = |name: &str| std::fs::read_to_string(seat.folder.join(name)).unwrap();
        if held("ca.crt") != now.bundle || held("tls.crt") != now.server.certificate {
            seat.write(&now);
        }
        seat.write_token();
    }
}

async fn stream(config: AttachConfig, counting: Counting) {
    let (_reports, reading) = watch::channel(Report::default());
    let never = CancellationToken::new();
    attach(config, Arc::new(counting), reading, never)
        .await
        .unwrap();
}

struct Calls {
    clients: Vec<ClientTls>,
    addresses: Addresses,
    made: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Calls {
    /// One call after the other, from one pod after the other to any that serves.
    async fn run(self, caller: usize) {
        let mut turn = caller;
        loop {
            turn += CALLERS;
            let client = &self.clients[turn % self.clients.len()];
            let address = {
                let known = self.addresses.lock().unwrap();
                let turn = turn / self.clients.len() + turn;
                known.get(turn % known.len().max(1)).copied()
            };
            if let Some(address) = address {
                self.made.fetch_add(1, Ordering::SeqCst);
                if let Err(error) = call(address, client).await {
                    self.failed.lock().unwrap().push(error.to_string());
                }
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }
}

/// Asks the operator whose a token is, each time over another connection. Only gateways may: that it
/// answers is all that counts.
async fn ask(
    attaching: Vec<AttachConfig>,
    asks: CancellationToken,
    failed: Arc<Mutex<Vec<String>>>,
) {
    for config in attaching.iter().cycle() {
        if asks.is_cancelled() {
            return;
        }
        let operator = Operator::new(config).unwrap();
        let refused = operator.review_token("alice@laptop").await.unwrap_err();
        if refused.code() != tonic::Code::PermissionDenied {
            failed.lock().unwrap().push(format!("control: {refused}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Good certificates stay, as the operator's reconcilers keep them.
fn issue(authority: &Authority, before: Option<&Published>) -> Published {
    let paper = |subject: Subject, kept: Option<&Issued>| {
        let good = kept.filter(|kept| authority.see(kept).is_some_and(|seen| seen.ours));
        let fresh = || authority.issue(&subject, Timestamp::now()).unwrap();
        good.cloned().unwrap_or_else(fresh)
    };
    let client = Subject::Client("spiffe://aios/ns/team".into());
    let server = Subject::Server(vec!["localhost".into()]);
    Published {
        bundle: authority.bundle().to_owned(),
        client: paper(client, before.map(|before| &before.client)),
        server: paper(server, before.map(|before| &before.server)),
    }
}

/// One call. A server that stood still for too long hangs up in the middle of a handshake: that says
/// nothing about certificates, of which it would complain.
async fn call(address: SocketAddr, client: &ClientTls) -> std::io::Result<()> {
    match once(address, client).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => once(address, client).await,
        done => done,
    }
}

/// One request over one connection.
async fn once(address: SocketAddr, client: &ClientTls) -> std::io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(client.config())
        .connect(name, stream)
        .await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    if text.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(std::io::Error::other(text))
}
