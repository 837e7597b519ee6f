/* HTTP filters: what one is (weir_filter_ops), what it may do with its stream (weir_filter_*), and how it is registered.
 * A filter's folder in src/filters/ holds its configuration reader, run-time part, limits and page of documentation;
 * src/filters/registry.c lists them all. Verdicts and their meaning are Envoy's (envoy/http/filter.h). */
#ifndef WEIR_PROXY_FILTER_H
#define WEIR_PROXY_FILTER_H

#include <protobuf-c/protobuf-c.h>

#include "http/codec.h"

struct weir_filter;
struct weir_stream;
struct weir_stream_info;
struct weir_conf_ctx; /* proxy/conf_ctx.h: what configuration readers are given */
struct weir_worker;

enum weir_headers_verdict {
    WEIR_HEADERS_CONTINUE,
    WEIR_HEADERS_STOP,                   // later filters wait; body still comes to this filter
    WEIR_HEADERS_STOP_ALL_BUFFER,        // body and trailers held back too, up to the buffer limit (413 / 500 over it)
    WEIR_HEADERS_STOP_ALL_WATERMARK,     // the same with flow control instead of a limit
};
enum weir_data_verdict {
    WEIR_DATA_CONTINUE,
    WEIR_DATA_STOP_BUFFER,    // keep what came in the buffer; next call sees new data only, the buffer via weir_filter_*_buffer
    WEIR_DATA_STOP_WATERMARK, // the same with flow control instead of a limit
    WEIR_DATA_STOP_NO_BUFFER, // drop what is left in `data` (the filter has taken it)
};
enum weir_trailers_verdict { WEIR_TRAILERS_CONTINUE, WEIR_TRAILERS_STOP };

/** One kind of filter. NULL functions = not interested. */
struct weir_filter_ops {
    const char *name;           /* "envoy.filters.http.fault" */
    const char *const *aliases; /* legacy names, NULL-terminated, or NULL */
    const char *type;           /* full name of its configuration message */
    const char *route_type;     /* of its per-route message, or NULL */
    const struct weir_supported_fields *fields; /* what is implemented of `type`, for --print-feature-table; or NULL */
    bool terminal;
    bool every_reply;           /* response callbacks come also for replies made before this filter saw the request */
    uint32_t stream_size;       /* bytes of weir_filter.state, zeroed for each stream */

    /** Main thread. Reads `msg` (an empty message of `type` when typed_config was absent); what it allocates lives in ctx->arena
     * (clean-ups by weir_arena_on_end). Faults go to ctx->diag, all of them. On any: return WEIR_ERR_INVALID. */
    enum weir_err (*parse)(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf);
    /** The same for `route_type`. */
    enum weir_err (*parse_route)(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf);

    /* One stream, on its worker, in this order. After the stream has ended only `log` and `done` come, at the end of the loop's
     * turn and never from inside another call; `done` comes exactly once for every stream on which init was called, nothing after
     * it. */
    void (*init)(struct weir_filter *f);
    enum weir_headers_verdict (*request_headers)(struct weir_filter *f, struct weir_headers *h, bool end_stream);
    enum weir_data_verdict (*request_data)(struct weir_filter *f, struct weir_buf *data, bool end_stream);
    enum weir_trailers_verdict (*request_trailers)(struct weir_filter *f, struct weir_headers *trailers);
    void (*request_complete)(struct weir_filter *f); /* all of the request has been through this filter */
    enum weir_headers_verdict (*response_headers)(struct weir_filter *f, struct weir_headers *h, bool end_stream);
    enum weir_data_verdict (*response_data)(struct weir_filter *f, struct weir_buf *data, bool end_stream);
    enum weir_trailers_verdict (*response_trailers)(struct weir_filter *f, struct weir_headers *trailers);
    /** A local reply is about to be made (by anyone): last chance to know; the reply then passes through response_headers. */
    void (*local_reply)(struct weir_filter *f, uint32_t status, struct weir_slice details);
    /** Terminal filters: the downstream side fills up (true) or drains (false): stop and go on producing response data. */
    void (*down_watermark)(struct weir_filter *f, bool above);
    /** The stream is complete or dead: called before done, with final facts, where the access log is written. */
    void (*log)(struct weir_filter *f, const struct weir_stream_info *info);
    void (*done)(struct weir_filter *f);
};

enum weir_direction { WEIR_REQUEST, WEIR_RESPONSE };

/** Where one direction of a message stands at one filter; chain.c's own. "in" = has come to the filter (and was shown to it, unless
 * it stopped all), "out" = has gone on to the next one. */
struct weir_filter_side {
    struct weir_buf held;    /* body held back here */
    uint8_t stop;            /* enum of chain.c */
    bool skip;               /* disabled, or a local reply that it does not see */
    bool headers_in, headers_out;
    bool end_in, end_out;
    bool trailers_in, trailers_out;
    bool has_held;           /* there is a buffer, maybe empty */
    bool end_held;           /* the end came while all was stopped */
    bool streaming;          /* over the limit: back-pressure, not a local reply */
    bool above;              /* its share of the direction's back-pressure count */
    bool in_call;            /* one of its callbacks of this direction runs */
    bool resume;             /* continue was asked for while the chain runs */
};

