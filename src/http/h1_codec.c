/* The HTTP/1 codec, both roles: one exchange at a time, from bytes to events and back. This file drives: it asks h1_line.c and
 * h1_fields.c to parse, tells the owner what came, and decides when an exchange, and with it perhaps the connection, is over.
 *
 *   SERVER: request bytes -> on_stream, on_headers, on_data …, on_trailers; send_* -> response bytes; both complete -> on_stream_done
 *   CLIENT: open, send_* -> request bytes; response bytes -> on_informational …, on_headers, on_data …; both complete -> on_stream_done
 *
 * States and their order are in h1_priv.h. RFC 9112; where it leaves a choice, Envoy's. */
#include <assert.h>

#include "base/mem.h"
#include "http/h1_priv.h"
#include "http/status.h"

const struct weir_h1_options weir_h1_options_default[2] = {
    [WEIR_CODEC_SERVER] = {.max_headers_bytes = 60u << 10, .max_headers_count = 100, .allow_absolute_url = true},
    [WEIR_CODEC_CLIENT] = {.max_headers_bytes = 80u << 10, .max_headers_count = 100, .allow_absolute_url = true},
};

const struct weir_stat_def weir_h1_stat_defs[WEIR_H1_STAT_COUNT] = {
#define X(id, name) {(name), WEIR_STAT_COUNTER},
    WEIR_H1_STATS(X)
#undef X
};

struct refusal_text {
    uint32_t status;
    const char *body, *detail;
    enum weir_h1_stat stat;
};
static const struct refusal_text refusal_texts[] = {
#define X(id, status, body, detail) [H1_REFUSED_##id] = {(status), (body), (detail), WEIR_H1_STAT_##id},
    H1_REFUSALS(X)
#undef X
};

/* --- The end of an exchange. --- */

static void tell_goaway(struct weir_h1 *h1)
{
    if (!h1->goaway_told) {
        h1->goaway_told = true;
        h1->base.conn_ops->on_goaway(&h1->base);
    }
}

/* The rest of the request is being swallowed behind a complete response. */
static bool swallowing(const struct weir_h1 *h1)
{
    return h1_is_server(h1) && h1->st.active && h1->tx == H1_TX_DONE && h1->rx != H1_RX_DONE;
}

static bool exchange_is_over(const struct weir_h1 *h1)
{
    const struct h1_stream *st = &h1->st;
    if (!st->active) {
        return false;
    }
    if (st->reset_by_owner || st->broken) {
        return st->reset_by_owner;
    }
    if (h1->tx != H1_TX_DONE) {
        return false;
    }
    bool rx_over = h1->rx == H1_RX_DONE || h1->rx == H1_RX_DEAD;
    return rx_over || (h1_is_server(h1) && !h1->keep_alive); /* then nobody waits for the rest of a request */
}

/* Ends the exchange if it is over; true if it was. */
static bool finish_exchange(struct weir_h1 *h1)
{
    if (!exchange_is_over(h1)) {
        return false;
    }
    struct h1_stream *st = &h1->st;
    bool was_reset = st->reset_by_owner;
    st->active = false; /* whatever the owner does inside the events below, he hears of the end once */
    h1->keep_alive = h1->keep_alive && !was_reset;
    if (!h1->keep_alive) {
        h1->rx = H1_RX_DEAD;
        tell_goaway(h1);
    } else {
        h1->rx = H1_RX_START;
        h1->n_blank = 0;
    }
    h1->base.conn_ops->on_stream_done(&h1->base, &st->base);
    if (was_reset && !h1->fatal) {
        h1->fatal = "http1.stream_reset";
    }
    return true;
}

static void tell_fatal(struct weir_h1 *h1)
{
    if (h1->fatal && !h1->st.active) {
        const char *detail = WEIR_TAKE(h1->fatal);
        h1->rx = H1_RX_DEAD;
        h1->goaway_told = true;
        h1->base.conn_ops->on_fatal(&h1->base, detail);
    }
}

