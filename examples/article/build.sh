#!/usr/bin/env bash
# Compiles the article's filter to Wasm: build.sh OUTPUT. Needs Go 1.24 or newer; scripts/toolchain.sh finds or gets one.
set -euo pipefail
out=$(realpath -m "$1")
here=$(cd "$(dirname "$0")" && pwd)
go=${GO:-$("$here/../../scripts/toolchain.sh" go)}
mkdir -p "$(dirname "$out")"
cd "$here/filter"
GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 "$go" build -trimpath -buildmode=c-shared -o "$out" .
