// Copies Wasmtime's C headers, which its own build step writes for the features chosen in Cargo.toml, to $WEIR_INCLUDE_OUT.
use std::{env, fs, io, path::Path};

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=WEIR_INCLUDE_OUT");
    println!("cargo::rerun-if-env-changed=DEP_WASMTIME_C_API_INCLUDE");
    let headers = env::var("DEP_WASMTIME_C_API_INCLUDE").expect("wasmtime-c-api-impl tells where its headers are");
    match env::var("WEIR_INCLUDE_OUT") {
        Ok(out) => copy_tree(Path::new(&headers), Path::new(&out)),
        Err(_) => Ok(()),
    }
}
