/* The HTTP/1 codec as a server: raw requests and the events they must give, fed whole, byte by byte, in two packets cut at every
 * point, and in segments within one read. */
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
};
#define C(name, input, want) {(name), WEIR_S_INIT(input), (want)}

/* A request with the given lines between Host and the end of the head. */
#define GET(lines) "GET / HTTP/1.1\r\nHost: a\r\n" lines "\r\n"
#define POST(lines) "POST / HTTP/1.1\r\nHost: a\r\n" lines "\r\n"
#define CHUNKED(body) "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" body
#define CHUNKED_HEAD ">POST / a{transfer-encoding: chunked}"
#define BAD "!400 http1.codec_errorG;"
#define BAD_CODING "!501 http1.invalid_transfer_encodingG;"
#define LENGTH_AND_CHUNKED "!400 http1.content_length_and_chunked_not_allowedG;"

#include "h1_server_cases.h"

static void run(const struct raw_case *c, const struct weir_h1_options *options, enum trace_reply reply, size_t cut,
                size_t step)
{
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, options);
    t.reply = reply;
    if (step > 0 && cut == 0) {
        trace_feed_segments(&t, c->input, step, false);
    } else if (step > 0) {
        for (size_t at = 0; at < c->input.len; at += step) {
            trace_feed(&t, weir_slice_first(weir_slice_from(c->input, at), step), false);
        }
    } else {
        trace_feed(&t, weir_slice_first(c->input, cut), false);
        trace_feed(&t, weir_slice_from(c->input, cut), false);
    }
    const char *got = trace_text(&t);
    if (strcmp(got, c->want) != 0) {
        print_error("case \"%s\", cut %zu, step %zu:\n  want %s\n  got  %s\n", c->name, cut, step, c->want, got);
    }
    assert_string_equal(got, c->want);
    trace_fini(&t);
}

static void run_all_cuts(const struct raw_case *v, size_t n, const struct weir_h1_options *options,
                         enum trace_reply reply)
{
    for (size_t i = 0; i < n; i++) {
        const struct raw_case *c = &v[i];
        for (size_t cut = 0; cut <= c->input.len; cut++) {
            run(c, options, reply, cut, 0);
        }
        for (size_t step = 1; step <= 7; step++) {
            run(c, options, reply, 0, step); /* segments of one read */
            run(c, options, reply, 1, step); /* packets */
        }
    }
}

#define RUN_ALL(cases, options, reply) run_all_cuts((cases), WEIR_COUNTOF(cases), (options), (reply))

