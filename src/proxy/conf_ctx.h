/* What every reader of configuration is given: where to allocate, where to report, what exists. Main thread. */
#ifndef WEIR_PROXY_CONF_CTX_H
#define WEIR_PROXY_CONF_CTX_H

#include "base/arena.h"
#include "base/map.h"
#include "proxy/filter.h"
#include "stats/stats.h"

struct weir_config; /* config/config.h: the file's messages with their positions */
struct weir_diag;   /* config/diag.h */
struct weir_access_logger_registry;
struct weir_net_filter_registry;
struct weir_listener;

/** Something that a configured extension does on each worker when its listener goes into service there, and when it leaves it
 * (streams may still run: they hold what they use). E.g. a Wasm plugin: make this worker's VM, start its ticks. */
struct weir_worker_hook {
    void (*start)(struct weir_worker *worker, void *arg);
    void (*stop)(struct weir_worker *worker, void *arg);
    void *arg;
    struct weir_worker_hook *next;
};

/** A file that a reader of configuration read. */
struct weir_conf_file {
    struct weir_slice path;
    struct weir_conf_file *next;
};

struct weir_conf_ctx {
    struct weir_arena *arena;  /* of the resource being built; lives as long as it */
    struct weir_config *config;
    struct weir_diag *diag;
    struct weir_stats *stats;
    const struct weir_filter_registry *http_filters;
    const struct weir_net_filter_registry *net_filters;
    const struct weir_access_logger_registry *access_loggers;
    const struct weir_map *cluster_names;  /* clusters that the configuration has, for "no such cluster" */
    const struct weir_listener *listener;  /* being built: address, direction, limits, statistics; NULL outside */
    struct weir_stats_scope listener_scope; /* "listener.<address>." */
    struct weir_stats_scope scope;         /* of the surrounding connection manager: "http.<prefix>." */
    void *wasm;                            /* struct weir_wasm_runtime of the process, for filters/wasm */
    struct weir_worker_hook *hooks;        /* of the listener being built, see weir_conf_add_hook */
    uint64_t content_hash;                 /* of the other files that were read (modules, certificates): a listener is kept over a
                                            * reload only if its messages and this are the same; see weir_conf_note_file */
    struct weir_conf_file *files;          /* those files, in ctx->config's arena */
    bool validate_only;                    /* --mode validate: open no files for writing, bind nothing */
    uint32_t n_workers;
    struct weir_slice service_node, service_cluster, service_zone;
};

/** Adds a hook; started in the order of adding. */
void weir_conf_add_hook(struct weir_conf_ctx *ctx, void (*start)(struct weir_worker *worker, void *arg),
                        void (*stop)(struct weir_worker *worker, void *arg), void *arg);
/** Notes that the file `path` was read and holds `content`: mixed into ctx->content_hash, and watched where --watch is given. */
void weir_conf_note_file(struct weir_conf_ctx *ctx, struct weir_slice path, struct weir_slice content);

#endif
