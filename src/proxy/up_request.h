/* One attempt to have a request answered upstream: waits for a connection, sends what there is of the request, brings the
 * response. What an attempt's end means (answer, retry, give up) is its owner's to decide: the router, later mirroring. */
#ifndef WEIR_PROXY_UP_REQUEST_H
#define WEIR_PROXY_UP_REQUEST_H

#include "upstream/pool.h"

struct weir_up_request;
/** Events, never from inside weir_up_request_start and the other calls, but for on_connection. After the last event of an attempt
 * (end of the response, on_failed) nothing follows. */
struct weir_up_request_ops {
    /** There is a connection; the headers are sent right after this returns (change them here). */
    void (*on_connection)(struct weir_up_request *up);
    void (*on_informational)(struct weir_up_request *up, struct weir_headers *h);
    /** `h` lives in the arena given at the start. */
    void (*on_headers)(struct weir_up_request *up, struct weir_headers *h, bool end_stream);
    void (*on_data)(struct weir_up_request *up, struct weir_buf *data, bool end_stream);
    void (*on_trailers)(struct weir_up_request *up, struct weir_headers *trailers);
    /** No connection, or it was lost. `detail`: why the transport failed, or "". */
    void (*on_failed)(struct weir_up_request *up, enum weir_reset reason, const char *detail);
    /** What was sent piles up / has drained. */
    void (*on_watermark)(struct weir_up_request *up, bool above);
};

/** Embedded in its owner. Zeroed and given ops before weir_up_request_start. */
struct weir_up_request {
    const struct weir_up_request_ops *ops;
    struct weir_cluster_worker *cw;
    struct weir_arena *arena;
    struct weir_pool_request pool_request;
    struct weir_up_conn *conn;       /* NULL until there is one, and after the exchange */
    struct weir_codec_stream *cs;    /* the same */
    struct weir_headers *headers;    /* borrowed from the owner while the attempt runs */
    const struct weir_headers *trailers;
    struct weir_buf held;            /* body that waits for the connection */
    uint32_t pauses;                 /* read_disable count while there is no stream yet */
    bool end_seen;                   /* the request is complete as far as the owner goes */
    bool headers_sent, request_done; /* given to the codec: head, everything */
    bool body_given;                 /* some body was taken from the owner: it cannot be sent again */
    bool reused;                     /* the connection had carried others before */
    bool unsent;                     /* lost before a byte of it reached the socket */
    uint64_t written_before;         /* bytes the connection had written when it took this request */
    bool response_begun, response_done;
};

/** Starts: `headers` go out as soon as there is a connection. `up->pool_request.fresh` asks for one that was never used.
 * OVERFLOW: refused by a circuit breaker, no event follows. Held until weir_up_request_end in each case. */
enum weir_pool_verdict weir_up_request_start(struct weir_up_request *up, struct weir_cluster_worker *cw, struct weir_host *host,
                                             enum weir_priority priority, struct weir_loop *loop, struct weir_arena *arena,
                                             struct weir_headers *headers, bool end_stream);
/** Body, moved out of `data`; held while there is no connection. */
void weir_up_request_data(struct weir_up_request *up, struct weir_buf *data, bool end_stream);
void weir_up_request_trailers(struct weir_up_request *up, const struct weir_headers *trailers);
/** Back-pressure on the response: a count. */
void weir_up_request_pause(struct weir_up_request *up, bool pause);
/** The attempt is over: stops waiting, resets what still runs. No event follows. The host stays known. Idempotent. */
void weir_up_request_stop(struct weir_up_request *up);
/** The same, and lets pool and host go. Idempotent. */
void weir_up_request_end(struct weir_up_request *up);
/** Does it wait for a connection? */
static inline bool weir_up_request_waits(const struct weir_up_request *up)
{
    return weir_list_linked(&up->pool_request.link);
}

#endif
