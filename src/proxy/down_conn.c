/* The HTTP connection manager as a network filter: between a connection's bytes, its codec and the streams on it. It owns the
 * connection's end (idle, duration, drain, requests' count, the codec's wish) and watches the streams' deadlines.
 *
 *   bytes -> codec -> on_stream, on_headers, on_data … -> weir_stream_*   (request)
 *   weir_stream -> source ops -> codec -> connection's output             (response)
 *
 * One timer serves the connection and all its streams: it is armed for the earliest deadline and looks, when it fires, at what
 * has really become of it. A request moves deadlines back, so in the steady state it costs no timer operation. */
#include "base/log.h"
#include "http/headers_hop.h"
#include "proxy/hcm.h"
#include "proxy/hcm_headers.h"
#include "proxy/listener.h"
#include "proxy/stream.h"

/* How long an idle connection of a listener that goes away stays: a request that is on its way still gets its answer. */
#define DRAIN_GRACE_MS 250

struct hcm_conn {
    struct weir_net_filter *filter;
    struct weir_down *down;
    struct weir_worker *worker;
    const struct weir_hcm *hcm;
    struct weir_codec *codec;       /* NULL until the first bytes */
    struct weir_buf own_out;        /* output, if filters stand between us and the connection */
    struct weir_list streams;       /* those that have not ended */
    uint32_t n_streams;
    uint32_t n_requests;
    struct weir_timer timer;
    uint64_t timer_at_ms;
    uint64_t idle_since_ms;
    uint64_t max_deadline_ms;       /* max_connection_duration; 0 = none */
    uint64_t drain_deadline_ms;     /* idle from then on means closed; 0 = not draining */
    uint64_t rx_counted, tx_counted;
    bool closing;                   /* no further request: closed when the last stream is done */
    bool close_sent;                /* weir_conn_close was called */
    bool peer_left;                 /* the peer's FIN */
    bool gone;                      /* the connection has closed */
};

static struct hcm_conn *conn_of_codec(struct weir_codec *codec)
{
    return codec->owner;
}

static void count(struct hcm_conn *hc, enum weir_hcm_stat stat)
{
    weir_hcm_count(hc->hcm, hc->worker, stat);
}

/* ---- the end of the connection ---- */

static void close_conn(struct hcm_conn *hc)
{
    if (hc->close_sent || hc->gone) return;
    hc->close_sent = true;
    bool linger = hc->hcm->delayed_close_ms > 0 && hc->n_requests > 0 && !hc->down->conn.eof_seen;
    weir_conn_close(&hc->down->conn, linger ? WEIR_CONN_CLOSE_FLUSH_DELAY : WEIR_CONN_CLOSE_FLUSH);
}

static void close_if_done(struct hcm_conn *hc)
{
    if (hc->closing && (!hc->codec || hc->codec->ops->active(hc->codec) == 0)) close_conn(hc);
}

/* ---- the timer ---- */

