/* The server's own struct, for the files of src/server. */
#ifndef WEIR_SERVER_SERVER_PRIV_H
#define WEIR_SERVER_SERVER_PRIV_H

#include <pthread.h>

#include "proxy/hcm.h"
#include "server/server.h"
#include "server/worker.h"
#include "upstream/cluster_dns.h"

struct weir_signals;

struct weir_thread {
    struct weir_server *server;
    struct weir_worker *worker;
    pthread_t thread;
    bool running;
    bool idle; /* drained: no connection is left */
    void *drain; /* server.c's, while it waits for that */
};

struct weir_server {
    const struct weir_options *options;
    struct weir_snapshot_deps deps;
    struct weir_stats *stats;
    struct weir_worker *main; /* the main thread's own half */
    struct weir_calls *calls; /* how filters of all workers make calls */
    struct weir_wasm_runtime *wasm;
    struct weir_thread *threads;
    uint32_t n_threads;
    struct weir_snapshot *snapshot;
    struct weir_signals *signals;
    struct weir_watch *watch;
    enum weir_server_state state;
    _Atomic bool unhealthy;
    uint32_t n_adopting;   /* workers that have not taken up the newest snapshot yet */
    bool reload_wanted;    /* asked for while one was under way */
    bool exiting;
    struct weir_str reload_error; /* of the last reload, empty if it went well */
    struct weir_timer drain_timer;
    struct weir_cluster_dns *dns;
    struct weir_timer warm_timer;
    uint64_t start_ns;
    weir_stat base; /* of WEIR_SERVER_STATS */
    weir_stat managers; /* manager_stats.c's */
    struct weir_timer flush_timer; /* ends the interval of histograms */
    uint64_t flush_ms;
};

/* signals.c */
/** Blocks the signals that weir handles in this and all later threads. Before any thread is made. */
void weir_signals_block(void);
/** Starts waiting for them: SIGTERM, SIGINT, SIGHUP, SIGUSR1 become posts to the main loop. */
struct weir_signals *weir_signals_start(struct weir_server *server);
void weir_signals_stop(struct weir_signals *signals);

/* addresses.c */
/** Checks that every listener address that `previous` does not hold can be bound, and gives ports to those that ask for port 0.
 * False: `reterr` names the address and the reason. */
bool weir_addresses_reserve(struct weir_server *server, struct weir_snapshot *snapshot, const struct weir_snapshot *previous,
                            struct weir_str *reterr);

/* watch.c */
/** Reloads when the configuration file (or a file it named when loaded) changes. */
struct weir_watch *weir_watch_start(struct weir_server *server);
void weir_watch_stop(struct weir_watch *watch);

/* cluster_updates.c */
/** Begins to look up the names of the snapshot's clusters and waits a while for the first answers. After the workers were made,
 * before they run. */
void weir_cluster_updates_start(struct weir_server *server);

/* reload.c */
void weir_reload_begin(struct weir_server *server);

/* server_stats.c */
#define WEIR_SERVER_STATS(X)                                                                                     \
    X(live, GAUGE) X(state, GAUGE) X(uptime, GAUGE) X(concurrency, GAUGE) X(parent_connections, GAUGE)           \
    X(total_connections, GAUGE) X(version, GAUGE) X(memory_allocated, GAUGE) X(memory_heap_size, GAUGE)          \
    X(memory_physical_size, GAUGE) X(days_until_first_cert_expiring, GAUGE) X(hot_restart_epoch, GAUGE)          \
    X(static_unknown_fields, COUNTER) X(dynamic_unknown_fields, COUNTER) X(reload_success, COUNTER)              \
    X(reload_failure, COUNTER) X(initialization_time_ms, HISTOGRAM)
enum weir_server_stat {
#define X(name, kind) WEIR_SERVER_STAT_##name,
    WEIR_SERVER_STATS(X)
#undef X
    WEIR_SERVER_STAT_COUNT
};
weir_stat weir_server_stats_register(struct weir_stats *stats);

/* manager_stats.c */
weir_stat weir_manager_stats_register(struct weir_stats *stats);
/** `now` has come into service in place of `previous` (NULL: the first). */
void weir_manager_stats_adopted(struct weir_server *server, const struct weir_snapshot *previous, const struct weir_snapshot *now);

/** Brings the gauges up to date; before stats are read. */
void weir_server_stats_refresh(struct weir_server *server);

/** Prints what the reader found (warnings too, unless switched off) to stderr, and lets go of it. */
void weir_server_print_diag(const struct weir_server *server, struct weir_source *source);
void weir_server_set_state(struct weir_server *server, enum weir_server_state state);

#endif
