//! Answers that are used again: kept for a while, or still under way for an equal call. In memory only, by
//! the leave of a pipeline's step, and never between pipelines.

mod broadcast;
mod flight;
mod kept;
mod tape;
mod terms;

use std::{
    collections::{HashMap, hash_map},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use http::HeaderMap;
use moka::{Expiry, policy::EvictionPolicy, sync};

pub use self::broadcast::Broadcast;
pub use self::terms::{Key, Terms};
use self::{flight::Landing, kept::Kept};
use crate::{face::DIGEST, lock::lock, metrics::Metrics, snapshot::Model};

/// Most bytes of answers that are kept.
const CAPACITY: u64 = 32 << 20;
/// Most streams that are shared at once; each may hold [`tape::LONGEST`] bytes. Others go alone.
const STREAMS: usize = 64;
/// How often what is too old leaves memory, though nobody calls.
const SWEEP: Duration = Duration::from_secs(5);

/// Where an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The model, asked by this call.
    Model,
    /// The model, asked by an equal call that was under way.
    Shared,
    /// Memory.
    Kept,
}

/// The answers of a process.
pub struct Cache {
    metrics: Arc<Metrics>,
    /// Made when the first answer is to be kept.
    kept: OnceLock<sync::Cache<Key, (Kept, Duration)>>,
    flights: Mutex<Flights>,
    sweeping: AtomicBool,
}

#[derive(Default)]
struct Flights {
    by_key: HashMap<Key, (u64, Place)>,
    streams: usize,
    next: u64,
}

/// Where a call is that others may join.
enum Place {
    /// Whoever drops the last clone of it cancels it.
    Starting(WeakShared<BoxFuture<'static, Landing>>),
    Streaming(Weak<Broadcast>),
}

/// What there is for a call.
enum Found {
    Kept(Kept),
    /// A call that starts; true for who began it.
    Starting(Shared<BoxFuture<'static, Landing>>, bool),
    Streaming(Arc<Broadcast>),
    /// Nothing, and nothing is to be shared.
    Nothing,
}

/// A shared call's place among the flights, until it is dropped; and what it may leave behind.
pub struct Seat {
    cache: Arc<Cache>,
    /// Of its answer.
    key: Key,
    /// Of its place.
    flight: Key,
    id: u64,
    ttl: Duration,
    stream: bool,
}

/// Each answer is kept for as long as its step says.
struct ByTtl;

impl Cache {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            kept: OnceLock::new(),
            flights: Mutex::default(),
            sweeping: AtomicBool::new(false),
        })
    }

    /// What there is, or a call that `start` begins, which others may join from now on.
    fn find(
        self: &Arc<Self>,
        (key, flight, ttl): (Key, Key, Duration),
        stream: bool,
        start: impl FnOnce(Seat) -> BoxFuture<'static, Landing>,
    ) -> Found {
        if let Some(kept) = self.kept(&key, ttl) {
            return Found::Kept(kept);
        }
        let mut flights = lock(&self.flights);
        // A flight that is dropped leaves its seat, which takes the lock: none is dropped under it.
        match flights.by_key.get(&flight) {
            Some((_, Place::Starting(flight))) => {
                if let Some(flight) = flight.upgrade() {
                    return Found::Starting(flight, false);
                }
            }
            Some((_, Place::Streaming(broadcast))) => {
                if let Some(broadcast) = broadcast.upgrade() {
                    return Found::Streaming(broadcast);
                }
            }
            None => {}
        }
        // It may have landed meanwhile.
        if let Some(kept) = self.kept(&key, ttl) {
            return Found::Kept(kept);
        }
        if stream && flights.streams >= STREAMS {
            return Found::Nothing;
        }
        let id = flights.next;
        flights.next += 1;
        let seat = Seat {
            cache: self.clone(),
            key,
            flight,
            id,
            ttl,
            stream,
        };
        let starting = start(seat).shared();
        if let Some(weak) = starting.downgrade() {
            flights.by_key.insert(flight, (id, Place::Starting(weak)));
            flights.streams += usize::from(stream);
        }
        Found::Starting(starting, true)
    }

    fn kept(&self, key: &Key, ttl: Duration) -> Option<Kept> {
        let (kept, _) = self.kept.get()?.get(key)?;
        // The step may say less than when it was kept.
        kept.is_younger(ttl).then_some(kept)
    }

    fn keep(self: &Arc<Self>, key: Key, kept: Kept, ttl: Duration) {
        let all = self.kept.get_or_init(|| {
            sync::Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|_, (kept, _): &(Kept, Duration)| kept.weight().unwrap_or(u32::MAX))
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(ByTtl)
                .build()
        });
        all.insert(key, (kept, ttl));
        self.sweep();
        if !self.sweeping.swap(true, SeqCst) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Lets go of what is too old. The bytes that are left.
    fn sweep(&self) -> u64 {
        let Some(all) = self.kept.get() else {
            return 0;
        };
        all.run_pending_tasks();
        let bytes = all.weighted_size();
        self.metrics.cached(bytes);
        bytes
    }
}

/// Sweeps until nothing is left.
async fn sweep(cache: Weak<Cache>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(cache) = cache.upgrade() else {
            return;
        };
        if cache.sweep() > 0 {
            continue;
        }
        cache.sweeping.store(false, SeqCst);
        // An answer that came in between found the sweeper still there.
        if cache.sweep() == 0 || cache.sweeping.swap(true, SeqCst) {
            return;
        }
    }
}

// === impl Seat ===

impl Seat {
    /// From now on callers join this stream.
    fn streams(&self, broadcast: &Arc<Broadcast>) {
        let mut flights = lock(&self.cache.flights);
        if let hash_map::Entry::Occupied(mut entry) = flights.by_key.entry(self.flight)
            && entry.get().0 == self.id
        {
            entry.get_mut().1 = Place::Streaming(Arc::downgrade(broadcast));
        }
    }

    /// Keeps an answer, unless it is too long, or of other weights than the key says: groups of a model are
    /// replaced one after another.
    fn keep(&self, kept: Kept, model: &Model) {
        if kept.weight().is_some() && is_of(model, kept.headers()) {
            self.cache.keep(self.key, kept, self.ttl);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut flights = lock(&self.cache.flights);
        flights.streams = flights.streams.saturating_sub(usize::from(self.stream));
        if let hash_map::Entry::Occupied(entry) = flights.by_key.entry(self.flight)
            && entry.get().0 == self.id
        {
            entry.remove();
        }
    }
}

fn is_of(model: &Model, headers: &HeaderMap) -> bool {
    let digest = headers.get(DIGEST).map(http::HeaderValue::as_bytes);
    digest.is_none_or(|digest| Some(digest) == model.digest.as_deref().map(str::as_bytes))
}

// === impl Origin ===

impl Origin {
    /// Value of header `aios-cache`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "miss",
            Self::Shared => "shared",
            Self::Kept => "hit",
        }
    }
}

impl Expiry<Key, (Kept, Duration)> for ByTtl {
    fn expire_after_create(
        &self,
        _: &Key,
        (_, ttl): &(Kept, Duration),
        _: Instant,
    ) -> Option<Duration> {
        Some(*ttl)
    }
}