static void arm(struct hcm_conn *hc, uint64_t at_ms)
{
    uint64_t now = weir_loop_now_ms(hc->worker->loop);
    if (hc->gone || at_ms == UINT64_MAX || (weir_timer_armed(&hc->timer) && hc->timer_at_ms <= at_ms)) return;
    hc->timer_at_ms = at_ms;
    weir_timer_set(hc->worker->loop, &hc->timer, at_ms > now ? at_ms - now : 0);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

static uint64_t next_deadline(const struct hcm_conn *hc)
{
    uint64_t next = UINT64_MAX;
    if (hc->n_streams == 0 && hc->hcm->idle_timeout_ms) next = hc->idle_since_ms + hc->hcm->idle_timeout_ms;
    if (hc->n_streams == 0) next = earliest(next, hc->drain_deadline_ms);
    if (!hc->drain_deadline_ms) next = earliest(next, hc->max_deadline_ms);
    WEIR_LIST_EACH(&hc->streams, it)
        next = earliest(next, weir_stream_next_deadline(WEIR_CONTAINER_OF(it, struct weir_stream, link)));
    return next;
}

/* The next response is the last; without one the connection ends after `grace_ms`. */
static void begin_drain(struct hcm_conn *hc, uint64_t grace_ms)
{
    if (hc->drain_deadline_ms) return;
    count(hc, WEIR_HCM_STAT_downstream_cx_drain_close);
    hc->drain_deadline_ms = weir_loop_now_ms(hc->worker->loop) + WEIR_MAX(grace_ms, UINT64_C(1));
    arm(hc, hc->drain_deadline_ms);
}

/* What the connection itself is due for. */
static void check_connection(struct hcm_conn *hc, uint64_t now)
{
    if (hc->max_deadline_ms && now >= hc->max_deadline_ms && !hc->drain_deadline_ms) {
        count(hc, WEIR_HCM_STAT_downstream_cx_max_duration_reached);
        begin_drain(hc, hc->hcm->drain_ms);
    }
    if (hc->n_streams > 0) return;
    if (hc->hcm->idle_timeout_ms && now >= hc->idle_since_ms + hc->hcm->idle_timeout_ms) {
        count(hc, WEIR_HCM_STAT_downstream_cx_idle_timeout);
        close_conn(hc);
    } else if (hc->drain_deadline_ms && now >= hc->drain_deadline_ms) {
        hc->closing = true;
        close_if_done(hc);
    }
}

static void on_timer(struct weir_timer *timer)
{
    struct hcm_conn *hc = WEIR_CONTAINER_OF(timer, struct hcm_conn, timer);
    uint64_t now = weir_loop_now_ms(hc->worker->loop);
    check_connection(hc, now);
    WEIR_LIST_EACH(&hc->streams, it) {
        struct weir_stream *s = WEIR_CONTAINER_OF(it, struct weir_stream, link);
        if (now >= weir_stream_next_deadline(s)) weir_stream_check_deadlines(s);
    }
    if (!hc->close_sent) arm(hc, next_deadline(hc));
}

/* ---- a stream's way out: source ops ---- */

static struct hcm_conn *conn_of_stream(struct weir_stream *s)
{
    struct weir_codec_stream *cs = s->source_arg;
    return conn_of_codec(cs->codec);
}

static void send_informational(struct weir_stream *s, struct weir_headers *h)
{
    struct weir_codec_stream *cs = s->source_arg;
    if (s->info.protocol == WEIR_HTTP_10) return; // RFC 9110 15.2
    weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_1xx);
    cs->codec->ops->send_informational(cs, h);
}

/* HTTP/1 tells the peer with the last response that the connection ends. */
static bool is_last(struct hcm_conn *hc, struct weir_stream *s)
{
    bool last = s->close_after || hc->closing || hc->drain_deadline_ms || hc->worker->draining;
    if (!s->request.peer_complete) {
        count(hc, WEIR_HCM_STAT_downstream_rq_response_before_rq_complete);
        last = true;
    }
    if (hc->hcm->max_requests_per_connection && hc->n_requests >= hc->hcm->max_requests_per_connection) {
        count(hc, WEIR_HCM_STAT_downstream_cx_max_requests_reached);
        last = true;
    }
    return last;
}

static void count_response(struct hcm_conn *hc, uint32_t status)
{
    uint32_t class = status / 100;
    count(hc, WEIR_HCM_STAT_downstream_rq_completed);
    if (class < 1 || class > 5) return;
    weir_hcm_count(hc->hcm, hc->worker, (enum weir_hcm_stat)(WEIR_HCM_STAT_downstream_rq_1xx + class - 1));
    if (!hc->hcm->listener_stats) return;
    weir_stat_inc(hc->worker->stats, hc->hcm->listener_stats + WEIR_HCM_LISTENER_STAT_downstream_rq_completed);
    weir_stat_inc(hc->worker->stats, hc->hcm->listener_stats + WEIR_HCM_LISTENER_STAT_downstream_rq_1xx + class - 1);
}

static void send_headers(struct weir_stream *s, struct weir_headers *h, bool end_stream)
{
    struct weir_codec_stream *cs = s->source_arg;
    struct hcm_conn *hc = conn_of_stream(s);
    weir_hcm_prepare_response(s, h);
    if (cs->codec->ops->protocol != WEIR_HTTP_2 && is_last(hc, s)) cs->codec->ops->drain(cs->codec);
    count_response(hc, s->info.status);
    cs->codec->ops->send_headers(cs, h, end_stream);
}

