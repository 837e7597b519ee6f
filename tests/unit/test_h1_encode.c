/* What the HTTP/1 codec writes: exact bytes for the rules of framing, and whatever is in the map, something that a strict parser of
 * the test's own accepts as one message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec_trace.h"
#include "strict_http1.h"

/* Everything written is a sequence of messages. */
static void assert_strict(const struct trace *t, size_t n_messages, bool bodiless)
{
    size_t at = 0;
    for (size_t i = 0; i < n_messages; i++) {
        size_t len = strict_parse(t->wrote.ptr + at, t->wrote.len - at, bodiless);
        if (len == 0) {
            print_error("not a message: %.*s\n", (int)(t->wrote.len - at), t->wrote.ptr + at);
        }
        assert_int_not_equal(len, 0);
        at += len;
    }
    assert_int_equal(at, t->wrote.len);
}

struct field {
    const char *name, *value;
};

/* --- Responses. --- */

struct response_case {
    const char *name;
    const char *request;      /* fed first */
    struct field fields[6];
    const char *body[3];      /* pieces sent; NULL = end_stream with the head */
    const char *want;
    bool closes, raw_body, is_bodiless;
};

#define REQ "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define REQ10 "GET / HTTP/1.0\r\nHost: a\r\n\r\n"
#define REQ10KA "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
#define HEADREQ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct response_case responses[] = {
    {"empty", REQ, {{":status", "200"}}, {NULL}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"order", REQ, {{":status", "404"}, {"b", "1"}, {"a", "2"}, {"date", "x"}}, {NULL},
     "HTTP/1.1 404 Not Found\r\nb: 1\r\na: 2\r\ndate: x\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"unknown status", REQ, {{":status", "299"}}, {NULL}, "HTTP/1.1 299 Unknown\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"status 999", REQ, {{":status", "999"}}, {NULL}, "HTTP/1.1 999 Unknown\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"length", REQ, {{":status", "200"}, {"content-length", "5"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false, false, false},
    {"chunked", REQ, {{":status", "200"}}, {"hello", "you"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n", false, false, false},
    {"chunked, empty end", REQ, {{":status", "200"}}, {"hello", ""},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false, false, false},
    {"map's framing is not believed", REQ, {{":status", "200"}, {"transfer-encoding", "gzip"}, {"keep-alive", "1"},
     {"proxy-connection", "x"}, {"upgrade", "h2c"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false, false, false},
    {"body too long", REQ, {{":status", "200"}, {"content-length", "3"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhel", true, false, false},
    {"body too short", REQ, {{":status", "200"}, {"content-length", "30"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\nhello", true, true, false},
    {"length without body", REQ, {{":status", "200"}, {"content-length", "30"}}, {NULL},
     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"bad length", REQ, {{":status", "200"}, {"content-length", "3x"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false, false, false},
    {"close asked for", REQ, {{":status", "200"}, {"connection", "close"}}, {NULL},
     "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true, false, false},
    {"other connection options", REQ, {{":status", "200"}, {"connection", "x"}}, {NULL},
     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"head", HEADREQ, {{":status", "200"}, {"content-length", "5"}}, {NULL},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false, false, true},
    {"head with body", HEADREQ, {{":status", "200"}, {"content-length", "5"}}, {"hello"},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false, false, true},
    {"head without length", HEADREQ, {{":status", "200"}}, {"hello"}, "HTTP/1.1 200 OK\r\n\r\n", false, false, true},
    {"204", REQ, {{":status", "204"}, {"content-length", "5"}}, {"hello"}, "HTTP/1.1 204 No Content\r\n\r\n", false, false, true},
    {"304", REQ, {{":status", "304"}, {"content-length", "5"}}, {NULL},
     "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false, false, true},
    {"lf in value", REQ, {{":status", "200"}, {"a", "b\nc: d"}, {"e", "f"}}, {NULL},
     "HTTP/1.1 200 OK\r\ne: f\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"cr in value", REQ, {{":status", "200"}, {"a", "b\rc"}}, {NULL}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"control in value", REQ, {{":status", "200"}, {"a", "b\x01"}}, {NULL}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"tab and 8 bit in value", REQ, {{":status", "200"}, {"a", "b\tc\xff, and so on"}}, {NULL},
     "HTTP/1.1 200 OK\r\na: b\tc\xff, and so on\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"bad name", REQ, {{":status", "200"}, {"a b", "c"}, {"d:", "e"}, {"f\r\ng", "h"}}, {NULL},
     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"1.0", REQ10, {{":status", "200"}}, {NULL}, "HTTP/1.0 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true, false, false},
    {"1.0 without length", REQ10KA, {{":status", "200"}}, {"hello", ""},
     "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello", true, true, false},
    {"1.0 keep-alive", REQ10KA, {{":status", "200"}, {"content-length", "2"}}, {"ok"},
     "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok", false, false, false},
};

static void add_fields(struct weir_headers *h, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n && fields[i].name; i++) {
        weir_headers_add_name(h, weir_slice_str(fields[i].name), weir_slice_str(fields[i].value));
    }
}

static void send_pieces(struct trace *t, const char *const *body, size_t n)
{
    for (size_t i = 0; i < n && body[i]; i++) {
        trace_send(t, body[i], i + 1 == n || !body[i + 1]);
    }
}

static void test_responses(void **state)
{
    (void)state;
    struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_SERVER];
    options.accept_http_10 = true;
    for (size_t i = 0; i < WEIR_COUNTOF(responses); i++) {
        const struct response_case *c = &responses[i];
        struct trace t;
        struct weir_headers h;
        trace_init_h1(&t, WEIR_CODEC_SERVER, &options);
        t.reply = TRACE_REPLY_NEVER;
        trace_feed(&t, weir_slice_str(c->request), false);
        weir_headers_init(&h, &t.arena);
        add_fields(&h, c->fields, WEIR_COUNTOF(c->fields));
        t.codec->ops->send_headers(t.cs, &h, !c->body[0]);
        trace_turn(&t);
        send_pieces(&t, c->body, WEIR_COUNTOF(c->body));
        if (strcmp(trace_wrote(&t), c->want) != 0) {
            print_error("case \"%s\"\n", c->name);
        }
        assert_string_equal(trace_wrote(&t), c->want);
        assert_int_equal(strstr(trace_text(&t), "G;") != NULL, c->closes);
        if (!c->raw_body) {
            assert_strict(&t, 1, c->is_bodiless);
        }
        trace_fini(&t);
    }
}

/* --- Requests. --- */

struct request_case {
    const char *name;
    struct field fields[8];
    const char *body[3];
    const char *want;
};

#define P(method) {":authority", "up"}, {":path", "/p"}, {":method", method}

static const struct request_case requests[] = {
    {"get", {P("GET")}, {NULL}, "GET /p HTTP/1.1\r\nhost: up\r\n\r\n"},
    {"order", {P("GET"), {":scheme", "http"}, {"b", "1"}, {"a", "2"}}, {NULL}, "GET /p HTTP/1.1\r\nhost: up\r\nb: 1\r\na: 2\r\n\r\n"},
    {"post without body", {P("POST")}, {NULL}, "POST /p HTTP/1.1\r\nhost: up\r\ncontent-length: 0\r\n\r\n"},
    {"delete without body", {P("DELETE")}, {NULL}, "DELETE /p HTTP/1.1\r\nhost: up\r\n\r\n"},
    {"post with length", {P("POST"), {"content-length", "2"}}, {"ok"}, "POST /p HTTP/1.1\r\nhost: up\r\ncontent-length: 2\r\n\r\nok"},
    {"post chunked", {P("POST")}, {"ok", ""},
     "POST /p HTTP/1.1\r\nhost: up\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
    {"get chunked", {P("GET")}, {"ok"}, "GET /p HTTP/1.1\r\nhost: up\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
    {"host field too", {P("GET"), {"host", "evil"}}, {NULL}, "GET /p HTTP/1.1\r\nhost: up\r\n\r\n"},
    {"host field only", {{":path", "/"}, {":method", "GET"}, {"host", "h"}}, {NULL}, "GET / HTTP/1.1\r\nhost: h\r\n\r\n"},
    {"path with space and lf", {{":authority", "up"}, {":path", "/a b\r\nX: y"}, {":method", "GET"}}, {NULL},
     "GET /a%20b%0D%0AX:%20y HTTP/1.1\r\nhost: up\r\n\r\n"},
    {"no path", {{":authority", "up"}, {":method", "GET"}}, {NULL}, "GET / HTTP/1.1\r\nhost: up\r\n\r\n"},
    {"authority with lf", {{":authority", "up\r\nx: y"}, {":path", "/"}, {":method", "GET"}}, {NULL}, "GET / HTTP/1.1\r\n\r\n"},
    {"upgrade", {P("GET"), {"connection", "upgrade"}, {"upgrade", "websocket"}}, {NULL},
     "GET /p HTTP/1.1\r\nhost: up\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"},
    {"connection close", {P("GET"), {"connection", "close"}}, {NULL}, "GET /p HTTP/1.1\r\nhost: up\r\nconnection: close\r\n\r\n"},
    {"te", {P("GET"), {"te", "trailers"}}, {NULL}, "GET /p HTTP/1.1\r\nhost: up\r\nte: trailers\r\n\r\n"},
    {"connect", {{":authority", "up:443"}, {":method", "CONNECT"}}, {NULL}, "CONNECT up:443 HTTP/1.1\r\nhost: up:443\r\n\r\n"},
    {"bad method", {{":authority", "up"}, {":path", "/"}, {":method", "GET / HTTP/1.1\r\nX: y"}}, {NULL}, ""},
    {"no method", {{":authority", "up"}, {":path", "/"}}, {NULL}, ""},
};

static void run_request(const struct request_case *c, const struct weir_h1_options *options)
{
    struct trace t;
    struct weir_headers h;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, options);
    weir_headers_init(&h, &t.arena);
    add_fields(&h, c->fields, WEIR_COUNTOF(c->fields));
    trace_open(&t);
    t.codec->ops->send_headers(t.cs, &h, !c->body[0]);
    trace_turn(&t);
    send_pieces(&t, c->body, WEIR_COUNTOF(c->body));
    if (strcmp(trace_wrote(&t), c->want) != 0) {
        print_error("case \"%s\"\n", c->name);
    }
    assert_string_equal(trace_wrote(&t), c->want);
    if (c->want[0]) {
        assert_strict(&t, 1, false);
    } else {
        assert_non_null(strstr(trace_text(&t), "x local reset (http1.invalid_method)F http1.invalid_method"));
    }
    trace_fini(&t);
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(requests); i++) {
        run_request(&requests[i], NULL);
    }
}

static void test_proper_case(void **state)
{
    (void)state;
    struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_CLIENT];
    options.proper_case = true;
    static const struct request_case c = {"proper", {P("POST"), {"x-request-id", "1"}, {"a_b", "2"}}, {"ok"},
        "POST /p HTTP/1.1\r\nHost: up\r\nX-Request-Id: 1\r\nA_B: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"};
    run_request(&c, &options);
}

static void test_fully_qualified_url(void **state)
{
    (void)state;
    struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_CLIENT];
    options.send_fully_qualified_url = true;
    static const struct request_case c = {"absolute", {P("GET"), {":scheme", "https"}}, {NULL},
        "GET https://up/p HTTP/1.1\r\nhost: up\r\n\r\n"};
    run_request(&c, &options);
}

/* preserve_case: what came spelt one way leaves spelt that way. */
static void test_preserve_case(void **state)
{
    (void)state;
    struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_SERVER];
    options.preserve_case = true;
    struct trace server, client;
    trace_init_h1(&server, WEIR_CODEC_SERVER, &options);
    server.reply = TRACE_REPLY_NEVER;
    trace_feed(&server, WEIR_S("GET / HTTP/1.1\r\nHOST: a\r\nX-mIxEd: 1\r\nAccept-ENCODING: gzip\r\n\r\n"), false);
    options = weir_h1_options_default[WEIR_CODEC_CLIENT];
    options.preserve_case = true;
    trace_init_h1(&client, WEIR_CODEC_CLIENT, &options);
    struct weir_headers h;
    weir_headers_init(&h, &client.arena);
    weir_headers_copy(&h, server.head);
    weir_headers_add_name(&h, WEIR_S("added"), WEIR_S("2"));
    trace_open(&client);
    client.codec->ops->send_headers(client.cs, &h, true);
    trace_turn(&client);
    assert_string_equal(trace_wrote(&client),
                        "GET / HTTP/1.1\r\nHOST: a\r\nX-mIxEd: 1\r\nAccept-ENCODING: gzip\r\nadded: 2\r\n\r\n");
    trace_fini(&client);
    trace_fini(&server);
}

static void test_trailers(void **state)
{
    (void)state;
    for (int enabled = 0; enabled < 2; enabled++) {
        struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_CLIENT];
        options.enable_trailers = enabled;
        struct trace t;
        trace_init_h1(&t, WEIR_CODEC_CLIENT, &options);
        trace_request(&t, "POST", false);
        trace_send(&t, "ok", false);
        struct weir_headers trailers;
        weir_headers_init(&trailers, &t.arena);
        weir_headers_add_name(&trailers, WEIR_S("x"), WEIR_S("y"));
        weir_headers_add_name(&trailers, WEIR_S("content-length"), WEIR_S("5"));
        weir_headers_add_name(&trailers, WEIR_S("z"), WEIR_S("a\nb"));
        t.codec->ops->send_trailers(t.cs, &trailers);
        trace_turn(&t);
        assert_string_equal(trace_wrote(&t), enabled ? "POST /p HTTP/1.1\r\nhost: up\r\ntransfer-encoding: chunked\r\n\r\n"
                                                       "2\r\nok\r\n0\r\nx: y\r\n\r\n"
                                                     : "POST /p HTTP/1.1\r\nhost: up\r\ntransfer-encoding: chunked\r\n\r\n"
                                                       "2\r\nok\r\n0\r\n\r\n");
        assert_strict(&t, 1, false);
        trace_fini(&t);
    }
}

static void test_informational(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), false);
    struct weir_headers h;
    weir_headers_init(&h, &t.arena);
    weir_headers_set_status(&h, 100);
    t.codec->ops->send_informational(t.cs, &h);
    trace_turn(&t);
    t.reply = TRACE_REPLY_AT_END;
    trace_feed(&t, WEIR_S("ok"), false);
    assert_string_equal(trace_wrote(&t), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    trace_fini(&t);
}

/* Heads larger than a block, and large bodies moved, not copied. */
static void test_large(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    struct weir_headers h;
    weir_headers_init(&h, &t.arena);
    static const struct field fields[] = {P("POST")};
    add_fields(&h, fields, 3);
    char *value = weir_arena_alloc(&t.arena, 50000);
    memset(value, 'v', 50000);
    weir_headers_add_name_borrow(&h, WEIR_S("x"), WEIR_H_OTHER, weir_slice(value, 50000));
    trace_open(&t);
    t.codec->ops->send_headers(t.cs, &h, false);
    struct weir_buf data;
    weir_buf_init(&data, &t.loop.bufs);
    struct weir_block *block = weir_block_get(&t.loop.bufs);
    memset(block->data, 'b', WEIR_BLOCK_SIZE);
    weir_buf_add_block(&data, block, weir_slice(block->data, WEIR_BLOCK_SIZE));
    t.codec->ops->send_data(t.cs, &data, true);
    bool moved = false;
    for (const struct weir_seg *seg = t.out.head; seg; seg = seg->next) {
        moved = moved || seg->ptr == block->data;
    }
    assert_true(moved);
    weir_block_unref(&t.loop.bufs, block);
    trace_turn(&t);
    assert_strict(&t, 1, false);
    trace_fini(&t);
}

/* A message that was received and sent on is strictly parseable whatever came, and one that came is one that goes. */
static void test_relay_is_strict(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "GET / HTTP/1.1\nHost: a\nX: a\n b\n\n",
        "POST http://u@b/?q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\nConnection: x\r\nX: y\r\n\r\nabc",
        "GET  /\"<> HTTP/1.1\r\nHost:\r\nEmpty:\r\nObs: \xff\r\n\r\n",
    };
    for (size_t i = 0; i < WEIR_COUNTOF(inputs); i++) {
        struct trace server, client;
        trace_init_h1(&server, WEIR_CODEC_SERVER, NULL);
        trace_init_h1(&client, WEIR_CODEC_CLIENT, NULL);
        trace_feed(&server, weir_slice_str(inputs[i]), false);
        trace_open(&client);
        bool body = strncmp(inputs[i], "POST", 4) == 0;
        client.codec->ops->send_headers(client.cs, server.head, !body);
        if (body) {
            trace_send(&client, "abc", true);
        }
        trace_turn(&client);
        assert_strict(&client, 1, false);
        trace_fini(&client);
        trace_fini(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),     cmocka_unit_test(test_requests),
        cmocka_unit_test(test_proper_case),   cmocka_unit_test(test_fully_qualified_url),
        cmocka_unit_test(test_preserve_case), cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_informational), cmocka_unit_test(test_large),
        cmocka_unit_test(test_relay_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
