# Sourced by toolchain.sh: Rust for machines that have none, or none that is new enough, or none that compiles to Wasm.
#
# Debian keeps a new Rust (cargo-web, rustc-web, rust-web-src) in its security suite, since its browsers need one. The
# packages are unpacked into the cache, not installed: no root needed, no older rustc replaced, no list of sources changed.
# shellcheck shell=bash

# unpack_debian DIR PACKAGE ...: unpacks the packages, and those they need that the system lacks, to DIR/root.
unpack_debian() {
    local dir=$1 codename uri apt deb
    shift
    command -v apt-get >/dev/null || die "Rust $RUST_MIN or later is needed: https://rustup.rs"
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    uri=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" | head -1)
    mkdir -p "$dir/apt/state/lists/partial" "$dir/apt/cache/archives/partial"
    {
        cat /etc/apt/sources.list 2>/dev/null || true
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri%/}-security $codename-security main"
    } >"$dir/apt/sources.list"
    apt=(apt-get -q -o Dir::Etc::sourcelist="$dir/apt/sources.list" -o Dir::State="$dir/apt/state"
        -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$dir/apt/cache" -o Debug::NoLocking=1
        -o APT::Sandbox::User="$(id -un)")
    if ! { "${apt[@]}" update && "${apt[@]}" -y --no-install-recommends --download-only install "$@"; } \
        >"$dir/apt/log" 2>&1; then
        cat "$dir/apt/log" >&2
        die "apt-get could not bring Rust; it can also come from https://rustup.rs"
    fi
    for deb in "$dir"/apt/cache/archives/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -r "$dir/apt"
}

# write_wrappers DIR [LINE]: DIR/bin/{cargo,rustc,rustdoc}, which find their libraries and one another wherever DIR lies.
write_wrappers() {
    local dir=$1 program
    mkdir -p "$dir/bin"
    for program in cargo rustc rustdoc; do
        rm -f "$dir/bin/$program"
        cat >"$dir/bin/$program" <<EOF
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
export LD_LIBRARY_PATH="\$here/../root/usr/lib/$(uname -m)-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export RUSTC="\$here/rustc" RUSTDOC="\$here/rustdoc" ${2:-}
exec "\$here/../root/usr/bin/$program" "\$@"
EOF
        chmod +x "$dir/bin/$program"
    done
}

fetch_rust() {
    say "Rust: fetching Debian's packages (100 MB, once)"
    unpack_debian "$1" rustc-web cargo-web
    write_wrappers "$1"
    at_least "$RUST_MIN" "$1/bin/cargo" --version || die "Debian's Rust here is older than $RUST_MIN: https://rustup.rs"
}

# make_rust_wasm BASE DIR: the toolchain in BASE with the standard library for wasm32-wasip1 added, which Debian has no
# package of: compiled from its sources, on Debian's wasi-libc.
make_rust_wasm() {
    local base=$1 dir=$2 target=wasm32-wasip1 lib
    say "Rust for $target: compiling the standard library (a minute, once)"
    cp -al "$base/." "$dir"
    write_wrappers "$dir" CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld
    unpack_debian "$dir/src" rust-web-src
    mkdir -p "$dir/root/usr/lib/rustlib/src"
    mv "$dir"/src/root/usr/src/rustc-* "$dir/root/usr/lib/rustlib/src/rust"
    mkdir -p "$dir/src/empty/src"
    printf '[package]\nname = "empty"\nversion = "0.0.0"\n' >"$dir/src/empty/Cargo.toml"
    touch "$dir/src/empty/src/lib.rs"
    (
        cd "$dir/src/empty"
        RUSTC_BOOTSTRAP=1 "$dir/bin/cargo" build -q --release --target $target --target-dir target \
            -Zbuild-std=std,panic_abort >&2
    )
    lib=$dir/root/usr/lib/rustlib/$target/lib
    mkdir -p "$lib/self-contained"
    cp "$dir/src/empty/target/$target"/release/deps/*.rlib "$lib"
    rm -f "$lib"/libempty-*
    cp /usr/lib/wasm32-wasi/{libc.a,crt1-command.o,crt1-reactor.o} "$lib/self-contained"
    rm -r "$dir/src" "$dir/root/usr/lib/rustlib/src"
}