static void send_data(struct weir_stream *s, struct weir_buf *data, bool end_stream)
{
    struct weir_codec_stream *cs = s->source_arg;
    cs->codec->ops->send_data(cs, data, end_stream);
}

static void send_trailers(struct weir_stream *s, struct weir_headers *trailers)
{
    struct weir_codec_stream *cs = s->source_arg;
    cs->codec->ops->send_trailers(cs, trailers);
}

static void reset(struct weir_stream *s, enum weir_reset reason)
{
    struct weir_codec_stream *cs = s->source_arg;
    struct hcm_conn *hc = conn_of_stream(s);
    count(hc, WEIR_HCM_STAT_downstream_rq_tx_reset);
    if (!hc->gone) cs->codec->ops->reset(cs, reason);
}

static void read_disable(struct weir_stream *s, bool disable)
{
    struct weir_codec_stream *cs = s->source_arg;
    struct hcm_conn *hc = conn_of_stream(s);
    count(hc, disable ? WEIR_HCM_STAT_downstream_flow_control_paused_reading_total
                      : WEIR_HCM_STAT_downstream_flow_control_resumed_reading_total);
    if (!hc->gone) cs->codec->ops->read_disable(cs, disable);
}

static void deadline(struct weir_stream *s)
{
    arm(conn_of_stream(s), weir_stream_next_deadline(s));
}

static void count_bytes(struct hcm_conn *hc)
{
    struct weir_conn *conn = &hc->down->conn;
    struct weir_stats_worker *stats = hc->worker->stats;
    weir_stat_add(stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_cx_rx_bytes_total), conn->bytes_read - hc->rx_counted);
    weir_stat_add(stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_cx_tx_bytes_total), conn->bytes_written - hc->tx_counted);
    hc->rx_counted = conn->bytes_read;
    hc->tx_counted = conn->bytes_written;
}

static void ended(struct weir_stream *s)
{
    struct hcm_conn *hc = conn_of_stream(s);
    weir_list_unlink(&s->link);
    hc->n_streams--;
    hc->idle_since_ms = weir_loop_now_ms(hc->worker->loop);
    count_bytes(hc);
    weir_stat_dec(hc->worker->stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_rq_active));
    weir_stat_record(hc->worker->stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_rq_time),
                     (s->info.end_ns - s->info.start_ns) / 1000000);
    if (hc->drain_deadline_ms) arm(hc, hc->drain_deadline_ms);
}

static const struct weir_stream_source_ops source_ops = {
    .send_informational = send_informational,
    .send_headers = send_headers,
    .send_data = send_data,
    .send_trailers = send_trailers,
    .reset = reset,
    .read_disable = read_disable,
    .deadline = deadline,
    .ended = ended,
};

/* ---- events of a codec stream ---- */

static void on_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    struct weir_stream *s = cs->owner;
    (void)h; // the stream's own map
    s->info.protocol = cs->protocol;
    s->request.headers = &s->request_headers;
    s->request.peer_complete = end_stream;
    s->headers_deadline_ms = 0;
    if (weir_hcm_prepare_request(s, conn_of_stream(s)->down)) weir_stream_request_headers(s, end_stream);
}

static void on_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    weir_stream_request_data(cs->owner, data, end_stream);
}

static void on_trailers(struct weir_codec_stream *cs, struct weir_headers *trailers)
{
    weir_trailers_strip(trailers);
    weir_stream_request_trailers(cs->owner, trailers);
}

static void on_reset(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail)
{
    struct weir_stream *s = cs->owner;
    count(conn_of_stream(s), WEIR_HCM_STAT_downstream_rq_rx_reset);
    bool left = reason == WEIR_RESET_CONN_TERMINATION;
    weir_stream_source_reset(s, reason, left ? "downstream_remote_disconnect" : detail);
    weir_stream_release(s);
}

static void on_error(struct weir_codec_stream *cs, uint32_t status, const char *body, const char *detail)
{
    struct weir_stream *s = cs->owner;
    count(conn_of_stream(s), WEIR_HCM_STAT_downstream_cx_protocol_error);
    weir_stream_codec_error(s, status, body, detail);
}

