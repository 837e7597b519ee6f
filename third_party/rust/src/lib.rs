//! Exports the C API of Wasmtime and that of the regex crate, and adds nothing.
pub use rure::*;
#[cfg(feature = "wasmtime")]
pub use wasmtime_c_api::*;