/* The stream is lost: tells its owner. */
static void lose_stream(struct weir_h1 *h1, enum weir_reset reason, const char *detail)
{
    struct h1_stream *st = &h1->st;
    h1->rx = H1_RX_DEAD;
    h1->keep_alive = false;
    if (!st->active) {
        return;
    }
    bool done = h1->tx == H1_TX_DONE && h1_is_server(h1) && !st->broken;
    h1->tx = H1_TX_DONE;
    st->active = false;
    if (st->reset_by_owner || done) {
        h1->base.conn_ops->on_stream_done(&h1->base, &st->base);
    } else {
        st->base.ops->on_reset(&st->base, reason, detail);
    }
}

static void settle(struct weir_h1 *h1)
{
    if (h1->st.active && h1->st.broken && !h1->st.reset_by_owner) {
        lose_stream(h1, WEIR_RESET_LOCAL_RESET, h1->fatal);
    }
    if (finish_exchange(h1) && h1->keep_alive && h1->input_held && !h1->in_recv) {
        h1->base.conn_ops->on_resume(&h1->base);
    }
    if (!h1->st.active && !h1->keep_alive && !h1->fatal) {
        tell_goaway(h1);
    }
    tell_fatal(h1);
}

static void on_task(struct weir_task *task)
{
    settle(WEIR_CONTAINER_OF(task, struct weir_h1, task));
}

void h1_settle_later(struct weir_h1 *h1)
{
    if (!h1->in_recv) {
        weir_loop_at_end(h1->base.loop, &h1->task);
    }
}

void h1_break(struct weir_h1 *h1, const char *detail)
{
    h1->fatal = detail;
    h1->st.broken = true;
    h1->keep_alive = false;
    h1->tx = H1_TX_DONE;
    h1->rx = H1_RX_DEAD;
    h1_settle_later(h1);
}

/* --- Receiving. Each step takes something from `in` or reports that it cannot: then the rest waits. --- */

static void begin_message(struct weir_h1 *h1)
{
    h1_parser_begin(h1);
    h1->rx = H1_RX_LINE;
}

static void begin_request(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    uint64_t id = st->base.id + 1;
    *st = (struct h1_stream){.base = {.codec = &h1->base, .id = id, .protocol = WEIR_HTTP_11}, .active = true};
    h1->tx = H1_TX_HEAD;
    begin_message(h1);
    st->head = h1->base.conn_ops->on_stream(&h1->base, &st->base);
    weir_headers_init(&st->trailers, st->head->arena);
}

static void refuse(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    const struct refusal_text *text = &refusal_texts[h1->refusal];
    h1_count(h1, text->stat);
    weir_buf_clear(&h1->data);
    h1->rx = H1_RX_DEAD;
    h1->keep_alive = false;
    if (!h1_is_server(h1)) {
        h1->fatal = text->detail;
        lose_stream(h1, WEIR_RESET_PROTOCOL_ERROR, text->detail);
        return;
    }
    if (h1->tx != H1_TX_DONE) {
        st->base.ops->on_error(&st->base, text->status, text->body, text->detail);
    }
}

static void complete(struct weir_h1 *h1)
{
    h1->rx = H1_RX_DONE;
    if (!h1_is_server(h1) && h1->tx != H1_TX_DONE) { /* the response overtook its request */
        h1->keep_alive = false;
    }
}

static bool wants_events(const struct weir_h1 *h1)
{
    return h1->st.active && !h1->st.reset_by_owner && !h1->st.broken && !swallowing(h1);
}

/* Gives decoded body bytes to the owner, or drops them when nobody wants them. */
static void deliver_data(struct weir_h1 *h1, bool end_stream, bool wanted)
{
    if (wanted && (h1->data.len > 0 || end_stream)) {
        h1->st.base.ops->on_data(&h1->st.base, &h1->data, end_stream);
    }
    weir_buf_clear(&h1->data);
}

static void deliver_head(struct weir_h1 *h1, enum h1_rx next, bool end_stream)
{
    h1->rx = next;
    if (end_stream) {
        complete(h1);
    }
    h1->st.base.ops->on_headers(&h1->st.base, h1->st.head, end_stream);
}

