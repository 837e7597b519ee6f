/* A stream: one request and its response. The meeting point of a source (a downstream codec stream, or a filter's HTTP call),
 * the filter chain, the route and the facts. It owns the arena in which all of it lives.
 *
 *   source --headers/data/trailers--> stream --> chain (request) --> router --> upstream
 *   source <--encode----------------- stream <-- chain (response) <-- router <--
 *
 * It ends exactly once, when both directions are complete or it was reset: filters' log, access logs, filters' done, then it is
 * freed at the end of the loop's turn. */
#ifndef WEIR_PROXY_STREAM_H
#define WEIR_PROXY_STREAM_H

#include "proxy/filter.h"
#include "proxy/route.h"
#include "proxy/stream_info.h"

struct weir_hcm;
struct weir_stream;
struct weir_worker;

/** Where a stream's request comes from and its response goes to: proxy/down_conn.c (codec streams) or proxy/http_call.c. */
struct weir_stream_source_ops {
    void (*send_informational)(struct weir_stream *s, struct weir_headers *h);
    void (*send_headers)(struct weir_stream *s, struct weir_headers *h, bool end_stream);
    void (*send_data)(struct weir_stream *s, struct weir_buf *data, bool end_stream);
    void (*send_trailers)(struct weir_stream *s, struct weir_headers *trailers);
    /** The stream was reset by this side: tell the peer. */
    void (*reset)(struct weir_stream *s, enum weir_reset reason);
    /** Back-pressure on request data (a count). */
    void (*read_disable)(struct weir_stream *s, bool disable);
    /** The stream has ended and is about to be freed: forget it. */
    void (*ended)(struct weir_stream *s);
};

/** One direction of the chain; see chain.c for the meaning of each field. */
struct weir_chain_dir {
    struct weir_headers *headers, *trailers;
    struct weir_buf buffered;        /* body held back by a filter */
    uint32_t buffer_limit;
    uint8_t n_entered;               /* filters that have seen headers */
    bool has_buffer;
    bool peer_complete;              /* the last byte came from the peer */
    bool complete;                   /* the last byte has passed all filters */
    bool over_limit_backpressure;
    uint16_t backpressure;           /* filters' counts */
};

struct weir_stream {
    struct weir_arena arena;
    struct weir_loop *loop;
    struct weir_worker *worker;
    const struct weir_hcm *hcm;      /* configuration it began under; holds a reference */
    const struct weir_stream_source_ops *source;
    void *source_arg;                /* the codec stream or the call */
    struct weir_headers request_headers, response_headers;
    struct weir_headers request_trailers, response_trailers;
    struct weir_chain_dir request, response;
    struct weir_filter *filters;
    uint8_t n_filters;
    uint8_t callback_depth;          /* > 0 while a filter callback runs: replies and resets wait */
    bool route_chosen;
    bool local_reply_sent, response_started, ended, is_head, is_grpc, close_after;
    bool request_complete_seen;
    struct weir_local_reply *pending_reply; /* made inside a callback, done when the outermost returns */
    bool pending_reset;
    struct weir_slice pending_reset_details;
    const struct weir_route *route;  /* NULL = none matched */
    const struct weir_route_table *routes; /* held for the stream's life */
    const struct weir_route_target *target; /* the weighted choice */
    struct weir_stream_info info;
    struct weir_timer idle_timer, request_timer, headers_timer, max_duration_timer;
    struct weir_list link;           /* among the source's streams */
};

/** A new stream. The caller fills request_headers and calls the functions below in order. */
struct weir_stream *weir_stream_new(struct weir_worker *worker, const struct weir_hcm *hcm,
                                    const struct weir_stream_source_ops *source, void *source_arg);

/* From the source. */
void weir_stream_request_headers(struct weir_stream *s, bool end_stream);
void weir_stream_request_data(struct weir_stream *s, struct weir_buf *data, bool end_stream);
void weir_stream_request_trailers(struct weir_stream *s);
/** The codec refused the message: a local reply, or the end if the response has begun. */
void weir_stream_codec_error(struct weir_stream *s, uint32_t status, const char *body, const char *detail);
/** The peer is gone or reset the stream. */
void weir_stream_source_reset(struct weir_stream *s, enum weir_reset reason, const char *detail);
/** What was sent to the peer piles up (true) or has drained (false). */
void weir_stream_down_watermark(struct weir_stream *s, bool above);

/** A local reply from outside the filters (route not found, timeouts …). */
void weir_stream_local_reply(struct weir_stream *s, const struct weir_local_reply *reply);
/** Chooses the route now if that has not happened; NULL = none. */
const struct weir_route *weir_stream_route(struct weir_stream *s);
/** Ends it: log, done, free at the end of the turn. Idempotent. */
void weir_stream_end(struct weir_stream *s);

#endif
