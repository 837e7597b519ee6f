/* Nanoseconds a request and response take in the HTTP/1 codec: decoded by a server codec, sent on by a client codec, answered, decoded
 * and sent back. No sockets. Usage: micro_h1 [rounds [row]] */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "http/codec.h"

struct relay {
    struct weir_loop loop;
    struct weir_codec *server, *client;
    struct weir_buf server_in, server_out, client_in, client_out;
    struct weir_arena arena;
    struct weir_headers request;
    struct weir_codec_stream *down, *up;
    uint64_t n_done;
};

static struct relay relay;

static void request_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream);
static void response_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    (void)cs;
    relay.server->ops->send_headers(relay.down, h, end_stream);
}

static void response_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    (void)cs;
    relay.server->ops->send_data(relay.down, data, end_stream);
}

static void request_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    (void)cs;
    relay.client->ops->send_data(relay.up, data, end_stream);
}

static const struct weir_codec_stream_ops down_ops = {.on_headers = request_headers, .on_data = request_data};
static const struct weir_codec_stream_ops up_ops = {.on_headers = response_headers, .on_data = response_data};

static void request_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    relay.down = cs;
    relay.up = relay.client->ops->open(relay.client, &up_ops, &relay, &relay.arena);
    relay.client->ops->send_headers(relay.up, h, end_stream);
}

static struct weir_headers *on_stream(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    (void)codec;
    cs->ops = &down_ops;
    weir_headers_init(&relay.request, &relay.arena);
    return &relay.request;
}

static void on_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    (void)cs;
    relay.n_done += codec == relay.server;
}

static void on_codec(struct weir_codec *codec)
{
    (void)codec;
}

static void on_fatal(struct weir_codec *codec, const char *detail)
{
    (void)codec;
    WEIR_FATAL("codec broke: %s", detail);
}

static const struct weir_codec_conn_ops conn_ops = {
    .on_stream = on_stream,
    .on_stream_done = on_stream_done,
    .on_goaway = on_codec,
    .on_output = on_codec,
    .on_fatal = on_fatal,
    .on_resume = on_codec,
};

static void run_tasks(void)
{
    while (!weir_list_empty(&relay.loop.end_of_turn)) {
        struct weir_list *first = weir_list_first(&relay.loop.end_of_turn);
        struct weir_task *task = WEIR_CONTAINER_OF(first, struct weir_task, link);
        weir_list_unlink(first);
        task->fn(task);
    }
}

/* As after a read: a slice of a block. */
static void put(struct weir_buf *in, struct weir_slice bytes)
{
    struct weir_block *block = weir_block_get(&relay.loop.bufs);
    memcpy(block->data, bytes.ptr, bytes.len);
    weir_buf_add_block(in, block, weir_slice(block->data, bytes.len));
    weir_block_unref(&relay.loop.bufs, block);
}

static void exchange(struct weir_slice request, struct weir_slice response)
{
    weir_arena_init(&relay.arena, &relay.loop.arenas);
    put(&relay.server_in, request);
    relay.server->ops->recv(relay.server, &relay.server_in, false);
    weir_buf_clear(&relay.client_out);
    put(&relay.client_in, response);
    relay.client->ops->recv(relay.client, &relay.client_in, false);
    run_tasks();
    weir_buf_clear(&relay.server_out);
    weir_arena_fini(&relay.arena);
}

static double measure(struct weir_slice request, struct weir_slice response, long rounds)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (long i = 0; i < rounds; i++) {
        exchange(request, response);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / (double)rounds;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        struct weir_slice request, response;
    } rows[] = {
        {"wrk's request, small answer", WEIR_S_INIT("GET / HTTP/1.1\r\nHost: 127.0.0.1:10000\r\n\r\n"),
         WEIR_S_INIT("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n"
                     "date: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: x\r\n\r\nhello")},
        {"a browser's request", WEIR_S_INIT(
            "GET /path/to/page?query=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) "
            "Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
            "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
            "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n"
            "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nCache-Control: max-age=0\r\n\r\n"),
         WEIR_S_INIT("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/html; charset=utf-8\r\n"
                     "date: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: x\r\ncache-control: no-cache\r\netag: \"0123456789\"\r\n"
                     "set-cookie: a=b; Path=/; HttpOnly\r\nvary: accept-encoding\r\n\r\nhello")},
        {"a chunked answer", WEIR_S_INIT("GET / HTTP/1.1\r\nHost: 127.0.0.1:10000\r\n\r\n"),
         WEIR_S_INIT("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")},
    };
    int64_t rounds = 300000, only = -1;
    if ((argc > 1 && weir_parse_i64(weir_slice_str(argv[1]), &rounds) != WEIR_OK) ||
        (argc > 2 && weir_parse_i64(weir_slice_str(argv[2]), &only) != WEIR_OK)) {
        return 2;
    }
    weir_buf_pool_init(&relay.loop.bufs, 64);
    weir_list_init(&relay.loop.end_of_turn);
    struct weir_buf *bufs[] = {&relay.server_in, &relay.server_out, &relay.client_in, &relay.client_out};
    for (size_t i = 0; i < WEIR_COUNTOF(bufs); i++) {
        weir_buf_init(bufs[i], &relay.loop.bufs);
    }
    relay.server = weir_h1_codec_new(WEIR_CODEC_SERVER, &relay.loop, &relay.server_out, &conn_ops, &relay,
                                     &weir_h1_options_default[WEIR_CODEC_SERVER]);
    relay.client = weir_h1_codec_new(WEIR_CODEC_CLIENT, &relay.loop, &relay.client_out, &conn_ops, &relay,
                                     &weir_h1_options_default[WEIR_CODEC_CLIENT]);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        if (only >= 0 && (int64_t)i != only) {
            continue;
        }
        uint64_t before = relay.n_done;
        (void)measure(rows[i].request, rows[i].response, rounds / 10);
        double ns = measure(rows[i].request, rows[i].response, rounds);
        printf("%-30s %7.0f ns an exchange (4 heads)%s\n", rows[i].name, ns,
               relay.n_done - before == (uint64_t)(rounds + rounds / 10) ? "" : "  INCOMPLETE");
    }
    relay.server->ops->free(relay.server);
    relay.client->ops->free(relay.client);
    return 0;
}