static void request_head_complete(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    h1->refusal = h1_judge_request(h1);
    if (h1->refusal != H1_ACCEPTED) {
        if (h1->refusal == H1_REFUSED_VERSION) {
            st->base.protocol = WEIR_HTTP_11;
        }
        refuse(h1);
        return;
    }
    if (h1->options->allow_upgrade && (st->upgrade_asked || st->is_connect)) {
        deliver_head(h1, H1_RX_HELD, false);
    } else if (h1->chunked) {
        deliver_head(h1, H1_RX_CHUNKED, false);
    } else if (h1->content_length > 0) {
        h1->rx_left = h1->content_length;
        deliver_head(h1, H1_RX_LENGTH, false);
    } else {
        deliver_head(h1, H1_RX_DONE, true);
    }
}

/* 1xx: the final response follows. */
static void informational_complete(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    if (++st->n_informational > H1_INFORMATIONAL_MAX || st->status == 101) { /* 101 unasked */
        h1->refusal = H1_REFUSED_INFORMATIONAL;
        refuse(h1);
        return;
    }
    h1->rx = H1_RX_START;
    st->base.ops->on_informational(&st->base, st->head);
    weir_headers_clear(st->head);
    st->head->spellings = NULL;
}

static void response_head_complete(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    h1->refusal = h1_judge_response(h1);
    if (h1->refusal != H1_ACCEPTED) {
        refuse(h1);
        return;
    }
    bool tunnel = st->is_connect ? st->status / 100 == 2 : st->upgrade_asked && st->status == 101;
    if (tunnel) {
        h1->keep_alive = false;
        deliver_head(h1, H1_RX_TUNNEL, false);
    } else if (st->status < 200) {
        informational_complete(h1);
    } else if (st->is_head || weir_status_bodiless(st->status)) {
        deliver_head(h1, H1_RX_DONE, true);
    } else if (h1->chunked) {
        deliver_head(h1, H1_RX_CHUNKED, false);
    } else if (h1->has_length) {
        h1->rx_left = h1->content_length;
        deliver_head(h1, h1->rx_left ? H1_RX_LENGTH : H1_RX_DONE, h1->rx_left == 0);
    } else {
        h1->keep_alive = false;
        deliver_head(h1, H1_RX_UNTIL_EOF, false);
    }
}

static bool step_start(struct weir_h1 *h1, struct weir_buf *in)
{
    if (!h1_is_server(h1)) {
        if (!h1->st.active) {
            h1_count(h1, WEIR_H1_STAT_UNSOLICITED);
            h1->fatal = "http1.unsolicited_bytes";
            h1->keep_alive = false;
            h1->rx = H1_RX_DEAD;
            return true;
        }
        begin_message(h1);
        return true;
    }
    if (h1->out_above) {
        return false;
    }
    char c = in->head->ptr[0];
    if ((c == '\r' || c == '\n') && h1->n_blank < H1_LEADING_BLANK_MAX) {
        h1->n_blank++;
        weir_buf_drain(in, 1);
        return true;
    }
    begin_request(h1);
    return true;
}

static bool step_line(struct weir_h1 *h1, struct weir_buf *in)
{
    switch (h1_take_line(h1, in)) {
    case H1_LINE_MORE:
        return false;
    case H1_LINE_OK:
        h1->rx = H1_RX_FIELDS;
        return true;
    case H1_LINE_REFUSED:
        refuse(h1);
        return true;
    }
    return false;
}

static bool step_fields(struct weir_h1 *h1, struct weir_buf *in)
{
    if (!h1_parser_feed(h1, in)) {
        refuse(h1);
    } else if (h1->head_complete && h1_is_server(h1)) {
        request_head_complete(h1);
    } else if (h1->head_complete) {
        response_head_complete(h1);
    }
    return true;
}

/* Counts what is swallowed behind an early response; breaks the connection when it gets too much. */
static bool swallowed_too_much(struct weir_h1 *h1, size_t len)
{
    if (len <= h1->swallow_left) {
        h1->swallow_left -= len;
        return false;
    }
    h1_count(h1, WEIR_H1_STAT_NOT_SWALLOWED);
    h1->fatal = "http1.request_body_not_swallowed";
    lose_stream(h1, WEIR_RESET_LOCAL_RESET, h1->fatal);
    return true;
}

