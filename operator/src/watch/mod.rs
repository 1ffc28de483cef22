//! Watches: every kind is kept in a store, and each change puts the objects it concerns into their
//! queues after the store shows it. Children, Secrets and ConfigMaps are watched by metadata alone.

mod cell;
mod cluster;
mod feed;
mod relations;
mod stores;

pub use cell::{Feeds, cell};
pub use cluster::cluster;
pub use feed::{Touch, feed, prune_kind};
pub use relations::{Target, of_child};
pub use stores::{CellStores, Children, ClusterStores, Meta, Stores, valid};
