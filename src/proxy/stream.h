/* A stream: one request and its response. The meeting point of a source (a downstream codec stream, or a filter's HTTP call),
 * the filter chain, the route and the facts. It owns the arena in which all of it lives.
 *
 *   source --headers/data/trailers--> stream --> chain (request) --> router --> upstream
 *   source <--encode----------------- stream <-- chain (response) <-- router <--
 *
 * It ends exactly once: when the response is complete or it was reset. At the end of that turn of the loop come the filters' log,
 * the access logs, the filters' done and the free, so nobody is called or freed from inside something that he called. */
#ifndef WEIR_PROXY_STREAM_H
#define WEIR_PROXY_STREAM_H

#include "proxy/filter.h"
#include "proxy/route.h"
#include "proxy/stream_info.h"

struct weir_hcm;
struct weir_stream;
struct weir_worker;

/** Where a stream's request comes from and its response goes to: proxy/down_conn.c (codec streams) or proxy/http_call.c.
 * None of these calls back into the stream before it returns. */
struct weir_stream_source_ops {
    void (*send_informational)(struct weir_stream *s, struct weir_headers *h);
    void (*send_headers)(struct weir_stream *s, struct weir_headers *h, bool end_stream);
    void (*send_data)(struct weir_stream *s, struct weir_buf *data, bool end_stream);
    void (*send_trailers)(struct weir_stream *s, struct weir_headers *trailers);
    /** The stream was reset by this side: tell the peer. `ended` follows. */
    void (*reset)(struct weir_stream *s, enum weir_reset reason);
    /** Back-pressure on request data: one call for each edge. */
    void (*read_disable)(struct weir_stream *s, bool disable);
    /** weir_stream_next_deadline may be earlier now. NULL = no interest. */
    void (*deadline)(struct weir_stream *s);
    /** The stream has ended; filters' ends, access logs and the free follow at the end of the turn. */
    void (*ended)(struct weir_stream *s);
};

/** One direction of the chain. */
struct weir_chain_dir {
    struct weir_headers *headers, *trailers; /* NULL until they came */
    uint32_t buffer_limit;       /* for what one filter holds back; 0 = none */
    uint16_t backpressure;       /* reasons to ask the sender of this direction for less */
    bool begun;                  /* headers entered the chain */
    bool peer_complete;          /* the last byte came from the sender */
    bool complete;               /* the last byte has passed all filters */
    bool dead;                   /* no filter gets anything of it any more */
};

/** What waits until the outermost call into the chain returns. */
enum weir_stream_pending {
    WEIR_PENDING_RESET = 1,
    WEIR_PENDING_REPLY = 2,
    WEIR_PENDING_RESUME = 4,
    WEIR_PENDING_END = 8,
};

struct weir_stream {
    struct weir_arena arena;
    struct weir_loop *loop;
    struct weir_worker *worker;
    const struct weir_hcm *hcm;      /* configuration it began under; outlives it */
    const struct weir_stream_source_ops *source;
    void *source_arg;                /* the codec stream or the call */
    struct weir_headers request_headers;  /* filled by the source */
    struct weir_headers response_headers; /* of local replies; what is sent is response.headers */
    struct weir_headers added_trailers[2]; /* by filters, for a message that had none */
    struct weir_chain_dir request, response;
    struct weir_filter *filters;
    uint8_t n_filters;               /* 0 until the chain was made */
    uint8_t depth;                   /* calls into the chain that run */
    uint8_t pending;                 /* enum weir_stream_pending */
    bool route_chosen;
    bool local_reply;                /* the response is ours */
    bool response_started;           /* headers were sent to the peer */
    bool ended, is_head, is_grpc;
    bool close_after;                /* the connection is not for reuse */
    bool held_by_source, finished;   /* freed when finished and not held */
    struct weir_local_reply *reply;  /* WEIR_PENDING_REPLY */
    enum weir_reset reset_reason;    /* WEIR_PENDING_RESET */
    const struct weir_route *route;  /* NULL = none matched, or not chosen yet */
    const struct weir_route_table *routes;
    const struct weir_route_target *target; /* the weighted choice */
    struct weir_stream_info info;
    /* Deadlines, monotonic ms; 0 = none. The source watches the earliest. */
    uint64_t last_active_ms, idle_timeout_ms;
    uint64_t request_deadline_ms, headers_deadline_ms, max_deadline_ms;
    struct weir_task end_task;
    struct weir_list link;           /* among the source's streams */
};

/** A new stream. The caller fills request_headers and calls the functions below in order. */
struct weir_stream *weir_stream_new(struct weir_worker *worker, const struct weir_hcm *hcm,
                                    const struct weir_stream_source_ops *source, void *source_arg);
/** A source whose codec still needs the stream's arena (the rest of a request that was answered early) sets held_by_source, and
 * lets go with this. */
void weir_stream_release(struct weir_stream *s);

/* From the source. After the stream has ended all are without effect. */
void weir_stream_request_headers(struct weir_stream *s, bool end_stream);
/** Takes what it wants out of `data`; the rest is dropped. */
void weir_stream_request_data(struct weir_stream *s, struct weir_buf *data, bool end_stream);
/** `trailers` must live as long as the stream (its arena). */
void weir_stream_request_trailers(struct weir_stream *s, struct weir_headers *trailers);
/** The codec refused the message: a local reply, or the end if the response has begun. */
void weir_stream_codec_error(struct weir_stream *s, uint32_t status, const char *body, const char *detail);
/** The peer is gone or reset the stream. */
void weir_stream_source_reset(struct weir_stream *s, enum weir_reset reason, const char *detail);
/** What was sent to the peer piles up (true) or has drained (false): once for each edge. */
void weir_stream_down_watermark(struct weir_stream *s, bool above);
/** The earliest of the stream's deadlines, UINT64_MAX if it has none; moves back with every event. */
uint64_t weir_stream_next_deadline(const struct weir_stream *s);
/** Acts on the deadlines that have passed: local reply or reset, as Envoy. */
void weir_stream_check_deadlines(struct weir_stream *s);

/** A local reply from outside the filters (route not found, timeouts …). */
void weir_stream_local_reply(struct weir_stream *s, const struct weir_local_reply *reply);
/** Ends it early in both directions; the peer is told. Deferred like a local reply. */
void weir_stream_reset(struct weir_stream *s, enum weir_reset reason, struct weir_slice details);
/** Chooses the route now if that has not happened; NULL = none. */
const struct weir_route *weir_stream_route(struct weir_stream *s);

#endif
