/* What the files of the HTTP/1 codec share: h1_codec.c (life of an exchange, driver), h1_line.c (first lines), h1_fields.c (fields
 * and chunks over llhttp, heads judged), h1_encode.c (output). */
#ifndef WEIR_HTTP_H1_PRIV_H
#define WEIR_HTTP_H1_PRIV_H

#include <llhttp.h>

#include "http/codec.h"
#include "http/codec_stats.h"

/* Limits that have no option. */
#define H1_LEADING_BLANK_MAX 16u       // CR and LF in front of a request line (RFC 9112 2.2 asks for one line)
#define H1_FIELD_OVERHEAD 4u           // raw bytes a field line has besides name and value
#define H1_HEAD_SLACK 256u             // raw bytes of a first line besides the target, white space, the blank line
#define H1_CHUNK_EXTENSIONS_MAX 16384u // bytes of chunk extensions in one message: they cost us and carry nothing
#define H1_INFORMATIONAL_MAX 16u       // 1xx in front of one final response
#define H1_METHOD_MAX 32u              // bytes of a method

/* Why a message is refused: id, status, body, detail. The row of WEIR_H1_STATS has the same id. */
#define H1_REFUSALS(X)                                                                                      \
    X(CODEC_ERROR, 400, "Bad Request", "http1.codec_error")                                                 \
    X(METHOD, 400, "Bad Request", "http1.codec_error")                                                      \
    X(TARGET, 400, "Bad Request", "http1.codec_error")                                                      \
    X(VERSION, 426, "Upgrade Required", "low_version")                                                      \
    X(FIELD, 400, "Bad Request", "http1.codec_error")                                                       \
    X(HOST, 400, "Bad Request", "http1.duplicate_host")                                                     \
    X(LENGTH, 400, "Bad Request", "http1.codec_error")                                                      \
    X(LENGTH_AND_CHUNKED, 400, "Bad Request", "http1.content_length_and_chunked_not_allowed")               \
    X(TRANSFER_ENCODING, 501, "Not Implemented", "http1.invalid_transfer_encoding")                         \
    X(TOO_MANY_HEADERS, 431, "Request Header Fields Too Large", "http1.too_many_headers")                   \
    X(HEADERS_TOO_LARGE, 431, "Request Header Fields Too Large", "http1.headers_too_large")                 \
    X(REJECTED_UNDERSCORES, 400, "Bad Request", "http1.unexpected_underscore")                              \
    X(CHUNK, 400, "Bad Request", "http1.codec_error")                                                       \
    X(INFORMATIONAL, 502, "Bad Gateway", "http1.unexpected_informational")                                  \
    X(BODY_NOT_ALLOWED, 502, "Bad Gateway", "http1.body_disallowed")
enum h1_refusal {
    H1_ACCEPTED,
#define X(id, status, body, detail) H1_REFUSED_##id,
    H1_REFUSALS(X)
#undef X
};

/* What is expected from the peer next.
 *
 *   START -> LINE -> FIELDS -> LENGTH | CHUNKED -> TRAILERS | UNTIL_EOF | HELD -> TUNNEL -> DONE -> START
 *   any -> DEAD (refused, reset, closing) */
enum h1_rx {
    H1_RX_START,     // nothing of the next message has come
    H1_RX_LINE,      // the first line
    H1_RX_FIELDS,    // header fields
    H1_RX_LENGTH,    // a body of known length
    H1_RX_CHUNKED,   // a chunked body
    H1_RX_TRAILERS,  // behind its last chunk
    H1_RX_UNTIL_EOF, // a body that ends with the connection
    H1_RX_HELD,      // upgrade or CONNECT asked for: bytes wait for the answer
    H1_RX_TUNNEL,    // raw bytes
    H1_RX_DONE,      // complete; what follows waits for the end of the exchange
    H1_RX_DEAD,      // nothing more is taken; input is dropped
};
enum h1_tx {
    H1_TX_HEAD,    // the head has not been sent
    H1_TX_LENGTH,  // tx_left bytes to come
    H1_TX_CHUNKED, // chunks
    H1_TX_RAW,     // up to the end of the connection, or a tunnel
    H1_TX_NO_BODY, // content is not allowed and dropped
    H1_TX_DONE,
};

/* A name or value that may arrive in pieces: borrowed from the input while it is one piece, then gathered in the arena. */
struct h1_piece {
    const char *ptr;
    size_t len;
    char *own; /* NULL while borrowed */
    size_t cap;
};

