/* The HTTP/1 codec as a client: raw responses and the events they must give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec_trace.h"

struct raw_case {
    const char *name;
    struct weir_slice input;
    const char *want;
    bool eof;           /* a FIN behind it */
    const char *method; /* NULL = GET */
};
#define C(name, input, want) {(name), WEIR_S_INIT(input), (want), false, NULL}
#define EOF_CASE(name, input, want) {(name), WEIR_S_INIT(input), (want), true, NULL}
#define METHOD_CASE(name, method, input, want) {(name), WEIR_S_INIT(input), (want), false, (method)}

#define OK "HTTP/1.1 200 OK\r\n"
#define ERROR_OF(detail) "x protocol error (" detail ")F " detail
#define BAD ERROR_OF("http1.codec_error")
#define CUT ERROR_OF("http1.truncated_message")

static const struct raw_case cases[] = {
    /* Status lines. */
    C("empty", OK "Content-Length: 0\r\n\r\n", "<200{content-length: 0}.;"),
    C("no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "<200{content-length: 0}.;"),
    C("empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "<200{content-length: 0}.;"),
    C("long reason", "HTTP/1.1 404 Nothing to see \xe2\x98\xba\tX\r\nContent-Length: 0\r\n\r\n", "<404{content-length: 0}.;"),
    C("status 599", "HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", "<599{content-length: 0}.;"),
    C("status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", "<999{content-length: 0}.;"),
    C("lf lines", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "<200{content-length: 2}\"ok\".;"),
    C("status 099", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("status 20", "HTTP/1.1 20 X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("status 2000", "HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("status -20", "HTTP/1.1 -20 X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("status 2x0", "HTTP/1.1 2x0 X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("status 200OK", "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n", BAD),
    C("two spaces", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    C("tab", "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    C("no status", "HTTP/1.1\r\nContent-Length: 0\r\n\r\n", BAD),
    C("nul in reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n", BAD),
    C("bare cr in reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", BAD),
    C("http/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    C("http/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", ERROR_OF("low_version")),
    C("http/0.9", "<html>", BAD),
    C("icy", "ICY 200 OK\r\n\r\n", BAD),
    C("lower case", "http/1.1 200 OK\r\n\r\n", BAD),
    C("crlf before", "\r\n" OK "Content-Length: 0\r\n\r\n", BAD),
    C("ssh", "SSH-2.0-x\r\n", BAD),
    C("tls alert", "\x15\x03\x01\x00\x02", BAD),
    C("request", "GET / HTTP/1.1\r\n\r\n", BAD),
    /* Fields. */
    C("two hosts are a server's matter", OK "Host: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
      "<200{host: a; host: b; content-length: 0}.;"),
    C("fold", OK "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "<200{x: a b; content-length: 0}.;"),
    C("nul", OK "X: a\0\r\nContent-Length: 0\r\n\r\n", BAD),
    C("bare cr", OK "X: a\rb\r\nContent-Length: 0\r\n\r\n", BAD),
    C("space before colon", OK "X : a\r\nContent-Length: 0\r\n\r\n", BAD),
    C("no colon", OK "X\r\nContent-Length: 0\r\n\r\n", BAD),
    C("set-cookies", OK "Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
      "<200{set-cookie: a; set-cookie: b; content-length: 0}.;"),
    /* Lengths and codings. */
    C("body", OK "Content-Length: 2\r\n\r\nok", "<200{content-length: 2}\"ok\".;"),
    C("incomplete body", OK "Content-Length: 3\r\n\r\nok", "<200{content-length: 3}\"ok\""),
    C("two lengths", OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", BAD),
    C("length list", OK "Content-Length: 2, 2\r\n\r\nok", BAD),
    C("length -1", OK "Content-Length: -1\r\n\r\nok", BAD),
    C("length and chunked", OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ERROR_OF("http1.content_length_and_chunked_not_allowed")),
    C("chunked and length", OK "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
      ERROR_OF("http1.content_length_and_chunked_not_allowed")),
    C("chunked", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "<200{transfer-encoding: chunked}\"ok\".;"),
    C("chunked, trailers dropped", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
      "<200{transfer-encoding: chunked}\"ok\".;"),
    C("gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", ERROR_OF("http1.invalid_transfer_encoding")),
    C("identity", OK "Transfer-Encoding: identity\r\n\r\nok", ERROR_OF("http1.invalid_transfer_encoding")),
    C("gzip", OK "Transfer-Encoding: gzip\r\n\r\nok", ERROR_OF("http1.invalid_transfer_encoding")),
    C("bad chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n",
      "<200{transfer-encoding: chunked}\"ok\"" BAD),
    C("bad chunk size", OK "Transfer-Encoding: chunked\r\n\r\nx\r\n", "<200{transfer-encoding: chunked}" BAD),
    C("1.0 chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    /* The end of the connection as the end of the body. */
    EOF_CASE("fin ends body", OK "X: y\r\n\r\nok", "<200{x: y}\"ok\".G;"),
    EOF_CASE("fin ends empty body", OK "X: y\r\n\r\n", "<200{x: y}.G;"),
    EOF_CASE("fin cuts length", OK "Content-Length: 3\r\n\r\nok", "<200{content-length: 3}\"ok\"" CUT),
    EOF_CASE("fin cuts chunk", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nok", "<200{transfer-encoding: chunked}\"ok\"" CUT),
    EOF_CASE("fin cuts last chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "<200{transfer-encoding: chunked}\"ok\"" CUT),
    EOF_CASE("fin cuts trailers", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "<200{transfer-encoding: chunked}\"ok\"" CUT),
    EOF_CASE("fin cuts head", OK "X: y\r\n", CUT),
    EOF_CASE("fin cuts status line", "HTTP/1.", CUT),
    EOF_CASE("fin instead of a response", "", "x connection termination (http1.eof_before_response)G"),
    EOF_CASE("fin behind 100", "HTTP/1.1 100 Continue\r\n\r\n", "i100{}x connection termination (http1.eof_before_response)G"),
    /* Keep-alive. */
    C("close", OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", "<200{connection: close; content-length: 2}\"ok\".G;"),
    C("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "<200{content-length: 2}\"ok\".G;"),
    C("1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
      "<200{connection: keep-alive; content-length: 2}\"ok\".;"),
    /* Responses without a body. */
    METHOD_CASE("head", "HEAD", OK "Content-Length: 5\r\n\r\n", "<200{content-length: 5}.;"),
    METHOD_CASE("head chunked", "HEAD", OK "Transfer-Encoding: chunked\r\n\r\n", "<200{transfer-encoding: chunked}.;"),
    METHOD_CASE("head without length", "HEAD", OK "X: y\r\n\r\n", "<200{x: y}.;"),
    C("204", "HTTP/1.1 204 No Content\r\n\r\n", "<204{}.;"),
    C("204 length 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "<204{}.;"),
    C("204 length 5", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ERROR_OF("http1.body_disallowed")),
    C("204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ERROR_OF("http1.body_disallowed")),
    C("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "<304{content-length: 5}.;"),
    C("304 chunked", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "<304{transfer-encoding: chunked}.;"),
    C("205", "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", "<205{content-length: 0}.;"),
    /* 1xx. */
    C("100", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 0\r\n\r\n", "i100{}<200{content-length: 0}.;"),
    C("100, 102, 103", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n" OK
      "Content-Length: 0\r\n\r\n", "i100{}i102{}i103{link: x}<200{content-length: 0}.;"),
    C("199", "HTTP/1.1 199 X\r\n\r\n" OK "Content-Length: 0\r\n\r\n", "i199{}<200{content-length: 0}.;"),
    C("101 unasked", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw", ERROR_OF("http1.unexpected_informational")),
    C("100 with length", "HTTP/1.1 100 C\r\nContent-Length: 3\r\n\r\n", ERROR_OF("http1.body_disallowed")),
    C("100 chunked", "HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n", ERROR_OF("http1.body_disallowed")),
    C("100 close", "HTTP/1.1 100 C\r\nConnection: close\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
      "i100{connection: close}<200{content-length: 0}.;"),
    /* Tunnels. */
    METHOD_CASE("connect", "CONNECT", OK "\r\nraw", "<200{}\"raw\""),
    METHOD_CASE("connect refused", "CONNECT", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "<403{content-length: 2}\"no\".;"),
};

static void run(const struct raw_case *c, const struct weir_h1_options *options, size_t cut, size_t step)
{
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, options);
    trace_request(&t, c->method ? c->method : "GET", true);
    if (step > 0 && cut == 0) {
        trace_feed_segments(&t, c->input, step, c->eof);
    } else if (step > 0) {
        for (size_t at = 0; at < c->input.len; at += step) {
            trace_feed(&t, weir_slice_first(weir_slice_from(c->input, at), step), c->eof && at + step >= c->input.len);
        }
        if (c->eof && c->input.len == 0) {
            trace_feed(&t, WEIR_S(""), true);
        }
    } else {
        trace_feed(&t, weir_slice_first(c->input, cut), false);
        trace_feed(&t, weir_slice_from(c->input, cut), c->eof);
    }
    const char *got = trace_text(&t);
    if (strcmp(got, c->want) != 0) {
        print_error("case \"%s\", cut %zu, step %zu:\n  want %s\n  got  %s\n", c->name, cut, step, c->want, got);
    }
    assert_string_equal(got, c->want);
    trace_fini(&t);
}

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].input.len; cut++) {
            run(&cases[i], NULL, cut, 0);
        }
        for (size_t step = 1; step <= 7; step++) {
            run(&cases[i], NULL, 0, step);
            run(&cases[i], NULL, 1, step);
        }
    }
}

static void test_reuse(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.codec->ops->capacity(t.codec), 1);
        trace_request(&t, "GET", true);
        assert_int_equal(t.codec->ops->capacity(t.codec), 0);
        trace_feed(&t, WEIR_S(OK "Content-Length: 2\r\n\r\nok"), false);
    }
    assert_string_equal(trace_text(&t), "<200{content-length: 2}\"ok\".;<200{content-length: 2}\"ok\".;<200{content-length: 2}\"ok\".;");
    assert_null(strstr(trace_wrote(&t), "connection"));
    trace_fini(&t);
}

/* Bytes behind a complete response: whoever sends them does not agree with us where messages end. */
static void test_excess(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL); /* at once */
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false);
    assert_string_equal(trace_text(&t), "<200{content-length: 2}\"ok\".G;");
    assert_int_equal(t.codec->ops->capacity(t.codec), 0);
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL); /* later */
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "Content-Length: 2\r\n\r\nok"), false);
    trace_feed(&t, WEIR_S("x"), false);
    assert_string_equal(trace_text(&t), "<200{content-length: 2}\"ok\".;F http1.unsolicited_bytes");
    assert_int_equal(t.codec->ops->capacity(t.codec), 0);
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL); /* never asked */
    trace_feed(&t, WEIR_S("HTTP/1.1 408 Timeout\r\n\r\n"), false);
    assert_string_equal(trace_text(&t), "F http1.unsolicited_bytes");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL); /* FIN while idle */
    trace_feed(&t, WEIR_S(""), true);
    assert_string_equal(trace_text(&t), "G");
    trace_fini(&t);
}

static void test_response_before_the_request_is_sent(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    trace_request(&t, "POST", false);
    trace_send(&t, "part", false);
    trace_feed(&t, WEIR_S("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"), false);
    assert_string_equal(trace_text(&t), "<413{content-length: 2}\"no\".");
    trace_send(&t, "rest", true);
    assert_string_equal(trace_text(&t), "<413{content-length: 2}\"no\".G;");
    trace_fini(&t);
}

/* A reset connection completes nothing; a FIN does. */
static void test_reset_cuts_close_delimited_body(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "\r\npartial"), false);
    t.codec->ops->conn_gone(t.codec, WEIR_RESET_REMOTE_CONN_FAILURE);
    assert_string_equal(trace_text(&t), "<200{}\"partial\"x remote connection failure (connection_gone)");
    trace_fini(&t);
}

