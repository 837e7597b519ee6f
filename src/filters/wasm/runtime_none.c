/* weir built without Wasm (WEIR_WASM=OFF): there is no runtime, and a configuration with a Wasm filter is refused by name. */
#include "filters/wasm/runtime.h"

struct weir_wasm_runtime *weir_wasm_runtime_new(const struct weir_wasm_runtime_opts *opts, struct weir_stats *stats)
{
    (void)opts;
    (void)stats;
    return NULL;
}

void weir_wasm_runtime_free(struct weir_wasm_runtime *runtime)
{
    (void)runtime;
}

void weir_wasm_worker_init(struct weir_wasm_runtime *runtime, struct weir_worker *worker)
{
    (void)runtime;
    worker->wasm = NULL;
}

void weir_wasm_worker_fini(struct weir_worker *worker)
{
    (void)worker;
}
