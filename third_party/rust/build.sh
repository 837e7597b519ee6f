#!/bin/bash
# build.sh [both|rure] [--where]: builds the static library of this folder, with Wasmtime and rure or with rure alone, into the
# cache, unless it is there, and prints the folder, which holds lib/ and include/. With
# --where it only prints the folder.
source "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/third_party/rust
parts=${1:-both}

# Cargo's own progress bar on a terminal; elsewhere a line every ten seconds.
show_progress() {
    if [ -t 2 ]; then
        cat >&2
    else
        tr '\r' '\n' | awk -v t="$SECONDS" '
            /^ *(error|warning)|^ *-->/ { shown = 1 }
            shown { print; next }
            { now = systime() }
            match($0, /[0-9]+\/[0-9]+/) && now >= next_line {
                printf "weir:   %s crates, %d s\n", substr($0, RSTART, RLENGTH), now - (start ? start : start = now)
                fflush(); next_line = now + 10
            }' >&2
    fi
}

build() {
    local out=$1 cargo manifest rustc_flags=
    cargo=$("$ROOT/scripts/toolchain.sh" cargo)
    export PATH=$(dirname "$cargo"):$PATH
    if [ "$parts" = both ]; then
        say "Wasmtime and rure: compiling from source with $(cargo --version) (some minutes, once)"
    else
        say "rure: compiling from source with $(cargo --version)"
    fi
    mkdir "$out/lib" "$out/include"
    local options=(--release --locked --manifest-path "$here/Cargo.toml")
    [ "$parts" = both ] || options+=(--no-default-features)
    WEIR_INCLUDE_OUT=$out/include CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$out/target} \
        CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 \
        cargo build "${options[@]}" 2>&1 | show_progress
    manifest=$(cargo metadata --locked --format-version 1 --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" --manifest-path "$here/Cargo.toml" |
        grep -o '"manifest_path":"[^"]*/rure-[^"]*"' | cut -d'"' -f4)
    cp "$(dirname "$manifest")/include/rure.h" "$out/include/"
    local lib=${CARGO_TARGET_DIR:-$out/target}/release/libweir_rust.a
    if [ "$parts" = both ]; then
        cp "$lib" "$out/lib/"
    else
        # The user's Wasmtime may hold another Rust standard library: hide all of ours but rure's own functions.
        ld -r --force-group-allocation --whole-archive "$lib" -o "$out/rure.o"
        objcopy --remove-section=.llvmbc --remove-section=.llvmcmd --wildcard --keep-global-symbol='rure_*' "$out/rure.o"
        ar rcs "$out/lib/libweir_rust.a" "$out/rure.o"
        rm "$out/rure.o"
    fi
    rm -rf "$out/target"
}

dir=$CACHE/rust-$parts-$(hash_of "$here"/{Cargo.toml,Cargo.lock,build.rs,src/lib.rs} "$(uname -m)")
[ "${2:-}" = --where ] || make_once "$dir" build
echo "$dir"
