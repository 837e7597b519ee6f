/* From frames to events. nghttp2 judges the frames and the rules of HTTP messages (field names, pseudo-headers, content-length against
 * DATA); here are the limits, the joining of cookie crumbs, and the delivery under back-pressure: a stream whose reading is disabled
 * keeps what has come and gives nothing back to its window. Events go up from inside nghttp2's callbacks; what owners send meanwhile
 * is only queued. RFC 9113. */
#include "http/chars.h"
#include "http/h2_priv.h"

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* --- Windows. --- */

static void consume(struct weir_h2 *h2, struct h2_stream *st)
{
    if (st->unconsumed > 0) {
        (void)nghttp2_session_consume(h2->session, st->id, st->unconsumed);
        st->unconsumed = 0;
    }
}

/* --- Delivery. --- */

static void tell_end(struct weir_h2 *h2, struct h2_stream *st)
{
    bool closed = st->closed; /* the owner may free neither, but end it */
    if (closed && !st->detached) {
        h2_stream_done(h2, st);
    }
}

void h2_deliver(struct weir_h2 *h2, struct h2_stream *st)
{
    if (st->detached || !st->head_told || st->read_disabled > 0 || st->rx_end_told) {
        return;
    }
    bool end = st->rx_end && !st->has_trailers;
    if (st->rx.len > 0 || end) {
        struct weir_buf data; /* not st->rx: the owner may reset the stream before it takes the bytes */
        weir_buf_init(&data, st->rx.pool);
        weir_buf_move(&data, &st->rx);
        st->rx_end_told = end;
        consume(h2, st);
        st->base.ops->on_data(&st->base, &data, end);
        weir_buf_clear(&data);
    }
    if (!st->detached && st->rx_end && !st->rx_end_told && st->read_disabled == 0) {
        st->rx_end_told = true;
        st->base.ops->on_trailers(&st->base, &st->trailers);
    }
    if (st->rx_end_told) {
        tell_end(h2, st);
    }
}

/* --- Heads. --- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *st = stream_of(session, id);
    if (h2->dead) { /* by an owner, while this packet is being read */
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    if (!st && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2->n_streams++;
        st = h2_stream_new(h2, id);
        (void)nghttp2_session_set_stream_user_data(session, id, st);
        st->head = h2->base.conn_ops->on_stream(&h2->base, &st->base);
        weir_headers_init(&st->trailers, st->head->arena);
    } else if (st && st->head_told) {
        st->in_trailers = true;
        st->n_fields = 0;
        st->field_bytes = 0;
    }
    return 0;
}

/* True when the field is dropped, or the stream refused, for an underscore in its name. */
static bool underscore_judged(struct weir_h2 *h2, struct h2_stream *st, struct weir_slice name)
{
    if (h2->options->underscores == WEIR_UNDERSCORES_ALLOW || weir_slice_find(name, '_') == name.len) {
        return false;
    }
    if (h2->options->underscores == WEIR_UNDERSCORES_REJECT) {
        h2_count(h2, WEIR_H2_STAT_REJECTED_UNDERSCORES);
        h2_stream_refuse(h2, st, NGHTTP2_PROTOCOL_ERROR, "http2.unexpected_underscore");
    } else {
        h2_count(h2, WEIR_H2_STAT_DROPPED_UNDERSCORES);
    }
    return true;
}

