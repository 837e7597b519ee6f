#!/bin/bash
# Brings llhttp's C sources, out of the source distribution of the Python package that requirements.txt pins, into the
# cache, and prints the folder that holds them.
source "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/third_party/llhttp

fetch() {
    say "llhttp: fetching the sources"
    python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: --require-hashes \
        -r "$here/requirements.txt" -d "$1/tmp" >&2
    tar --no-same-owner -xzf "$1"/tmp/llhttp-*.tar.gz -C "$1" --strip-components=1 --wildcards '*/lib/*' '*/LICENSE'
    rm -r "$1/tmp"
}

dir=$CACHE/llhttp-$(hash_of "$here/requirements.txt")
make_once "$dir" fetch
echo "$dir"
