/* The smallest server on the HTTP/2 codec, for conformance tools (h2spec): answers every request with a few bytes once it is
 * complete. Usage: h2_server PORT (0 = any; the port is printed). Loopback only. */
#include <stdio.h>

#include "base/mem.h"
#include "event/world_uv.h"
#include "http/codec.h"
#include "net/acceptor.h"
#include "net/conn.h"

struct client {
    struct weir_conn conn;
    struct weir_codec *codec;
    bool closing;
};

struct stream {
    struct weir_arena arena;
    struct weir_headers head;
};

static struct weir_loop *loop;

static void close_if_done(struct client *c)
{
    if (c->closing && c->codec->ops->active(c->codec) == 0)
        weir_conn_close(&c->conn, WEIR_CONN_CLOSE_FLUSH_DELAY);
}

static void free_stream(void *arg, void *ptr)
{
    struct stream *s = ptr;
    (void)arg;
    weir_arena_fini(&s->arena);
    weir_free(s);
}

static void end_stream_of(struct weir_codec_stream *cs)
{
    weir_loop_defer_free(loop, free_stream, NULL, cs->owner);
}

static void answer(struct weir_codec_stream *cs)
{
    struct stream *s = cs->owner;
    struct weir_headers h;
    struct weir_buf body;
    weir_headers_init(&h, &s->arena);
    weir_headers_set_status(&h, 200);
    weir_headers_add(&h, WEIR_H_CONTENT_TYPE, WEIR_S("text/plain"));
    weir_buf_init(&body, &loop->bufs);
    weir_buf_add(&body, WEIR_S("an answer of some bytes\n"));
    cs->codec->ops->send_headers(cs, &h, false);
    cs->codec->ops->send_data(cs, &body, true);
}

static void on_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    (void)h;
    if (end_stream)
        answer(cs);
}

static void on_body(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    weir_buf_clear(data);
    if (end_stream)
        answer(cs);
}

static void on_trailers(struct weir_codec_stream *cs, struct weir_headers *trailers)
{
    (void)trailers;
    answer(cs);
}

static void on_reset(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail)
{
    (void)reason, (void)detail;
    end_stream_of(cs);
}

static void on_stream_watermark(struct weir_codec_stream *cs, bool above)
{
    (void)cs, (void)above;
}

static const struct weir_codec_stream_ops stream_ops = {
    .on_headers = on_headers,
    .on_data = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_watermark = on_stream_watermark,
};

static struct weir_headers *on_stream(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct stream *s = WEIR_NEW(struct stream);
    (void)codec;
    weir_arena_init(&s->arena, &loop->arenas);
    weir_headers_init(&s->head, &s->arena);
    cs->ops = &stream_ops;
    cs->owner = s;
    return &s->head;
}

static void on_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    end_stream_of(cs);
    close_if_done(codec->owner);
}

static void on_goaway(struct weir_codec *codec)
{
    struct client *c = codec->owner;
    c->closing = true;
    close_if_done(c);
}

static void on_output(struct weir_codec *codec)
{
    struct client *c = codec->owner;
    weir_conn_wrote(&c->conn);
}

static void on_fatal(struct weir_codec *codec, const char *detail)
{
    (void)detail;
    on_goaway(codec);
}

static void on_resume(struct weir_codec *codec)
{
    struct client *c = codec->owner;
    weir_conn_reread(&c->conn);
}

static const struct weir_codec_conn_ops codec_ops = {
    .on_stream = on_stream,
    .on_stream_done = on_stream_done,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .on_fatal = on_fatal,
    .on_resume = on_resume,
};

static void on_connected(struct weir_conn *conn)
{
    (void)conn;
}

static void on_bytes(struct weir_conn *conn, bool eof)
{
    struct client *c = WEIR_CONTAINER_OF(conn, struct client, conn);
    c->codec->ops->recv(c->codec, &conn->in, eof);
}

static void on_watermark(struct weir_conn *conn, bool above)
{
    struct client *c = WEIR_CONTAINER_OF(conn, struct client, conn);
    c->codec->ops->conn_watermark(c->codec, above);
}

static void free_client(void *arg, void *ptr)
{
    struct client *c = ptr;
    (void)arg;
    c->codec->ops->free(c->codec);
    weir_conn_fini(&c->conn);
    weir_free(c);
}

static void on_closed(struct weir_conn *conn, enum weir_conn_end end)
{
    struct client *c = WEIR_CONTAINER_OF(conn, struct client, conn);
    (void)end;
    c->codec->ops->conn_gone(c->codec, WEIR_RESET_REMOTE_CONN_FAILURE);
    weir_loop_defer_free(loop, free_client, NULL, c);
}

static const struct weir_conn_ops conn_ops = {on_connected, on_bytes, on_watermark, on_closed};

static void on_accept(struct weir_acceptor *acceptor, weir_sock sock, const struct weir_addr *peer)
{
    struct client *c = WEIR_NEW(struct client);
    struct weir_transport *t = weir_transport_raw.create(&weir_transport_raw, loop, WEIR_S_NONE, WEIR_S_NONE);
    (void)acceptor;
    weir_conn_init(&c->conn, loop, &conn_ops);
    c->conn.eof_wanted = true;
    c->conn.delayed_close_ms = 1000;
    c->codec = weir_h2_codec_new(WEIR_CODEC_SERVER, loop, &c->conn.out, &codec_ops, c, &weir_h2_options_default);
    if (weir_conn_accept(&c->conn, sock, peer, t) != WEIR_OK)
        free_client(NULL, c);
}

static const struct weir_acceptor_ops acceptor_ops = {on_accept, NULL};

int main(int argc, char **argv)
{
    struct weir_acceptor acceptor;
    struct weir_addr addr;
    uint64_t port;
    const struct weir_listen_opts opts = {0};
    if (argc != 2 || weir_parse_u64(weir_slice_str(argv[1]), UINT16_MAX, &port) != WEIR_OK) {
        fprintf(stderr, "usage: h2_server PORT\n");
        return 2;
    }
    loop = weir_loop_new(&weir_world_uv, NULL, "main", 0);
    weir_acceptor_init(&acceptor, loop, &acceptor_ops);
    if (weir_addr_parse_ip(WEIR_S("127.0.0.1"), (uint16_t)port, &addr) != WEIR_OK ||
        weir_acceptor_open(&acceptor, &addr, &opts) != WEIR_OK) {
        fprintf(stderr, "cannot listen on port %u\n", (unsigned)port);
        return 1;
    }
    printf("%u\n", (unsigned)weir_addr_port(&acceptor.local));
    fflush(stdout);
    weir_loop_run(loop);
    return 0;
}
