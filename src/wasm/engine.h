/* The Wasm engine of the process: compiler settings, the linker that knows every hostcall, the ticker that makes deadlines
 * work, and the folder of compiled modules. Made on the main thread when the first module is loaded; used by all. */
#ifndef WEIR_WASM_ENGINE_H
#define WEIR_WASM_ENGINE_H

#include <stdatomic.h>
#include <wasmtime.h>

#include "base/str.h"

struct weir_wasm_engine_opts {
    const char *cache_dir; /* NULL = do not keep compiled modules */
    bool no_signals;       /* traps by explicit checks; for programs that have other plans for SIGSEGV and SIGILL */
    bool quick_compile;    /* the baseline compiler: compiles five times faster, runs half as fast */
};

struct weir_wasm_engine {
    wasm_engine_t *engine;
    wasmtime_linker_t *linker; /* every hostcall under every name; read-only after creation */
    char *cache_dir;
    struct weir_wasm_ticker *ticker;
    _Atomic uint32_t active; /* a guest was called since the ticker last looked */
    _Atomic uint32_t asleep; /* the ticker rests */
    char settings[96];       /* what the cache key holds besides the content */
};

/** Returns owned; NULL with a reason in `err`. */
struct weir_wasm_engine *weir_wasm_engine_new(const struct weir_wasm_engine_opts *opts, struct weir_str *err);
/** All modules and VMs must be gone. Accepts NULL. */
void weir_wasm_engine_free(struct weir_wasm_engine *engine);

/** $XDG_CACHE_HOME/weir/wasm or ~/.cache/weir/wasm, returned owned; NULL when neither is known. */
char *weir_wasm_default_cache_dir(void);

WEIR_COLD void weir_wasm_ticker_wake(struct weir_wasm_engine *engine);
/** A guest is about to run: the ticker must not rest. Two reads of a line that hardly ever changes. */
static inline void weir_wasm_ticker_need(struct weir_wasm_engine *engine)
{
    if (WEIR_UNLIKELY(!atomic_load_explicit(&engine->active, memory_order_relaxed)))
        atomic_store_explicit(&engine->active, 1, memory_order_relaxed);
    if (WEIR_UNLIKELY(atomic_load_explicit(&engine->asleep, memory_order_acquire))) weir_wasm_ticker_wake(engine);
}

/** The text of a Wasmtime error appended to `out`; deletes the error. */
void weir_wasm_error_text(wasmtime_error_t *error, struct weir_str *out);

#endif
