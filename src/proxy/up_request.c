/* One attempt:
 *
 *   start --connection there--> sending/receiving --both directions complete--> done
 *     \--waiting--/      \------------------\--on_reset, no connection--> failed
 *
 * The codec forgets a stream when both directions are complete or it was lost; `cs` is NULL from then on. */
#include "proxy/up_request.h"

static const struct weir_codec_stream_ops stream_ops;

static struct weir_up_request *of_stream(struct weir_codec_stream *cs)
{
    return cs->owner;
}

/* Forgets the codec's stream once the exchange is complete. */
static void forget_if_done(struct weir_up_request *up)
{
    if (up->request_done && up->response_done)
        up->cs = NULL;
}

/* ---- request ---- */

static void send_held(struct weir_up_request *up)
{
    const struct weir_codec_ops *ops = up->cs->codec->ops;
    bool end_with_data = up->end_seen && !up->trailers;
    up->request_done = up->end_seen;
    if (up->held.len > 0)
        ops->send_data(up->cs, &up->held, end_with_data);
    else if (end_with_data)
        ops->send_data(up->cs, &up->held, true);
    if (up->trailers)
        ops->send_trailers(up->cs, up->trailers);
}

static bool open_stream(struct weir_up_request *up, struct weir_up_conn *conn)
{
    up->reused = conn->n_requests > 0;
    up->cs = weir_up_conn_open(conn, &stream_ops, up, up->arena);
    if (!up->cs)
        return false;
    up->conn = conn;
    up->written_before = conn->conn.bytes_written;
    for (uint32_t i = 0; i < up->pauses; i++)
        weir_up_conn_read_disable(conn, up->cs, true);
    up->ops->on_connection(up);
    bool end_with_headers = up->end_seen && up->held.len == 0 && !up->trailers && !up->body_given;
    up->headers_sent = true;
    up->request_done = end_with_headers;
    up->cs->codec->ops->send_headers(up->cs, up->headers, end_with_headers);
    if (!end_with_headers && (up->held.len > 0 || up->end_seen))
        send_held(up);
    return true;
}

static void on_pool_ready(struct weir_pool_request *pr, struct weir_up_conn *conn)
{
    struct weir_up_request *up = WEIR_CONTAINER_OF(pr, struct weir_up_request, pool_request);
    if (open_stream(up, conn))
        return;
    up->response_done = true;
    up->ops->on_failed(up, WEIR_RESET_REMOTE_REFUSED, "");
}

static void on_pool_failure(struct weir_pool_request *pr, enum weir_reset reason, const char *detail,
                            struct weir_host *host)
{
    (void)host;
    struct weir_up_request *up = WEIR_CONTAINER_OF(pr, struct weir_up_request, pool_request);
    up->response_done = true;
    up->ops->on_failed(up, reason, detail);
}

static const struct weir_pool_request_ops pool_ops = {.on_ready = on_pool_ready,
                                                      .on_failure = on_pool_failure};

enum weir_pool_verdict weir_up_request_start(struct weir_up_request *up, struct weir_cluster_worker *cw,
                                             struct weir_host *host, enum weir_priority priority,
                                             struct weir_loop *loop, struct weir_arena *arena,
                                             struct weir_headers *headers, bool end_stream)
{
    up->cw = cw;
    up->arena = arena;
    up->headers = headers;
    up->end_seen = end_stream;
    weir_buf_init(&up->held, &loop->bufs);
    up->pool_request.ops = &pool_ops;
    struct weir_up_conn *conn;
    enum weir_pool_verdict verdict = weir_pool_get(cw, host, priority, &up->pool_request, &conn);
    if (verdict != WEIR_POOL_READY || open_stream(up, conn))
        return verdict;
    up->response_done = true;
    return WEIR_POOL_OVERFLOW;
}