struct h1_stream {
    struct weir_codec_stream base;
    struct weir_headers *head; /* of the message received */
    struct weir_headers own_head, trailers;
    struct weir_slice method, target; /* SERVER: of the request line, in the arena */
    uint32_t status;                  /* CLIENT */
    uint32_t read_disabled;
    uint32_t n_informational;
    bool active;
    bool reset_by_owner;
    bool broken; /* by what the owner sent */
    bool is_head, is_connect;
    bool upgrade_asked;    /* SERVER: by the peer; CLIENT: by us */
    bool expects_continue; /* and 100 has not been sent */
    bool refused;
};

struct weir_h1 {
    struct weir_codec base;
    const struct weir_h1_options *options;
    llhttp_t parser; /* fields, chunks and trailers of the current message */
    struct weir_task task;
    struct weir_buf data; /* decoded body on its way up */
    struct h1_stream st;  /* the one exchange */
    enum h1_rx rx;
    enum h1_tx tx;
    uint64_t rx_left, tx_left;
    size_t swallow_left; /* what may still be swallowed behind an early response */

    /* The head being received. */
    size_t budget;            /* raw bytes that the head, or the trailers, may still have */
    size_t scanned;           /* bytes of `in` known to hold no LF */
    uint32_t n_blank;
    uint32_t n_fields;
    size_t field_bytes;
    size_t extension_bytes;
    struct h1_piece name, value;
    uint64_t taken;           /* bytes parsed before the current call, to compare positions over segments */
    uint64_t value_end;       /* position behind the last piece of the value: tells a fold from a mere split */
    bool fold_begins;         /* white space that comes belongs to it */
    enum h1_refusal refusal;  /* set inside a parser callback */
    struct weir_buf *in;      /* of the running recv */
    struct weir_seg *seg;     /* the segment being parsed … */
    const char *seg_ptr;      /* … and where in it parsing began */
    uint64_t content_length;
    uint8_t version_minor;    /* 0 or 1; other versions are flagged */
    bool bad_version;
    bool has_length, chunked, has_host;
    bool conn_close, conn_keep_alive, conn_upgrade;
    bool in_trailers, head_complete, message_complete, last_chunk;

    /* The connection. */
    bool in_recv;
    bool eof;          /* the peer sends no more */
    bool keep_alive;   /* another exchange may follow */
    bool draining;
    bool goaway_told;
    bool out_above;
    bool input_held;   /* recv left bytes behind */
    const char *fatal; /* to be told */
};

static inline struct weir_h1 *h1_of(struct weir_codec *codec)
{
    return WEIR_CONTAINER_OF(codec, struct weir_h1, base);
}
static inline struct weir_h1 *h1_of_stream(struct weir_codec_stream *cs)
{
    return h1_of(cs->codec);
}
static inline bool h1_is_server(const struct weir_h1 *h1)
{
    return h1->base.role == WEIR_CODEC_SERVER;
}
static inline void h1_count(const struct weir_h1 *h1, enum weir_h1_stat stat)
{
    if (h1->base.sw && h1->options->stats)
        weir_stat_inc(h1->base.sw, h1->options->stats + (weir_stat)stat);
}

/* h1_codec.c */
/** Reports, now or at the end of the turn, what calls down have brought about. */
void h1_settle_later(struct weir_h1 *h1);
/** Ends the exchange and the connection because of us. */
void h1_break(struct weir_h1 *h1, const char *detail);

/* h1_line.c */
enum h1_line { H1_LINE_MORE, H1_LINE_OK, H1_LINE_REFUSED };
/** Takes the first line out of `in` once it is complete. Refusals are in h1->refusal. */
enum h1_line h1_take_line(struct weir_h1 *h1, struct weir_buf *in);

/* h1_fields.c */
/** A new message: forgets the last one. */
void h1_parser_begin(struct weir_h1 *h1);
/** Feeds the first segment of `in` and drains what was taken. False when refused (h1->refusal). */
bool h1_parser_feed(struct weir_h1 *h1, struct weir_buf *in);
/** The head is complete: judges it and fills in pseudo-headers. */
enum h1_refusal h1_judge_request(struct weir_h1 *h1);
enum h1_refusal h1_judge_response(struct weir_h1 *h1);

/* h1_encode.c: the sending half of weir_codec_ops. */
void h1_send_headers(struct weir_codec_stream *cs, const struct weir_headers *h, bool end_stream);
void h1_send_informational(struct weir_codec_stream *cs, const struct weir_headers *h);
void h1_send_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream);
void h1_send_trailers(struct weir_codec_stream *cs, const struct weir_headers *trailers);

#endif
