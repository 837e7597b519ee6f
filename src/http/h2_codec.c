/* The HTTP/2 codec, both roles: many streams on one connection, over nghttp2. This file holds the life of streams and of the
 * connection; h2_recv.c turns frames into events, h2_send.c events into frames, h2_flood.c watches for abuse.
 *
 * A stream has two ends: that of its owner (detached: on_stream_done, on_reset or his reset) and that of nghttp2 (closed). It is freed
 * when both have come. Events are told from inside recv, or from the end-of-turn task; the same task serialises. RFC 9113. */
#include <assert.h>

#include "base/mem.h"
#include "http/h2_priv.h"

const struct weir_h2_options weir_h2_options_default = {
    .hpack_table_size = 4096,
    .max_concurrent_streams = 1024,
    .initial_stream_window = 16u << 20,
    .initial_connection_window = 24u << 20,
    .max_headers_bytes = 60u << 10,
    .max_headers_count = 100,
    .send_buffer_bytes = 1u << 20,
    .max_outbound_frames = 10000,
    .max_outbound_control_frames = 1000,
    .max_consecutive_empty_frames = 1,
    .max_priority_frames_per_stream = 100,
    .max_window_updates_per_data_frame = 10,
    .enable_trailers = true,
};

const struct weir_stat_def weir_h2_stat_defs[WEIR_H2_STAT_COUNT] = {
#define X(id, name) {(name), WEIR_STAT_COUNTER},
    WEIR_H2_STATS(X)
#undef X
};

/* --- Streams. --- */

struct h2_stream *h2_stream_new(struct weir_h2 *h2, int32_t id)
{
    struct h2_stream *st = weir_slab_get(&h2->slab);
    st->base = (struct weir_codec_stream){.codec = &h2->base, .id = (uint64_t)id, .protocol = WEIR_HTTP_2};
    st->id = id;
    st->tx_mark.high = h2->options->send_buffer_bytes;
    weir_buf_init(&st->rx, &h2->base.loop->bufs);
    weir_buf_init(&st->tx, &h2->base.loop->bufs);
    weir_list_push_back(&h2->streams, &st->link);
    h2->n_active++;
    return st;
}

static void enter(struct weir_h2 *h2)
{
    h2->busy++;
}

static void leave(struct weir_h2 *h2)
{
    if (--h2->busy > 0) {
        return;
    }
    while (!weir_list_empty(&h2->graves)) {
        struct weir_list *first = weir_list_first(&h2->graves);
        struct h2_stream *st = WEIR_CONTAINER_OF(first, struct h2_stream, link);
        weir_list_unlink(first);
        weir_buf_clear(&st->rx);
        weir_buf_clear(&st->tx);
        weir_slab_put(&h2->slab, st);
    }
}

void h2_stream_free(struct weir_h2 *h2, struct h2_stream *st)
{
    enter(h2);
    weir_list_unlink(&st->dirty);
    weir_list_unlink(&st->link);
    weir_list_push_back(&h2->graves, &st->link);
    leave(h2);
}

static void detach(struct weir_h2 *h2, struct h2_stream *st)
{
    st->detached = true;
    st->head = NULL; /* the owner's arena ends with him */
    h2->n_active--;
    weir_buf_clear(&st->rx);
    if (!h2->dead && st->unconsumed > 0) {
        (void)nghttp2_session_consume_connection(h2->session, st->unconsumed);
        st->unconsumed = 0;
    }
}

/* Both ends have come, or nghttp2 never knew it. */
static void free_if_closed(struct weir_h2 *h2, struct h2_stream *st)
{
    if (st->closed || st->id == 0) {
        h2_stream_free(h2, st);
    }
}

void h2_stream_done(struct weir_h2 *h2, struct h2_stream *st)
{
    detach(h2, st);
    h2->base.conn_ops->on_stream_done(&h2->base, &st->base);
    free_if_closed(h2, st);
}

void h2_stream_lose(struct weir_h2 *h2, struct h2_stream *st, enum weir_reset reason, const char *detail)
{
    detach(h2, st);
    st->base.ops->on_reset(&st->base, reason, detail);
    free_if_closed(h2, st);
}

