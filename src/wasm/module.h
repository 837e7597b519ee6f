/* A compiled module: validated, linked as far as can be done without a VM, shared by all threads, reference-counted. */
#ifndef WEIR_WASM_MODULE_H
#define WEIR_WASM_MODULE_H

#include "wasm/abi.h"
#include "wasm/engine.h"

/** An import or export, for `weir inspect` and messages. Text is owned by the module. */
struct weir_wasm_extern {
    char *module; /* imports only */
    char *name;
    char *type;   /* "(i32, i32) -> i32", "memory 17..", … */
    bool stub;    /* an import that weir does not know: it gets a stub that answers "unimplemented" */
};

struct weir_wasm_module {
    _Atomic uint32_t refs;
    struct weir_wasm_engine *engine;
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *pre;
    enum weir_wasm_abi abi;
    uint8_t sha256[32]; /* of the .wasm bytes */
    uint8_t n_params[WEIR_WASM_CB_COUNT];
    bool has[WEIR_WASM_CB_COUNT]; /* exported with a legal shape */
    struct weir_wasm_extern *imports, *exports;
    size_t n_imports, n_exports;
    uint64_t initial_memory; /* bytes */
    bool from_cache;
    uint64_t load_ns;        /* compiling, or reading the compiled form */
};

/** Compiles `code` (or takes the compiled form from the cache) and checks it. Main thread; takes seconds for large modules.
 *  Errors: INVALID with one line of reason in `err` (no file or plugin name in it). Warnings (one a line) go to `warnings`. */
WEIR_MUST_CHECK enum weir_err weir_wasm_module_load(struct weir_wasm_engine *engine, struct weir_slice code, uint64_t memory_max,
                                                    struct weir_str *err, struct weir_str *warnings,
                                                    struct weir_wasm_module **ret);
static inline struct weir_wasm_module *weir_wasm_module_ref(struct weir_wasm_module *module)
{
    atomic_fetch_add_explicit(&module->refs, 1, memory_order_relaxed);
    return module;
}
/** Callable from every thread. Accepts NULL. */
void weir_wasm_module_unref(struct weir_wasm_module *module);

/** Lower-case hexadecimal SHA-256 into `out` (65 bytes with its NUL). */
void weir_wasm_sha256(struct weir_slice data, uint8_t out[32]);
void weir_wasm_hex(const uint8_t hash[32], char out[65]);

/* cache.c */
/** The compiled form of the module with that hash; NULL when there is none that can be trusted. */
wasmtime_module_t *weir_wasm_cache_get(const struct weir_wasm_engine *engine, const uint8_t sha256[32]);
/** Keeps the compiled form; failures are logged and change nothing. */
void weir_wasm_cache_put(const struct weir_wasm_engine *engine, const uint8_t sha256[32], const wasmtime_module_t *module);

#endif
