//! The worker's end of the leases: a thin client of the gateway's work service.

use aios_proto::work::{
    CheckpointRequest, HeldLease, LeaseRequest, LeaseResponse, RenewRequest,
    work_client::WorkClient,
};
use tonic::{Status, transport::Channel};

use crate::machine::{Event, State};

const LARGEST_STATE: usize = 16 << 20;
/// How long the gateway may hold a request for items.
const WAIT_MS: u32 = 10_000;

/// Why a document is not worked on any further here.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("another worker holds the document")]
    Fenced,
    #[error("the gateway: {0}")]
    Gateway(#[from] Status),
    #[error("the gateway's state cannot be read: {0}")]
    State(#[from] serde_json::Error),
}

/// Leases of one run.
#[derive(Clone)]
pub struct Leases {
    client: WorkClient<Channel>,
    run_uid: String,
    worker: String,
}

/// A document that this worker holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub document: String,
    pub token: u64,
}

impl Leases {
    pub fn new(channel: Channel, run_uid: String, worker: String) -> Self {
        let client = WorkClient::new(channel)
            .max_decoding_message_size(LARGEST_STATE)
            .max_encoding_message_size(LARGEST_STATE);
        Self { client, run_uid, worker }
    }

    /// Asks for items; waits a while for some.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn lease(&self, most: u32) -> Result<LeaseResponse, WorkError> {
        let request = LeaseRequest {
            run_uid: self.run_uid.clone(),
            worker: self.worker.clone(),
            max_items: most,
            wait_ms: WAIT_MS,
        };
        Ok(self.client.clone().lease(request).await?.into_inner())
    }

    /// Keeps leases; gives those that went to another worker.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn renew(&self, held: &[Held]) -> Result<Vec<String>, WorkError> {
        let leases = held
            .iter()
            .map(|held| HeldLease {
                document_id: held.document.clone(),
                fencing_token: held.token,
            })
            .collect();
        let request = RenewRequest { worker: self.worker.clone(), leases };
        Ok(self.client.clone().renew(request).await?.into_inner().fenced)
    }

    /// Reports a finished step; gives the state after it, or none once the lease is released.
    ///
    /// # Errors
    /// When another worker holds the document, or the gateway does not answer.
    pub async fn checkpoint(
        &self,
        held: &Held,
        event: &Event,
    ) -> Result<Option<State>, WorkError> {
        let request = CheckpointRequest {
            worker: self.worker.clone(),
            document_id: held.document.clone(),
            fencing_token: held.token,
            event: serde_json::to_vec(event)?,
        };
        let response = self.client.clone().checkpoint(request).await?.into_inner();
        if response.fenced {
            return Err(WorkError::Fenced);
        }
        if response.released {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&response.state)?))
    }
}