void weir_up_request_data(struct weir_up_request *up, struct weir_buf *data, bool end_stream)
{
    up->end_seen |= end_stream;
    up->body_given |= data->len > 0;
    if (!up->headers_sent) {
        weir_buf_move(&up->held, data);
        return;
    }
    if (!up->cs) { /* lost: nobody takes it any more */
        weir_buf_clear(data);
        return;
    }
    up->request_done = end_stream;
    struct weir_codec_stream *cs = up->cs;
    forget_if_done(up);
    cs->codec->ops->send_data(cs, data, end_stream);
}

void weir_up_request_trailers(struct weir_up_request *up, const struct weir_headers *trailers)
{
    up->end_seen = true;
    up->trailers = trailers;
    if (!up->headers_sent || !up->cs)
        return;
    up->request_done = true;
    struct weir_codec_stream *cs = up->cs;
    forget_if_done(up);
    cs->codec->ops->send_trailers(cs, trailers);
}

void weir_up_request_pause(struct weir_up_request *up, bool pause)
{
    if (!pause && up->pauses == 0)
        return;
    up->pauses = pause ? up->pauses + 1 : up->pauses - 1;
    if (up->cs && !up->response_done)
        weir_up_conn_read_disable(up->conn, up->cs, pause);
}

void weir_up_request_stop(struct weir_up_request *up)
{
    struct weir_codec_stream *cs = WEIR_TAKE(up->cs);
    if (!up->pool_request.pool)
        return;
    up->response_done = true;
    up->conn = NULL;
    if (cs)
        cs->codec->ops->reset(cs, WEIR_RESET_LOCAL_RESET);
    weir_buf_clear(&up->held);
    weir_pool_cancel(&up->pool_request);
}

void weir_up_request_end(struct weir_up_request *up)
{
    weir_up_request_stop(up);
    weir_pool_request_done(&up->pool_request);
}

/* ---- response ---- */

static void stream_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    struct weir_up_request *up = of_stream(cs);
    /* The map itself is the codec's, for the next exchange too; what it holds is in our arena. */
    struct weir_headers *mine = weir_arena_alloc(up->arena, sizeof(*mine));
    *mine = *h;
    up->response_begun = true;
    up->response_done = end_stream;
    forget_if_done(up);
    up->ops->on_headers(up, mine, end_stream);
}

static void stream_informational(struct weir_codec_stream *cs, struct weir_headers *h)
{
    struct weir_up_request *up = of_stream(cs);
    up->ops->on_informational(up, h);
}

static void stream_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    struct weir_up_request *up = of_stream(cs);
    up->response_done = end_stream;
    forget_if_done(up);
    up->ops->on_data(up, data, end_stream);
}

static void stream_trailers(struct weir_codec_stream *cs, struct weir_headers *trailers)
{
    struct weir_up_request *up = of_stream(cs);
    struct weir_headers *mine = weir_arena_alloc(up->arena, sizeof(*mine));
    *mine = *trailers;
    up->response_done = true;
    forget_if_done(up);
    up->ops->on_trailers(up, mine);
}

static void stream_reset(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail)
{
    struct weir_up_request *up = of_stream(cs);
    (void)detail; /* the codec's own words: the pool logs them */
    bool was_done = up->response_done;
    struct weir_up_conn *conn = WEIR_TAKE(up->conn);
    up->cs = NULL;
    up->response_done = true;
    up->unsent = conn->conn.bytes_written == up->written_before;
    weir_up_conn_lost(conn, reason);
    if (!was_done)
        up->ops->on_failed(up, reason, "");
}

static void stream_watermark(struct weir_codec_stream *cs, bool above)
{
    struct weir_up_request *up = of_stream(cs);
    up->ops->on_watermark(up, above);
}

static const struct weir_codec_stream_ops stream_ops = {
    .on_headers = stream_headers,
    .on_informational = stream_informational,
    .on_data = stream_data,
    .on_trailers = stream_trailers,
    .on_reset = stream_reset,
    .on_watermark = stream_watermark,
};
