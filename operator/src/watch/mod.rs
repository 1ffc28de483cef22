//! Watches: every kind of ours is kept in a store, and each change puts the objects it concerns into
//! their queues after the store shows it. Children, Secrets and ConfigMaps are watched by metadata, of
//! which next to nothing is held.

mod cell;
mod cluster;
mod feed;
mod feeds;
mod follow;
mod metadata;
mod referrers;
mod relations;
mod stores;

pub use cell::cell;
pub use cluster::cluster;
pub use feed::{Touch, feed, prune_kind};
pub use feeds::Feeds;
pub use relations::{Target, of_child};
pub use stores::{CellStores, ClusterStores, Meta, Stores, valid};
