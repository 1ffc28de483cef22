//! The election: takes the Lease, holds it and gives it back. Every write names the version that it
//! judged, so that of two candidates one is refused, and a late one always.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    leader::{
        fence::{Tenure, uptime},
        lease::{Pace, Sighting, holder, released, renewed, taken},
    },
    names::{FIELD_MANAGER, LEASE},
};

/// A part in the election, until it is left.
pub struct Election {
    leads: watch::Receiver<bool>,
    tenure: Tenure,
    quit: CancellationToken,
    task: JoinHandle<()>,
}

impl Election {
    /// Takes part. Its client is its own: a slow reconcile never delays a renewal.
    pub fn join(client: Client, namespace: &str, identity: &str, pace: Pace) -> Self {
        let (sender, leads) = watch::channel(false);
        let (tenure, quit) = (Tenure::default(), CancellationToken::new());
        let candidate = Candidate {
            leases: Api::namespaced(client, namespace),
            me: identity.to_owned(),
            pace,
            tenure: tenure.clone(),
        };
        let task = tokio::spawn(candidate.stand(sender, quit.clone()));
        Self {
            leads,
            tenure,
            quit,
            task,
        }
    }

    /// Until when this operator leads.
    pub fn tenure(&self) -> Tenure {
        self.tenure.clone()
    }

    /// Waits until this operator leads. `false` when the election itself ended.
    pub async fn won(&mut self) -> bool {
        self.leads.wait_for(|leads| *leads).await.is_ok()
    }

    /// Waits until this operator no longer leads, or can no longer know that it does.
    pub async fn lost(&mut self) {
        let _ = self.leads.wait_for(|leads| !*leads).await;
    }

    /// Gives the Lease back, so that the next leader need not wait for it to end.
    pub async fn leave(self) {
        self.quit.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the election ended badly");
        }
    }
}

struct Candidate {
    leases: Api<Lease>,
    me: String,
    pace: Pace,
    tenure: Tenure,
}

/// What a look at the Lease led to.
enum Outcome {
    Won(Box<Lease>),
    /// It may be free after this time.
    Wait(Duration),
}

impl Candidate {
    async fn stand(self, leads: watch::Sender<bool>, quit: CancellationToken) {
        let lease = tokio::select! {
            () = quit.cancelled() => return,
            lease = self.win() => lease,
        };
        leads.send_replace(true);
        tokio::select! {
            () = quit.cancelled() => {}
            () = self.hold(lease) => tracing::error!("the lease is lost, or could not be confirmed"),
        }
        self.tenure.end();
        leads.send_replace(false);
        // Released only once the leader's tasks have ended.
        quit.cancelled().await;
        self.release().await;
    }

    async fn win(&self) -> Lease {
        let mut seen = Sighting::default();
        loop {
            let wait = match self.answered(self.look(&mut seen)).await {
                Ok(Outcome::Won(lease)) => return *lease,
                Ok(Outcome::Wait(left)) => left.min(self.pace.look),
                Err(error) => {
                    tracing::warn!(%error, "cannot look at the lease");
                    self.pace.retry
                }
            };
            sleep(wait).await;
        }
    }

    async fn look(&self, seen: &mut Sighting) -> Result<Outcome, kube::Error> {
        let found = self.leases.get_opt(LEASE).await?;
        if let Some(lease) = &found {
            let now = uptime();
            seen.note(lease, now);
            let left = seen.free_in(lease, &self.me, &self.pace, now);
            if !left.is_zero() {
                return Ok(Outcome::Wait(left));
            }
        }
        let asked = uptime();
        let mine = taken(found.as_ref(), &self.me, &self.pace, Timestamp::now());
        let written = match found {
            Some(_) => self.leases.replace(LEASE, &params(), &mine).await,
            None => self.leases.create(&params(), &mine).await,
        };
        match written {
            Ok(lease) => {
                self.tenure.lasts_until(asked + self.pace.deadline);
                Ok(Outcome::Won(Box::new(lease)))
            }
            // Another was faster.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Ok(Outcome::Wait(self.pace.look))
            }
            Err(error) => Err(error),
        }
    }

    /// Renews until another holds the Lease, it is gone, or the tenure is over.
    async fn hold(&self, mut lease: Lease) {
        let mut wait = self.pace.renew;
        loop {
            sleep(wait.min(self.tenure.left())).await;
            if self.tenure.left().is_zero() {
                return;
            }
            wait = self.pace.retry;
            let asked = uptime();
            let wanted = renewed(&lease, Timestamp::now());
            let params = params();
            let renewal = self.leases.replace(LEASE, &params, &wanted);
            match self.answered(renewal).await {
                Ok(fresh) => {
                    self.tenure.lasts_until(asked + self.pace.deadline);
                    lease = fresh;
                    wait = self.pace.renew;
                }
                Err(Unanswered::Api(kube::Error::Api(status)))
                    if matches!(status.code, 404 | 409) =>
                {
                    // Another's write, or our own, whose answer was lost.
                    match self.answered(self.leases.get_opt(LEASE)).await {
                        Ok(Some(found)) if holder(&found) == Some(&self.me) => lease = found,
                        Ok(_) => return,
                        Err(error) => tracing::warn!(%error, "cannot look at the lease"),
                    }
                }
                Err(error) => tracing::warn!(%error, "the lease was not renewed"),
            }
        }
    }

    /// Best effort, and only what is still ours: it ends by itself, too.
    async fn release(&self) {
        // A renewal that was under way may come between the look and the write.
        for _ in 0..3 {
            let given_back = async {
                let Some(lease) = self.leases.get_opt(LEASE).await? else {
                    return Ok(());
                };
                if holder(&lease) != Some(&self.me) {
                    return Ok(());
                }
                let free = released(&lease);
                self.leases.replace(LEASE, &params(), &free).await.map(drop)
            };
            match self.answered(given_back).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "the lease was not given back"),
            }
        }
    }

    async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Unanswered> {
        match timeout(self.pace.answer, request).await {
            Ok(answer) => answer.map_err(Unanswered::Api),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Api(kube::Error),
    #[error("the API server does not answer")]
    Late,
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

#[cfg(test)]
mod tests;
