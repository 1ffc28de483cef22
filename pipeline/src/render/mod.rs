//! Templates and variables: compiled once for each configuration, rendered with a limit on work.
//! Errors name the template and line, never a value.

mod schema;
mod templates;

pub use schema::{Schema, SchemaError};
pub use templates::{
    RenderError, SkeletonTemplates, Template, compile_one, escape_html, render_one,
};