static bool step_length(struct weir_h1 *h1, struct weir_buf *in)
{
    bool wanted = wants_events(h1);
    size_t len = h1->rx_left < in->len ? (size_t)h1->rx_left : in->len;
    h1->rx_left -= len;
    if (wanted) {
        weir_buf_move_some(&h1->data, in, len);
    } else {
        weir_buf_drain(in, len);
        if (swallowed_too_much(h1, len)) {
            return true;
        }
    }
    bool end = h1->rx_left == 0;
    if (end) {
        complete(h1);
    }
    deliver_data(h1, end, wanted);
    return true;
}

static void chunked_complete(struct weir_h1 *h1, bool wanted)
{
    bool trailers = h1->st.trailers.n > 0;
    if (trailers) {
        deliver_data(h1, false, wanted);
        if (h1->rx == H1_RX_DEAD) { /* the owner had enough */
            return;
        }
    }
    complete(h1);
    if (!trailers) {
        deliver_data(h1, true, wanted);
    } else if (wants_events(h1)) {
        h1->st.base.ops->on_trailers(&h1->st.base, &h1->st.trailers);
    }
}

static bool step_chunked(struct weir_h1 *h1, struct weir_buf *in)
{
    bool wanted = wants_events(h1);
    size_t before = in->len;
    if (!h1_parser_feed(h1, in)) {
        deliver_data(h1, false, wanted);
        if (h1->rx != H1_RX_DEAD) {
            refuse(h1);
        }
        return true;
    }
    if (!wanted && swallowed_too_much(h1, before - in->len)) {
        return true;
    }
    if (h1->last_chunk) { /* trailers get a budget of their own */
        h1->last_chunk = false;
        h1->in_trailers = true;
        h1->n_fields = 0;
        h1->field_bytes = 0;
        h1->budget = h1->options->max_headers_bytes +
                     (size_t)H1_FIELD_OVERHEAD * h1->options->max_headers_count + H1_HEAD_SLACK;
        h1->rx = H1_RX_TRAILERS;
        return true; /* the body's last bytes are delivered with its end */
    }
    if (h1->message_complete) {
        chunked_complete(h1, wanted);
    } else {
        deliver_data(h1, false, wanted);
    }
    return true;
}

static bool step_until_eof(struct weir_h1 *h1, struct weir_buf *in)
{
    bool wanted = wants_events(h1);
    weir_buf_move(&h1->data, in);
    deliver_data(h1, false, wanted);
    return true;
}

/* False: nothing can be taken now. */
static bool step(struct weir_h1 *h1, struct weir_buf *in)
{
    if (h1->st.active && h1->st.read_disabled > 0 && !swallowing(h1) && h1->rx != H1_RX_DEAD &&
        h1->rx != H1_RX_DONE) {
        return false;
    }
    switch (h1->rx) {
    case H1_RX_START:
        return step_start(h1, in);
    case H1_RX_LINE:
        return step_line(h1, in);
    case H1_RX_FIELDS:
        return step_fields(h1, in);
    case H1_RX_LENGTH:
        return step_length(h1, in);
    case H1_RX_CHUNKED:
    case H1_RX_TRAILERS:
        return step_chunked(h1, in);
    case H1_RX_UNTIL_EOF:
    case H1_RX_TUNNEL:
        return step_until_eof(h1, in);
    case H1_RX_HELD:
        return false;
    case H1_RX_DONE:
        return finish_exchange(h1);
    case H1_RX_DEAD:
        weir_buf_clear(in);
        return false;
    }
    return false;
}

/* A response is complete and bytes follow it: the peer's idea of framing is another than ours. */
static void check_excess(struct weir_h1 *h1, const struct weir_buf *in)
{
    if (!h1_is_server(h1) && h1->rx == H1_RX_DONE && h1->st.active && in->len > 0) {
        h1_count(h1, WEIR_H1_STAT_UNSOLICITED);
        h1->keep_alive = false;
    }
}

