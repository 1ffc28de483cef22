//! Watches: every kind of ours is kept in a store, and each change puts the objects it concerns into
//! their queues after the store shows it. Children, Secrets and ConfigMaps are watched by metadata, of
//! which next to nothing is held.

mod cell;
mod cluster;
mod feed;
mod follow;
mod metadata;
mod relations;
mod stores;

pub use cell::{Feeds, cell};
pub use cluster::cluster;
pub use feed::{Touch, feed, prune_kind};
pub use relations::{Target, of_child};
pub use stores::{CellStores, ClusterStores, Meta, Stores, valid};
