//! Leases over gRPC, for workers of the same namespace.

use std::time::Duration;

use aios_proto::work::{
    CheckpointRequest, CheckpointResponse, LeaseRequest, LeaseResponse, LeasedItem,
    RecordCallsRequest, RecordCallsResponse, RenewRequest, RenewResponse,
    work_server::{Work, WorkServer},
};
use aios_runtime::serve::Peer;
use tonic::{Request, Response, Status};

use super::{deadline, gateway::Gateway, retrieve::retrieve};
use crate::{
    clock::now_ms,
    compiled::Pipeline,
    draft::{StepError, write_step},
    machine::{Effect, Event, Phase, State, next},
    store::{Claim, Fence, StoreError},
};

/// Time after which a silent worker's items go to another.
const LEASE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const LARGEST_STATE: usize = 16 << 20;

/// The service, as it is mounted on the work port.
pub fn service(gateway: Gateway) -> WorkServer<impl Work> {
    WorkServer::new(Leases { gateway })
        .max_decoding_message_size(LARGEST_STATE)
        .max_encoding_message_size(LARGEST_STATE)
}

struct Leases {
    gateway: Gateway,
}

#[tonic::async_trait]
impl Work for Leases {
    async fn lease(
        &self,
        request: Request<LeaseRequest>,
    ) -> Result<Response<LeaseResponse>, Status> {
        self.admit(&request)?;
        let request = request.into_inner();
        let wait = Duration::from_millis(request.wait_ms.into()).min(LONGEST_WAIT);
        let deadline = tokio::time::Instant::now() + wait;
        let mut changes = self.gateway.store.changes();
        loop {
            changes.mark_unchanged();
            let response = self
                .try_lease(&request)
                .await
                .map_err(|error| status(&error))?;
            if response.drained || !response.items.is_empty() {
                return Ok(Response::new(response));
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return Ok(Response::new(response)),
                _ = changes.changed() => {}
                // Leases of silent workers end without an announcement.
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        self.admit(&request)?;
        let RenewRequest { worker, leases } = request.into_inner();
        if leases.is_empty() {
            // A worker that ends holds nothing any more.
            self.gateway
                .store
                .give_back(&worker)
                .await
                .map_err(|error| status(&error))?;
        }
        let mut fenced = Vec::new();
        for lease in leases {
            let until = now_ms() + lease_ms();
            let kept = self
                .gateway
                .store
                .renew(&lease.document_id, &worker, lease.fencing_token, until)
                .await
                .map_err(|error| status(&error))?;
            if !kept {
                fenced.push(lease.document_id);
            }
        }
        Ok(Response::new(RenewResponse { fenced }))
    }

    async fn record_calls(
        &self,
        request: Request<RecordCallsRequest>,
    ) -> Result<Response<RecordCallsResponse>, Status> {
        self.admit(&request)?;
        let batches = request.into_inner().batches;
        let recorded = self.gateway.store.record_calls(&batches, now_ms()).await;
        recorded.map_err(|error| status(&error))?;
        Ok(Response::new(RecordCallsResponse {}))
    }

    async fn checkpoint(
        &self,
        request: Request<CheckpointRequest>,
    ) -> Result<Response<CheckpointResponse>, Status> {
        self.admit(&request)?;
        let request = request.into_inner();
        let event: Event = serde_json::from_slice(&request.event)
            .map_err(|error| Status::invalid_argument(format!("event: {error}")))?;
        if !event.by_worker() {
            let name = event.name();
            return Err(Status::permission_denied(format!(
                "workers may not report `{name}`"
            )));
        }
        let owner = crate::store::worker_owner(&request.worker);
        let fence = Fence::Lease {
            owner,
            token: request.fencing_token,
        };
        match self.apply(&request.document_id, event, &fence).await {
            Ok(state) => Ok(Response::new(CheckpointResponse {
                fenced: false,
                released: !state.for_worker(),
                state: serde_json::to_vec(&state).map_err(|e| Status::internal(e.to_string()))?,
            })),
            Err(StepError::Store(StoreError::Fenced | StoreError::Erased(_))) => {
                self.gateway.metrics().fenced();
                Ok(Response::new(CheckpointResponse {
                    fenced: true,
                    released: true,
                    state: Vec::new(),
                }))
            }
            Err(StepError::Store(error)) => Err(status(&error)),
            Err(error) => Err(Status::unavailable(format!(
                "the text cannot be judged now: {error}"
            ))),
        }
    }
}

impl Leases {
    /// The certificate must name this namespace.
    fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let own = format!("spiffe://aios/ns/{}", self.gateway.namespace);
        let known = request
            .extensions()
            .get::<Peer>()
            .is_some_and(|peer| peer.uris.contains(&own));
        if known {
            Ok(())
        } else {
            Err(Status::permission_denied("not of this namespace"))
        }
    }

    async fn try_lease(&self, request: &LeaseRequest) -> Result<LeaseResponse, StoreError> {
        let store = &self.gateway.store;
        let run = store.run(&request.run_uid).await?;
        if run.as_ref().is_some_and(|run| run.suspended) {
            return Ok(LeaseResponse {
                items: Vec::new(),
                drained: false,
            });
        }
        let now = now_ms();
        let claims = if self.is_past_deadline(&request.run_uid, now) {
            Vec::new()
        } else {
            let until = now + lease_ms();
            let LeaseRequest {
                run_uid, worker, ..
            } = request;
            store
                .lease(run_uid, worker, now, until, request.max_items)
                .await?
        };
        let mut items = Vec::new();
        for claim in claims {
            let document = claim.document.clone();
            match self.prepare(&request.worker, claim).await {
                Ok(item) => items.extend(item),
                // One item must not hold the others back; its lease runs out.
                Err(error) => tracing::warn!(document, %error, "not leased"),
            }
        }
        let accepted = run.is_some_and(|run| run.accepted);
        let drained =
            items.is_empty() && accepted && store.left_for_workers(&request.run_uid).await? == 0;
        Ok(LeaseResponse { items, drained })
    }

    fn is_past_deadline(&self, run: &str, now_ms: u64) -> bool {
        let configuration = self.gateway.enforced.load();
        let run = configuration.runs.get(run);
        run.is_some_and(|run| deadline::is_past(run, now_ms))
    }

    /// Fetches context as late as possible; an item that is refused for it needs no worker.
    async fn prepare(&self, worker: &str, claim: Claim) -> Result<Option<LeasedItem>, StepError> {
        let store = &self.gateway.store;
        let mut state = store.document(&claim.document).await?;
        if state.phase == Phase::Accepted {
            let Some(pipeline) = self.gateway.pipeline(&state.pipeline) else {
                return Ok(None);
            };
            let found = retrieve(store, &pipeline, &state).await?;
            if let Some(subject) = found.subject {
                store.assign(&state.id, subject, now_ms()).await?;
            }
            let owner = crate::store::worker_owner(worker);
            let fence = Fence::Lease {
                owner,
                token: claim.token,
            };
            state = self.apply(&claim.document, found.event, &fence).await?;
        }
        if !state.for_worker() {
            return Ok(None);
        }
        Ok(Some(LeasedItem {
            document_id: claim.document,
            pipeline: state.pipeline.clone(),
            fencing_token: claim.token,
            lease_ms: u32::try_from(lease_ms()).unwrap_or(u32::MAX),
            state: serde_json::to_vec(&state).map_err(StoreError::from)?,
        }))
    }

    async fn apply(&self, id: &str, event: Event, fence: &Fence) -> Result<State, StepError> {
        let store = &self.gateway.store;
        let before = store.document(id).await?;
        let pipeline = self
            .gateway
            .pipeline(&before.pipeline)
            .ok_or_else(|| StoreError::NoDocument(id.to_owned()))?;
        let view = match &event {
            Event::Retrieved(retrieved) => pipeline.view(Some(&retrieved.language)),
            _ => pipeline.view_of(&before),
        };
        let event = match event {
            Event::Checked(_) => self.judged(&pipeline, &before, event).await?,
            event => event,
        };
        let after = store
            .apply(id, event.clone(), &view, fence, now_ms())
            .await?;
        self.gateway.metrics().applied(&event, after.status());
        Ok(after)
    }

    /// The gateway's own verdict in place of the worker's, which may hold other policies by now and has no
    /// records. What the worker was told by others is not asked again. While the gateway cannot judge,
    /// nothing is taken.
    async fn judged(
        &self,
        pipeline: &Pipeline,
        state: &State,
        reported: Event,
    ) -> Result<Event, StepError> {
        let view = pipeline.view_of(state);
        let effect = next(state, &view, now_ms(), self.gateway.store.epoch());
        if effect != Effect::Check {
            // Out of place: the machine says why.
            return Ok(reported);
        }
        let mut state = state.clone();
        if let Event::Checked(checked) = &reported {
            state.evidence.extend(checked.evidence.iter().cloned());
        }
        let (egress, store) = (&self.gateway.egress, &self.gateway.store);
        write_step(&effect, &state, pipeline, egress, Some(store)).await
    }
}

fn lease_ms() -> u64 {
    u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX)
}

fn status(error: &StoreError) -> Status {
    match error {
        StoreError::NoDocument(_) => Status::not_found(error.to_string()),
        StoreError::Machine(_) => Status::failed_precondition(error.to_string()),
        StoreError::Calls(_) => Status::invalid_argument(error.to_string()),
        _ => {
            tracing::error!(%error, "store");
            Status::unavailable("the store failed")
        }
    }
}
