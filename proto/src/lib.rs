//! Wire contracts between the parts: `control` (configuration down, reports up) and `work` (leases)
//! over gRPC, `inference` of foreign servers, and `config`, the canonical JSON that control items carry.
//! No behaviour beyond digests and parsing.

pub mod canonical;
pub mod config;
pub mod evaluation;
pub mod snapshot_file;

/// Configuration down, acknowledgements and reports up.
#[allow(clippy::pedantic, reason = "generated code")]
pub mod control {
    tonic::include_proto!("aios.control.v1");
}

/// Open Inference Protocol V2: texts in tensors, of servers that others wrote.
#[allow(clippy::pedantic, reason = "generated code")]
pub mod inference {
    tonic::include_proto!("inference");
}

/// Leases of documents.
#[allow(clippy::pedantic, reason = "generated code")]
pub mod work {
    tonic::include_proto!("aios.work.v1");
}
