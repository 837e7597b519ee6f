#!/bin/bash
# toolchain.sh cargo|go|npm|python [--installed]: prints the path of the program, which is
#   cargo   the user's own if it is new enough, else Debian's, unpacked into the cache
#   go      the user's own if it is new enough, else one in the cache
#   npm     the user's own if its Node.js is new enough, else one in the cache; `node` lies beside it
#   python  that of an environment in the cache with the packages of tests/requirements.txt
# It fetches into the cache what is missing; with --installed it prints nothing instead.
source "$(dirname "$0")/lib.sh"

RUST_MIN=1.95
GO_MIN=1.26
NODE_MIN=18.0
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

# fetch_rust DIR: the packages cargo-web and rustc-web of Debian, which keeps them as new as its browsers need in its
# security suite. They are unpacked, not installed: no root needed, no older rustc replaced, no list of sources changed.
fetch_rust() {
    local dir=$1 codename uri apt deb libs program
    command -v apt-get >/dev/null || die "Rust $RUST_MIN or later is needed: https://rustup.rs"
    say "Rust: fetching Debian's packages (120 MB, once)"
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
    if ! { "${apt[@]}" update && "${apt[@]}" -y --no-install-recommends --download-only install rustc-web cargo-web; } \
        >"$dir/apt/log" 2>&1; then
        cat "$dir/apt/log" >&2
        die "apt-get could not bring Rust; it can also come from https://rustup.rs"
    fi
    for deb in "$dir"/apt/cache/archives/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -r "$dir/apt"
    mkdir "$dir/bin"
    # shellcheck disable=SC2016
    for program in cargo rustc rustdoc; do
        printf '%s\n' '#!/bin/sh' 'root=$(dirname "$(dirname "$(readlink -f "$0")")")/root' \
            'export LD_LIBRARY_PATH="$root/usr/lib/'"$(uname -m)"'-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"' \
            "exec \"\$root/usr/bin/$program\" \"\$@\"" >"$dir/bin/$program"
        chmod +x "$dir/bin/$program"
    done
    at_least "$RUST_MIN" "$dir/bin/cargo" --version || die "Debian's Rust here is older than $RUST_MIN: https://rustup.rs"
}

installed_only=$([ "${2:-}" = --installed ] && echo yes || true)
case ${1:-} in
cargo)
    for cargo in cargo "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
        at_least "$RUST_MIN" "$cargo" --version && command -v "$cargo" && exit
    done
    dir=$CACHE/rust-toolchain-$(hash_of "$RUST_MIN" "$(uname -m)")
    [ -d "$dir" ] || [ ! "$installed_only" ] || exit 0
    make_once "$dir" fetch_rust
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
        from_cache node "$PINS/node.txt" "Node.js (60 MB)" bin/npm
    fi
    ;;
python)
    from_cache python "$ROOT/tests/requirements.txt" "Python packages for the tests" bin/python
    ;;
*) die "usage: toolchain.sh cargo|go|npm|python [--installed]" ;;
esac
