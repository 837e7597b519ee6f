/* The connection pool of one worker, cluster host and priority: idle HTTP/1 connections most recently used first, HTTP/2
 * connections shared up to their stream limit, requests waiting for a connection, circuit breakers. */
#ifndef WEIR_UPSTREAM_POOL_H
#define WEIR_UPSTREAM_POOL_H

#include "net/conn.h"
#include "upstream/cluster.h"

/** A pooled connection, as a request sees it. Streams are opened with codec->ops->open. */
struct weir_up_conn {
    struct weir_conn conn;
    struct weir_codec *codec;
    struct weir_host *host;
    uint64_t n_requests;   /* streams opened so far */
    uint64_t ready_ns;     /* when it became usable */
    /* the pool's own fields follow in pool.c's larger struct */
};

struct weir_pool_request;
struct weir_pool_request_ops {
    /** A connection is there: open a stream on it now (inside this call). */
    void (*on_ready)(struct weir_pool_request *pr, struct weir_up_conn *uc);
    /** None will come: connection failure, timeout, overflow. `detail` = transport failure or "". */
    void (*on_failure)(struct weir_pool_request *pr, enum weir_reset reason, const char *detail, struct weir_host *host);
};
/** Embedded in the requester; zero before first use. */
struct weir_pool_request {
    const struct weir_pool_request_ops *ops;
    struct weir_list link;
    void *pool; /* where it waits, NULL if it does not */
    struct weir_host *host;
    uint64_t since_ns;
};

enum weir_pool_verdict { WEIR_POOL_READY, WEIR_POOL_WAITING, WEIR_POOL_OVERFLOW };

/** Asks for a connection to `host`. READY: `*ret_uc` is set, open a stream at once. WAITING: on_ready or on_failure comes later,
 * never before this returns. OVERFLOW: a circuit breaker refused. Counts a request against `requests` until weir_pool_request_done. */
enum weir_pool_verdict weir_pool_get(struct weir_cluster_worker *cw, struct weir_host *host, enum weir_priority priority,
                                     struct weir_pool_request *pr, struct weir_up_conn **ret_uc);
/** Gives up waiting. */
void weir_pool_cancel(struct weir_pool_request *pr);

#endif
