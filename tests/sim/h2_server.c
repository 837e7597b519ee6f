/* Servers that speak HTTP/2, by weir's own codec in its server role: connections that many exchanges share. What befalls an exchange
 * here befalls its stream; now and then a connection says GOAWAY or is closed. */
#include <string.h>

#include "base/mem.h"
#include "http/codec.h"
#include "run.h"

struct h2_conn {
    struct run *run;
    struct weir_sim_peer *peer;
    struct weir_codec *codec;
    struct weir_buf in, out;
    bool gone, flush_due;
    struct h2_conn *next;
};

struct h2_stream {
    struct h2_conn *conn;
    struct weir_codec_stream *cs; /* NULL: over */
    struct exchange *ex;
    struct weir_arena arena;
    struct weir_headers headers;
    size_t body_seen, sent, limit;
    uint32_t attempt;
    bool answering;
    struct h2_stream *next;
};

static const struct weir_h2_options *server_options(void)
{
    static struct weir_h2_options options;
    if (options.max_headers_bytes) return &options;
    options = weir_h2_options_default;
    options.initial_stream_window = 65535; // so that windows do run out
    options.initial_connection_window = 65535;
    options.max_concurrent_streams = 4;
    return &options;
}

/* ---- the connection's bytes ---- */

static void flush(void *arg)
{
    struct h2_conn *c = arg;
    c->flush_due = false;
    if (c->gone) return;
    for (const struct weir_seg *seg = c->out.head; seg; seg = seg->next) weir_sim_peer_send(c->peer, weir_slice(seg->ptr, seg->len));
    weir_buf_clear(&c->out);
}

static void on_output(struct weir_codec *codec)
{
    struct h2_conn *c = codec->owner;
    if (c->flush_due) return;
    c->flush_due = true;
    weir_sim_after(c->run->sim, run_random(c->run, 100), flush, c);
}

static void lose(struct h2_conn *c)
{
    if (c->gone) return;
    c->gone = true;
    c->codec->ops->conn_gone(c->codec, WEIR_RESET_CONN_TERMINATION);
}

static void close_conn(void *arg)
{
    struct h2_conn *c = arg;
    if (c->gone) return;
    flush(c);
    lose(c);
    weir_sim_peer_close(c->peer);
}

/* ---- answers ---- */

static bool has_body(const struct exchange *ex)
{
    return strcmp(ex->method, "HEAD") != 0 && ex->status != 204 && ex->status != 304;
}

static void reset_stream(struct h2_stream *st)
{
    struct weir_codec_stream *cs = WEIR_TAKE(st->cs);
    cs->codec->ops->reset(cs, run_chance(st->conn->run, 500) ? WEIR_RESET_LOCAL_RESET : WEIR_RESET_LOCAL_REFUSED);
}

static void answer_over(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    if (st->ex->fault == FAULT_EXTRA) {
        c->run->idle_closed = true;
        c->codec->ops->drain(c->codec);
    } else if (st->ex->fault == FAULT_CLOSE_AFTER) {
        c->run->lossy = true; // others' exchanges on it are lost
        weir_sim_after(c->run->sim, run_random(c->run, 3000), close_conn, c);
    }
}

static void send_body(void *arg)
{
    struct h2_stream *st = arg;
    struct run *run = st->conn->run;
    if (!st->cs || st->conn->gone) return;
    struct exchange *ex = st->ex;
    size_t n = 1 + run_random(run, 1 + st->limit / 4), len = ex->answer_len;
    n = WEIR_MIN(n, st->limit - st->sent);
    struct weir_buf data;
    weir_buf_init(&data, &run->server_loop->bufs);
    for (size_t i = 0; i < n; i++) {
        char byte = run_body_byte(ex->id, true, st->sent + i);
        weir_buf_add(&data, weir_slice(&byte, 1));
    }
    st->sent += n;
    bool last = st->sent == len;
    if (last && st->attempt == ex->n_heads) ex->answer_sent = true;
    st->cs->codec->ops->send_data(st->cs, &data, last && !ex->answer_trailers);
    weir_buf_clear(&data);
    if (last && ex->answer_trailers) {
        struct weir_headers *trailers = WEIR_ARENA_NEW(&st->arena, struct weir_headers);
        weir_headers_init(trailers, &st->arena);
        weir_headers_add_name(trailers, WEIR_S("x-trailer"), WEIR_S("yes"));
        st->cs->codec->ops->send_trailers(st->cs, trailers);
    }
    if (last) answer_over(st);
    else if (st->sent < st->limit) weir_sim_after(run->sim, run_random(run, 500), send_body, st);
    else if (ex->fault != FAULT_STALL) reset_stream(st);
}

