/* The filter chain of one stream, as stream.c and local_reply.c see it. */
#ifndef WEIR_PROXY_CHAIN_H
#define WEIR_PROXY_CHAIN_H

#include "proxy/stream.h"

static inline struct weir_chain_dir *weir_chain_dir(struct weir_stream *s, enum weir_direction d)
{
    return d == WEIR_REQUEST ? &s->request : &s->response;
}

/** Makes the filters of the stream's configuration, once. */
void weir_chain_make(struct weir_stream *s);

/* Every call into the chain stands between these two: what must wait until no callback runs is done by the outermost leave. */
static inline void weir_chain_enter(struct weir_stream *s)
{
    s->depth++;
}
void weir_chain_leave_last(struct weir_stream *s);
static inline void weir_chain_leave(struct weir_stream *s)
{
    if (s->depth == 1 && WEIR_UNLIKELY(s->pending != 0)) weir_chain_leave_last(s);
    s->depth--;
}

/* A message's parts through the filters from position `from` (0 = the first of that direction). */
void weir_chain_headers(struct weir_stream *s, enum weir_direction d, uint32_t from, struct weir_headers *h, bool end_stream);
void weir_chain_data(struct weir_stream *s, enum weir_direction d, uint32_t from, struct weir_buf *data, bool end_stream);
void weir_chain_trailers(struct weir_stream *s, enum weir_direction d, uint32_t from);

/** Gives up what filters hold back. */
void weir_chain_drop(struct weir_stream *s);
/** Adds (on) or takes away one reason for back-pressure of direction `d`. */
void weir_chain_backpressure(struct weir_stream *s, enum weir_direction d, bool on);

/** The waiting local reply: replaces or starts the response, or resets the stream. local_reply.c. */
void weir_local_reply_send(struct weir_stream *s, const struct weir_local_reply *reply);

/** Resets now. stream.c. */
void weir_stream_reset_now(struct weir_stream *s);
/** Ends now. stream.c. */
void weir_stream_end_now(struct weir_stream *s);

#endif
