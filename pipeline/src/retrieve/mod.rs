//! Finds passages: an embedded lexical index (BM25) over the pipeline's sources.
//! Pure: built once for each configuration, asked for each document.

mod index;
mod passages;

pub use index::Index;
pub use passages::split;
