#!/bin/bash
# setup.sh [build|run|test|bench|fuzz|dev]: brings what that command needs and this machine lacks: Debian packages by
# apt-get, toolchains and pinned dependencies into the cache (third_party/README.md). Run again it finds all there and is
# done at once. Other systems: install the equivalents by hand and set WEIR_NO_APT=1.
source "$(dirname "$0")/lib.sh"
purpose=${1:-build}

BUILD="gcc libc6-dev binutils cmake ninja-build pkg-config python3 python3-venv python3-pip protobuf-compiler
    protobuf-c-compiler libprotobuf-c-dev libuv1-dev libssl-dev libc-ares-dev libnghttp2-dev libyaml-dev libjansson-dev
    zlib1g-dev libbrotli-dev libzstd-dev libcmocka-dev ccache"
RUN="curl"
GUESTS="clang lld llvm wasi-libc libclang-rt-14-dev-wasm32 wabt"
TEST="$RUN $GUESTS libclang-rt-14-dev wrk"
BENCH="$RUN nginx-light haproxy wrk strace valgrind procps"
DEV="$TEST clang-format clang-tidy cppcheck gdb lcov universal-ctags shellcheck valgrind strace"

case $purpose in
build) packages=$BUILD ;;
run) packages="$BUILD $RUN" ;;
test | fuzz) packages="$BUILD $TEST" ;;
bench) packages="$BUILD $BENCH" ;;
dev) packages="$BUILD $DEV" ;;
*) die "usage: setup.sh [build|run|test|bench|fuzz|dev]" ;;
esac

# missing_packages: those of $packages that are not installed, one a line.
missing_packages() {
    # shellcheck disable=SC2086
    comm -23 <(printf '%s\n' $packages | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# show_apt N: of apt-get's output, a line now and then that tells how far it is.
show_apt() {
    awk -v n="$1" '
        /^Get:/ { fetched++; what = "fetched"; count = fetched }
        /^Unpacking/ { unpacked++; what = "unpacked"; count = unpacked }
        /^Setting up/ { set_up++; what = "set up"; count = set_up }
        /^(E|W):/ { print "weir:   " $0; fflush() }
        what && systime() >= next_line {
            printf "weir:   %d of %d packages %s\n", count, n, what; fflush(); next_line = systime() + 5
        }' >&2
}

install_packages() {
    local missing=$1 n
    command -v apt-get >/dev/null ||
        die "this system has no apt-get: install the equivalents of these Debian packages, then set WEIR_NO_APT=1:
$missing"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "become root, or install with apt-get: $missing"
    # shellcheck disable=SC2086
    say "installing Debian packages:" $missing
    as_root apt-get -q update >/dev/null
    # shellcheck disable=SC2086
    n=$(apt-get -s install --no-install-recommends --no-remove $missing | grep -c '^Inst')
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends --no-remove \
        $missing 2>&1 | show_apt "$n"
}

rust_parts=both
[ -z "${WEIR_WASMTIME:-}" ] || rust_parts=rure # the user has a Wasmtime
if [ -z "${WEIR_NO_APT:-}" ]; then
    missing=$(missing_packages)
    [ -z "$missing" ] || install_packages "$missing"
fi

"$ROOT/third_party/llhttp/get.sh" >/dev/null
"$ROOT/third_party/envoy-api/build.sh" >/dev/null
"$ROOT/third_party/rust/build.sh" "$rust_parts" >/dev/null
case $purpose in
run) "$ROOT/scripts/toolchain.sh" go >/dev/null ;;
test | bench | dev)
    "$ROOT/scripts/toolchain.sh" go >/dev/null
    "$ROOT/scripts/toolchain.sh" python >/dev/null
    ;;
esac
case $purpose in
test | dev)
    "$ROOT/scripts/toolchain.sh" npm >/dev/null
    "$ROOT/scripts/toolchain.sh" cargo-wasm >/dev/null
    ;;
esac