static void store_field(struct weir_headers *h, struct weir_slice name, struct weir_slice value)
{
    enum weir_header_id id = weir_header_id_of(name);
    struct weir_slice kept = id == WEIR_H_OTHER ? weir_arena_dup(h->arena, name) : name;
    weir_headers_add_name_borrow(h, kept, id, weir_arena_dup(h->arena, value));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_ptr, size_t name_len,
                     const uint8_t *value_ptr, size_t value_len, uint8_t flags, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = stream_of(session, frame->hd.stream_id);
    (void)flags;
    if (!st || st->detached || frame->hd.type != NGHTTP2_HEADERS) {
        return 0; /* refused: the rest is only decoded, for the sake of the compression state */
    }
    struct weir_slice name = weir_slice((const char *)name_ptr, name_len);
    struct weir_slice value = weir_slice_trim(weir_slice((const char *)value_ptr, value_len));
    st->field_bytes += name.len + value.len;
    if (++st->n_fields > h2->options->max_headers_count) {
        h2_count(h2, WEIR_H2_STAT_HEADER_OVERFLOW);
        h2_stream_refuse(h2, st, NGHTTP2_ENHANCE_YOUR_CALM, "http2.too_many_headers");
    } else if (st->field_bytes > h2->options->max_headers_bytes) {
        bool cookie = weir_slice_eq(name, WEIR_S("cookie"));
        h2_count(h2, cookie ? WEIR_H2_STAT_COOKIES_TOO_LARGE : WEIR_H2_STAT_HEADER_OVERFLOW);
        h2_stream_refuse(h2, st, NGHTTP2_ENHANCE_YOUR_CALM, "http2.headers_too_large");
    } else if (!weir_value_clean(value)) {
        h2_stream_refuse(h2, st, NGHTTP2_PROTOCOL_ERROR, "http2.invalid.header.field");
    } else if (!underscore_judged(h2, st, name) && (!st->in_trailers || h2->options->enable_trailers)) {
        store_field(st->in_trailers ? &st->trailers : st->head, name, value);
    }
    return 0;
}

/* nghttp2 would only skip an invalid field; the message is malformed (RFC 9113 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = stream_of(session, frame->hd.stream_id);
    (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
    if (st && !st->detached) {
        h2_count(h2, WEIR_H2_STAT_RX_MESSAGING_ERROR);
        h2_stream_refuse(h2, st, NGHTTP2_PROTOCOL_ERROR, "http2.invalid.header.field");
    }
    return 0;
}

/* One field of crumbs (RFC 9113 8.2.3). */
static void join_cookies(struct weir_headers *h)
{
    uint32_t n = 0;
    size_t len = 0;
    if (!weir_headers_has(h, WEIR_H_COOKIE)) {
        return;
    }
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->v[i].id == WEIR_H_COOKIE) {
            len += h->v[i].value.len + 2;
            n++;
        }
    }
    if (n < 2) {
        return;
    }
    char *joined = weir_arena_alloc(h->arena, len);
    size_t at = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        struct weir_slice value = h->v[i].value;
        if (h->v[i].id != WEIR_H_COOKIE) {
            continue;
        }
        if (at > 0) {
            joined[at++] = ';';
            joined[at++] = ' ';
        }
        if (value.len) {
            memcpy(joined + at, value.ptr, value.len);
        }
        at += value.len;
    }
    weir_headers_set_borrow(h, WEIR_H_COOKIE, weir_slice(joined, at));
}

/* :authority and host say the same or one is missing; false if not (RFC 9113 8.3.1). */
static bool unite_authority(struct weir_headers *h)
{
    const struct weir_header *host = weir_headers_find(h, WEIR_H_HOST);
    if (!host) {
        return true;
    }
    struct weir_slice value = host->value;
    const struct weir_header *authority = weir_headers_find(h, WEIR_H_AUTHORITY);
    if (authority && !weir_slice_eq_nocase(authority->value, value)) {
        return false;
    }
    if (weir_headers_remove(h, WEIR_H_HOST) > 1) {
        return false;
    }
    if (!authority) {
        weir_headers_add_borrow(h, WEIR_H_AUTHORITY, value);
    }
    return true;
}

static bool path_is_visible(const struct weir_headers *h)
{
    return weir_slice_all(weir_headers_path(h), WEIR_CHAR_TARGET);
}

