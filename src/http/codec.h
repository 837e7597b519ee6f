/* The codec interface: bytes in, events up, bytes out; no sockets, no policy. One codec serves one connection in one role;
 * HTTP/1 and HTTP/2 fit the same interface, downstream (SERVER) and upstream (CLIENT).
 *
 * Calls go down through weir_codec_ops, events come up through the conn owner's weir_codec_conn_ops and each stream owner's
 * weir_codec_stream_ops. A codec never calls up from inside a call down, except from recv and conn_gone, from which all events come
 * (what a send or reset brings about is reported from an end-of-turn task), and except on_output and on_resume, which only
 * schedule. Send, reset and conn_gone from inside events are fine. A codec must not be freed from inside its events: defer it.
 *
 * The end of an exchange, HTTP/1: when both directions are complete, or the owner has reset the stream, on_stream_done comes; the
 * stream handle is not to be used after it. If the connection cannot carry another exchange (close asked for, framing that ends with
 * the connection, a refused message, draining, excess bytes from the peer, a response that overtook its request), on_goaway comes
 * once, at the latest right before that on_stream_done: close after flushing once active() is 0. Bytes of later pipelined requests
 * stay in `in` until then; after on_stream_done the codec goes on by itself if it was inside recv, else on_resume asks for a recv.
 *
 * An early response, SERVER: once the response is complete no more stream events come; the rest of the request is swallowed up to
 * WEIR_H1_SWALLOW_MAX (then on_fatal), never taken for a request. */
#ifndef WEIR_HTTP_CODEC_H
#define WEIR_HTTP_CODEC_H

#include "base/buf.h"
#include "event/loop.h"
#include "http/headers.h"
#include "stats/stats.h"

enum weir_http_protocol { WEIR_HTTP_10, WEIR_HTTP_11, WEIR_HTTP_2, WEIR_HTTP_PROTOCOLS };
/** "HTTP/1.0", "HTTP/1.1", "HTTP/2". */
const char *weir_http_protocol_text(enum weir_http_protocol protocol);

enum weir_codec_role { WEIR_CODEC_SERVER, WEIR_CODEC_CLIENT };

/* Why a stream ended early. Texts are Envoy's (they appear in local reply bodies and details). */
#define WEIR_RESETS(X)                                              \
    X(LOCAL_RESET, "local reset")                                   \
    X(LOCAL_REFUSED, "local refused stream reset")                  \
    X(REMOTE_RESET, "remote reset")                                 \
    X(REMOTE_REFUSED, "remote refused stream reset")                \
    X(LOCAL_CONN_FAILURE, "local connection failure")               \
    X(REMOTE_CONN_FAILURE, "remote connection failure")             \
    X(CONN_TIMEOUT, "connection timeout")                           \
    X(CONN_TERMINATION, "connection termination")                   \
    X(OVERFLOW, "overflow")                                         \
    X(CONNECT_ERROR, "remote error with CONNECT request")           \
    X(PROTOCOL_ERROR, "protocol error")                             \
    X(OVERLOAD, "overload manager reset")
enum weir_reset {
#define X(id, text) WEIR_RESET_##id,
    WEIR_RESETS(X)
#undef X
};
const char *weir_reset_text(enum weir_reset reason);

struct weir_codec;
struct weir_codec_stream;

/** Events of one stream, to its owner. Any of them may lead the owner to reset the stream from inside. */
struct weir_codec_stream_ops {
    /** The message head (request: SERVER, final response: CLIENT). `h` is the map given at begin or encode time. */
    void (*on_headers)(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream);
    /** CLIENT: a 1xx response other than 101; SERVER: never. `h` is only valid during the call. */
    void (*on_informational)(struct weir_codec_stream *cs, struct weir_headers *h);
    /** Body bytes; the receiver takes them out of `data` (what it leaves is dropped). */
    void (*on_data)(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream);
    /** Trailers; always the end of the stream. */
    void (*on_trailers)(struct weir_codec_stream *cs, struct weir_headers *trailers);
    /** The stream is over: nothing more comes, nothing may be sent. After a reset the codec has forgotten the stream. */
    void (*on_reset)(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail);
    /** SERVER: the message is refused by the codec (malformed, too large …). The owner answers `status` with `body` (the codec says
     * `connection: close`), or resets if the response has begun; `detail` is Envoy's response code detail. On_headers may or may not
     * have come before; no other event of the message follows. CLIENT: on_reset(PROTOCOL_ERROR) and on_fatal instead. */
    void (*on_error)(struct weir_codec_stream *cs, uint32_t status, const char *body, const char *detail);
    /** What was sent and not yet written rose above / fell below the mark: stop and go on producing. */
    void (*on_watermark)(struct weir_codec_stream *cs, bool above);
};