static void test_request_lines(void **state)
{
    (void)state;
    RUN_ALL(request_line_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_targets(void **state)
{
    (void)state;
    RUN_ALL(target_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_fields(void **state)
{
    (void)state;
    RUN_ALL(field_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_content_lengths(void **state)
{
    (void)state;
    RUN_ALL(length_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_transfer_codings(void **state)
{
    (void)state;
    RUN_ALL(coding_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_chunks(void **state)
{
    (void)state;
    RUN_ALL(chunk_cases, NULL, TRACE_REPLY_AT_END);
}

static void test_connections(void **state)
{
    (void)state;
    RUN_ALL(connection_cases, NULL, TRACE_REPLY_AT_END);
}

static struct weir_h1_options server_options(void)
{
    return weir_h1_options_default[WEIR_CODEC_SERVER];
}

static void test_http_10(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.accept_http_10 = true;
    options.default_host_for_http_10 = WEIR_S("default.host");
    RUN_ALL(http_10_cases, &options, TRACE_REPLY_AT_END);
}

static void test_custom_methods(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.allow_custom_methods = true;
    RUN_ALL(custom_method_cases, &options, TRACE_REPLY_AT_END);
}

static void test_trailers(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.enable_trailers = true;
    RUN_ALL(trailer_cases, &options, TRACE_REPLY_AT_END);
}

static void test_underscores(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.underscores = WEIR_UNDERSCORES_REJECT;
    RUN_ALL(reject_underscore_cases, &options, TRACE_REPLY_AT_END);
    options.underscores = WEIR_UNDERSCORES_DROP;
    RUN_ALL(drop_underscore_cases, &options, TRACE_REPLY_AT_END);
}

static void test_chunked_length(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.allow_chunked_length = true;
    RUN_ALL(chunked_length_cases, &options, TRACE_REPLY_AT_END);
}

static void test_tunnels(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.allow_upgrade = true;
    RUN_ALL(switch_cases, &options, TRACE_REPLY_SWITCH);
}

static void test_early_responses(void **state)
{
    (void)state;
    RUN_ALL(early_cases, NULL, TRACE_REPLY_AT_HEAD);
}

static void test_no_absolute_url(void **state)
{
    (void)state;
    struct weir_h1_options options = server_options();
    options.allow_absolute_url = false;
    static const struct raw_case absolute[] = {C("absolute", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", BAD)};
    RUN_ALL(absolute, &options, TRACE_REPLY_AT_END);
}

/* --- Limits: generated requests, whole and in pieces of odd sizes. --- */

static void feed_in_pieces(struct trace *t, const struct weir_str *input, size_t piece)
{
    struct weir_slice rest = weir_str_slice(input);
    while (rest.len > 0) {
        trace_feed(t, weir_slice_first(rest, piece), false);
        rest = weir_slice_from(rest, piece);
    }
}

static void expect_events(const struct weir_str *input, const char *want_in)
{
    static const size_t pieces[] = {SIZE_MAX, 16384, 4096, 1000, 77};
    for (size_t i = 0; i < WEIR_COUNTOF(pieces); i++) {
        struct trace t;
        trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
        feed_in_pieces(&t, input, pieces[i]);
        const char *got = trace_text(&t);
        if (!strstr(got, want_in)) {
            print_error("pieces of %zu: want %s in %.200s\n", pieces[i], want_in, got);
        }
        assert_non_null(strstr(got, want_in));
        trace_fini(&t);
    }
}

static void repeat(struct weir_str *s, char c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        weir_str_addc(s, c);
    }
}

#define TOO_LARGE "!431 http1.headers_too_largeG;"
#define TOO_MANY "!431 http1.too_many_headersG;"

/* Where the bytes of the limit are put. */
enum bulk { BULK_TARGET, BULK_NAME, BULK_VALUE, BULK_SPACE, BULK_BLANK_FOLDS, BULK_TRAILER, BULK_TRAILERS };

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum bulk bulk;
        size_t size;
        bool open; /* the message is cut off behind the bulk */
        const char *want;
    } rows[] = {
        {"target fits", BULK_TARGET, 61000, false, ".;"},
        {"target too long", BULK_TARGET, 61440, false, TOO_LARGE},
        {"target far too long", BULK_TARGET, 100000, false, TOO_LARGE},
        {"endless target", BULK_TARGET, 100000, true, TOO_LARGE},
        {"name fits", BULK_NAME, 60000, false, ".;"},
        {"name of 65535", BULK_NAME, 65535, false, TOO_LARGE},
        {"endless name", BULK_NAME, 100000, true, TOO_LARGE},
        {"value fits", BULK_VALUE, 61000, false, ".;"},
        {"value of 60 KiB", BULK_VALUE, 61440, false, TOO_LARGE},
        {"endless value", BULK_VALUE, 100000, true, TOO_LARGE},
        {"endless white space", BULK_SPACE, 100000, true, TOO_LARGE},
        {"endless folds", BULK_BLANK_FOLDS, 100000, true, TOO_LARGE},
        {"trailer fits", BULK_TRAILER, 61000, false, ".;"},
        {"trailer too long", BULK_TRAILER, 61441, false, TOO_LARGE},
        {"endless trailer", BULK_TRAILER, 100000, true, TOO_LARGE},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_str s;
        weir_str_init(&s, 1u << 20);
        enum bulk bulk = rows[i].bulk;
        weir_str_adds(&s, "GET /");
        repeat(&s, 'p', bulk == BULK_TARGET ? rows[i].size : 0);
        if (bulk != BULK_TARGET || !rows[i].open) {
            weir_str_adds(&s, " HTTP/1.1\r\nHost: a\r\n");
        }
        if (bulk == BULK_TRAILER) {
            weir_str_adds(&s, "Transfer-Encoding: chunked\r\n\r\n0\r\n");
        }
        if (bulk != BULK_TARGET) {
            weir_str_adds(&s, "x");
        }
        repeat(&s, 'n', bulk == BULK_NAME ? rows[i].size : 0);
        if (bulk != BULK_TARGET && (bulk != BULK_NAME || !rows[i].open)) {
            weir_str_adds(&s, ":");
            repeat(&s, 'v', bulk == BULK_VALUE || bulk == BULK_TRAILER ? rows[i].size : 0);
            repeat(&s, ' ', bulk == BULK_SPACE ? rows[i].size : 0);
            for (size_t k = 0; bulk == BULK_BLANK_FOLDS && k < rows[i].size / 3; k++) {
                weir_str_adds(&s, "\r\n ");
            }
        }
        if (!rows[i].open) {
            weir_str_adds(&s, bulk == BULK_TARGET ? "\r\n" : "\r\n\r\n");
        }
        print_message("%s\n", rows[i].name);
        expect_events(&s, rows[i].want);
        weir_str_fini(&s);
    }
}

static void test_field_counts(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        bool trailers;
        const char *want;
    } rows[] = {
        {99, false, ".;"}, {100, false, TOO_MANY}, {3000, false, TOO_MANY},
        {100, true, ".;"}, {101, true, TOO_MANY},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_str s;
        weir_str_init(&s, 1u << 20);
        weir_str_adds(&s, "GET / HTTP/1.1\r\nHost: a\r\n");
        if (rows[i].trailers) {
            weir_str_adds(&s, "Transfer-Encoding: chunked\r\n\r\n0\r\n");
        }
        for (size_t k = 0; k < rows[i].n; k++) {
            weir_str_adds(&s, "a: b\r\n");
        }
        weir_str_adds(&s, "\r\n");
        expect_events(&s, rows[i].want);
        weir_str_fini(&s);
    }
}

/* Chunk extensions cost a bound, however they are spread. */
static void test_chunk_extensions_are_bounded(void **state)
{
    (void)state;
    struct weir_str s;
    weir_str_init(&s, 1u << 20);
    weir_str_adds(&s, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 1000; i++) {
        weir_str_adds(&s, "1;extension=of-thirty-bytes\r\nx\r\n");
    }
    expect_events(&s, "!400 http1.codec_errorG;");
    weir_str_fini(&s);
}

/* --- Behaviour in time. --- */

static void test_pipelined_waits_for_the_response(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S(GET("") GET("X: 1\r\n")), false);
    assert_string_equal(trace_text(&t), ">GET / a{}.");
    assert_int_equal(t.n_streams, 1);
    assert_int_equal(t.codec->ops->active(t.codec), 1);
    struct weir_headers h;
    weir_headers_init(&h, &t.arena);
    weir_headers_set_status(&h, 204);
    t.codec->ops->send_headers(t.cs, &h, true);
    trace_turn(&t); /* the task ends the exchange and asks for a recv */
    assert_string_equal(trace_text(&t), ">GET / a{}.;>GET / a{x: 1}.");
    assert_string_equal(trace_wrote(&t), "HTTP/1.1 204 No Content\r\n\r\n");
    trace_fini(&t);
}

static void test_thousand_pipelined(void **state)
{
    (void)state;
    struct trace t;
    struct weir_str s;
    weir_str_init(&s, 1u << 20);
    for (int i = 0; i < 1000; i++) {
        weir_str_adds(&s, GET(""));
    }
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    trace_feed(&t, weir_str_slice(&s), false);
    assert_int_equal(t.n_streams, 1000);
    assert_int_equal(t.wrote.len, 1000 * strlen("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    trace_fini(&t);
    weir_str_fini(&s);
}

static void test_output_above_mark_holds_new_requests(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.codec->ops->conn_watermark(t.codec, true);
    trace_feed(&t, WEIR_S(GET("")), false);
    assert_int_equal(t.n_streams, 0);
    t.codec->ops->conn_watermark(t.codec, false);
    trace_turn(&t);
    assert_string_equal(trace_text(&t), ">GET / a{}.;");
    trace_fini(&t);
}

static void test_read_disable_holds_the_body(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    trace_feed(&t, WEIR_S(POST("Content-Length: 6\r\n") "abc"), false);
    t.codec->ops->read_disable(t.cs, true);
    t.codec->ops->read_disable(t.cs, true);
    trace_feed(&t, WEIR_S("def"), false);
    assert_int_equal(t.in.len, 3);
    t.codec->ops->read_disable(t.cs, false);
    trace_turn(&t);
    assert_int_equal(t.in.len, 3);
    t.codec->ops->read_disable(t.cs, false);
    trace_turn(&t);
    assert_string_equal(trace_text(&t), ">POST / a{content-length: 6}\"abcdef\".;");
    trace_fini(&t);
}

static void test_swallowing_ignores_read_disable(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S(POST("Content-Length: 6\r\n") "abc"), false);
    t.codec->ops->read_disable(t.cs, true);
    struct weir_headers h;
    weir_headers_init(&h, &t.arena);
    weir_headers_set_status(&h, 413);
    t.codec->ops->send_headers(t.cs, &h, true);
    trace_turn(&t);
    t.reply = TRACE_REPLY_AT_END;
    trace_feed(&t, WEIR_S("def" GET("")), false);
    assert_string_equal(trace_text(&t), ">POST / a{content-length: 6}\"abc\";>GET / a{}.;");
    trace_fini(&t);
}

/* The peer's FIN: where it comes decides. */
static void test_eof(void **state)
{
    (void)state;
    static const struct {
        struct weir_slice input;
        enum trace_reply reply;
        const char *want;
    } rows[] = {
        {WEIR_S_INIT(""), TRACE_REPLY_AT_END, "G"},
        {WEIR_S_INIT(GET("")), TRACE_REPLY_AT_END, ">GET / a{}.G;"},
        {WEIR_S_INIT(GET("") GET("")), TRACE_REPLY_AT_END, ">GET / a{}.;>GET / a{}.G;"},
        {WEIR_S_INIT("GET /"), TRACE_REPLY_AT_END,
         "x connection termination (http1.truncated_message)F http1.truncated_message"},
        {WEIR_S_INIT("GET / HTTP/1.1\r\nHost: a\r\n"), TRACE_REPLY_AT_END,
         "x connection termination (http1.truncated_message)F http1.truncated_message"},
        {WEIR_S_INIT(POST("Content-Length: 3\r\n") "ab"), TRACE_REPLY_AT_END,
         ">POST / a{content-length: 3}\"ab\"x connection termination (http1.truncated_message)F "
         "http1.truncated_message"},
        {WEIR_S_INIT(CHUNKED("3\r\nabc\r\n0\r\n")), TRACE_REPLY_AT_END,
         CHUNKED_HEAD "\"abc\"x connection termination (http1.truncated_message)F http1.truncated_message"},
        {WEIR_S_INIT(GET("")), TRACE_REPLY_NEVER, ">GET / a{}."},
        {WEIR_S_INIT("BAD"), TRACE_REPLY_NEVER,
         "x connection termination (http1.truncated_message)F http1.truncated_message"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct trace t;
        trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
        t.reply = rows[i].reply;
        trace_feed(&t, rows[i].input, true);
        assert_string_equal(trace_text(&t), rows[i].want);
        trace_fini(&t);
        trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
        t.reply = rows[i].reply;
        trace_feed(&t, rows[i].input, false);
        trace_feed(&t, WEIR_S(""), true);
        trace_feed(&t, WEIR_S(""), true);
        if (i != 1 && i != 2) { /* there the response is out before the FIN comes */
            assert_string_equal(trace_text(&t), rows[i].want);
        }
        trace_fini(&t);
    }
}

static void test_connection_gone(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S(POST("Content-Length: 3\r\n") "ab"), false);
    t.codec->ops->conn_gone(t.codec, WEIR_RESET_REMOTE_CONN_FAILURE);
    trace_turn(&t);
    assert_string_equal(trace_text(&t),
                        ">POST / a{content-length: 3}\"ab\"x remote connection failure (connection_gone)");
    assert_int_equal(t.codec->ops->active(t.codec), 0);
    trace_fini(&t);
}

static void test_owner_resets(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reset_at_head = true;
    trace_feed(&t, WEIR_S(POST("Content-Length: 3\r\n") "abc" GET("")), false);
    assert_string_equal(trace_text(&t), ">POST / a{content-length: 3}G;F http1.stream_reset");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reset_at_data = true;
    trace_feed(&t, WEIR_S(CHUNKED("3\r\nabc\r\nBAD")), false);
    assert_string_equal(trace_text(&t), CHUNKED_HEAD "\"abc\"G;F http1.stream_reset");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL); /* from outside recv */
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S(GET("")), false);
    t.codec->ops->reset(t.cs, WEIR_RESET_LOCAL_RESET);
    assert_string_equal(trace_text(&t), ">GET / a{}.");
    trace_turn(&t);
    assert_string_equal(trace_text(&t), ">GET / a{}.G;F http1.stream_reset");
    trace_fini(&t);
}

/* The owner may close the connection from inside any event: he hears of each end once. */
static void test_connection_closed_inside_events(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.gone_at_head = true;
    trace_feed(&t, WEIR_S(POST("Content-Length: 3\r\n") "abc" GET("")), false);
    assert_string_equal(trace_text(&t), ">POST / a{content-length: 3}x connection termination (connection_gone)");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.gone_at_data = true;
    trace_feed(&t, WEIR_S(CHUNKED("3\r\nabc\r\n0\r\nX: y\r\n\r\n") GET("")), false);
    assert_string_equal(trace_text(&t), CHUNKED_HEAD "\"abc\"x connection termination (connection_gone)");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.gone_at_goaway = true;
    trace_feed(&t, WEIR_S(GET("Connection: close\r\n") GET("")), false);
    assert_string_equal(trace_text(&t), ">GET / a{connection: close}.G;");
    trace_fini(&t);
}

static void test_drain(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL); /* idle */
    t.codec->ops->drain(t.codec);
    trace_turn(&t);
    assert_string_equal(trace_text(&t), "G");
    trace_fini(&t);
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL); /* within a request */
    trace_feed(&t, WEIR_S("GET / HT"), false);
    t.codec->ops->drain(t.codec);
    trace_feed(&t, WEIR_S("TP/1.1\r\nHost: a\r\n\r\n" GET("")), false);
    assert_string_equal(trace_text(&t), ">GET / a{}.G;");
    assert_string_equal(trace_wrote(&t), "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    trace_fini(&t);
}

static void test_too_much_is_not_swallowed(void **state)
{
    (void)state;
    struct trace t;
    trace_init_h1(&t, WEIR_CODEC_SERVER, NULL);
    t.reply = TRACE_REPLY_NEVER;
    trace_feed(&t, WEIR_S(POST("Content-Length: 70000\r\n")), false);
    char block[10000];
    memset(block, 'x', sizeof(block));
    trace_feed(&t, weir_slice(block, sizeof(block)), false); /* 60000 are left: worth it */
    struct weir_headers h;
    weir_headers_init(&h, &t.arena);
    weir_headers_set_status(&h, 200);
    t.codec->ops->send_headers(t.cs, &h, true);
    trace_turn(&t);
    assert_null(strstr(trace_wrote(&t), "close"));
    for (int i = 0; i < 6; i++) {
        trace_feed(&t, weir_slice(block, sizeof(block)), false);
    }
    t.reply = TRACE_REPLY_AT_END;
    trace_feed(&t, WEIR_S(GET("")), false);
    assert_non_null(strstr(trace_text(&t), ";>GET / a{}.;"));
    trace_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_lines),    cmocka_unit_test(test_targets),
        cmocka_unit_test(test_fields),           cmocka_unit_test(test_content_lengths),
        cmocka_unit_test(test_transfer_codings), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_http_10),
        cmocka_unit_test(test_custom_methods),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_underscores),
        cmocka_unit_test(test_chunked_length),
        cmocka_unit_test(test_tunnels),
        cmocka_unit_test(test_early_responses),
        cmocka_unit_test(test_no_absolute_url),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_field_counts),
        cmocka_unit_test(test_chunk_extensions_are_bounded),
        cmocka_unit_test(test_pipelined_waits_for_the_response),
        cmocka_unit_test(test_thousand_pipelined),
        cmocka_unit_test(test_output_above_mark_holds_new_requests),
        cmocka_unit_test(test_read_disable_holds_the_body),
        cmocka_unit_test(test_swallowing_ignores_read_disable),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_connection_gone),
        cmocka_unit_test(test_owner_resets),
        cmocka_unit_test(test_connection_closed_inside_events),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_too_much_is_not_swallowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
