//! OpenAI's chat completions and embeddings: only what is touched is read; the rest stays as it came.

mod answer;
mod choices;
mod observe;
mod prompt;
mod request;
mod said;
pub(super) mod splice;
mod tally;

pub use answer::{Answer, read};
pub use observe::{Observer, Seen};
pub use request::{CapField, Operation, Request, Rewrite};
pub use said::{Choice, Chunk, Completion, Tokens, ToolCall};
