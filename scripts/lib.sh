# Sourced by the other scripts: the cache folder, messages, and "make it once".
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}

say() { printf 'weir: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# hash_of WORD-OR-FILE ...: twelve digits that change when any of the files or words does.
hash_of() {
    local part
    for part in "$@"; do
        if [ -f "$part" ]; then sha256sum <"$part"; else printf '%s\n' "$part"; fi
    done | sha256sum | cut -c1-12
}

# make_once DIR COMMAND ...: unless DIR is there, runs COMMAND with a new empty folder as its last argument and moves that
# folder to DIR. Of several at once only one works and the others wait; what was broken off leaves nothing behind.
make_once() {
    local dir=$1 tmp
    shift
    [ -d "$dir" ] && return
    mkdir -p "$(dirname "$dir")"
    (
        exec 9>"$dir.lock"
        flock 9
        [ -d "$dir" ] && exit 0
        tmp=$(mktemp -d "$dir.XXXXXX")
        trap 'rm -rf "$tmp"' EXIT
        "$@" "$tmp"
        chmod 755 "$tmp"
        mv -T "$tmp" "$dir"
    )
}
