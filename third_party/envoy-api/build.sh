#!/bin/bash
# Makes the C of Envoy's API out of its .proto files, unless the cache has it, and prints the folder that holds:
#   include/envoy/…/*.pb-c.h, lib/libenvoy_api.a   the messages, as protobuf-c has them
#   envoy_api_rules.c                              what src/config/api_rules.h tells
#   envoy_api.binpb                                the .proto files as a FileDescriptorSet
source "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/third_party/envoy-api

build() {
    local out=$1 go dirs
    go=$("$ROOT/scripts/toolchain.sh" go)
    export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
    say "Envoy's API: fetching the schema with $("$go" version | cut -d' ' -f3)"
    cd "$here"
    dirs=$("$go" list -deps -f '{{.Dir}}' ./schema)
    "$go" build -o "$out/generate" .
    cd "$out"
    # shellcheck disable=SC2086
    ./generate $dirs
    mkdir include lib parts
    # shellcheck disable=SC2046
    protoc --descriptor_set_in=envoy_api.binpb --c_out=include $(cat files.txt)
    say "Envoy's API: compiling $(wc -l <files.txt) files"
    # In sixteen parts: file by file takes thrice as long.
    awk '{ sub(/\.proto$/, ".pb-c.c"); print "#include \"" $0 "\"" > ("parts/" NR % 16 ".c") }' files.txt
    find parts -name '*.c' -print0 | xargs -0 -n1 -P"$(nproc)" \
        sh -c '"${CC:-cc}" -c -O1 -fPIC -ffunction-sections -fdata-sections -w -Iinclude "$0" -o "${0%.c}.o"'
    ar rcs lib/libenvoy_api.a parts/*.o
    find include -name '*.c' -delete
    rm -r parts files.txt generate
}

dir=$CACHE/envoy-api-$(hash_of "$here"/{build.sh,go.mod,go.sum,main.go,rules.go,schema/schema.go} "$(uname -m)")
make_once "$dir" build
echo "$dir"