static void test_read_disable(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "\r\nab"), false);
    t.codec->ops->read_disable(t.cs, true);
    trace_feed(&t, WEIR_S("cd"), true);
    assert_string_equal(trace_text(&t), "<200{}\"ab\"");
    t.codec->ops->read_disable(t.cs, false);
    trace_turn(&t);
    assert_string_equal(trace_text(&t), "<200{}\"ab\"\"cd\".G;");
    trace_fini(&t);
}

static void test_owner_resets(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    trace_request(&t, "GET", true);
    t.codec->ops->reset(t.cs, WEIR_RESET_LOCAL_RESET);
    trace_turn(&t);
    assert_string_equal(trace_text(&t), "G;F http1.stream_reset");
    assert_int_equal(t.codec->ops->capacity(t.codec), 0);
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    t.reset_at_data = true;
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "Content-Length: 3\r\n\r\nokx"), false);
    assert_string_equal(trace_text(&t), "<200{content-length: 3}\"okx\";"); /* it was complete: nothing to break */
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    t.reset_at_data = true;
    trace_request(&t, "GET", true);
    trace_feed(&t, WEIR_S(OK "Content-Length: 4\r\n\r\nokx"), false);
    assert_string_equal(trace_text(&t), "<200{content-length: 4}\"okx\"G;F http1.stream_reset");
    trace_fini(&t);
}

