/* The functions that a guest may import, as tables of rows: one table a theme, each in its own file. */
#ifndef WEIR_WASM_HOSTCALLS_H
#define WEIR_WASM_HOSTCALLS_H

#include "wasm/guest_mem.h"

/** May be called while the module starts (_initialize, _start, main), and while its allocator runs. */
#define WEIR_HOSTCALL_IN_START 1u
#define WEIR_HOSTCALL_IN_ALLOCATOR 2u
/** Listed under both WASI module names instead of "env". */
#define WEIR_HOSTCALL_WASI 4u

struct weir_hostcall {
    const char *name;
    const char *type; /* parameters as letters, i = i32, I = i64; then ':' and the result */
    uint32_t (*fn)(struct weir_call *c); /* the status or errno */
    uint8_t flags;
    /* What is answered where the call is not allowed (phase, capability_restriction_config). A status that the Rust SDK takes
     * for this call: others make it panic. */
    uint8_t refused;
};

struct weir_hostcall_table {
    const struct weir_hostcall *rows;
    size_t n;
};

extern const struct weir_hostcall_table weir_hostcalls_log, weir_hostcalls_headers, weir_hostcalls_buffer,
    weir_hostcalls_property, weir_hostcalls_stream, weir_hostcalls_http_call, weir_hostcalls_grpc, weir_hostcalls_metrics,
    weir_hostcalls_shared, weir_hostcalls_context, weir_hostcalls_wasi;

/** Defines every row in the linker. */
WEIR_MUST_CHECK enum weir_err weir_hostcalls_define(wasmtime_linker_t *linker, struct weir_str *err);

enum weir_hostcall_match {
    WEIR_HOSTCALL_KNOWN,
    WEIR_HOSTCALL_OTHER_TYPE,
    WEIR_HOSTCALL_UNKNOWN,
    WEIR_HOSTCALL_UNKNOWN_MODULE,
};
enum weir_hostcall_match weir_hostcalls_match(struct weir_slice module, struct weir_slice name, const wasm_functype_t *type);
/** A function that answers "unimplemented" (12; ENOSYS 52 for WASI; 0 for other results) whatever its type is. */
WEIR_MUST_CHECK enum weir_err weir_hostcalls_define_stub(wasmtime_linker_t *linker, struct weir_slice module,
                                                         struct weir_slice name, const wasm_functype_t *type,
                                                         struct weir_str *err);

#endif
