pub use rure::*;
pub use wasmtime_c_api::*;