static void answer(void *arg)
{
    struct h2_stream *st = arg;
    struct run *run = st->conn->run;
    struct exchange *ex = st->ex;
    if (!st->cs || st->conn->gone || st->answering || ex->fault == FAULT_NEVER) return;
    st->answering = true;
    if ((ex->fault >= FAULT_CLOSE_AT_HEAD && ex->fault <= FAULT_RESET_AT_END) || ex->fault == FAULT_GARBAGE || ex->fault == FAULT_BAD_CHUNK) {
        reset_stream(st);
        return;
    }
    const struct weir_codec_ops *ops = st->cs->codec->ops;
    struct weir_headers *h = WEIR_ARENA_NEW(&st->arena, struct weir_headers);
    weir_headers_init(h, &st->arena);
    if (ex->informational) {
        weir_headers_set_status(h, 103);
        ops->send_informational(st->cs, h);
        weir_headers_init(h, &st->arena);
    }
    weir_headers_set_status(h, ex->status);
    weir_headers_add_name(h, WEIR_S("x-sim-id"), weir_arena_printf(&st->arena, "%u", (unsigned)ex->id));
    if (ex->answer_framing == FRAMING_LENGTH && ex->status != 204) weir_headers_set_u64(h, WEIR_H_CONTENT_LENGTH, ex->answer_len);
    // `content-length: 0` is a whole answer to an HTTP/1.1 client, whatever becomes of the stream then.
    bool cut = ex->answer_len && (ex->fault == FAULT_CUT_CLOSE || ex->fault == FAULT_CUT_RESET || ex->fault == FAULT_STALL);
    bool body = has_body(ex) && (ex->answer_len || ex->answer_trailers || cut);
    if (!body && st->attempt == ex->n_heads) ex->answer_sent = true;
    ops->send_headers(st->cs, h, !body);
    if (!body) {
        answer_over(st);
        return;
    }
    st->limit = cut ? run_random(run, ex->answer_len) : ex->answer_len;
    if (cut && st->limit == 0) {
        if (ex->fault != FAULT_STALL) reset_stream(st);
        return;
    }
    send_body(st);
}

/* ---- requests ---- */

static void on_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    struct h2_stream *st = cs->owner;
    struct run *run = st->conn->run;
    const struct weir_header *field = weir_headers_find_name(h, WEIR_S("x-sim-id"));
    uint64_t id;
    if (!field || weir_parse_u64(field->value, UINT32_MAX, &id)) run_fail(run, "an HTTP/2 server got a request without a number");
    struct exchange *ex = st->ex = run_exchange(run, (uint32_t)id);
    if (!ex) run_fail(run, "an HTTP/2 server got a request that nobody sent");
    st->attempt = ++ex->n_heads;
    ex->marks_seen[0] = 0;
    ex->answer_sent = false;
    if (ex->n_heads > 1 && run_chance(run, 500)) ex->fault = FAULT_NONE;
    weir_sim_note(run->sim, "h2 server has %u", (unsigned)ex->id);
    bool early = ex->early || ex->fault == FAULT_CLOSE_AT_HEAD || ex->fault == FAULT_RESET_AT_HEAD;
    if (early || end_stream) weir_sim_after(run->sim, ex->delay_us, answer, st);
    if (end_stream && !ex->malformed) run_check_end(run, ex, false, 0, ex->body_len);
}

static void request_end(struct h2_stream *st)
{
    struct run *run = st->conn->run;
    struct exchange *ex = st->ex;
    if (ex->malformed) run_fail(run, "exchange %u: a request that is wrong was made right", ex->id);
    if (st->attempt == ex->n_heads) run_check_end(run, ex, false, st->body_seen, ex->body_len);
    if (!ex->sent && ex->path != PATH_CALL) run_fail(run, "exchange %u: a request cut short was made whole", ex->id);
    ex->n_complete++;
    weir_sim_after(run->sim, ex->delay_us, answer, st);
}

static void on_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    struct h2_stream *st = cs->owner;
    if (st->attempt == st->ex->n_heads && !st->ex->malformed)
        for (const struct weir_seg *seg = data->head; seg; seg = seg->next)
            run_check_body(st->conn->run, st->ex, false, &st->body_seen, weir_slice(seg->ptr, seg->len));
    weir_buf_clear(data);
    if (end_stream) request_end(st);
}

static void on_trailers(struct weir_codec_stream *cs, struct weir_headers *trailers)
{
    (void)trailers;
    request_end(cs->owner);
}

static void on_reset(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail)
{
    struct h2_stream *st = cs->owner;
    (void)reason, (void)detail;
    st->cs = NULL;
}

