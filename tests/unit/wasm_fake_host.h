/* A host without HTTP for the tests of src/wasm: maps and buffers that a test fills, and a record of what guests did. */
#ifndef WEIR_TESTS_WASM_FAKE_HOST_H
#define WEIR_TESTS_WASM_FAKE_HOST_H

#include "base/arena.h"
#include "wasm/limits.h"
#include "wasm/shared.h"
#include "wasm/vm.h"

#define FAKE_PAIRS_MAX 64

struct fake_map {
    bool present;
    struct weir_wasm_pair pairs[FAKE_PAIRS_MAX];
    uint32_t n;
};

struct fake_host {
    struct weir_arena arena;
    struct weir_buf_pool pool;
    struct fake_map maps[WEIR_WASM_MAP_COUNT];
    struct weir_buf buffers[WEIR_WASM_BUFFER_COUNT];
    bool has_buffer[WEIR_WASM_BUFFER_COUNT];
    struct weir_str log;   /* "level message\n" … */
    struct weir_str trace; /* what else was asked for, one word a line */
    struct weir_wasm_context *last_ctx;
    uint32_t next_token;
    enum weir_wasm_status call_status;
    uint32_t notified;
    struct weir_vm_opts opts;
};

void fake_host_init(struct fake_host *host);
void fake_host_fini(struct fake_host *host);
/** The host of a running test: one at a time. */
extern const struct weir_wasm_host_ops fake_host_ops;

/** The engine of the test program, made at first use; no cache. */
struct weir_wasm_engine *fake_engine(void);
void fake_engine_end(void);

/** Reads tests/guests/<name>.wat by wat2wasm, or <path> as it is when it ends in .wasm; returns owned. */
struct weir_slice fake_read_guest(const char *name);
/** Loads a guest; fails the test with the reason. */
struct weir_wasm_module *fake_load(const char *name);
struct weir_vm *fake_vm(struct fake_host *host, const char *name);
/** A root and a stream context, as a proxy makes them (context_create, vm_start, configure; context_create). */
void fake_contexts(struct weir_vm *vm, struct weir_wasm_context *root, struct weir_wasm_context *stream);

#endif