void h2_stream_refuse(struct weir_h2 *h2, struct h2_stream *st, uint32_t error, const char *detail)
{
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, st->id, error);
    st->detail = detail;
    h2_settle_later(h2);
    h2_stream_lose(h2, st, WEIR_RESET_PROTOCOL_ERROR, detail);
}

void h2_stream_mark(struct weir_h2 *h2, struct h2_stream *st)
{
    if (!weir_list_linked(&st->dirty)) {
        weir_list_push_back(&h2->dirty, &st->dirty);
    }
    h2_settle_later(h2);
}

/* --- The connection. --- */

void h2_settle_later(struct weir_h2 *h2)
{
    if (!h2->dead) {
        weir_loop_at_end(h2->base.loop, &h2->task);
    }
}

void h2_tell_goaway(struct weir_h2 *h2)
{
    if (!h2->goaway_told && !h2->dead) {
        h2->goaway_told = true;
        h2->base.conn_ops->on_goaway(&h2->base);
    }
}

static void lose_all(struct weir_h2 *h2, enum weir_reset reason, const char *detail)
{
    WEIR_LIST_EACH(&h2->streams, link) {
        struct h2_stream *st = WEIR_CONTAINER_OF(link, struct h2_stream, link);
        bool done_due = st->done_due;
        st->closed = true;
        st->done_due = false;
        if (done_due) {
            h2->base.conn_ops->on_stream_done(&h2->base, &st->base);
            h2_stream_free(h2, st);
        } else if (st->detached) {
            h2_stream_free(h2, st);
        } else if (h2_is_server(h2) ? st->tx_end_sent : st->rx_end_told && st->tx_end_sent) {
            h2_stream_done(h2, st);
        } else {
            h2_stream_lose(h2, st, reason, detail);
        }
    }
}

static void settle_stream(struct weir_h2 *h2, struct h2_stream *st)
{
    if (st->done_due) {
        st->done_due = false;
        h2->base.conn_ops->on_stream_done(&h2->base, &st->base);
        free_if_closed(h2, st);
        return;
    }
    if (st->detached) {
        return;
    }
    if (st->id == 0 && st->detail) { /* could not be opened */
        h2_stream_lose(h2, st, WEIR_RESET_LOCAL_REFUSED, st->detail);
        return;
    }
    bool above = st->tx_mark.above || h2->out_above;
    if (above != st->above_told) {
        st->above_told = above;
        st->base.ops->on_watermark(&st->base, above);
    }
    if (!st->detached) {
        h2_deliver(h2, st);
    }
}

static void settle_streams(struct weir_h2 *h2)
{
    while (!weir_list_empty(&h2->dirty)) {
        struct weir_list *first = weir_list_first(&h2->dirty);
        weir_list_unlink(first);
        settle_stream(h2, WEIR_CONTAINER_OF(first, struct h2_stream, dirty));
    }
}

static void tell_fatal(struct weir_h2 *h2, const char *detail)
{
    h2->dead = true;
    weir_task_cancel(&h2->task);
    lose_all(h2, WEIR_RESET_PROTOCOL_ERROR, detail);
    h2->base.conn_ops->on_fatal(&h2->base, detail);
}

/* Tells what is due, serialises, and looks whether the connection is over. */
static void settle(struct weir_h2 *h2)
{
    settle_streams(h2);
    h2_pump(h2);
    settle_streams(h2);
    if (h2->dead) { /* by an owner, from inside an event */
        return;
    }
    if (h2->fatal) {
        tell_fatal(h2, h2->fatal);
    } else if (h2->terminated) {
        h2_count(h2, WEIR_H2_STAT_PROTOCOL_ERROR);
        tell_fatal(h2, "http2.protocol_error");
    } else if (h2->n_active == 0 && !nghttp2_session_want_read(h2->session) &&
               !nghttp2_session_want_write(h2->session)) {
        h2_tell_goaway(h2);
    }
}

static void on_task(struct weir_task *task)
{
    struct weir_h2 *h2 = WEIR_CONTAINER_OF(task, struct weir_h2, task);
    if (!h2->dead) {
        enter(h2);
        settle(h2);
        leave(h2);
    }
}

/* --- Receiving. --- */

