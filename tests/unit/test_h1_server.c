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

static void test_requests(void **state)
{
    (void)state;
    run_all_cuts(request_cases, WEIR_COUNTOF(request_cases), NULL, TRACE_REPLY_AT_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
