/* A host without HTTP for the tests of src/wasm: maps and buffers that a test fills, and a record of what guests did. */
#ifndef WEIR_TESTS_WASM_FAKE_HOST_H
#define WEIR_TESTS_WASM_FAKE_HOST_H

#include "base/arena.h"
#include "wasm/hostcalls.h"
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

/** The bytes of a module given as text (by wat2wasm); returns owned, absent when the text is wrong. */
struct weir_slice fake_assemble(struct weir_slice wat);
void fake_free(struct weir_slice owned);
/** Loads a guest given as text; fails the test with the reason. */
struct weir_wasm_module *fake_load(struct weir_slice wat);
struct weir_vm *fake_vm(struct fake_host *host, struct weir_slice wat);
/** The text of a guest that makes any hostcall: proxy_on_tick calls row FAKE_OP (of all tables, in their order) with the
 *  arguments at FAKE_ARGS (8 bytes each) and stores the answer at FAKE_RESULT. Its allocator does as FAKE_ALLOCATOR says. */
void fake_driver_wat(struct weir_str *out);
enum { FAKE_ALLOCATOR = 988, FAKE_OP = 996, FAKE_RESULT = 1000, FAKE_ARGS = 1024, FAKE_TEXT = 2048, FAKE_HEAP = 65536 };
enum fake_allocator { FAKE_ALLOC_GOOD, FAKE_ALLOC_NONE, FAKE_ALLOC_OUTSIDE, FAKE_ALLOC_TRAP, FAKE_ALLOC_CALLS, FAKE_ALLOC_GROWS };
/** Row `index` of all tables. */
const struct weir_hostcall *fake_row(size_t index);
char *fake_memory(struct weir_vm *vm, size_t *ret_size);
/** A root and a stream context, as a proxy makes them (context_create, vm_start, configure; context_create). */
void fake_contexts(struct weir_vm *vm, struct weir_wasm_context *root, struct weir_wasm_context *stream);

#endif