static void receive_failed(struct weir_h2 *h2, ssize_t error)
{
    if (h2->fatal) {
        return; /* a flood of ours: GOAWAY is queued */
    }
    if (error == NGHTTP2_ERR_FLOODED) {
        h2_flood(h2, WEIR_H2_STAT_OUTBOUND_CONTROL_FLOOD, "http2.outbound_control_flood");
        return;
    }
    h2_count(h2, WEIR_H2_STAT_PROTOCOL_ERROR);
    h2->fatal = error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "http2.bad_preface" : "http2.protocol_error";
    (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
}

/* The peer's FIN: what is incomplete stays so; what is complete may still be answered. */
static void on_eof(struct weir_h2 *h2)
{
    WEIR_LIST_EACH(&h2->streams, link) {
        struct h2_stream *st = WEIR_CONTAINER_OF(link, struct h2_stream, link);
        if (!st->detached && !st->rx_end) {
            (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL);
            h2_stream_lose(h2, st, WEIR_RESET_CONN_TERMINATION, "http2.eof");
        }
        if (h2->dead) {
            return;
        }
    }
    h2_tell_goaway(h2);
}

static bool feed(struct weir_h2 *h2, const void *bytes, size_t len)
{
    ssize_t n = nghttp2_session_mem_recv(h2->session, bytes, len);
    if (n < 0) {
        receive_failed(h2, n);
    }
    return !h2->fatal && !h2->dead;
}

static bool judge_head(struct weir_h2 *h2, const uint8_t *p)
{
    const nghttp2_frame_hd hd = {
        .length = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2],
        .type = p[3],
        .flags = p[4],
        .stream_id = (int32_t)(((uint32_t)p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]),
    };
    h2->payload_left = (uint32_t)hd.length;
    return h2_judge_frame(h2, &hd);
}

/* Takes the next piece off `*rest`: of the preface or a payload as it comes, a frame's head only when it is complete and judged (nghttp2
 * has seen all before it then, and says nothing about frames that it ignores). False when the connection is over. */
static bool receive_piece(struct weir_h2 *h2, struct weir_slice *rest)
{
    const uint8_t *bytes = (const uint8_t *)rest->ptr;
    uint32_t *left = h2->preface_left ? &h2->preface_left : &h2->payload_left;
    if (*left > 0) {
        size_t len = WEIR_MIN((size_t)*left, rest->len);
        *left -= (uint32_t)len;
        *rest = weir_slice_from(*rest, len);
        return feed(h2, bytes, len);
    }
    if (h2->head_len == 0 && rest->len >= sizeof(h2->head)) { /* the usual case: head and payload at once */
        if (!judge_head(h2, bytes)) {
            return false;
        }
        size_t payload = WEIR_MIN((size_t)h2->payload_left, rest->len - sizeof(h2->head));
        h2->payload_left -= (uint32_t)payload;
        *rest = weir_slice_from(*rest, sizeof(h2->head) + payload);
        return feed(h2, bytes, sizeof(h2->head) + payload);
    }
    size_t len = WEIR_MIN(sizeof(h2->head) - h2->head_len, rest->len);
    memcpy(h2->head + h2->head_len, bytes, len);
    h2->head_len += (uint32_t)len;
    *rest = weir_slice_from(*rest, len);
    if (h2->head_len < sizeof(h2->head)) {
        return true;
    }
    h2->head_len = 0;
    return judge_head(h2, h2->head) && feed(h2, h2->head, sizeof(h2->head));
}

/* One segment, out of the owner's buffer already: events may make him close the connection, which empties that. */
static void receive_segment(struct weir_h2 *h2, struct weir_buf *taken)
{
    struct weir_slice rest = weir_buf_front(taken);
    h2->seg = taken->head;
    while (rest.len > 0 && receive_piece(h2, &rest)) {
    }
    h2->seg = NULL;
    weir_buf_clear(taken);
}

static void recv_bytes(struct weir_codec *codec, struct weir_buf *in, bool eof)
{
    struct weir_h2 *h2 = h2_of(codec);
    struct weir_buf taken;
    weir_buf_init(&taken, in->pool);
    enter(h2);
    while (in->len > 0 && !h2->dead && !h2->fatal) {
        weir_buf_move_some(&taken, in, in->head->len);
        receive_segment(h2, &taken);
    }
    if (h2->dead || h2->fatal) {
        weir_buf_clear(in);
    }
    if (eof && !h2->eof && !h2->dead) {
        h2->eof = true;
        on_eof(h2);
    }
    if (!h2->dead) {
        weir_task_cancel(&h2->task);
        settle(h2);
    }
    leave(h2);
}