static void on_error(struct weir_codec_stream *cs, uint32_t status, const char *body, const char *detail)
{
    struct h2_stream *st = cs->owner;
    (void)body;
    run_fail(st->conn->run, "an HTTP/2 server refuses the proxy's request: %u %s", (unsigned)status, detail);
}

static void on_watermark(struct weir_codec_stream *cs, bool above)
{
    (void)cs, (void)above;
}

static const struct weir_codec_stream_ops stream_ops = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_error = on_error,
    .on_watermark = on_watermark,
};

static struct weir_headers *on_stream(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct h2_conn *c = codec->owner;
    struct h2_stream *st = WEIR_NEW(struct h2_stream);
    st->conn = c;
    st->cs = cs;
    st->next = c->run->h2_streams;
    c->run->h2_streams = st;
    weir_arena_init(&st->arena, &c->run->server_loop->arenas);
    weir_headers_init(&st->headers, &st->arena);
    cs->ops = &stream_ops;
    cs->owner = st;
    return &st->headers;
}

static void on_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct h2_stream *st = cs->owner;
    (void)codec;
    st->cs = NULL;
}

static void on_goaway(struct weir_codec *codec)
{
    (void)codec;
}

static void on_fatal(struct weir_codec *codec, const char *detail)
{
    struct h2_conn *c = codec->owner;
    run_fail(c->run, "an HTTP/2 server ends the connection: %s", detail);
}

static void reread(void *arg)
{
    struct h2_conn *c = arg;
    if (!c->gone) c->codec->ops->recv(c->codec, &c->in, false);
}

static void on_resume(struct weir_codec *codec)
{
    struct h2_conn *c = codec->owner;
    weir_sim_after(c->run->sim, 1, reread, c);
}

static const struct weir_codec_conn_ops conn_ops = {
    .on_stream = on_stream,
    .on_stream_done = on_stream_done,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .on_fatal = on_fatal,
    .on_resume = on_resume,
};

/* ---- connections ---- */

static void peer_data(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    struct h2_conn *c = weir_sim_peer_arg(peer);
    if (c->gone) return;
    weir_buf_add(&c->in, bytes);
    c->codec->ops->recv(c->codec, &c->in, false);
}

static void peer_eof(struct weir_sim_peer *peer)
{
    struct h2_conn *c = weir_sim_peer_arg(peer);
    lose(c);
    weir_sim_peer_close(peer);
}

static void peer_reset(struct weir_sim_peer *peer)
{
    lose(weir_sim_peer_arg(peer));
}

static const struct weir_sim_peer_ops peer_ops = {NULL, peer_data, peer_eof, peer_reset};

static void on_accept(struct weir_sim_peer *peer, void *arg)
{
    struct run *run = arg;
    struct h2_conn *c = WEIR_NEW(struct h2_conn);
    c->run = run;
    c->peer = peer;
    weir_buf_init(&c->in, &run->server_loop->bufs);
    weir_buf_init(&c->out, &run->server_loop->bufs);
    c->codec = weir_h2_codec_new(WEIR_CODEC_SERVER, run->server_loop, &c->out, &conn_ops, c, server_options());
    c->next = run->h2_conns;
    run->h2_conns = c;
    weir_sim_peer_set_arg(peer, c);
}

void h2_servers_start(struct run *run)
{
    run->server_loop = weir_loop_new(&weir_world_sim, run->sim, "servers", 50);
    for (uint32_t i = 0; i < N_HOSTS; i++) {
        enum weir_sim_server_mode mode = run_strikes(run, RUN_NET_FAULTS, 300) ? (enum weir_sim_server_mode)run_random(run, 4) : WEIR_SIM_ACCEPT;
        run->host_down |= mode != WEIR_SIM_ACCEPT;
        weir_sim_serve(run->sim, &run->h2_hosts[i].sa, run->h2_hosts[i].len,
                       &(struct weir_sim_server){.mode = mode, .ops = &peer_ops, .on_accept = on_accept, .arg = run});
    }
}

void h2_servers_free(struct run *run)
{
    if (!run->server_loop) return;
    for (struct h2_conn *c = run->h2_conns; c; c = c->next) lose(c);
    weir_loop_turn_end(run->server_loop);
    for (struct h2_conn *c = run->h2_conns, *next; c; c = next) {
        next = c->next;
        c->codec->ops->free(c->codec);
        weir_buf_clear(&c->in);
        weir_buf_clear(&c->out);
        weir_free(c);
    }
    for (struct h2_stream *st = run->h2_streams, *next; st; st = next) {
        next = st->next;
        weir_arena_fini(&st->arena);
        weir_free(st);
    }
    weir_loop_turn_end(run->server_loop);
    weir_loop_free(run->server_loop);
}
