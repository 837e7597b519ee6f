/* The HTTP/2 codec: as a server against raw frames made here, and both roles against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "codec_trace.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* --- Making frames. --- */

static void put_u32(struct weir_str *s, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        weir_str_addc(s, (char)(value >> (8 * i)));
    }
}

static void put_frame(struct weir_str *s, uint8_t type, uint8_t flags, uint32_t id, struct weir_slice payload)
{
    put_u32(s, (uint32_t)payload.len, 3);
    weir_str_addc(s, (char)type);
    weir_str_addc(s, (char)flags);
    put_u32(s, id, 4);
    weir_str_add(s, payload);
}

static void put_integer(struct weir_str *s, size_t value)
{
    if (value < 127) {
        weir_str_addc(s, (char)value);
        return;
    }
    weir_str_addc(s, 127);
    for (value -= 127; value >= 128; value >>= 7) {
        weir_str_addc(s, (char)(value | 128));
    }
    weir_str_addc(s, (char)value);
}

/* Literal fields without indexing, out of "name: value\n…". */
static void put_fields(struct weir_str *s, const char *fields)
{
    struct weir_slice rest = weir_slice_str(fields), line;
    while (rest.len > 0 && weir_slice_next(&rest, '\n', &line)) {
        size_t colon = 1 + weir_slice_find(weir_slice_from(line, 1), ':');
        struct weir_slice name = weir_slice_first(line, colon), value = weir_slice_from(line, colon + 2);
        weir_str_addc(s, 0);
        put_integer(s, name.len);
        weir_str_add(s, name);
        put_integer(s, value.len);
        weir_str_add(s, value);
    }
}

static void put_headers(struct weir_str *s, uint32_t id, uint8_t flags, const char *fields)
{
    struct weir_str block;
    weir_str_init(&block, 1u << 20);
    put_fields(&block, fields);
    put_frame(s, HEADERS, flags, id, weir_str_slice(&block));
    weir_str_fini(&block);
}

static void put_start(struct weir_str *s)
{
    weir_str_adds(s, PREFACE);
    put_frame(s, SETTINGS, 0, 0, WEIR_S(""));
    put_frame(s, SETTINGS, ACK, 0, WEIR_S(""));
}

#define GET ":method: GET\n:scheme: http\n:path: /\n:authority: a\n"
#define POST ":method: POST\n:scheme: http\n:path: /\n:authority: a\n"

/* --- Reading frames: "TYPE(id,flags,length) …" without SETTINGS and window updates. --- */

static const char *const type_names[] = {"DATA", "HEADERS", "PRIORITY", "RST", "SETTINGS", "PUSH", "PING", "GOAWAY",
                                         "WINDOW_UPDATE", "CONTINUATION"};

static uint32_t get_u32(const char *p, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | (uint8_t)p[i];
    }
    return value;
}

static void print_frames(const struct trace *t, struct weir_str *out)
{
    struct weir_slice rest = weir_str_slice(&t->wrote);
    while (rest.len >= 9) {
        uint32_t len = get_u32(rest.ptr, 3), id = get_u32(rest.ptr + 5, 4);
        uint8_t type = (uint8_t)rest.ptr[3], flags = (uint8_t)rest.ptr[4];
        assert_true(type <= CONTINUATION && rest.len >= 9 + len);
        const char *payload = rest.ptr + 9;
        bool end = (type == DATA || type == HEADERS) && (flags & END_STREAM);
        if (type == RST_STREAM) {
            weir_str_printf(out, "RST(%u,%u) ", id, get_u32(payload, 4));
        } else if (type == GOAWAY) {
            weir_str_printf(out, "GOAWAY(%u,%u) ", get_u32(payload, 4), get_u32(payload + 4, 4));
        } else if (type == DATA) {
            weir_str_printf(out, "DATA(%u%s,%u) ", id, end ? ".": "", len);
        } else if (type != SETTINGS && type != WINDOW_UPDATE) {
            weir_str_printf(out, "%s(%u%s) ", type_names[type], id, end ? "." : (flags & ACK) && type == PING ? "!" : "");
        }
        rest = weir_slice_from(rest, 9 + len);
    }
    assert_int_equal(rest.len, 0);
}