/* --- The rest of the interface. --- */

static_assert(offsetof(struct weir_h2, base) == 0, "h2_of_const casts");
static const struct weir_h2 *h2_of_const(const struct weir_codec *codec)
{
    return (const void *)codec;
}

static uint32_t active(const struct weir_codec *codec)
{
    return h2_of_const(codec)->n_active;
}

static uint32_t capacity(const struct weir_codec *codec)
{
    const struct weir_h2 *h2 = h2_of_const(codec);
    if (h2->base.role != WEIR_CODEC_CLIENT || h2->dead || h2->fatal || h2->goaway_told || h2->eof ||
        !nghttp2_session_check_request_allowed(h2->session)) {
        return 0;
    }
    uint32_t peer = nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t max = WEIR_MIN(peer, h2->options->max_concurrent_streams);
    return max > h2->n_active ? max - h2->n_active : 0;
}

static struct weir_codec_stream *open_stream(struct weir_codec *codec, const struct weir_codec_stream_ops *ops,
                                             void *owner, struct weir_arena *arena)
{
    struct weir_h2 *h2 = h2_of(codec);
    if (codec->ops->capacity(codec) == 0) {
        return NULL;
    }
    struct h2_stream *st = h2_stream_new(h2, 0);
    st->base.ops = ops;
    st->base.owner = owner;
    weir_headers_init(&st->own_head, arena);
    weir_headers_init(&st->trailers, arena);
    st->head = &st->own_head;
    return &st->base;
}

static uint32_t error_of(const struct weir_h2 *h2, enum weir_reset reason)
{
    switch (reason) {
    case WEIR_RESET_LOCAL_REFUSED:
    case WEIR_RESET_OVERFLOW:
    case WEIR_RESET_OVERLOAD:
        return NGHTTP2_REFUSED_STREAM;
    case WEIR_RESET_PROTOCOL_ERROR:
        return NGHTTP2_PROTOCOL_ERROR;
    case WEIR_RESET_CONNECT_ERROR:
        return NGHTTP2_CONNECT_ERROR;
    case WEIR_RESET_LOCAL_RESET:
    case WEIR_RESET_REMOTE_RESET:
    case WEIR_RESET_REMOTE_REFUSED:
    case WEIR_RESET_LOCAL_CONN_FAILURE:
    case WEIR_RESET_REMOTE_CONN_FAILURE:
    case WEIR_RESET_CONN_TIMEOUT:
    case WEIR_RESET_CONN_TERMINATION:
        break;
    }
    return h2_is_server(h2) ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL;
}

static void reset_stream(struct weir_codec_stream *cs, enum weir_reset reason)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    if (st->detached) {
        return;
    }
    st->reset_by_us = true;
    st->done_due = true;
    detach(h2, st);
    weir_buf_clear(&st->tx);
    if (st->id > 0 && !st->closed && !h2->dead) {
        (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, st->id, error_of(h2, reason));
    }
    h2_stream_mark(h2, st);
}

static void read_disable(struct weir_codec_stream *cs, bool disable)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    if (disable) {
        st->read_disabled++;
    } else if (st->read_disabled > 0 && --st->read_disabled == 0 && !st->detached) {
        h2_stream_mark(h2, st);
    }
}

static void conn_watermark(struct weir_codec *codec, bool above)
{
    struct weir_h2 *h2 = h2_of(codec);
    h2->out_above = above;
    if (h2->dead) {
        return;
    }
    WEIR_LIST_EACH(&h2->streams, link) {
        struct h2_stream *st = WEIR_CONTAINER_OF(link, struct h2_stream, link);
        if (!st->detached) {
            h2_stream_mark(h2, st);
        }
    }
    h2_settle_later(h2);
}

/* Two steps (RFC 9113 6.8): a notice, and when the peer has seen it, shown by the answer to a PING, the last stream that counts. */
static void drain(struct weir_codec *codec)
{
    struct weir_h2 *h2 = h2_of(codec);
    if (h2->draining || h2->dead) {
        return;
    }
    h2->draining = true;
    (void)nghttp2_submit_shutdown_notice(h2->session);
    (void)nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, (const uint8_t *)"draining");
    h2_settle_later(h2);
}

