//! Takes a document through its steps: retrieve, draft, check, review, publish, record.
//! `serve` is a tenant's gateway: store, queue, review desk, log and intents. `work` is the job pod
//! that leases items from it. Both drive the same machine.

pub mod compiled;
pub mod machine;
pub mod render;
pub mod retrieve;
pub mod store;