/** A filter of one stream. */
struct weir_filter {
    const struct weir_filter_ops *ops;
    const void *conf;          /* from parse */
    struct weir_slice name;    /* as configured: the key of per-route configuration */
    struct weir_stream *stream;
    void *state;               /* stream_size bytes in the stream's arena */
    uint8_t index;             /* place in the chain, 0 = first */
    bool disabled;             /* by the connection manager's or the route's configuration: skipped */
    struct weir_filter_side side[2]; /* by enum weir_direction */
};

/* What a filter may do. All on the stream's worker; none re-enters the calling filter before it returns, unless said. */

/** Goes on after a STOP verdict: with the headers if they were held, then the buffered body, then trailers. Runs later filters
 * inside the call, or when the outermost call into the chain returns if one is running. From inside one of this filter's own
 * callbacks of that direction it overrides a STOP verdict. Harmless when nothing is stopped here or the stream has ended. */
void weir_filter_continue_request(struct weir_filter *f);
void weir_filter_continue_response(struct weir_filter *f);

struct weir_local_reply {
    uint32_t status;
    struct weir_slice body;        /* borrowed until return */
    struct weir_slice details;     /* response_code_details; copied */
    const struct weir_headers *headers; /* extra ones, appended; or NULL */
    int grpc_status;               /* -1 = derive from status */
    uint64_t flags;                /* response flags to add, 1 << WEIR_FLAG_… */
    bool close;                    /* connection: close afterwards */
    const char *content_type;      /* NULL = text/plain when there is a body */
};
/** Answers the request from here: later request callbacks stop, the reply goes through the response chain of the filters that saw
 * the request (and of those with every_reply). If filters have already seen a response whose headers were not sent, the reply
 * replaces it and is sent as it is; once headers were sent the stream is reset instead. May be called from anywhere: takes effect
 * when the outermost call into the chain has returned, the verdict of a running callback is then ignored. While one waits, a second
 * call does nothing. */
void weir_filter_local_reply(struct weir_filter *f, const struct weir_local_reply *reply);
/** Ends the stream early in both directions. Deferred like a local reply. */
void weir_filter_reset(struct weir_filter *f, struct weir_slice details);

/** The body that this filter holds back in that direction; NULL if it holds none. Change it freely. */
struct weir_buf *weir_filter_request_buffer(struct weir_filter *f);
struct weir_buf *weir_filter_response_buffer(struct weir_filter *f);
/** Moves `data` to the end of what this filter holds back: from a headers callback a body for a body-less message, from a data
 * callback ahead of what is left in its `data`, from a trailers callback before the trailers. The next filters get it. */
void weir_filter_add_request_data(struct weir_filter *f, struct weir_buf *data);
void weir_filter_add_response_data(struct weir_filter *f, struct weir_buf *data);
/** Trailers to fill for a message that had none, from a data callback; they follow the end of the data. Those that came, if some
 * have. */
struct weir_headers *weir_filter_add_request_trailers(struct weir_filter *f);
struct weir_headers *weir_filter_add_response_trailers(struct weir_filter *f);
/** What one filter may hold back of a body, in bytes; 0 = no limit. A filter may raise or lower it for its stream, both ways. */
void weir_filter_set_buffer_limit(struct weir_filter *f, uint32_t bytes);
/** Asks for less from the peer of that direction (a count) until undone: request data from downstream, response data from upstream. */
void weir_filter_request_backpressure(struct weir_filter *f, bool on);
void weir_filter_response_backpressure(struct weir_filter *f, bool on);

/** Terminal filters: the response, in order, each through the response chain from the last filter to the first. */
void weir_filter_respond_informational(struct weir_filter *f, struct weir_headers *h);
void weir_filter_respond_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream);
void weir_filter_respond_data(struct weir_filter *f, struct weir_buf *data, bool end_stream);
void weir_filter_respond_trailers(struct weir_filter *f, struct weir_headers *trailers);

/** This filter's per-route configuration, most specific first (weighted cluster, route, virtual host, route configuration); NULL. */
const void *weir_filter_route_conf(const struct weir_filter *f);
/** The route is chosen anew before the next filter looks at it. */
void weir_filter_clear_route_cache(struct weir_filter *f);

/** Every kind of HTTP filter, in src/filters/registry.c; passed in from the top so that proxy/ names no filter. */
struct weir_filter_registry {
    const struct weir_filter_ops *const *v;
    uint32_t n;
};
/** By message type, else by name or alias; NULL. */
const struct weir_filter_ops *weir_filter_registry_find(const struct weir_filter_registry *reg, struct weir_slice type,
                                                        struct weir_slice name);

#endif