static void request_complete(struct weir_h2 *h2, struct h2_stream *st, bool end)
{
    join_cookies(st->head);
    if (!unite_authority(st->head) || !path_is_visible(st->head)) {
        h2_count(h2, WEIR_H2_STAT_RX_MESSAGING_ERROR);
        h2_stream_refuse(h2, st, NGHTTP2_PROTOCOL_ERROR, "http2.invalid.header.field");
        return;
    }
    st->head_told = true;
    st->rx_end = st->rx_end_told = end;
    st->base.ops->on_headers(&st->base, st->head, end);
}

static void response_complete(struct weir_h2 *h2, struct h2_stream *st, bool end)
{
    uint32_t status = weir_headers_status(st->head);
    if (status >= 100 && status < 200 && !end) { /* 101 is no part of HTTP/2; nghttp2 refuses it */
        if (++st->n_informational > H2_INFORMATIONAL_MAX) {
            h2_stream_refuse(h2, st, NGHTTP2_ENHANCE_YOUR_CALM, "http2.too_many_informational");
            return;
        }
        st->base.ops->on_informational(&st->base, st->head);
        if (!st->detached) {
            weir_headers_clear(st->head);
            st->n_fields = 0;
            st->field_bytes = 0;
        }
        return;
    }
    st->head_told = true;
    st->rx_end = st->rx_end_told = end;
    st->base.ops->on_headers(&st->base, st->head, end);
}

static void headers_complete(struct weir_h2 *h2, struct h2_stream *st, bool end)
{
    if (st->in_trailers) {
        h2_count(h2, WEIR_H2_STAT_TRAILERS);
        st->rx_end = true;
        st->has_trailers = st->trailers.n > 0;
        h2_deliver(h2, st);
    } else if (h2_is_server(h2)) {
        request_complete(h2, st, end);
    } else {
        response_complete(h2, st, end);
    }
}

/* --- Frames. --- */

static struct h2_recent *recent_of(struct weir_h2 *h2, int32_t id)
{
    for (uint32_t i = 0; i < WEIR_MIN(h2->n_recent, H2_RECENT); i++) {
        if (h2->recent[i].id == id) {
            return &h2->recent[i];
        }
    }
    return NULL;
}

static void peer_finished(struct weir_h2 *h2, int32_t id)
{
    struct h2_recent *recent = recent_of(h2, id);
    if (recent) {
        recent->finished = true;
    }
}

/* nghttp2 ignores all frames on streams that it has forgotten. Those in flight when we reset the stream, rightly; those behind the
 * peer's own END_STREAM or RST_STREAM, and a HEADERS that opens an old identifier, are errors (RFC 9113 5.1, 5.1.1). */
static bool judge_stream(struct weir_h2 *h2, const nghttp2_frame_hd *hd)
{
    int32_t id = hd->stream_id;
    if (!h2_is_server(h2) || (hd->type != NGHTTP2_HEADERS && hd->type != NGHTTP2_DATA) || (id & 1) == 0) {
        return true;
    }
    if (id > h2->last_id) {
        if (hd->type == NGHTTP2_HEADERS) {
            h2->recent[h2->n_recent++ % H2_RECENT] = (struct h2_recent){.id = id};
            h2->last_id = id;
        }
        return true;
    }
    if (nghttp2_session_find_stream(h2->session, id)) {
        return true;
    }
    const struct h2_recent *recent = recent_of(h2, id);
    bool remembers_all = h2->n_recent <= H2_RECENT || id > h2->recent[h2->n_recent % H2_RECENT].id;
    uint32_t error = NGHTTP2_NO_ERROR;
    if (recent && recent->finished) {
        error = NGHTTP2_STREAM_CLOSED;
    } else if (!recent && remembers_all && hd->type == NGHTTP2_HEADERS) {
        error = NGHTTP2_PROTOCOL_ERROR;
    }
    if (error != NGHTTP2_NO_ERROR) {
        h2_count(h2, WEIR_H2_STAT_PROTOCOL_ERROR);
        h2->fatal = "http2.frame_on_closed_stream";
        (void)nghttp2_session_terminate_session(h2->session, error);
    }
    return error == NGHTTP2_NO_ERROR;
}

