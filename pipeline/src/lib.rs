//! Takes a document through its steps: retrieve, draft, check, review, publish, record.
//! `serve` is a tenant's gateway: store, queue, review desk, log and intents. `work` is the job pod
//! that leases items from it. Both drive the same machine. `evaluate` asks a model's revision on trial.

mod calls;
pub mod clock;
pub mod compiled;
pub mod draft;
pub mod enforced;
pub mod evaluate;
pub mod fault;
pub mod machine;
pub mod publish;
pub mod render;
pub mod retrieve;
pub mod serve;
pub mod store;
pub mod work;
