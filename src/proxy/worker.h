/* A worker thread: its loop and its own half of everything. Made by server/, used by everything that runs on it. */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "event/loop.h"
#include "stats/stats.h"
#include "upstream/cluster.h"

struct weir_listeners_worker; /* proxy/listener.h */
struct weir_wasm_worker;      /* filters/wasm: this thread's VMs */
struct weir_server;

struct weir_worker {
    uint32_t id;                       /* 0.. ; UINT32_MAX = the main thread */
    struct weir_loop *loop;
    struct weir_stats *registry;
    struct weir_stats_worker *stats;
    struct weir_clusters_worker *clusters;
    struct weir_listeners_worker *listeners;
    struct weir_wasm_worker *wasm;
    struct weir_server *server;        /* opaque below server/ */
    bool draining;                     /* new responses carry connection: close / GOAWAY */
    struct weir_slab streams;          /* weir_stream */
    struct weir_slab down_conns;
    char date[32];                     /* `date` header of this second */
    uint64_t date_s;
};

#endif