static void conn_gone(struct weir_codec *codec, enum weir_reset reason)
{
    struct weir_h2 *h2 = h2_of(codec);
    if (h2->dead) {
        return;
    }
    h2->dead = true;
    weir_task_cancel(&h2->task);
    enter(h2);
    lose_all(h2, reason, "connection_gone");
    leave(h2);
}

static void free_codec(struct weir_codec *codec)
{
    struct weir_h2 *h2 = h2_of(codec);
    weir_task_cancel(&h2->task);
    nghttp2_session_del(h2->session);
    WEIR_LIST_EACH(&h2->streams, link) {
        h2_stream_free(h2, WEIR_CONTAINER_OF(link, struct h2_stream, link));
    }
    weir_slab_fini(&h2->slab);
    weir_free(h2);
}

static const struct weir_codec_ops h2_ops = {
    .protocol = WEIR_HTTP_2,
    .recv = recv_bytes,
    .open = open_stream,
    .send_headers = h2_send_headers,
    .send_informational = h2_send_informational,
    .send_data = h2_send_data,
    .send_trailers = h2_send_trailers,
    .reset = reset_stream,
    .read_disable = read_disable,
    .conn_watermark = conn_watermark,
    .drain = drain,
    .active = active,
    .capacity = capacity,
    .conn_gone = conn_gone,
    .free = free_codec,
};

/* --- Making one. --- */

/* nghttp2 versions that count CONTINUATION frames count a new one with every call that gives them a part of it; we count better. */
#ifdef WEIR_NGHTTP2_COUNTS_CONTINUATIONS
static void leave_continuations_to_us(nghttp2_option *option)
{
    nghttp2_option_set_max_continuations(option, SIZE_MAX);
}
#else
static void leave_continuations_to_us(nghttp2_option *option)
{
    (void)option;
}
#endif

static nghttp2_session *session_new(struct weir_h2 *h2)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        WEIR_FATAL("out of memory");
    }
    h2_recv_callbacks(callbacks);
    h2_send_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, h2->options->max_outbound_control_frames);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, h2->options->hpack_table_size);
    leave_continuations_to_us(option);
    int error = h2_is_server(h2) ? nghttp2_session_server_new2(&session, callbacks, h2, option)
                                 : nghttp2_session_client_new2(&session, callbacks, h2, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (error != 0) {
        WEIR_FATAL("out of memory");
    }
    return session;
}

/* Envoy's settings in Envoy's order, then the connection's window. */
static void submit_settings(struct weir_h2 *h2)
{
    const struct weir_h2_options *o = h2->options;
    nghttp2_settings_entry entries[4] = {
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, o->hpack_table_size},
    };
    size_t n = 1;
    if (h2_is_server(h2)) {
        entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, o->allow_connect};
    } else {
        entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->max_concurrent_streams};
    entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->initial_stream_window};
    (void)nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, n);
    (void)nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                (int32_t)o->initial_connection_window);
}

struct weir_codec *weir_h2_codec_new(enum weir_codec_role role, struct weir_loop *loop, struct weir_buf *out,
                                     const struct weir_codec_conn_ops *conn_ops, void *owner,
                                     const struct weir_h2_options *options)
{
    struct weir_h2 *h2 = WEIR_NEW(struct weir_h2);
    h2->base = (struct weir_codec){
        .ops = &h2_ops, .conn_ops = conn_ops, .owner = owner, .loop = loop, .out = out, .role = role};
    h2->options = options;
    h2->preface_left = role == WEIR_CODEC_SERVER ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    h2->control = (struct h2_bucket){.left = H2_CONTROL_BURST, .at_ms = weir_loop_now_ms(loop)};
    weir_list_init(&h2->streams);
    weir_list_init(&h2->dirty);
    weir_list_init(&h2->graves);
    weir_slab_init(&h2->slab, sizeof(struct h2_stream), 4); /* an idle connection should cost little */
    weir_task_init(&h2->task, on_task);
    h2->session = session_new(h2);
    submit_settings(h2);
    h2_settle_later(h2);
    return &h2->base;
}