bool h2_judge_frame(struct weir_h2 *h2, const nghttp2_frame_hd *hd)
{
    return h2_flood_frame(h2, hd) && judge_stream(h2, hd);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = stream_of(session, id);
    (void)flags;
    if (!st || st->detached) { /* nobody wants it; the connection's window must not suffer */
        (void)nghttp2_session_consume(session, id, len);
        return 0;
    }
    struct weir_slice bytes = weir_slice((const char *)data, len);
    if (h2->seg && h2->seg->block && len > H2_RX_PIECE_COPIED) {
        weir_buf_add_block(&st->rx, h2->seg->block, bytes);
    } else {
        weir_buf_add(&st->rx, bytes);
    }
    st->unconsumed += len;
    h2_stream_mark(h2, st);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = stream_of(session, frame->hd.stream_id);
    if (h2->dead) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    bool has_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    bool end = has_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (h2_is_server(h2) && (end || frame->hd.type == NGHTTP2_RST_STREAM)) {
        peer_finished(h2, frame->hd.stream_id);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2_tell_goaway(h2);
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && h2->draining) {
        /* The peer has seen the notice: streams that it began before that are in. */
        (void)nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session),
                                    NGHTTP2_NO_ERROR, NULL, 0);
        h2_tell_goaway(h2);
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2_count(h2, WEIR_H2_STAT_RX_RESET);
        if (st) {
            st->rst_received = true;
        }
    } else if (frame->hd.type == NGHTTP2_HEADERS && st && !st->detached) {
        headers_complete(h2, st, end);
    } else if (frame->hd.type == NGHTTP2_DATA && st && !st->detached) {
        if (end) {
            st->rx_end = true;
        }
        h2_deliver(h2, st);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    (void)session, (void)frame, (void)error;
    h2_count(user, WEIR_H2_STAT_RX_MESSAGING_ERROR);
    return 0;
}

static enum weir_reset reason_of(const struct h2_stream *st)
{
    if (!st->rst_received && st->error == NGHTTP2_PROTOCOL_ERROR) { /* nghttp2's verdict about the peer */
        return WEIR_RESET_PROTOCOL_ERROR;
    }
    switch (st->error) {
    case NGHTTP2_REFUSED_STREAM:
        return WEIR_RESET_REMOTE_REFUSED;
    case NGHTTP2_CONNECT_ERROR:
        return WEIR_RESET_CONNECT_ERROR;
    default:
        return WEIR_RESET_REMOTE_RESET;
    }
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = stream_of(session, id);
    if (!st) {
        return 0;
    }
    bool complete = h2_is_server(h2) ? st->tx_end_sent : st->rx_end;
    h2_flood_stream_closed(h2, !complete && !st->reset_by_us);
    st->closed = true;
    st->error = error;
    if (error == NGHTTP2_REFUSED_STREAM) {
        h2_count(h2, WEIR_H2_STAT_STREAM_REFUSED);
    }
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    if (st->unconsumed > 0) {
        (void)nghttp2_session_consume_connection(session, st->unconsumed);
        st->unconsumed = 0;
    }
    if (st->detached) {
        if (!st->done_due) {
            h2_stream_free(h2, st);
        }
    } else if (!complete) {
        enum weir_reset reason = reason_of(st);
        h2_stream_lose(h2, st, reason,
                       reason == WEIR_RESET_PROTOCOL_ERROR ? "http2.violation.of.messaging.rule" : "http2.remote_reset");
    } else if (h2_is_server(h2) || st->rx_end_told) {
        h2_stream_done(h2, st);
    } /* else: complete, but held back: ends with its delivery */
    return 0;
}

void h2_recv_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