static void on_stream_watermark(struct weir_codec_stream *cs, bool above)
{
    weir_stream_down_watermark(cs->owner, above);
}

static const struct weir_codec_stream_ops codec_stream_ops = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_error = on_error,
    .on_watermark = on_stream_watermark,
};

/* ---- events of the codec ---- */

static uint64_t after(uint64_t now, uint64_t ms)
{
    return ms ? now + ms : 0;
}

static struct weir_headers *on_stream(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct hcm_conn *hc = conn_of_codec(codec);
    const struct weir_hcm *hcm = hc->hcm;
    struct weir_stream *s = weir_stream_new(hc->worker, hcm, &source_ops, cs);
    uint64_t now = s->last_active_ms;
    cs->ops = &codec_stream_ops;
    cs->owner = s;
    s->held_by_source = true;
    s->info.conn = &hc->down->info;
    s->info.remote = hc->down->info.remote;
    s->info.stream_id = weir_loop_random(hc->worker->loop);
    s->headers_deadline_ms = after(now, hcm->request_headers_timeout_ms);
    s->request_deadline_ms = after(now, hcm->request_timeout_ms);
    s->max_deadline_ms = after(now, hcm->max_stream_ms);
    weir_list_push_back(&hc->streams, &s->link);
    hc->n_streams++;
    hc->n_requests++;
    count(hc, WEIR_HCM_STAT_downstream_rq_total);
    count(hc, WEIR_HCM_STAT_downstream_rq_active);
    count(hc, codec->ops->protocol == WEIR_HTTP_2 ? WEIR_HCM_STAT_downstream_rq_http2_total : WEIR_HCM_STAT_downstream_rq_http1_total);
    arm(hc, weir_stream_next_deadline(s));
    return &s->request_headers;
}

static void on_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct weir_stream *s = cs->owner;
    weir_stream_source_reset(s, WEIR_RESET_LOCAL_RESET, "stream_done"); // it has ended, unless something is out of step
    weir_stream_release(s);
    close_if_done(conn_of_codec(codec));
}

static void on_goaway(struct weir_codec *codec)
{
    struct hcm_conn *hc = conn_of_codec(codec);
    hc->closing = true;
    close_if_done(hc);
}

static void on_output(struct weir_codec *codec)
{
    struct hcm_conn *hc = conn_of_codec(codec);
    if (codec->out == &hc->own_out) weir_net_filter_write(hc->filter, &hc->own_out, false);
    else weir_conn_wrote(&hc->down->conn);
}

static void on_fatal(struct weir_codec *codec, const char *detail)
{
    struct hcm_conn *hc = conn_of_codec(codec);
    WEIR_LOG(DEBUG, HTTP, "[C%llu] closing: %s", (unsigned long long)hc->down->conn.id, detail);
    hc->down->info.termination_details = detail;
    hc->closing = true;
    close_conn(hc);
}

static void on_resume(struct weir_codec *codec)
{
    weir_conn_reread(&conn_of_codec(codec)->down->conn);
}

static const struct weir_codec_conn_ops codec_conn_ops = {
    .on_stream = on_stream,
    .on_stream_done = on_stream_done,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .on_fatal = on_fatal,
    .on_resume = on_resume,
};

/* ---- the network filter ---- */

static void make_codec(struct hcm_conn *hc)
{
    struct weir_buf *out = hc->filter->index == 0 ? &hc->down->conn.out : &hc->own_out;
    hc->codec = weir_h1_codec_new(WEIR_CODEC_SERVER, hc->worker->loop, out, &codec_conn_ops, hc, &hc->hcm->h1);
    hc->codec->sw = hc->worker->stats;
    count(hc, WEIR_HCM_STAT_downstream_cx_http1_total);
    count(hc, WEIR_HCM_STAT_downstream_cx_http1_active);
}

