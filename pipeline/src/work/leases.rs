//! The worker's end of the lease service.

use aios_proto::work::{
    CheckpointRequest, HeldLease, LeaseRequest, LeaseResponse, RecordCallsRequest, RenewRequest,
    work_client::WorkClient,
};
use aios_runtime::{channel, channel::ChannelError, tls::ClientTls};
use tonic::{Status, transport::Channel};

use crate::{
    calls::CallLog,
    machine::{Event, State},
};

/// States hold whole documents.
const LARGEST_MESSAGE: usize = 16 << 20;

/// The namespace's gateway, under this worker's name.
#[derive(Clone)]
pub struct GatewayClient {
    client: WorkClient<Channel>,
    run_uid: String,
    worker: String,
}

/// Why the gateway did not take or give something.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("gateway: {} ({:?})", .0.message(), .0.code())]
    Gateway(#[from] Box<Status>),
    #[error("the state or event has no valid JSON form: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What the gateway made of an event.
#[derive(Debug)]
pub enum Recorded {
    /// Go on from here.
    Go(Box<State>),
    /// Nothing is left to do for a worker.
    Released,
    /// Another worker has it by now: stop.
    Fenced,
}

impl GatewayClient {
    /// Connects on first use.
    ///
    /// # Errors
    /// When the address cannot be used at all.
    pub fn new(
        uri: &str,
        tls: Option<ClientTls>,
        run_uid: &str,
        worker: &str,
    ) -> Result<Self, ChannelError> {
        let client = WorkClient::new(channel::connect(uri, tls)?)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Ok(Self {
            client,
            run_uid: run_uid.to_owned(),
            worker: worker.to_owned(),
        })
    }

    /// Leases up to `max_items`, waiting up to `wait_ms` for one.
    pub async fn lease(&self, max_items: u32, wait_ms: u32) -> Result<LeaseResponse, LeaseError> {
        let request = LeaseRequest {
            run_uid: self.run_uid.clone(),
            worker: self.worker.clone(),
            max_items,
            wait_ms,
        };
        Ok(self
            .client
            .clone()
            .lease(request)
            .await
            .map_err(Box::new)?
            .into_inner())
    }

    /// Keeps leases; gives the documents that another worker holds by now. An empty list gives all
    /// leases of this worker back.
    pub async fn renew(&self, leases: Vec<HeldLease>) -> Result<Vec<String>, LeaseError> {
        let request = RenewRequest {
            worker: self.worker.clone(),
            leases,
        };
        let answer = self.client.clone().renew(request).await.map_err(Box::new)?;
        Ok(answer.into_inner().fenced)
    }

    /// Records one finished step.
    pub async fn checkpoint(
        &self,
        document: &str,
        fencing_token: u64,
        event: &Event,
    ) -> Result<Recorded, LeaseError> {
        let request = CheckpointRequest {
            worker: self.worker.clone(),
            document_id: document.to_owned(),
            fencing_token,
            event: serde_json::to_vec(event)?,
        };
        let answer = self
            .client
            .clone()
            .checkpoint(request)
            .await
            .map_err(Box::new)?
            .into_inner();
        if answer.fenced {
            return Ok(Recorded::Fenced);
        }
        if answer.released {
            return Ok(Recorded::Released);
        }
        Ok(Recorded::Go(Box::new(serde_json::from_slice(
            &answer.state,
        )?)))
    }
}

impl CallLog for GatewayClient {
    async fn record(&self, batches: Vec<Vec<u8>>) -> Result<(), String> {
        let request = RecordCallsRequest { batches };
        let recorded = self.client.clone().record_calls(request).await;
        recorded
            .map(drop)
            .map_err(|status| format!("{} ({:?})", status.message(), status.code()))
    }
}

impl LeaseError {
    /// True when the gateway will never take this, however often it is asked.
    pub fn is_final(&self) -> bool {
        use tonic::Code;
        match self {
            Self::Gateway(status) => matches!(
                status.code(),
                Code::FailedPrecondition | Code::InvalidArgument | Code::NotFound
            ),
            Self::Encode(_) => true,
        }
    }
}
