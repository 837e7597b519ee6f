#!/bin/bash
# fuzz.sh SECONDS [target...]: runs each fuzz target for that long, from its committed corpus. What is found new and harmless
# goes to build/corpus; an input that crashes stays in fuzz/corpus/<target>/, to be committed with the mend.
source "$(dirname "$0")/lib.sh"
cd "$ROOT"
seconds=${1:?how many seconds a target}
shift

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
failed=0 passed=0
for source in fuzz/fuzz_*.c; do
    [ -f "$source" ] || continue
    target=$(basename "$source" .c)
    if [ $# -gt 0 ] && [[ " $* " != *" $target "* ]]; then continue; fi
    mkdir -p "fuzz/corpus/$target" "build/corpus/$target"
    dict=fuzz/dict/$target.dict
    say "$target: $seconds s"
    options=()
    [ ! -f "$dict" ] || options+=("-dict=$dict")
    if "build/fuzz/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="fuzz/corpus/$target/" "${options[@]}" \
        "build/corpus/$target" "fuzz/corpus/$target"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "$target failed; its input is in fuzz/corpus/$target"
    fi
done
echo "fuzz targets: $passed passed, $failed failed"
[ "$failed" = 0 ]