/* The peer's FIN, with nothing left to take. */
static void on_eof(struct weir_h1 *h1)
{
    bool wanted = wants_events(h1);
    switch (h1->rx) {
    case H1_RX_START:
        h1->keep_alive = false;
        if (h1->st.active) { /* CLIENT: before any byte of the response */
            lose_stream(h1, WEIR_RESET_CONN_TERMINATION, "http1.eof_before_response");
        }
        tell_goaway(h1);
        break;
    case H1_RX_DONE:
        h1->keep_alive = false;
        break;
    case H1_RX_UNTIL_EOF:
    case H1_RX_TUNNEL:
        complete(h1);
        deliver_data(h1, true, wanted);
        break;
    case H1_RX_LINE:
    case H1_RX_FIELDS:
    case H1_RX_LENGTH:
    case H1_RX_CHUNKED:
    case H1_RX_TRAILERS:
        h1_count(h1, WEIR_H1_STAT_TRUNCATED);
        h1->fatal = "http1.truncated_message";
        lose_stream(h1, h1_is_server(h1) ? WEIR_RESET_CONN_TERMINATION : WEIR_RESET_PROTOCOL_ERROR, h1->fatal);
        break;
    case H1_RX_HELD: /* half-closed before the tunnel opened: it may still be answered */
    case H1_RX_DEAD:
        break;
    }
}

/* It is the owner's turn: `in` was not taken for his sake, so the peer's FIN waits behind it. */
static bool waits_for_owner(const struct weir_h1 *h1, const struct weir_buf *in)
{
    switch (h1->rx) {
    case H1_RX_DONE:
        return in->len > 0;
    case H1_RX_START:
        return in->len > 0 && h1->out_above;
    case H1_RX_HELD:
        return true;
    case H1_RX_DEAD:
        return false;
    case H1_RX_LINE:
    case H1_RX_FIELDS:
    case H1_RX_LENGTH:
    case H1_RX_CHUNKED:
    case H1_RX_TRAILERS:
    case H1_RX_UNTIL_EOF:
    case H1_RX_TUNNEL:
        return h1->st.active && h1->st.read_disabled > 0 && !swallowing(h1);
    }
    return false;
}

static void recv_bytes(struct weir_codec *codec, struct weir_buf *in, bool eof)
{
    struct weir_h1 *h1 = h1_of(codec);
    h1->in_recv = true;
    h1->in = in;
    h1->eof = h1->eof || eof;
    bool goes_on = true;
    while (goes_on && in->len > 0) {
        goes_on = step(h1, in);
        check_excess(h1, in);
    }
    if (h1->data.len > 0) { /* between the last chunk and the end of the trailers */
        deliver_data(h1, false, wants_events(h1));
    }
    h1->input_held = in->len > 0;
    if (h1->eof && !waits_for_owner(h1, in)) {
        on_eof(h1);
    }
    h1->in_recv = false;
    settle(h1);
}

/* --- The rest of the interface. --- */

static struct weir_codec_stream *open_stream(struct weir_codec *codec, const struct weir_codec_stream_ops *ops,
                                             void *owner, struct weir_arena *arena)
{
    struct weir_h1 *h1 = h1_of(codec);
    struct h1_stream *st = &h1->st;
    if (codec->ops->capacity(codec) == 0) {
        return NULL;
    }
    uint64_t id = st->base.id + 1;
    *st = (struct h1_stream){
        .base = {.ops = ops, .owner = owner, .codec = codec, .id = id, .protocol = WEIR_HTTP_11},
        .active = true,
    };
    weir_headers_init(&st->own_head, arena);
    weir_headers_init(&st->trailers, arena);
    st->head = &st->own_head;
    h1->tx = H1_TX_HEAD;
    h1->rx = H1_RX_START;
    return &st->base;
}

static void reset_stream(struct weir_codec_stream *cs, enum weir_reset reason)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    (void)reason; /* HTTP/1 has no way to say it */
    if (!h1->st.active) {
        return;
    }
    bool over = h1->tx == H1_TX_DONE && h1->rx == H1_RX_DONE;
    if (!over) {
        h1->st.reset_by_owner = true;
        h1->rx = H1_RX_DEAD;
        h1->tx = H1_TX_DONE;
    }
    h1_settle_later(h1);
}

