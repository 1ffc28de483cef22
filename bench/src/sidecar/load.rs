//! An open-loop load: requests begin when they are due, whether or not others have ended, and their time counts
//! from when they were due. A thread of its own keeps the pace, finer than the runtime's timers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    runtime,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::wire::{Answer, Connection, Request};

/// Requests under way at which the other end counts as saturated.
const MOST: usize = 256;
/// How long the last requests may take after the window.
const LINGER: Duration = Duration::from_secs(2);

/// A rate, for a while.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests a second.
    pub rate: f64,
    pub lasts: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Window {
    pub done: usize,
    /// The first request that failed, or that the rate was not held.
    pub failure: Option<String>,
    pub is_saturated: bool,
    pub times: Vec<Duration>,
    pub first_tokens: Vec<Duration>,
}

/// A load on one address, with its kept connections.
#[derive(Clone)]
pub struct Load {
    request: Arc<Request>,
    /// Requests so far.
    count: Arc<AtomicU64>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Load {
    pub fn new(request: Request) -> Self {
        Self {
            request: Arc::new(request),
            count: Arc::default(),
            idle: Arc::default(),
        }
    }

    /// Runs a window on a runtime of its own: connections belong to it, so each window opens some anew.
    pub async fn run(&self, pace: Pace) -> Result<Window> {
        let load = Self {
            idle: Arc::default(),
            ..self.clone()
        };
        let window = tokio::task::spawn_blocking(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            anyhow::Ok(runtime.block_on(load.window(pace)))
        });
        window.await.context("the load broke")?
    }

    async fn window(self, pace: Pace) -> Window {
        let (due, mut starts) = mpsc::unbounded_channel();
        let pacer = thread::spawn(move || keep(pace, &due));
        let mut window = Window::default();
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                due = starts.recv() => {
                    let Some(due) = due else { break };
                    under_way.spawn(self.clone().call(due));
                    if under_way.len() > MOST {
                        window.saturated();
                        break;
                    }
                }
                Some(ended) = under_way.join_next() => window.note(ended.ok()),
            }
        }
        drop(starts);
        let rest = async {
            while let Some(ended) = under_way.join_next().await {
                window.note(ended.ok());
            }
        };
        if timeout(LINGER, rest).await.is_err() {
            window.saturated();
        }
        let _ = pacer.join();
        window
    }

    async fn call(self, due: Instant) -> (Instant, Instant, Result<Answer>) {
        let answer = self.ask().await;
        (due, Instant::now(), answer)
    }

    async fn ask(&self) -> Result<Answer> {
        let kept = lock(&self.idle).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.request.address).await?,
        };
        let number = self.count.fetch_add(1, Relaxed);
        let answer = connection.ask(&self.request, number).await?;
        if answer.is_open {
            lock(&self.idle).push(connection);
        }
        Ok(answer)
    }
}

impl Window {
    fn note(&mut self, ended: Option<(Instant, Instant, Result<Answer>)>) {
        let Some((due, ended, answer)) = ended else {
            return self.failed("a request was given up".to_owned());
        };
        match answer {
            Ok(answer) => {
                self.done += 1;
                self.times.push(ended - due);
                self.first_tokens
                    .extend(answer.first_token.map(|first| first - due));
            }
            Err(error) => self.failed(format!("{error:#}")),
        }
    }

    fn failed(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    fn saturated(&mut self) {
        self.is_saturated = true;
        self.failed("it does not hold the rate".to_owned());
    }
}

/// Says when requests are due, until the window is over or nobody listens.
fn keep(pace: Pace, due: &mpsc::UnboundedSender<Instant>) {
    let begun = Instant::now();
    for index in 0_u32.. {
        let at = Duration::from_secs_f64(f64::from(index) / pace.rate);
        if at >= pace.lasts {
            return;
        }
        thread::sleep(at.saturating_sub(begun.elapsed()));
        if due.send(begun + at).is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{Load, MOST, Pace};
    use crate::sidecar::wire::Request;

    async fn server(answers: bool) -> Load {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = Request::chat((listener.local_addr().unwrap(), "/"), &[], "{}");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut read = [0; 4096];
                    while stream.read(&mut read).await.is_ok_and(|read| read > 0) {
                        if answers {
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                            stream.write_all(answer).await.unwrap();
                        }
                    }
                });
            }
        });
        Load::new(request)
    }

    #[tokio::test]
    async fn every_request_that_is_due_is_sent_and_counted() {
        let pace = Pace {
            rate: 1000.0,
            lasts: Duration::from_millis(100),
        };
        let window = server(true).await.run(pace).await.unwrap();
        assert_eq!((window.done, window.times.len()), (100, 100));
        assert_eq!(window.failure, None);
    }

    #[tokio::test]
    async fn a_rate_that_is_not_held_ends_the_window() {
        let pace = Pace {
            rate: 100_000.0,
            lasts: Duration::from_hours(1),
        };
        let window = server(false).await.run(pace).await.unwrap();
        assert!(window.is_saturated && window.failure.is_some());
        assert!(window.done <= MOST);
    }
}
