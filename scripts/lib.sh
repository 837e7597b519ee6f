# Sourced by the other scripts: the cache folder, messages, and "make it once".
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What takes long to make is kept here, under the hash of what it is made from, for all clones of this user.
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
    local dir=$1
    shift
    [ -d "$dir" ] && return
    mkdir -p "$(dirname "$dir")"
    (
        exec 9>"$dir.lock"
        if ! flock -n 9; then
            say "waiting for another run that makes ${dir##*/}"
            flock 9
        fi
        [ -d "$dir" ] && exit 0
        tmp=$(mktemp -d "$dir.XXXXXX")
        trap 'rm -rf "$tmp"' EXIT
        "$@" "$tmp" 9>&-
        chmod 755 "$tmp"
        mv -T "$tmp" "$dir"
        rm "$dir.lock"
    )
}

# make_venv DIR REQUIREMENTS: a virtual environment with what the file pins. It remembers where it was made, so it is made
# in its place; the file `complete` in it tells that it is whole.
make_venv() {
    local dir=$1 requirements=$2
    [ -f "$dir/complete" ] && return
    mkdir -p "$dir"
    (
        exec 9>"$dir.lock"
        flock 9
        [ -f "$dir/complete" ] && exit 0
        python3 -m venv --clear "$dir" >&2
        "$dir/bin/pip" install -q --disable-pip-version-check --require-hashes --only-binary :all: -r "$requirements" >&2 9>&-
        touch "$dir/complete"
    )
}
