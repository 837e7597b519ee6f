/* A worker thread: its loop and its own half of everything. Made by server/, used by everything that runs on it. */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "event/loop.h"
#include "stats/stats.h"
#include "upstream/cluster.h"

struct weir_listeners_worker; /* proxy/listener.h */
struct weir_wasm_worker;      /* filters/wasm: this thread's VMs */
struct weir_server;
struct weir_hcm;

struct weir_worker {
    uint32_t id;                       /* 0.. ; UINT32_MAX = the main thread */
    struct weir_loop *loop;
    struct weir_stats *registry;
    struct weir_stats_worker *stats;
    struct weir_clusters_worker *clusters;
    struct weir_listeners_worker *listeners;
    struct weir_wasm_worker *wasm;
    struct weir_server *server;        /* opaque below server/ */
    const _Atomic bool *unhealthy;     /* the process's state, see /healthcheck/fail; NULL = it has none */
    bool draining;                     /* new responses carry connection: close / GOAWAY */
    struct weir_slab streams;          /* weir_stream */
    const struct weir_hcm *calls;      /* how calls of filters are made: weir_calls.hcm; NULL = not possible */
};
/** Sets up what proxy/ keeps in a worker, after loop and stats are set. Done by weir_listeners_worker_new. */
void weir_worker_init_streams(struct weir_worker *worker);
/** Gives it back, when no stream is left: after listeners and all who make calls have gone. */
void weir_worker_fini_streams(struct weir_worker *worker);

#endif
