#!/bin/bash
# toolchain.sh cargo|cargo-wasm|go|npm|python [--installed]: prints the path of the program, which is
#   cargo        the user's own if it is new enough, else Debian's, unpacked into the cache
#   cargo-wasm   the user's own if it compiles to wasm32-wasip1, else one in the cache that does
#   go           the user's own if it is new enough, else one in the cache
#   npm          the user's own if its Node.js is new enough, else one in the cache
#   python       that of an environment in the cache with the packages of tests/requirements.txt
# It fetches into the cache what is missing; with --installed it prints nothing instead.
source "$(dirname "$0")/lib.sh"
source "$ROOT/scripts/toolchain-rust.sh"

RUST_MIN=1.95
GO_MIN=1.26
NODE_MIN=18.0
rust_dir=$CACHE/rust-toolchain-$(hash_of "$RUST_MIN" "$(uname -m)")
PINS=$ROOT/third_party/toolchain

# at_least MINIMUM COMMAND ...: does the first dotted number that the command prints reach MINIMUM?
at_least() {
    local min=$1 have
    shift
    have=$("$@" 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -1) || return 1
    [ "$(printf '%s\n%s\n' "$min" "$have" | sort -V | head -1)" = "$min" ]
}

# from_cache NAME REQUIREMENTS WHAT PROGRAM
from_cache() {
    local dir=$CACHE/$1-$(hash_of "$2" "$(command -v python3)") found
    if [ ! -f "$dir/complete" ]; then
        [ "$installed_only" ] && return
        say "$3: fetching (once)"
        make_venv "$dir" "$2"
    fi
    # shellcheck disable=SC2012
    found=$(ls -d "$dir"/$4 "$dir"/lib/python3*/site-packages/$4 2>/dev/null | head -1 || true)
    [ "$found" ] || die "$3: no $4 in $dir"
    [ -x "$found" ] || chmod -R u+x "$(dirname "$found")" # wheels do not keep the mode
    echo "$found"
}

installed_only=$([ "${2:-}" = --installed ] && echo yes || true)
case ${1:-} in
cargo)
    for cargo in cargo "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
        at_least "$RUST_MIN" "$cargo" --version && command -v "$cargo" && exit
    done
    [ -d "$rust_dir" ] || [ ! "$installed_only" ] || exit 0
    make_once "$rust_dir" fetch_rust
    echo "$rust_dir/bin/cargo"
    ;;
cargo-wasm)
    if at_least "$RUST_MIN" cargo --version && [ -d "$(rustc --print target-libdir --target wasm32-wasip1)" ]; then
        command -v cargo && exit
    fi
    dir=$rust_dir-wasm
    [ -d "$dir" ] || [ ! "$installed_only" ] || exit 0
    [ -d "$dir" ] || make_once "$rust_dir" fetch_rust
    make_once "$dir" make_rust_wasm "$rust_dir"
    echo "$dir/bin/cargo"
    ;;
go)
    for go in go /usr/local/go/bin/go; do
        at_least "$GO_MIN" "$go" version && command -v "$go" && exit
    done
    from_cache go "$PINS/go.txt" "Go (75 MB)" go/bin/go
    ;;
npm)
    if at_least "$NODE_MIN" node --version && at_least 7.0 npm --version; then
        command -v npm
    else
        found=$(from_cache node "$PINS/node.txt" "Node.js (60 MB)" bin/npm)
        [ "$found" ] || exit 0
        # The programs that npm starts look for `node` in the path.
        wrapper=$(dirname "$(dirname "$found")")/npm
        [ -x "$wrapper" ] || install -m 755 /dev/stdin "$wrapper" <<'EOF'
#!/bin/sh
bin=$(dirname "$(readlink -f "$0")")/bin
PATH="$bin:$PATH" exec "$bin/npm" "$@"
EOF
        echo "$wrapper"
    fi
    ;;
python)
    from_cache python "$ROOT/tests/requirements.txt" "Python packages for the tests" bin/python
    ;;
*) die "usage: toolchain.sh cargo|cargo-wasm|go|npm|python [--installed]" ;;
esac