/** One exchange as its codec sees it; the codec's own struct embeds it. */
struct weir_codec_stream {
    const struct weir_codec_stream_ops *ops;
    void *owner;
    struct weir_codec *codec;
    uint64_t id; /* HTTP/2 stream id; HTTP/1: running number */
    enum weir_http_protocol protocol; /* of the message received; set before on_headers */
};

/** Events of the connection, to its owner. */
struct weir_codec_conn_ops {
    /** SERVER: a request begins. The owner sets cs->ops and cs->owner and returns the map for its head (arena set). */
    struct weir_headers *(*on_stream)(struct weir_codec *codec, struct weir_codec_stream *cs);
    /** Both directions of `cs` are complete (or it was reset by its owner): the codec forgets it after this call. */
    void (*on_stream_done)(struct weir_codec *codec, struct weir_codec_stream *cs);
    /** The peer will take (SERVER: send) no new streams. */
    void (*on_goaway)(struct weir_codec *codec);
    /** Output was appended to codec->out: schedule a flush. Cheap; called often. */
    void (*on_output)(struct weir_codec *codec);
    /** The connection is beyond use (framing lost, flood): close after flushing `out`. `detail`: a static identifier. No stream is
     * open any more when it comes (each got on_reset or on_stream_done before). */
    void (*on_fatal)(struct weir_codec *codec, const char *detail);
    /** Input that was held back can be consumed now: call recv again soon, not from inside (weir_conn_reread). */
    void (*on_resume)(struct weir_codec *codec);
};

struct weir_codec_ops {
    enum weir_http_protocol protocol; /* of the codec's family: 11 or 2 */
    /** Consumes what it can from `in` (drains it); leaves the rest for later (partial head; HTTP/1: next pipelined request while one
     * is in flight; back-pressure). `eof`: the peer half-closed after these bytes. */
    void (*recv)(struct weir_codec *codec, struct weir_buf *in, bool eof);
    /** CLIENT: opens a stream; NULL when none can be opened now (busy, goaway). Response headers go into maps in `arena`. */
    struct weir_codec_stream *(*open)(struct weir_codec *codec, const struct weir_codec_stream_ops *ops, void *owner,
                                      struct weir_arena *arena);
    /** Sends a message head. Hop-by-hop framing (transfer-encoding, connection) is the codec's. */
    void (*send_headers)(struct weir_codec_stream *cs, const struct weir_headers *h, bool end_stream);
    /** SERVER: a 1xx. */
    void (*send_informational)(struct weir_codec_stream *cs, const struct weir_headers *h);
    /** Moves all of `data`. */
    void (*send_data)(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream);
    void (*send_trailers)(struct weir_codec_stream *cs, const struct weir_headers *trailers);
    /** Ends the stream early. No event for it comes after this. HTTP/1 SERVER after headers: the connection must close (on_fatal). */
    void (*reset)(struct weir_codec_stream *cs, enum weir_reset reason);
    /** Back-pressure: counts up/down; while > 0 no on_data for this stream and (HTTP/1) nothing is taken from `in`, (HTTP/2) no window
     * updates. HTTP/1: the owner of the connection stops reading from the socket by its limit on `in`. */
    void (*read_disable)(struct weir_codec_stream *cs, bool disable);
    /** The connection's output crossed its mark: relayed to the streams' on_watermark. */
    void (*conn_watermark)(struct weir_codec *codec, bool above);
    /** SERVER: no new requests after the current ones (HTTP/1: `connection: close` on the next response; HTTP/2: GOAWAY). */
    void (*drain)(struct weir_codec *codec);
    /** How many streams are open. */
    uint32_t (*active)(const struct weir_codec *codec);
    /** CLIENT: how many more could be opened now. */
    uint32_t (*capacity)(const struct weir_codec *codec);
    /** The peer's connection is gone: every stream gets on_reset(reason), or on_stream_done if it was complete but for the swallowing
     * of its request. A close-delimited response is complete by recv's `eof` (FIN) and only by it: for a reset connection call
     * conn_gone without recv(eof). Nothing may be sent afterwards. */
    void (*conn_gone)(struct weir_codec *codec, enum weir_reset reason);
    void (*free)(struct weir_codec *codec);
};

