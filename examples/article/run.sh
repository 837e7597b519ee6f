#!/usr/bin/env bash
# The article's scenario: a Go filter in a Wasm module, loaded by configuration, fetches a token every 15 seconds and puts it on every
# answer. Run from the repository's root, after the build. With WEIR_RUN_ONCE=1 it ends after the first answer (tests do that).
set -euo pipefail
cd "$(dirname "$0")/../.."
weir=${WEIR_BIN:-build/weir}
out=build/examples/article
mkdir -p "$out"

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'make run: %s\n' "$*" >&2; exit 1; }

for port in 8080 9901 10000; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then fail "port $port is in use by another program; stop it and try again"; fi
done

say "Building the filter (examples/article/filter/main.go) with Go ..."
examples/article/build.sh "$out/optimized.wasm"

pids=()
cleanup() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap cleanup EXIT
trap 'exit 0' INT TERM

say "Starting the service on 127.0.0.1:8080 and weir on :10000 (admin on :9901) ..."
"$weir" -c examples/article/service.yaml --concurrency 1 -l warning --log-path "$out/service.log" --drain-time-s 1 &
pids+=($!)
"$weir" -c examples/article/envoy.yaml --concurrency 2 --component-log-level wasm:info --drain-time-s 1 &
pids+=($!)

for _ in $(seq 100); do
    if curl -fsS -o /dev/null http://127.0.0.1:9901/ready 2>/dev/null; then break; fi
    kill -0 "${pids[1]}" 2>/dev/null || fail "weir ended; what it said is above"
    sleep 0.1
done
curl -fsS -o /dev/null http://127.0.0.1:9901/ready || fail "weir is not ready after 10 seconds"

say "Waiting for the filter's first tick (every 15 s) to fetch the token ..."
answer=
for i in $(seq 40); do
    answer=$(curl -sS -D - -o /dev/null http://127.0.0.1:10000/) || fail "no answer from :10000"
    grep -qi '^x-auth: .*[^[:space:]]' <<<"$answer" && break
    if [ -t 1 ]; then printf '\r  %2d s ' "$i"; fi
    sleep 1
done
if [ -t 1 ]; then printf '\r'; fi
grep -qi '^x-auth: .*[^[:space:]]' <<<"$answer" || fail "the token did not arrive within 40 seconds"

say "curl -i http://localhost:10000/"
curl -sS -i http://127.0.0.1:10000/
if [ -n "${WEIR_RUN_ONCE:-}" ]; then exit 0; fi
echo
say "Try it:   curl -i http://localhost:10000/        admin: curl http://localhost:9901/        Ctrl-C ends both."
wait -n "${pids[@]}" || true