static void read_disable(struct weir_codec_stream *cs, bool disable)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    if (disable) {
        h1->st.read_disabled++;
        return;
    }
    if (h1->st.read_disabled > 0 && --h1->st.read_disabled == 0 && (h1->input_held || h1->eof) && !h1->in_recv) {
        h1->base.conn_ops->on_resume(&h1->base);
    }
}

static void conn_watermark(struct weir_codec *codec, bool above)
{
    struct weir_h1 *h1 = h1_of(codec);
    h1->out_above = above;
    if (h1->st.active && h1->tx != H1_TX_DONE && !h1->st.reset_by_owner) {
        h1->st.base.ops->on_watermark(&h1->st.base, above);
    }
    if (!above && h1->rx == H1_RX_START && h1->input_held && !h1->in_recv) {
        codec->conn_ops->on_resume(codec);
    }
}

static void drain(struct weir_codec *codec)
{
    struct weir_h1 *h1 = h1_of(codec);
    h1->draining = true;
    if (!h1->st.active) {
        h1->keep_alive = false;
        h1->rx = H1_RX_DEAD;
        h1_settle_later(h1);
    } else if (h1->tx != H1_TX_HEAD) { /* too late to say so; this exchange is the last all the same */
        h1->keep_alive = false;
    }
}

static_assert(offsetof(struct weir_h1, base) == 0, "h1_of_const casts");
static const struct weir_h1 *h1_of_const(const struct weir_codec *codec)
{
    return (const void *)codec;
}

static uint32_t active(const struct weir_codec *codec)
{
    return h1_of_const(codec)->st.active ? 1 : 0;
}

static uint32_t capacity(const struct weir_codec *codec)
{
    const struct weir_h1 *h1 = h1_of_const(codec);
    return h1->base.role == WEIR_CODEC_CLIENT && !h1->st.active && h1->keep_alive && !h1->eof && !h1->draining &&
           h1->rx == H1_RX_START;
}

static void conn_gone(struct weir_codec *codec, enum weir_reset reason)
{
    struct weir_h1 *h1 = h1_of(codec);
    weir_task_cancel(&h1->task);
    h1->fatal = NULL;
    h1->goaway_told = true; /* no need to */
    if (!finish_exchange(h1)) {
        lose_stream(h1, reason, "connection_gone");
    }
    h1->rx = H1_RX_DEAD;
    h1->fatal = NULL;
}

static void free_codec(struct weir_codec *codec)
{
    struct weir_h1 *h1 = h1_of(codec);
    weir_task_cancel(&h1->task);
    weir_buf_clear(&h1->data);
    weir_free(h1);
}

static const struct weir_codec_ops h1_ops = {
    .protocol = WEIR_HTTP_11,
    .recv = recv_bytes,
    .open = open_stream,
    .send_headers = h1_send_headers,
    .send_informational = h1_send_informational,
    .send_data = h1_send_data,
    .send_trailers = h1_send_trailers,
    .reset = reset_stream,
    .read_disable = read_disable,
    .conn_watermark = conn_watermark,
    .drain = drain,
    .active = active,
    .capacity = capacity,
    .conn_gone = conn_gone,
    .free = free_codec,
};

struct weir_codec *weir_h1_codec_new(enum weir_codec_role role, struct weir_loop *loop, struct weir_buf *out,
                                     const struct weir_codec_conn_ops *conn_ops, void *owner,
                                     const struct weir_h1_options *options)
{
    struct weir_h1 *h1 = WEIR_NEW(struct weir_h1);
    h1->base = (struct weir_codec){
        .ops = &h1_ops, .conn_ops = conn_ops, .owner = owner, .loop = loop, .out = out, .role = role};
    h1->options = options;
    h1->keep_alive = true;
    weir_task_init(&h1->task, on_task);
    weir_buf_init(&h1->data, &loop->bufs);
    return &h1->base;
}
