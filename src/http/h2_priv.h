/* What the files of the HTTP/2 codec share: h2_codec.c (life of streams and connection), h2_recv.c (frames to events), h2_send.c
 * (events to frames), h2_flood.c (what a peer may not do too often). */
#ifndef WEIR_HTTP_H2_PRIV_H
#define WEIR_HTTP_H2_PRIV_H

#include <nghttp2/nghttp2.h>

#include "http/codec.h"
#include "http/codec_stats.h"

/* Limits that have no option, with the attack each stops. */
#define H2_CONTINUATIONS_MAX 16u       // CONTINUATION flood (CVE-2024-30255): frames behind one HEADERS
#define H2_INFORMATIONAL_MAX 16u       // 1xx in front of one final response
#define H2_RESETS_MIN 500u             // rapid reset (CVE-2023-44487, CVE-2025-8671): streams before the share counts (Envoy's)
#define H2_CONTROL_BURST 200u          // SETTINGS and PING floods (CVE-2019-9512, -9515): frames at once …
#define H2_CONTROL_PER_SECOND 20u      // … and sustained
#define H2_WINDOW_UPDATES_FREE 5u      // WINDOW_UPDATE frames before the count against DATA begins (Envoy's)
#define H2_OUT_MAX (256u << 10)        // serialised output that may wait in the connection's buffer
#define H2_RX_PIECE_COPIED 256u        // smaller body pieces are copied: they would pin a block each

struct h2_stream {
    struct weir_codec_stream base;
    struct weir_list link;  /* among h2->streams */
    struct weir_list dirty; /* in h2->dirty: something to tell at the end of the turn */
    struct weir_headers *head; /* of the message received; the owner's (SERVER) or own_head */
    struct weir_headers own_head, trailers, tx_trailers;
    struct weir_buf rx; /* received, not yet delivered */
    struct weir_buf tx; /* to be sent */
    struct weir_watermark tx_mark;
    int32_t id; /* 0: CLIENT, nothing sent yet */
    uint32_t read_disabled;
    uint32_t n_fields;
    uint32_t n_informational;
    size_t field_bytes;
    size_t unconsumed; /* received bytes that the windows have not been given back */
    uint32_t error;    /* of nghttp2's close */
    const char *detail; /* why we reset it */
    bool head_told, rx_end, rx_end_told; /* END_STREAM came; the owner knows */
    bool in_trailers, has_trailers;
    bool tx_head, tx_end, tx_end_sent; /* head submitted; owner has sent all; END_STREAM is out */
    bool tx_has_trailers, deferred;
    bool above_told;
    bool rst_received;
    bool closed;   /* nghttp2 has closed it */
    bool detached; /* the owner hears no more of it */
    bool done_due; /* on_stream_done is due (reset by the owner) */
    bool reset_by_us;
};

/** One of the latest streams that the peer opened, to tell late frames from lies. */
struct h2_recent {
    int32_t id;
    bool finished; /* the peer has ended or reset it: he may send nothing more on it */
};
#define H2_RECENT 64u

/** A budget of events that refills with time. */
struct h2_bucket {
    uint32_t left;
    uint64_t at_ms;
};

struct weir_h2 {
    struct weir_codec base;
    const struct weir_h2_options *options;
    nghttp2_session *session;
    struct weir_task task;
    struct weir_slab slab;
    struct weir_list streams, dirty;
    struct weir_list graves; /* streams to free once no function of ours is at work on one */
    uint32_t busy;           /* depth of those functions */
    uint32_t n_active; /* streams whose owner still hears of them */
    const struct weir_seg *seg; /* the segment being received */
    uint8_t head[9];            /* of the frame being received, while it is incomplete */
    uint32_t head_len;
    uint32_t preface_left;      /* bytes of the client's preface to come */
    uint32_t payload_left;      /* bytes of the frame to come */
    const char *fatal;          /* to be told */

