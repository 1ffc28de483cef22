//! Behaviour of the sidecar over real sockets, against labelled stand-ins on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "literals of json! read better without `&`"
)]

mod asleep;
mod bad_input;
mod budget;
mod cached;
mod certificates;
mod combined;
mod control;
mod corpora;
mod counted;
mod dialled;
mod egress_stream;
mod egress_whole;
mod everything;
mod faces;
mod failover;
mod fake;
mod first_token;
mod foreign;
mod golden;
mod hedged;
mod held;
mod hop;
mod hub;
mod ingress;
mod ingress_anthropic;
mod ingress_grpc;
mod ingress_text;
mod logs;
mod measured;
mod moderated;
mod next_revision;
mod prefetch;
mod processes;
mod properties;
mod recorded;
mod replicas;
mod sdks;
mod shared;
mod shield;
mod shield_order;
mod shield_prompts;
mod shield_properties;
mod shield_said;
mod simulated;
mod strict;
mod swaps;
mod thoughts;
mod traced;
mod translation;
mod trials;
mod unwanted;
mod wide;
mod world;
