# Include this from a filter's Makefile:
#
#     PW_SDK := path/to/sdk/c
#     include $(PW_SDK)/pw.mk
#     hello.wasm: hello.c
#
# and `make hello.wasm` compiles it. Needs clang and wasm-ld (Debian: clang, lld).
PW_CC ?= clang
PW_CFLAGS ?= -Os -flto -Wall -Wextra
PW_TARGET := --target=wasm32 -nostdlib -ffreestanding -fno-builtin -mbulk-memory -fvisibility=hidden -I$(PW_SDK)/include
PW_LDFLAGS := -Wl,--no-entry -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=16384 -Wl,--initial-memory=131072
PW_LIB := $(PW_SDK)/src/proxy_wasm.c $(PW_SDK)/src/calls.c

%.wasm: %.c $(PW_LIB)
	$(PW_CC) $(PW_TARGET) $(PW_CFLAGS) $(PW_LDFLAGS) -o $@ $< $(PW_LIB)