/* --- Raw cases. --- */

/* Frames of a case, in order; a row with fields is a HEADERS frame. */
struct raw_frame {
    uint8_t type, flags;
    uint32_t id;
    const char *fields;
    struct weir_slice payload;
};
struct raw_case {
    const char *name;
    struct raw_frame frames[6];
    const char *events, *wrote;
};
#define H(id, flags, fields) {HEADERS, (flags), (id), (fields), {NULL, 0}}
#define D(id, flags, text) {DATA, (flags), (id), NULL, WEIR_S_INIT(text)}
#define F(type, flags, id, bytes) {(type), (flags), (id), NULL, WEIR_S_INIT(bytes)}
#define EH END_HEADERS
#define EHS (END_HEADERS | END_STREAM)
#define RX_BAD "x protocol error (http2.invalid.header.field)"
#define RULE "x protocol error (http2.violation.of.messaging.rule)"
#define OVER "F http2.protocol_error"

static const struct raw_case cases[] = {
    {"get", {H(1, EHS, GET)}, ">GET / a{:scheme: http}.;", "HEADERS(1.) "},
    {"two", {H(1, EHS, GET), H(3, EHS, GET "x: y\n")}, ">GET / a{:scheme: http}.;>GET / a{:scheme: http; x: y}.;", "HEADERS(1.) HEADERS(3.) "},
    {"body", {H(1, EH, POST), D(1, 0, "ab"), D(1, END_STREAM, "cd")}, ">POST / a{:scheme: http}\"abcd\".;", "HEADERS(1.) "},
    {"empty end", {H(1, EH, POST), D(1, 0, "ab"), D(1, END_STREAM, "")}, ">POST / a{:scheme: http}\"ab\".;", "HEADERS(1.) "},
    {"length", {H(1, EH, POST "content-length: 2\n"), D(1, END_STREAM, "ab")},
     ">POST / a{:scheme: http; content-length: 2}\"ab\".;", "HEADERS(1.) "},
    {"trailers", {H(1, EH, POST), D(1, 0, "ab"), H(1, EHS, "x: y\n")}, ">POST / a{:scheme: http}\"ab\"T{x: y}.;", "HEADERS(1.) "},
    {"split head", {{HEADERS, END_STREAM, 1, GET, {NULL, 0}}, F(CONTINUATION, END_HEADERS, 1, "\0\x01x\x01y")},
     ">GET / a{:scheme: http; x: y}.;", "HEADERS(1.) "},
    {"padding", {{HEADERS, EH, 1, POST, {NULL, 0}}, F(DATA, PADDED | END_STREAM, 1, "\x03" "ab\0\0\0")},
     ">POST / a{:scheme: http}\"ab\".;", "HEADERS(1.) "},
    {"cookie crumbs", {H(1, EHS, GET "cookie: a=b\nx: y\ncookie: c=d\n")}, ">GET / a{:scheme: http; cookie: a=b; c=d; x: y}.;", "HEADERS(1.) "},
    {"host only", {H(1, EHS, ":method: GET\n:scheme: http\n:path: /\nhost: h\n")}, ">GET / h{:scheme: http}.;", "HEADERS(1.) "},
    {"host as authority", {H(1, EHS, GET "host: A\n")}, ">GET / a{:scheme: http}.;", "HEADERS(1.) "},
    {"host other than authority", {H(1, EHS, GET "host: b\n")}, RX_BAD, "RST(1,1) "},
    {"te trailers", {H(1, EHS, GET "te: trailers\n")}, ">GET / a{:scheme: http; te: trailers}.;", "HEADERS(1.) "},
    {"options *", {H(1, EHS, ":method: OPTIONS\n:scheme: http\n:path: *\n:authority: a\n")}, ">OPTIONS * a{:scheme: http}.;", "HEADERS(1.) "},
    {"unknown frame", {F(CONTINUATION + 33, 255, 0, "abc"), H(1, EHS, GET)}, ">GET / a{:scheme: http}.;", "HEADERS(1.) "},
    {"ping", {F(PING, 0, 0, "12345678")}, "", "PING(0!) "},
    /* Malformed messages lose their stream and no other. */
    {"upper-case name", {H(1, EHS, GET "X: y\n"), H(3, EHS, GET)}, RULE ">GET / a{:scheme: http}.;", "RST(1,1) HEADERS(3.) "},
    {"space in name", {H(1, EHS, GET "x y: z\n")}, RX_BAD, "RST(1,1) "},
    {"empty name", {H(1, EHS, GET), H(3, EHS, GET)}, ">GET / a{:scheme: http}.;>GET / a{:scheme: http}.;", "HEADERS(1.) HEADERS(3.) "},
    {"cr in value", {H(1, EHS, GET "x: y\rz\n")}, RX_BAD, "RST(1,1) "},
    {"control in value", {H(1, EHS, GET "x: y\x01z\n")}, RX_BAD, "RST(1,1) "},
    {"connection", {H(1, EHS, GET "connection: close\n")}, RULE, "RST(1,1) "},
    {"transfer-encoding", {H(1, EHS, GET "transfer-encoding: chunked\n")}, RULE, "RST(1,1) "},
    {"te gzip", {H(1, EHS, GET "te: gzip\n")}, RULE, "RST(1,1) "},
    {"no method", {H(1, EHS, ":scheme: http\n:path: /\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"no path", {H(1, EHS, ":method: GET\n:scheme: http\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"empty path", {H(1, EHS, ":method: GET\n:scheme: http\n:path: \n:authority: a\n")}, RULE, "RST(1,1) "},
    {"path without slash", {H(1, EHS, ":method: GET\n:scheme: http\n:path: x\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"path with space", {H(1, EHS, ":method: GET\n:scheme: http\n:path: /a b\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"path with 8 bit", {H(1, EHS, ":method: GET\n:scheme: http\n:path: /\xff\n:authority: a\n")}, RX_BAD, "RST(1,1) "},
    {"method with space", {H(1, EHS, ":method: GET /x HTTP/1.1\n:scheme: http\n:path: /\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"authority with slash", {H(1, EHS, ":method: GET\n:scheme: http\n:path: /\n:authority: a/b\n")}, RULE, "RST(1,1) "},
    {"two paths", {H(1, EHS, GET ":path: /x\n")}, RULE, "RST(1,1) "},
    {"status in request", {H(1, EHS, GET ":status: 200\n")}, RULE, "RST(1,1) "},
    {"unknown pseudo-header", {H(1, EHS, GET ":x: y\n")}, RULE, "RST(1,1) "},
    {"pseudo-header behind field", {H(1, EHS, ":method: GET\n:scheme: http\n:path: /\nx: y\n:authority: a\n")}, RULE, "RST(1,1) "},
    {"pseudo-header in trailers", {H(1, EH, POST), H(1, EHS, ":path: /x\n")}, ">POST / a{:scheme: http}" RULE, "RST(1,1) "},
    {"less than length", {H(1, EH, POST "content-length: 3\n"), D(1, END_STREAM, "ab")},
     ">POST / a{:scheme: http; content-length: 3}\"ab\"" RULE, "RST(1,1) "},
    {"more than length", {H(1, EH, POST "content-length: 0\n"), D(1, END_STREAM, "ab")},
     ">POST / a{:scheme: http; content-length: 0}" RULE, "RST(1,1) "},
    {"length without body", {H(1, EHS, POST "content-length: 3\n")}, RULE, "RST(1,1) "},
    {"less than length, trailers", {H(1, EH, POST "content-length: 3\n"), D(1, 0, "ab"), H(1, EHS, "x: y\n")},
     ">POST / a{:scheme: http; content-length: 3}\"ab\"" RULE, "RST(1,1) "},
    {"two lengths", {H(1, EHS, POST "content-length: 0\ncontent-length: 0\n")}, RULE, "RST(1,1) "},
    {"bad length", {H(1, EHS, POST "content-length: +0\n")}, RULE, "RST(1,1) "},
    /* Broken framing loses the connection. */
    {"data on idle stream", {D(1, 0, "x")}, OVER, "GOAWAY(0,1) "},
    {"even stream", {H(2, EHS, GET)}, OVER, "GOAWAY(0,1) "},
    {"settings on a stream", {F(SETTINGS, 0, 1, "")}, OVER, "GOAWAY(0,1) "},
    {"settings of 5 bytes", {F(SETTINGS, 0, 0, "12345")}, OVER, "GOAWAY(0,6) "},
    {"ping of 7 bytes", {F(PING, 0, 0, "1234567")}, OVER, "GOAWAY(0,6) "},
    {"continuation alone", {F(CONTINUATION, END_HEADERS, 1, "")}, OVER, "GOAWAY(0,1) "},
    {"head interrupted", {{HEADERS, END_STREAM, 1, GET, {NULL, 0}}, F(PING, 0, 0, "12345678")},
     "x protocol error (http2.protocol_error)" OVER, "GOAWAY(1,1) "},
    {"bad compression", {F(HEADERS, EHS, 1, "\xff\xff\xff\xff\xff\xff\xff\xff")}, "x protocol error (http2.protocol_error)" OVER, "GOAWAY(1,9) "},
    {"window of 0", {F(WINDOW_UPDATE, 0, 0, "\0\0\0\0")}, OVER, "GOAWAY(0,1) "},
    {"push promise", {F(PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2")}, OVER, "GOAWAY(0,1) "},
    /* The client's leave. */
    {"reset", {H(1, EH, POST), F(RST_STREAM, 0, 1, "\0\0\0\x08")}, ">POST / a{:scheme: http}x remote reset (http2.remote_reset)", ""},
    {"reset refused", {H(1, EH, POST), F(RST_STREAM, 0, 1, "\0\0\0\x07")},
     ">POST / a{:scheme: http}x remote refused stream reset (http2.remote_reset)", ""},
    {"goaway", {F(GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0")}, "G", ""},
};

static int n_failed;

static void run(const struct raw_case *c, size_t step)
{
    struct weir_str input, frames;
    struct trace t;
    weir_str_init(&input, 1u << 20);
    weir_str_init(&frames, 1u << 20);
    put_start(&input);
    for (size_t i = 0; i < WEIR_COUNTOF(c->frames) && (c->frames[i].fields || c->frames[i].payload.ptr); i++) {
        const struct raw_frame *f = &c->frames[i];
        if (f->fields) {
            put_headers(&input, f->id, f->flags, f->fields);
        } else {
            put_frame(&input, f->type, f->flags, f->id, f->payload);
        }
    }
    trace_init_h2(&t, WEIR_CODEC_SERVER, NULL);
    for (size_t at = 0; at < input.len; at += step) {
        trace_feed(&t, weir_slice_first(weir_slice_from(weir_str_slice(&input), at), step), false);
    }
    print_frames(&t, &frames);
    if (strcmp(trace_text(&t), c->events) != 0 || strcmp(frames.ptr ? frames.ptr : "", c->wrote) != 0) {
        print_error("case \"%s\", step %zu:\n  want %s | %s\n  got  %s | %s\n", c->name, step, c->events, c->wrote,
                    trace_text(&t), frames.ptr ? frames.ptr : "");
        n_failed++;
    }
    trace_fini(&t);
    weir_str_fini(&input);
    weir_str_fini(&frames);
}

static void test_raw_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
        run(&cases[i], 1u << 20);
        run(&cases[i], 1);
        run(&cases[i], 7);
        run(&cases[i], 30);
    }
    assert_int_equal(n_failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
