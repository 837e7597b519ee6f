//! Copies Wasmtime's C headers, which its own build writes for the features chosen in Cargo.toml, to $WEIR_INCLUDE_OUT.
use std::{env, fs, io, path::Path};

fn copy_headers(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_headers(&entry.path(), &target)?;
        } else if target.extension().is_some_and(|extension| extension == "h") {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=WEIR_INCLUDE_OUT");
    println!("cargo::rerun-if-env-changed=DEP_WASMTIME_C_API_INCLUDE");
    match (env::var("DEP_WASMTIME_C_API_INCLUDE"), env::var("WEIR_INCLUDE_OUT")) {
        (Ok(headers), Ok(out)) => copy_headers(Path::new(&headers), Path::new(&out)),
        _ => Ok(()),
    }
}