    /* Flood counts, over the life of the connection. */
    uint64_t n_streams, n_closed, n_premature, n_priority, n_window_updates, n_data_sent;
    uint32_t n_empty, n_continuations;
    struct h2_bucket control;
    struct h2_recent recent[H2_RECENT]; /* SERVER: a ring in the order of opening */
    uint32_t n_recent;                  /* ever entered */
    int32_t last_id;

    bool out_above;
    bool draining;    /* shutdown notice sent */
    bool goaway_told;
    bool terminated;  /* GOAWAY with an error is out */
    bool dead;        /* on_fatal was told, or the connection is gone */
    bool eof;
};

static inline struct weir_h2 *h2_of(struct weir_codec *codec)
{
    return WEIR_CONTAINER_OF(codec, struct weir_h2, base);
}
static inline struct weir_h2 *h2_of_stream(struct weir_codec_stream *cs)
{
    return h2_of(cs->codec);
}
static inline bool h2_is_server(const struct weir_h2 *h2)
{
    return h2->base.role == WEIR_CODEC_SERVER;
}
static inline void h2_count(const struct weir_h2 *h2, enum weir_h2_stat stat)
{
    if (h2->base.sw && h2->options->stats)
        weir_stat_inc(h2->base.sw, h2->options->stats + (weir_stat)stat);
}

/* h2_codec.c */
struct h2_stream *h2_stream_new(struct weir_h2 *h2, int32_t id);
/** The stream is over: tells its owner once and, when nghttp2 is through with it too, frees it. */
void h2_stream_lose(struct weir_h2 *h2, struct h2_stream *st, enum weir_reset reason, const char *detail);
/** Both directions are complete, or the owner has reset it: on_stream_done. */
void h2_stream_done(struct weir_h2 *h2, struct h2_stream *st);
/** Forgets it; the memory goes when the outermost call of ours returns. */
void h2_stream_free(struct weir_h2 *h2, struct h2_stream *st);
/** Resets it towards the peer, tells the owner. */
void h2_stream_refuse(struct weir_h2 *h2, struct h2_stream *st, uint32_t error, const char *detail);
/** Something to tell or to serialise at the end of the turn. */
void h2_stream_mark(struct weir_h2 *h2, struct h2_stream *st);
void h2_settle_later(struct weir_h2 *h2);
void h2_tell_goaway(struct weir_h2 *h2);

/* h2_recv.c */
void h2_recv_callbacks(nghttp2_session_callbacks *callbacks);
/** A frame begins: false if the connection is being given up for it. */
bool h2_judge_frame(struct weir_h2 *h2, const nghttp2_frame_hd *hd);
/** Gives the owner what was received, as far as he takes it now. */
void h2_deliver(struct weir_h2 *h2, struct h2_stream *st);

/* h2_send.c */
void h2_send_callbacks(nghttp2_session_callbacks *callbacks);
/** Serialises what may go out into codec->out. Not from inside nghttp2. */
void h2_pump(struct weir_h2 *h2);
void h2_send_headers(struct weir_codec_stream *cs, const struct weir_headers *h, bool end_stream);
void h2_send_informational(struct weir_codec_stream *cs, const struct weir_headers *h);
void h2_send_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream);
void h2_send_trailers(struct weir_codec_stream *cs, const struct weir_headers *trailers);

/* h2_flood.c */
/** A frame begins. False: too much of something; the connection is being given up. */
bool h2_flood_frame(struct weir_h2 *h2, const nghttp2_frame_hd *hd);
/** A stream ended; `premature`: reset before its response was complete, by the peer or because of him. */
void h2_flood_stream_closed(struct weir_h2 *h2, bool premature);
/** What waits to be sent is within its limits. */
bool h2_flood_outbound(struct weir_h2 *h2);
/** Gives the connection up with GOAWAY ENHANCE_YOUR_CALM. */
void h2_flood(struct weir_h2 *h2, enum weir_h2_stat stat, const char *detail);

#endif