struct weir_codec {
    const struct weir_codec_ops *ops;
    const struct weir_codec_conn_ops *conn_ops;
    void *owner;
    struct weir_loop *loop;
    struct weir_buf *out; /* the connection's output */
    struct weir_stats_worker *sw; /* where this thread counts; set by the owner after new; NULL = nowhere */
    enum weir_codec_role role;
};

/** headers_with_underscores_action. */
enum weir_underscores { WEIR_UNDERSCORES_ALLOW, WEIR_UNDERSCORES_REJECT, WEIR_UNDERSCORES_DROP };

/** Limits and options of HTTP/1, from HttpConnectionManager or Cluster; Envoy's defaults in weir_h1_options_default. */
struct weir_h1_options {
    uint32_t max_headers_bytes; /* 60 KiB; upstream 80 KiB */
    uint32_t max_headers_count; /* 100 */
    bool allow_absolute_url;    /* true */
    bool accept_http_10;        /* false: 426 */
    struct weir_slice default_host_for_http_10;
    bool enable_trailers;       /* false: trailers are dropped */
    bool allow_chunked_length;  /* false: CL with TE is an error */
    bool allow_custom_methods;  /* false: unknown methods are 400 */
    bool allow_upgrade;         /* SERVER: upgrade requests and CONNECT become tunnels after 101 or 2xx (upgrade_configs) */
    bool proper_case;           /* header_key_format proper_case_words */
    bool preserve_case;         /* header_key_format stateful preserve_case */
    bool send_fully_qualified_url;
    enum weir_underscores underscores;
    weir_stat stats; /* base of the rows of WEIR_H1_STATS (http/codec_stats.h); 0 = not counted */
};
/** Envoy's defaults for the role. */
extern const struct weir_h1_options weir_h1_options_default[2]; /* by enum weir_codec_role */

/** How much of a request body the server swallows after its response is complete, to keep the connection. */
#define WEIR_H1_SWALLOW_MAX (64u << 10)

/** A codec for one connection. Borrows `out`, `conn_ops` and `options` for its life; free with ops->free. `loop` lends the pools and
 * the end-of-turn task. */
struct weir_codec *weir_h1_codec_new(enum weir_codec_role role, struct weir_loop *loop, struct weir_buf *out,
                                     const struct weir_codec_conn_ops *conn_ops, void *owner,
                                     const struct weir_h1_options *options);

/** Limits and options of HTTP/2, from Http2ProtocolOptions; Envoy's defaults in weir_h2_options_default. */
struct weir_h2_options {
    uint32_t hpack_table_size;          /* 4096 */
    uint32_t max_concurrent_streams;    /* 1024 */
    uint32_t initial_stream_window;     /* 16 MiB */
    uint32_t initial_connection_window; /* 24 MiB */
    uint32_t max_headers_bytes;         /* 60 KiB */
    uint32_t max_headers_count;         /* 100, cookie crumbs included */
    uint32_t send_buffer_bytes;         /* mark of what a stream has to send: 1 MiB */
    uint32_t max_outbound_frames;       /* 10000 */
    uint32_t max_outbound_control_frames; /* 1000 */
    uint32_t max_consecutive_empty_frames; /* 1 */
    uint32_t max_priority_frames_per_stream; /* 100 */
    uint32_t max_window_updates_per_data_frame; /* 10 */
    bool allow_connect;                 /* extended CONNECT (RFC 8441) */
    bool enable_trailers;               /* true */
    enum weir_underscores underscores;
    weir_stat stats; /* base of the rows of WEIR_H2_STATS (http/codec_stats.h); 0 = not counted */
};
/** Envoy's defaults. */
extern const struct weir_h2_options weir_h2_options_default;

/** A codec for one connection; as weir_h1_codec_new. The preface and settings are sent at the end of the turn. */
struct weir_codec *weir_h2_codec_new(enum weir_codec_role role, struct weir_loop *loop, struct weir_buf *out,
                                     const struct weir_codec_conn_ops *conn_ops, void *owner,
                                     const struct weir_h2_options *options);

enum weir_preface { WEIR_PREFACE_OTHER, WEIR_PREFACE_MORE, WEIR_PREFACE_H2 };
/** codec_type AUTO on a connection without ALPN: do the first bytes begin an HTTP/2 connection (RFC 9113 3.4)? */
enum weir_preface weir_h2_preface_check(const struct weir_buf *in);

#endif