static enum weir_net_verdict on_new_connection(struct weir_net_filter *f)
{
    struct hcm_conn *hc = f->state;
    struct weir_loop *loop = f->down->worker->loop;
    uint64_t now = weir_loop_now_ms(loop);
    hc->filter = f;
    hc->down = f->down;
    hc->worker = f->down->worker;
    hc->hcm = f->conf;
    weir_list_init(&hc->streams);
    weir_buf_init(&hc->own_out, &loop->bufs);
    weir_timer_init(&hc->timer, on_timer);
    hc->idle_since_ms = now;
    hc->max_deadline_ms = after(now, hc->hcm->max_connection_ms);
    f->down->conn.delayed_close_ms = (uint32_t)WEIR_MIN(hc->hcm->delayed_close_ms, (uint64_t)UINT32_MAX);
    count(hc, WEIR_HCM_STAT_downstream_cx_total);
    count(hc, WEIR_HCM_STAT_downstream_cx_active);
    arm(hc, next_deadline(hc));
    return WEIR_NET_CONTINUE;
}

static enum weir_net_verdict on_conn_data(struct weir_net_filter *f, struct weir_buf *data, bool eof)
{
    struct hcm_conn *hc = f->state;
    if (hc->close_sent) {
        weir_buf_clear(data);
        return WEIR_NET_STOP;
    }
    if (!hc->codec && data->len) make_codec(hc);
    if (hc->codec) hc->codec->ops->recv(hc->codec, data, eof);
    if (eof) { // the client has gone: what is answered is still sent, what waits for an upstream is not worth going on with
        hc->peer_left = true;
        close_conn(hc);
    }
    return WEIR_NET_STOP;
}

static void on_conn_watermark(struct weir_net_filter *f, bool above)
{
    struct hcm_conn *hc = f->state;
    if (hc->codec) hc->codec->ops->conn_watermark(hc->codec, above);
}

static void drain(struct weir_net_filter *f)
{
    struct hcm_conn *hc = f->state;
    begin_drain(hc, WEIR_MIN(hc->hcm->drain_ms, (uint64_t)DRAIN_GRACE_MS));
}

static void count_closed(struct hcm_conn *hc, enum weir_conn_end end)
{
    bool remote = hc->peer_left || end == WEIR_CONN_END_REMOTE || end == WEIR_CONN_END_RESET;
    bool busy = hc->n_streams > 0;
    count(hc, WEIR_HCM_STAT_downstream_cx_destroy);
    count(hc, remote ? WEIR_HCM_STAT_downstream_cx_destroy_remote : WEIR_HCM_STAT_downstream_cx_destroy_local);
    if (busy) count(hc, WEIR_HCM_STAT_downstream_cx_destroy_active_rq);
    if (busy)
        count(hc, remote ? WEIR_HCM_STAT_downstream_cx_destroy_remote_active_rq
                         : WEIR_HCM_STAT_downstream_cx_destroy_local_active_rq);
    count_bytes(hc);
    weir_stat_record(hc->worker->stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_cx_length_ms),
                     (weir_loop_now_ns(hc->worker->loop) - hc->down->conn.connect_start_ns) / 1000000);
    weir_stat_dec(hc->worker->stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_cx_active));
    if (hc->codec) weir_stat_dec(hc->worker->stats, weir_hcm_row(hc->hcm, WEIR_HCM_STAT_downstream_cx_http1_active));
}

static void free_codec(void *arg, void *ptr)
{
    struct weir_codec *codec = ptr;
    (void)arg;
    codec->ops->free(codec);
}

static void on_close(struct weir_net_filter *f, enum weir_conn_end end)
{
    struct hcm_conn *hc = f->state;
    count_closed(hc, end);
    hc->gone = true;
    weir_timer_stop(hc->worker->loop, &hc->timer);
    if (hc->codec) {
        hc->codec->ops->conn_gone(hc->codec, WEIR_RESET_CONN_TERMINATION);
        weir_loop_defer_free(hc->worker->loop, free_codec, NULL, hc->codec);
    }
    weir_buf_clear(&hc->own_out);
}

static const char *const aliases[] = {"envoy.http_connection_manager", NULL};

const struct weir_net_filter_ops weir_hcm_ops = {
    .name = "envoy.filters.network.http_connection_manager",
    .aliases = aliases,
    .type = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    .fields = &weir_hcm_fields,
    .terminal = true,
    .conn_size = sizeof(struct hcm_conn),
    .parse = weir_hcm_parse,
    .on_new_connection = on_new_connection,
    .on_data = on_conn_data,
    .on_watermark = on_conn_watermark,
    .drain = drain,
    .on_close = on_close,
};
