/* Wasm plugins of the process: what server/ makes at start-up and hands to configuration readers (weir_conf_ctx.wasm) and to
 * workers (weir_worker.wasm). The engine itself is made when the first plugin is configured. */
#ifndef WEIR_FILTERS_WASM_RUNTIME_H
#define WEIR_FILTERS_WASM_RUNTIME_H

#include "proxy/worker.h"

struct weir_wasm_runtime;

/** Zero = the default of wasm/limits.h. */
struct weir_wasm_runtime_opts {
    const char *cache_dir;     /* of compiled modules; NULL = the user's cache folder; "" = none */
    uint64_t memory_max;       /* bytes of one VM */
    uint32_t deadline_ms;      /* CPU time of one callback */
    uint32_t start_deadline_ms;
    bool quick_compile;        /* the baseline compiler */
};

/** Main thread. */
struct weir_wasm_runtime *weir_wasm_runtime_new(const struct weir_wasm_runtime_opts *opts, struct weir_stats *stats);
/** After all workers and configurations are gone. */
void weir_wasm_runtime_free(struct weir_wasm_runtime *runtime);

/** A worker's half: sets worker->wasm. Before its loop runs; freed on its thread after its streams have ended. */
void weir_wasm_worker_init(struct weir_wasm_runtime *runtime, struct weir_worker *worker);
void weir_wasm_worker_fini(struct weir_worker *worker);

#endif
