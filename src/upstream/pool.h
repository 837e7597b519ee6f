/* The connection pool of one worker, cluster host and priority: idle HTTP/1 connections most recently used first, HTTP/2
 * connections shared up to their stream limit, requests waiting for a connection, circuit breakers. */
#ifndef WEIR_UPSTREAM_POOL_H
#define WEIR_UPSTREAM_POOL_H

#include "net/conn.h"
#include "upstream/cluster.h"

struct weir_host_pool;

/** A pooled connection, as a request sees it. Streams are opened with weir_up_conn_open. */
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
    struct weir_host_pool *pool; /* whose connection it has or waits for; held until weir_pool_request_done */
    struct weir_host *host;      /* alive until weir_pool_request_done */
    uint64_t since_ns;           /* when it began to wait */
    bool fresh;                  /* wants a connection that has never been used: a pooled one has just failed it */
};

enum weir_pool_verdict { WEIR_POOL_READY, WEIR_POOL_WAITING, WEIR_POOL_OVERFLOW };

/** Asks for a connection to `host`. READY: `*ret_uc` is set, open a stream with weir_up_conn_open at once. WAITING: on_ready or
 * on_failure comes later, never before this returns. OVERFLOW: a circuit breaker refused. In each case weir_pool_request_done
 * must follow before `pr` is used again or freed. */
enum weir_pool_verdict weir_pool_get(struct weir_cluster_worker *cw, struct weir_host *host, enum weir_priority priority,
                                     struct weir_pool_request *pr, struct weir_up_conn **ret_uc);
/** Stops waiting, if it does; pool and host stay held. */
void weir_pool_cancel(struct weir_pool_request *pr);
/** The requester needs nothing any more: stops waiting, lets pool and host go. Harmless when there is nothing to let go. Not a
 * way to end a stream: that is the codec's reset. */
void weir_pool_request_done(struct weir_pool_request *pr);

/** Opens a stream on a connection that weir_pool_get or on_ready gave: counts the request. NULL only when the connection turned
 * out to be unable (a stream limit went down). */
struct weir_codec_stream *weir_up_conn_open(struct weir_up_conn *uc, const struct weir_codec_stream_ops *ops, void *owner,
                                            struct weir_arena *arena);
/** A stream was lost: its owner says so when on_reset has come (after on_stream_done there is nothing to say). */
void weir_up_conn_lost(struct weir_up_conn *uc, enum weir_reset reason);
/** Back-pressure on a stream's response: a count. What was held back is offered again when it reaches 0. */
void weir_up_conn_read_disable(struct weir_up_conn *uc, struct weir_codec_stream *cs, bool disable);

#endif
