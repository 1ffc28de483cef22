//! A stream that several readers hear, each from its beginning. Whoever has heard all there is asks the
//! upstream for more, so that no task stands between, and dropping the last reader drops the upstream.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::{error::ApiError, lock::lock, relay::Upstream};

/// Most that is held of one stream. Of a longer one the beginning is forgotten: it takes no more readers,
/// and one that is so far behind the others is cut off.
pub const LONGEST: usize = 1 << 20;

/// The stream.
pub struct Tape {
    inner: Mutex<Inner>,
    wakers: Arc<Wakers>,
}

struct Inner {
    /// None once it ended.
    upstream: Option<Upstream>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Chunks that were forgotten.
    forgotten: usize,
    /// How it ended, if it broke.
    error: Option<ApiError>,
}

/// One reader. It holds no lock between polls: one that is slow keeps nobody waiting.
struct Reader {
    tape: Arc<Tape>,
    at: usize,
    ended: bool,
}

/// Readers that wait. The upstream wakes one waker; this one wakes all.
#[derive(Default)]
struct Wakers(Mutex<Vec<Waker>>);

impl Tape {
    pub fn of(upstream: Upstream) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                upstream: Some(upstream),
                chunks: VecDeque::new(),
                bytes: 0,
                forgotten: 0,
                error: None,
            }),
            wakers: Arc::default(),
        })
    }

    /// A reader from the beginning; none once that is forgotten.
    pub fn reader(self: &Arc<Self>) -> Option<Upstream> {
        let reader = Reader {
            tape: self.clone(),
            at: 0,
            ended: false,
        };
        (lock(&self.inner).forgotten == 0).then(|| reader.boxed())
    }

    /// All that came so far; none once the beginning is forgotten.
    pub fn heard(&self) -> Option<Bytes> {
        let inner = lock(&self.inner);
        let mut all = BytesMut::with_capacity(inner.bytes);
        all.extend(inner.chunks.iter().cloned());
        (inner.forgotten == 0).then(|| all.freeze())
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, ApiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let tape = self.tape.clone();
        let mut inner = lock(&tape.inner);
        match inner.chunk(self.at) {
            Ok(Some(chunk)) => {
                self.at += 1;
                return Poll::Ready(Some(Ok(chunk)));
            }
            Ok(None) => {}
            Err(error) => {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
        // Before the upstream is asked, so that what comes in between wakes this reader, too.
        tape.wakers.add(context.waker());
        let polled = inner.poll(&tape.wakers);
        drop(inner);
        if polled.is_ready() {
            tape.wakers.wake_all();
        }
        match polled {
            Poll::Ready(Some(Ok(_))) => self.at += 1,
            Poll::Ready(_) => self.ended = true,
            Poll::Pending => {}
        }
        polled
    }
}

impl Inner {
    /// The chunk of that number, if it came.
    fn chunk(&self, number: usize) -> Result<Option<Bytes>, ApiError> {
        match number.checked_sub(self.forgotten) {
            Some(index) => Ok(self.chunks.get(index).cloned()),
            None => Err(ApiError::StreamCut),
        }
    }

    /// Asks for the next chunk.
    fn poll(&mut self, wakers: &Arc<Wakers>) -> Poll<Option<Result<Bytes, ApiError>>> {
        let Some(upstream) = &mut self.upstream else {
            return Poll::Ready(self.error.clone().map(Err));
        };
        let waker = Waker::from(wakers.clone());
        match upstream.poll_next_unpin(&mut Context::from_waker(&waker)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(chunk))) => {
                self.push(chunk.clone());
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(end) => {
                self.upstream = None;
                self.error = end.and_then(Result::err);
                Poll::Ready(self.error.clone().map(Err))
            }
        }
    }

    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
        while self.bytes > LONGEST {
            let Some(oldest) = self.chunks.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }
}

impl Wakers {
    fn add(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{FutureExt, StreamExt, channel::mpsc, stream};

    use super::{LONGEST, Tape};
    use crate::error::ApiError;

    type Chunk = Result<Bytes, ApiError>;

    #[tokio::test]
    async fn every_reader_hears_all_of_it_whenever_it_came() {
        let (send, upstream) = mpsc::unbounded::<Chunk>();
        let tape = Tape::of(upstream.boxed());
        let mut early = tape.reader().unwrap();
        assert!(early.next().now_or_never().is_none());
        send.unbounded_send(Ok("a".into())).unwrap();
        assert_eq!(early.next().await, Some(Ok("a".into())));
        let late = tape.reader().unwrap();
        send.unbounded_send(Ok("b".into())).unwrap();
        drop(send);
        assert_eq!(tape.heard().unwrap(), "a");
        let (rest, all) = futures::join!(early.collect::<Vec<_>>(), late.collect::<Vec<_>>());
        assert_eq!(rest, [Ok("b".into())]);
        assert_eq!(all, [Ok("a".into()), Ok("b".into())]);
    }

    #[tokio::test]
    async fn a_reader_that_stops_reading_keeps_nobody_waiting() {
        let (send, upstream) = mpsc::unbounded::<Chunk>();
        let tape = Tape::of(upstream.boxed());
        let (mut stuck, mut other) = (tape.reader().unwrap(), tape.reader().unwrap());
        // The upstream would wake the one that asked it last.
        let waits = tokio::spawn(async move { other.next().await });
        tokio::task::yield_now().await;
        assert!(stuck.next().now_or_never().is_none());
        send.unbounded_send(Ok("a".into())).unwrap();
        assert_eq!(waits.await.unwrap(), Some(Ok("a".into())));
        drop(stuck);
    }

    #[tokio::test]
    async fn an_error_is_told_to_each_once() {
        let tape = Tape::of(stream::iter([Ok("a".into()), Err(ApiError::StreamCut)]).boxed());
        for _ in 0..2 {
            let heard: Vec<_> = tape.reader().unwrap().collect().await;
            assert_eq!(heard, [Ok("a".into()), Err(ApiError::StreamCut)]);
        }
    }

    #[tokio::test]
    async fn the_upstream_is_dropped_with_its_last_reader() {
        let (send, upstream) = mpsc::unbounded::<Chunk>();
        let tape = Tape::of(upstream.boxed());
        let (one, two) = (tape.reader().unwrap(), tape.reader().unwrap());
        drop((tape, one));
        assert!(!send.is_closed());
        drop(two);
        assert!(send.is_closed());
    }

    #[tokio::test]
    async fn of_a_long_stream_little_is_held_and_who_is_far_behind_is_cut_off() {
        let chunk = Bytes::from(vec![b'x'; LONGEST / 4]);
        let chunks: Vec<Chunk> = vec![Ok(chunk); 9];
        let tape = Tape::of(stream::iter(chunks).boxed());
        let (fast, mut slow) = (tape.reader().unwrap(), tape.reader().unwrap());
        assert_eq!(fast.collect::<Vec<_>>().await.len(), 9);
        assert_eq!(slow.next().await, Some(Err(ApiError::StreamCut)));
        assert_eq!(slow.next().await, None);
        assert!(tape.reader().is_none() && tape.heard().is_none());
        assert_eq!(super::lock(&tape.inner).bytes, LONGEST);
    }
}
