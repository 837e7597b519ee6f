#!/bin/bash
# test.sh [stage...]: runs the stages named, or all, and ends with the line "N passed, N failed". Each stage's whole output
# is in build/test/<stage>.log. `scripts/setup.sh test` must have run.
source "$(dirname "$0")/lib.sh"
cd "$ROOT"

# One line a stage: its name, its title, its command. A stage passes when its command does; the tests that it counted are
# read from what cmocka, pytest and such print. One whose command is not there yet is left out.
STAGES=(
    "build    |builds (dev, release, asan)             |build_all"
    "check    |layers, names and scripts               |check_tree"
    "unit     |unit tests                              |ctest --preset dev -L unit -V -j$(nproc)"
    "unit-asan|unit tests under the sanitizers         |ctest --preset asan -L unit -V -j$(nproc)"
    "clang    |the same, built by clang                |build_and_test dev-clang"
    "e2e      |end to end                              |run_pytest release tests/e2e"
    "e2e-asan |end to end under the sanitizers         |run_pytest asan tests/e2e"
    "sim      |simulation, seeds 1 to 2000, sanitizers |ctest --preset asan -L sim -V"
    "fuzz     |fuzz targets, briefly                   |scripts/fuzz.sh 10"
    "conform  |conformance                             |run_pytest release tests/conformance"
    "differ   |the same through the real Envoy         |run_pytest release tests/differential"
    "regress  |regressions                             |run_pytest asan tests/regress"
)

build_all() {
    local preset
    for preset in dev release asan; do
        cmake --preset "$preset"
        cmake --build --preset "$preset"
    done
    ln -sfn release/weir build/weir
}

build_and_test() {
    cmake --preset "$1"
    cmake --build --preset "$1"
    ctest --preset "$1" -L unit -V -j"$(nproc)"
}

check_tree() {
    local script failed=0
    for script in scripts/check-*; do
        [ -x "$script" ] || continue
        if "$script"; then echo "1 passed"; else echo "1 failed: $script" && failed=1; fi
    done
    return "$failed"
}

# run_pytest PRESET FOLDER: with the program of that preset (WEIR_BIN).
run_pytest() {
    WEIR_BIN=$ROOT/build/$1/weir WEIR_PRESET=$1 \
        "$(scripts/toolchain.sh python)" -m pytest -q -p no:cacheprovider --color=no "$2"
}

is_there() {
    local command=$1 last=${1##* }
    case $command in
    run_pytest*) [ -d "$last" ] ;;
    scripts/fuzz.sh*) compgen -G 'fuzz/fuzz_*.c' >/dev/null ;;
    scripts/*) [ -x "${command%% *}" ] ;;
    "ctest --preset "*" -L sim"*) [ -d tests/sim ] ;;
    *) true ;;
    esac
}

# count WORD FILE: the sum of what the log says as "N passed", "N tests failed", "[  PASSED  ] N test(s)" and so on.
count() {
    grep -aoE "[0-9]+ $1\\b|\[  ${1^^}  \] [0-9]+ test\(s\)" "$2" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }' || true
}

passed=0 failed=0
mkdir -p build/test
start=$SECONDS
for stage in "${STAGES[@]}"; do
    IFS='|' read -r name title command <<<"$stage"
    name=${name// /} title=$(sed 's/ *$//' <<<"$title")
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    is_there "$command" || continue
    printf '%-9s %-40s ' "$name" "$title"
    log=build/test/$name.log
    began=$SECONDS status=0
    (set -e; $command) >"$log" 2>&1 </dev/null || status=$?
    n_passed=$(count passed "$log") n_failed=$(($(count failed "$log") + $(count 'errors?' "$log")))
    [ "$status" = 0 ] || [ "$n_failed" -gt 0 ] || n_failed=1 # it did not even come to its tests
    passed=$((passed + n_passed)) failed=$((failed + n_failed))
    printf '%5d passed  %3d failed  %4d s\n' "$n_passed" "$n_failed" $((SECONDS - began))
    [ "$status" = 0 ] || { sed 's/^/    /' "$log" | tail -40; echo "    all of it: $log"; }
done
printf '%d passed, %d failed   (%d s)\n' "$passed" "$failed" $((SECONDS - start))
[ "$failed" = 0 ]
