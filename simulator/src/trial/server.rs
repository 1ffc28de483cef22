//! A model's server that does to each trial what its script says, and remembers what it sent.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    http::{self, Message},
    plan::{Asked, Bill, Plan, Step, plan},
    script::Script,
    words,
};

/// A server; it ends when this is dropped.
pub struct Model {
    pub address: SocketAddr,
    log: Arc<Log>,
    _stop: DropGuard,
}

/// A request that came, and what was sent for it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub seed: u64,
    pub model: usize,
    /// As planned: who went away may not have heard all of it.
    pub bill: Bill,
}

struct Log {
    model: usize,
    /// How often each trial came.
    came: Mutex<HashMap<u64, usize>>,
    attempts: Mutex<Vec<Attempt>>,
    /// Trials that are being answered.
    under_way: Mutex<Vec<u64>>,
    /// Calls of nobody: no trial asks so.
    strays: AtomicUsize,
}

struct UnderWay<'a> {
    seed: u64,
    all: &'a Mutex<Vec<u64>>,
}

impl Model {
    /// The model of that number in every script.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(model: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let log = Arc::new(Log {
            model,
            came: Mutex::default(),
            attempts: Mutex::default(),
            under_way: Mutex::default(),
            strays: AtomicUsize::new(0),
        });
        let stop = CancellationToken::new();
        let (serving, stopped) = (log.clone(), stop.clone());
        tokio::spawn(async move {
            while let Some(Ok((connection, _))) =
                stopped.run_until_cancelled(listener.accept()).await
            {
                let (log, stopped) = (serving.clone(), stopped.clone());
                tokio::spawn(
                    async move { stopped.run_until_cancelled(serve(connection, &log)).await },
                );
            }
        });
        Ok(Self {
            address,
            log,
            _stop: stop.drop_guard(),
        })
    }

    /// All requests of trials so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        lock(&self.log.attempts).clone()
    }

    /// Calls that are being answered.
    pub fn under_way(&self) -> usize {
        lock(&self.log.under_way).len()
    }

    /// Whether a call of that trial is.
    pub fn answers(&self, seed: u64) -> bool {
        lock(&self.log.under_way).contains(&seed)
    }

    /// Calls of no trial.
    pub fn strays(&self) -> usize {
        self.log.strays.load(SeqCst)
    }
}

async fn serve(mut connection: TcpStream, log: &Log) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = http::request(&mut connection, &mut buffer).await? {
        if request.start.starts_with("GET ") {
            connection.write_all(about().as_bytes()).await?;
            continue;
        }
        let Some(asked) = log.asked(&request) else {
            log.strays.fetch_add(1, SeqCst);
            return Ok(());
        };
        let _counted = UnderWay::of(asked.seed, &log.under_way);
        let script = Script::of(asked.seed);
        let fault = script
            .faults
            .get(log.model)
            .and_then(|faults| faults.get(asked.nth));
        let plan = plan(asked, fault.copied(), script.piece);
        lock(&log.attempts).push(Attempt {
            seed: asked.seed,
            model: log.model,
            bill: plan.bill,
        });
        follow(&mut connection, &plan).await?;
        if plan.steps.last() == Some(&Step::Reset) {
            return Ok(());
        }
        if !plan.is_kept {
            return connection.shutdown().await;
        }
    }
    Ok(())
}

/// What gateways that look after their models ask for: whether it is well, and what it is called.
fn about() -> String {
    let body = json!({"status": "ok", "object": "list",
        "data": [{"id": "writer", "object": "model", "created": 0, "owned_by": "aios-simulator"}]})
    .to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn follow(connection: &mut TcpStream, plan: &Plan) -> io::Result<()> {
    for step in &plan.steps {
        match step {
            Step::Send(bytes) => connection.write_all(bytes).await?,
            Step::Wait(span) => tokio::select! {
                () = sleep(*span) => {}
                () = gone(connection) => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
            Step::Stall => {
                // Whoever waits sends nothing more: what can be read is that it is gone.
                let mut byte = [0];
                drop(connection.read(&mut byte).await);
            }
            Step::Reset => connection.set_zero_linger()?,
        }
    }
    Ok(())
}

/// Until who asked closes the connection.
async fn gone(connection: &TcpStream) {
    if let Ok(1..) = connection.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

impl Log {
    fn asked(&self, request: &Message) -> Option<Asked> {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let seed = words::seed(&body["messages"].to_string())?;
        let nth = {
            let mut came = lock(&self.came);
            let count = came.entry(seed).or_default();
            *count += 1;
            *count - 1
        };
        let cap = ["max_tokens", "max_completion_tokens"];
        Some(Asked {
            seed,
            model: self.model,
            nth,
            messages: request.start.contains("/messages"),
            stream: body["stream"] == true,
            choices: body["n"].as_u64().unwrap_or(1),
            cap: cap.iter().find_map(|field| body[field].as_u64()),
            slips: Script::of(seed).slips,
        })
    }
}

impl<'a> UnderWay<'a> {
    fn of(seed: u64, all: &'a Mutex<Vec<u64>>) -> Self {
        lock(all).push(seed);
        Self { seed, all }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = lock(self.all);
        if let Some(at) = all.iter().position(|seed| *seed == self.seed) {
            all.swap_remove(at);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
