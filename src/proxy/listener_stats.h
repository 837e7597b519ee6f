/* Rows of `listener.<address>.`; Envoy's names. */
#ifndef WEIR_PROXY_LISTENER_STATS_H
#define WEIR_PROXY_LISTENER_STATS_H

#include "proxy/listener.h"

#define WEIR_LISTENER_STATS(X)                                                                             \
    X(downstream_cx_total, COUNTER) X(downstream_cx_active, GAUGE) X(downstream_cx_destroy, COUNTER)       \
    X(downstream_cx_length_ms, HISTOGRAM) X(downstream_cx_overflow, COUNTER)                               \
    X(downstream_cx_overload_reject, COUNTER) X(downstream_cx_transport_socket_connect_timeout, COUNTER)   \
    X(downstream_global_cx_overflow, COUNTER) X(downstream_listener_filter_error, COUNTER)                 \
    X(downstream_listener_filter_remote_close, COUNTER) X(downstream_pre_cx_active, GAUGE)                 \
    X(downstream_pre_cx_timeout, COUNTER) X(no_filter_chain_match, COUNTER)                                \
    X(downstream_cx_accept_paused, COUNTER)
enum weir_listener_stat {
#define X(name, kind) WEIR_LISTENER_STAT_##name,
    WEIR_LISTENER_STATS(X)
#undef X
    WEIR_LISTENER_STAT_COUNT
};
/* Rows of `listener.<address>.worker_<n>.`. */
#define WEIR_LISTENER_WORKER_STATS(X) X(downstream_cx_total, COUNTER) X(downstream_cx_active, GAUGE)
enum weir_listener_worker_stat {
#define X(name, kind) WEIR_LISTENER_WORKER_STAT_##name,
    WEIR_LISTENER_WORKER_STATS(X)
#undef X
    WEIR_LISTENER_WORKER_STAT_COUNT
};

/* A row; the cell that nobody reads when there was no room for statistics. */
static inline weir_stat weir_listener_row(const struct weir_listener *listener, enum weir_listener_stat stat)
{
    return listener->stats ? listener->stats + (weir_stat)stat : 0;
}
/** A row of one worker; the main thread has none. */
static inline weir_stat weir_listener_worker_row(const struct weir_listener *listener, const struct weir_worker *worker,
                                                 enum weir_listener_worker_stat stat)
{
    if (!listener->worker_stats || worker->id == UINT32_MAX) return 0;
    return listener->worker_stats + worker->id * WEIR_LISTENER_WORKER_STAT_COUNT + (weir_stat)stat;
}
static inline void weir_listener_count(const struct weir_listener *listener, struct weir_worker *worker, enum weir_listener_stat stat)
{
    weir_stat_inc(worker->stats, weir_listener_row(listener, stat));
}

#endif
