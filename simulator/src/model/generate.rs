//! Sends an answer token by token or whole, at its pace and with its fault.

use std::io;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;

use super::answer::Answer;
use super::calls::{Guard, Status};
use super::dialect::{Dialect, Meta};
use super::faults::Fault;
use super::pace::Pace;
use crate::broken::{breaking_body, cut};

/// One answer on its way.
pub struct Generation {
    pub call: Guard,
    pub dialect: Dialect,
    pub meta: Meta,
    pub answer: Answer,
    pub pace: Pace,
    pub fault: Option<Fault>,
}

/// The client has gone.
struct Gone;

type Frame = Result<Bytes, io::Error>;

impl Generation {
    /// Dropped while it waits, the call counts as cancelled.
    pub async fn whole(mut self) -> Response {
        if let Some(Fault::Stall { .. }) = self.fault {
            std::future::pending::<()>().await;
        }
        for index in 0..self.answer.pieces.len().max(1) {
            wait(self.pace.due(index)).await;
        }
        let tokens = self.answer.pieces.len() as u64;
        let text = self.answer.pieces.concat();
        let body = self
            .dialect
            .whole(&self.meta, &text, &self.answer.finish, tokens);
        if let Some(Fault::Cut { .. }) = self.fault {
            self.call.settle(Status::Failed);
            return half(&body.to_string());
        }
        self.call.sent(tokens);
        self.call.settle(Status::Completed);
        Json(body).into_response()
    }

    pub async fn stream(mut self) -> Response {
        if self.fault == Some(Fault::Stall { after_tokens: 0 }) {
            std::future::pending::<()>().await;
        }
        let (sender, receiver) = channel(1);
        tokio::spawn(async move {
            let mut sent = 0;
            let status = match self.send(&sender, &mut sent).await {
                Ok(status) => status,
                Err(Gone) => Status::Cancelled,
            };
            self.call.sent(sent);
            self.call.settle(status);
        });
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, breaking_body(ReceiverStream::new(receiver))).into_response()
    }

    async fn send(&mut self, to: &Sender<Frame>, sent: &mut u64) -> Result<Status, Gone> {
        hand(to, self.dialect.start(&self.meta)).await?;
        for index in 0..self.answer.pieces.len() {
            self.injected(to, *sent).await?;
            if self.is_cut(*sent) {
                return self.cut(to).await;
            }
            let due = self.pace.due(index);
            tokio::select! {
                () = wait(due) => {}
                () = to.closed() => return Err(Gone),
            }
            let Some(piece) = self.answer.pieces.get(index) else {
                break;
            };
            hand(to, self.dialect.token(&self.meta, piece)).await?;
            *sent += 1;
        }
        self.injected(to, u64::MAX).await?;
        if self.is_cut(u64::MAX) {
            return self.cut(to).await;
        }
        // Settled first: whoever has read the end finds the call completed.
        self.call.sent(*sent);
        self.call.settle(Status::Completed);
        hand(to, self.dialect.end(&self.meta, &self.answer.finish, *sent)).await?;
        Ok(Status::Completed)
    }

    /// Stalls until the client goes, if that is due.
    async fn injected(&self, to: &Sender<Frame>, sent: u64) -> Result<(), Gone> {
        match self.fault {
            Some(Fault::Stall { after_tokens }) if sent >= after_tokens => {
                to.closed().await;
                Err(Gone)
            }
            _ => Ok(()),
        }
    }

    fn is_cut(&self, sent: u64) -> bool {
        matches!(self.fault, Some(Fault::Cut { after_tokens }) if sent >= after_tokens)
    }

    async fn cut(&mut self, to: &Sender<Frame>) -> Result<Status, Gone> {
        self.call.settle(Status::Failed);
        to.send(Err(cut())).await.map_err(|_| Gone)?;
        Ok(Status::Failed)
    }
}

/// The first half of a body, then a broken connection.
pub fn half(body: &str) -> Response {
    let half = body.bytes().take(body.len() / 2).collect::<Vec<_>>();
    let frames = [Ok(Bytes::from(half)), Err(cut())];
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, breaking_body(futures::stream::iter(frames))).into_response()
}

async fn hand(to: &Sender<Frame>, frame: Bytes) -> Result<(), Gone> {
    to.send(Ok(frame)).await.map_err(|_| Gone)
}

/// A timer costs a millisecond even if nothing is to be waited for.
async fn wait(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}
