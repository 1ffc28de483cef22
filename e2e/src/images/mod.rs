//! The project's images, without Docker: what each holds, how it is packed, and
//! how it gets into a cluster.

mod archive;
mod content;
mod load;

pub use content::{Image, TAG};
pub use load::{load, load_pause, loaded_digest};
