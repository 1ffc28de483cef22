//! A watch of the whole cluster that holds the objects of this operator's namespaces alone. Those of a
//! namespace that comes later are listed once; afterwards the watch has them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use kube::{Api, Client, api::ListParams, runtime::watcher};
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};

use crate::{
    share::{Arrival, Move, Share},
    watch::feed::Watched,
};

/// As many as the watch lists at once.
const PAGE: u32 = 500;
/// Until a list that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How a watch follows the share; one of all namespaces, or of a single one, has nothing to follow.
pub struct Following<K> {
    moving: Option<Moving<K>>,
}

struct Moving<K> {
    share: Share,
    moves: UnboundedReceiver<Move>,
    /// Lists that failed.
    due: VecDeque<(Instant, Arc<Arrival>)>,
    client: Client,
    api: fn(Client, &str) -> Api<K>,
}

impl<K: Watched> Following<K> {
    pub const fn nothing() -> Self {
        Self { moving: None }
    }

    /// `api` is that of one namespace.
    pub fn of(share: &Share, client: &Client, api: fn(Client, &str) -> Api<K>) -> Self {
        let moving = share.follow().map(|moves| Moving {
            share: share.clone(),
            moves,
            due: VecDeque::new(),
            client: client.clone(),
            api,
        });
        Self { moving }
    }

    /// Whether an object is of this operator's namespaces.
    pub fn takes(&self, object: &K) -> bool {
        let Some(moving) = &self.moving else {
            return true;
        };
        let namespace = object.meta().namespace.as_deref();
        namespace.is_some_and(|namespace| moving.share.selects(namespace))
    }

    /// The next change of the share. Never, where there is none to follow.
    pub async fn next(&mut self) -> Move {
        let Some(moving) = &mut self.moving else {
            return std::future::pending().await;
        };
        let next = moving.due.front().map(|(at, _)| *at);
        let due = tokio::time::sleep_until(next.unwrap_or_else(Instant::now));
        tokio::select! {
            moved = moving.moves.recv() => match moved {
                Some(moved) => moved,
                None => std::future::pending().await,
            },
            () = due, if next.is_some() => match moving.due.pop_front() {
                Some((_, arrival)) => Move::Gained(arrival),
                None => std::future::pending().await,
            },
        }
    }

    /// Whether nothing of a namespace is to be held any more: it may have come back.
    pub fn drops(&mut self, namespace: &str) -> bool {
        let Some(moving) = &mut self.moving else {
            return false;
        };
        moving
            .due
            .retain(|(_, arrival)| arrival.namespace() != namespace);
        !moving.share.selects(namespace)
    }

    /// What is in a namespace that came. Nothing if it has gone again, or if the list failed, which is
    /// then tried again.
    pub async fn list(&mut self, arrival: &Arc<Arrival>, config: &watcher::Config) -> Vec<K> {
        let Some(moving) = &mut self.moving else {
            return Vec::new();
        };
        let namespace = arrival.namespace();
        let api = (moving.api)(moving.client.clone(), namespace);
        match list(&api, config).await {
            Ok(found) if moving.share.selects(namespace) => found,
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), namespace, %error, "list");
                moving
                    .due
                    .push_back((Instant::now() + RETRY, arrival.clone()));
                Vec::new()
            }
        }
    }
}

async fn list<K: Watched>(api: &Api<K>, config: &watcher::Config) -> Result<Vec<K>, kube::Error> {
    let mut which = ListParams {
        label_selector: config.label_selector.clone(),
        field_selector: config.field_selector.clone(),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let mut found = Vec::new();
    loop {
        let page = api.list(&which).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => which.continue_token = Some(next),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