static void test_informational_flood(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
    trace_request(&t, "GET", true);
    for (int i = 0; i < 100; i++) {
        trace_feed(&t, WEIR_S("HTTP/1.1 100 Continue\r\n\r\n"), false);
    }
    assert_int_equal(t.n_fatal, 1);
    assert_non_null(strstr(trace_text(&t), "x protocol error (http1.unexpected_informational)"));
    trace_fini(&t);
}

static void test_head_limits(void **state)
{
    (void)state;
    static const struct {
        size_t n_fields, value_len;
        const char *want;
    } rows[] = {
        {99, 1, ".;"},
        {100, 1, "http1.too_many_headers"},
        {1, 81000, ".;"},
        {1, 100000, "http1.headers_too_large"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_str s;
        struct trace t;
        weir_str_init(&s, 1u << 20);
        weir_str_adds(&s, OK "Content-Length: 0\r\n");
        for (size_t k = 0; k < rows[i].n_fields; k++) {
            weir_str_adds(&s, "a: ");
            for (size_t j = 0; j < rows[i].value_len; j++) {
                weir_str_addc(&s, 'v');
            }
            weir_str_adds(&s, "\r\n");
        }
        weir_str_adds(&s, "\r\n");
        trace_init_h1(&t, WEIR_CODEC_CLIENT, NULL);
        trace_request(&t, "GET", true);
        trace_feed(&t, weir_str_slice(&s), false);
        assert_non_null(strstr(trace_text(&t), rows[i].want));
        trace_fini(&t);
        weir_str_fini(&s);
    }
}

static void test_trailers(void **state)
{
    (void)state;
    struct weir_h1_options options = weir_h1_options_default[WEIR_CODEC_CLIENT];
    options.enable_trailers = true;
    static const struct raw_case trailers = C("trailers", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
                                              "<200{transfer-encoding: chunked}\"ok\"T{a: b}.;");
    for (size_t cut = 0; cut <= trailers.input.len; cut++) {
        run(&trailers, &options, cut, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_response_before_the_request_is_sent),
        cmocka_unit_test(test_reset_cuts_close_delimited_body),
        cmocka_unit_test(test_read_disable),
        cmocka_unit_test(test_owner_resets),
        cmocka_unit_test(test_informational_flood),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
