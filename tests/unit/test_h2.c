/* The HTTP/2 codec: as a server against raw frames made here, and both roles against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* --- Floods: frames in bulk, and what must stop them. --- */

enum flood { FLOOD_PING, FLOOD_SETTINGS, FLOOD_PRIORITY, FLOOD_WINDOW_UPDATE, FLOOD_EMPTY_DATA, FLOOD_CONTINUATION,
             FLOOD_EMPTY_CONTINUATION, FLOOD_RAPID_RESET, FLOOD_MADE_YOU_RESET, FLOOD_MISMATCHED_LENGTH };

static void put_flood_frame(struct weir_str *s, enum flood flood, uint32_t i)
{
    uint32_t id = 2 * i + 1;
    switch (flood) {
    case FLOOD_PING:
        put_frame(s, PING, 0, 0, WEIR_S("12345678"));
        break;
    case FLOOD_SETTINGS:
        put_frame(s, SETTINGS, 0, 0, WEIR_S(""));
        break;
    case FLOOD_PRIORITY:
        put_frame(s, PRIORITY, 0, 1, WEIR_S("\0\0\0\0\x10"));
        break;
    case FLOOD_WINDOW_UPDATE:
        put_frame(s, WINDOW_UPDATE, 0, 0, WEIR_S("\0\0\0\1"));
        break;
    case FLOOD_EMPTY_DATA:
        if (i == 0) {
            put_headers(s, 1, EH, POST);
        }
        put_frame(s, DATA, 0, 1, WEIR_S(""));
        break;
    case FLOOD_CONTINUATION:
    case FLOOD_EMPTY_CONTINUATION:
        if (i == 0) {
            put_headers(s, 1, END_STREAM, GET);
        }
        put_frame(s, CONTINUATION, 0, 1, flood == FLOOD_CONTINUATION ? WEIR_S("\0\x01x\x01y") : WEIR_S(""));
        break;
    case FLOOD_RAPID_RESET:
        put_headers(s, id, EHS, GET);
        put_frame(s, RST_STREAM, 0, id, WEIR_S("\0\0\0\x08"));
        break;
    case FLOOD_MADE_YOU_RESET:
        put_headers(s, id, EH, POST);
        put_frame(s, WINDOW_UPDATE, 0, id, WEIR_S("\x7f\xff\xff\xff")); /* beyond 2^31 - 1 */
        break;
    case FLOOD_MISMATCHED_LENGTH:
        put_headers(s, id, EH, POST "content-length: 5\n");
        put_frame(s, DATA, END_STREAM, id, WEIR_S("x"));
        break;
    }
}

static void test_floods(void **state)
{
    (void)state;
    static const struct {
        enum flood flood;
        uint32_t harmless, deadly; /* how many frames are let pass, how many not */
        const char *detail;
    } rows[] = {
        {FLOOD_PING, 150, 300, "http2.inbound_control_flood"},
        {FLOOD_SETTINGS, 150, 300, "http2.inbound_control_flood"},
        {FLOOD_PRIORITY, 100, 101, "http2.inbound_priority_frames_flood"},
        {FLOOD_WINDOW_UPDATE, 5, 6, "http2.inbound_window_update_frames_flood"},
        {FLOOD_EMPTY_DATA, 1, 2, "http2.inbound_empty_frames_flood"},
        {FLOOD_CONTINUATION, 16, 17, "http2.inbound_continuation_flood"},
        {FLOOD_EMPTY_CONTINUATION, 1, 2, "http2.inbound_empty_frames_flood"},
        {FLOOD_RAPID_RESET, 499, 500, "http2.premature_reset_flood"},
        {FLOOD_MADE_YOU_RESET, 499, 500, "http2.premature_reset_flood"},
        {FLOOD_MISMATCHED_LENGTH, 499, 500, "http2.premature_reset_flood"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        for (int deadly = 0; deadly < 2; deadly++) {
            struct weir_str input, frames;
            struct trace t;
            weir_str_init(&input, 1u << 20);
            weir_str_init(&frames, 1u << 20);
            put_start(&input);
            trace_init_h2(&t, WEIR_CODEC_SERVER, NULL);
            t.reply = TRACE_REPLY_NEVER;
            trace_feed(&t, weir_str_slice(&input), false);
            for (uint32_t k = 0; k < (deadly ? rows[i].deadly : rows[i].harmless); k++) {
                weir_str_clear(&input);
                put_flood_frame(&input, rows[i].flood, k);
                trace_feed(&t, weir_str_slice(&input), false);
            }
            char want[80];
            snprintf(want, sizeof(want), "F %s", rows[i].detail);
            bool told = strstr(trace_text(&t), want) != NULL;
            if (told != deadly || t.n_fatal != (uint32_t)deadly) {
                print_error("%s, %s: %s\n", rows[i].detail, deadly ? "deadly" : "harmless", trace_text(&t));
            }
            assert_int_equal(told, deadly);
            assert_int_equal(t.n_fatal, deadly);
            if (deadly) {
                print_frames(&t, &frames);
                assert_non_null(strstr(frames.ptr, ",11) ")); /* GOAWAY ENHANCE_YOUR_CALM */
                assert_int_equal(t.codec->ops->active(t.codec), 0);
            }
            trace_fini(&t);
            weir_str_fini(&input);
            weir_str_fini(&frames);
        }
    }
}

/* A peer that asks and does not read: output stops at its mark, and the answers that queue up end the connection. */
static void test_unread_answers_are_bounded(void **state)
{
    (void)state;
    struct weir_h2_options options = weir_h2_options_default;
    struct weir_str input;
    struct trace t;
    options.max_outbound_control_frames = 50;
    weir_str_init(&input, 1u << 20);
    put_start(&input);
    trace_init_h2(&t, WEIR_CODEC_SERVER, &options);
    trace_feed(&t, weir_str_slice(&input), false);
    t.codec->ops->conn_watermark(t.codec, true);
    for (int i = 0; i < 100; i++) {
        weir_str_clear(&input);
        put_frame(&input, PING, 0, 0, WEIR_S("12345678"));
        trace_feed(&t, weir_str_slice(&input), false);
    }
    assert_non_null(strstr(trace_text(&t), "F http2.outbound_control_flood"));
    trace_fini(&t);
    weir_str_fini(&input);
}

static void test_head_limits(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *field;
        size_t value_len;
        const char *want;
    } rows[] = {
        {96, "x", 1, ".;"},
        {97, "x", 1, "x protocol error (http2.too_many_headers)"},
        {97, "cookie", 1, "x protocol error (http2.too_many_headers)"},
        {1, "x", 60000, ".;"},
        {1, "x", 62000, "x protocol error (http2.headers_too_large)"},
        {10, "cookie", 7000, "x protocol error (http2.headers_too_large)"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_str input, block;
        struct trace t;
        weir_str_init(&input, 1u << 20);
        weir_str_init(&block, 1u << 20);
        put_fields(&block, GET);
        for (size_t k = 0; k < rows[i].n; k++) {
            weir_str_addc(&block, 0);
            put_integer(&block, strlen(rows[i].field));
            weir_str_adds(&block, rows[i].field);
            put_integer(&block, rows[i].value_len);
            for (size_t j = 0; j < rows[i].value_len; j++) {
                weir_str_addc(&block, 'v');
            }
        }
        put_start(&input);
        struct weir_slice rest = weir_str_slice(&block);
        uint8_t type = HEADERS;
        while (rest.len > 0) {
            struct weir_slice part = weir_slice_first(rest, 16000);
            rest = weir_slice_from(rest, 16000);
            put_frame(&input, type, (uint8_t)((type == HEADERS ? END_STREAM : 0) | (rest.len == 0 ? END_HEADERS : 0)), 1, part);
            type = CONTINUATION;
        }
        put_headers(&input, 3, EHS, GET); /* the compression state has survived */
        trace_init_h2(&t, WEIR_CODEC_SERVER, NULL);
        trace_feed(&t, weir_str_slice(&input), false);
        const char *got = trace_text(&t);
        if (!strstr(got, rows[i].want)) {
            print_error("%zu: %.300s\n", i, got);
        }
        assert_non_null(strstr(got, rows[i].want));
        assert_non_null(strstr(got, ">GET / a{:scheme: http}.;"));
        trace_fini(&t);
        weir_str_fini(&input);
        weir_str_fini(&block);
    }
}

/* --- Both roles against each other. --- */

struct pair {
    struct trace client, server;
    size_t step; /* bytes a packet */
};

/* Carries packets to and fro until nothing moves. */
static void exchange(struct pair *p)
{
    size_t client_at = 0, server_at = 0;
    for (;;) {
        trace_turn(&p->client);
        trace_turn(&p->server);
        struct weir_slice up = weir_slice_from(weir_str_slice(&p->client.wrote), client_at);
        struct weir_slice down = weir_slice_from(weir_str_slice(&p->server.wrote), server_at);
        if (up.len == 0 && down.len == 0) {
            break;
        }
        static char up_packet[16384], down_packet[16384]; /* copies: feeding may move what was written */
        size_t n_up = WEIR_MIN(WEIR_MIN(up.len, p->step), sizeof(up_packet));
        size_t n_down = WEIR_MIN(WEIR_MIN(down.len, p->step), sizeof(down_packet));
        memcpy(up_packet, up.len ? up.ptr : "", n_up);
        memcpy(down_packet, down.len ? down.ptr : "", n_down);
        client_at += n_up;
        server_at += n_down;
        trace_feed(&p->server, weir_slice(up_packet, n_up), false);
        trace_feed(&p->client, weir_slice(down_packet, n_down), false);
    }
    weir_str_clear(&p->client.wrote);
    weir_str_clear(&p->server.wrote);
}

static void pair_init(struct pair *p, const struct weir_h2_options *options, enum trace_reply reply, size_t step)
{
    trace_init_h2(&p->client, WEIR_CODEC_CLIENT, options);
    trace_init_h2(&p->server, WEIR_CODEC_SERVER, options);
    p->client.reply = TRACE_REPLY_NEVER;
    p->server.reply = reply;
    p->step = step;
    exchange(p);
}

static void pair_fini(struct pair *p)
{
    trace_fini(&p->client);
    trace_fini(&p->server);
}

static void send_bytes(struct trace *t, struct weir_codec_stream *cs, size_t len, bool end)
{
    struct weir_buf data;
    weir_buf_init(&data, &t->loop.bufs);
    while (len > 0) {
        static const char text[] = "0123456789abcdef";
        size_t n = WEIR_MIN(len, sizeof(text) - 1);
        weir_buf_add(&data, weir_slice(text, n));
        len -= n;
    }
    t->codec->ops->send_data(cs, &data, end);
}

static const size_t steps[] = {1, 13, 1000, 16384};

static void test_get(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(steps); i++) {
        struct pair p;
        pair_init(&p, NULL, TRACE_REPLY_AT_END, steps[i]);
        trace_request(&p.client, "GET", true);
        trace_request(&p.client, "DELETE", true);
        exchange(&p);
        assert_string_equal(trace_text(&p.server), ">GET /p up{:scheme: http}.;>DELETE /p up{:scheme: http}.;");
        assert_string_equal(trace_text(&p.client), "<200{}.;<200{}.;");
        assert_int_equal(p.client.codec->ops->active(p.client.codec), 0);
        assert_int_equal(p.server.codec->ops->active(p.server.codec), 0);
        pair_fini(&p);
    }
}

static void test_echo_with_trailers(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(steps); i++) {
        struct pair p;
        struct weir_headers trailers;
        pair_init(&p, NULL, TRACE_REPLY_ECHO, steps[i]);
        trace_request(&p.client, "POST", false);
        exchange(&p);
        trace_send(&p.client, "hello ", false);
        exchange(&p);
        trace_send(&p.client, "you", false);
        weir_headers_init(&trailers, &p.client.arena);
        weir_headers_add_name(&trailers, WEIR_S("grpc-status"), WEIR_S("0"));
        weir_headers_add_name(&trailers, WEIR_S("connection"), WEIR_S("x"));
        p.client.codec->ops->send_trailers(p.client.cs, &trailers);
        exchange(&p);
        assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http}\"hello you\"T{grpc-status: 0}.;");
        assert_string_equal(trace_text(&p.client), "<200{}\"hello you\"T{grpc-status: 0}.;");
        pair_fini(&p);
    }
}

/* More than all windows hold, through small ones, both ways at once. */
static void test_flow_control(void **state)
{
    (void)state;
    struct weir_h2_options options = weir_h2_options_default;
    struct pair p;
    options.initial_stream_window = 65535;
    options.initial_connection_window = 65535;
    pair_init(&p, &options, TRACE_REPLY_ECHO, 16384);
    trace_request(&p.client, "POST", false);
    exchange(&p);
    for (int i = 0; i < 30; i++) {
        send_bytes(&p.client, p.client.cs, 10000, i == 29);
        exchange(&p);
    }
    assert_int_equal(p.server.by_stream[0].s.len, strlen(">POST /p up{:scheme: http}\"\".;") + 300000);
    assert_int_equal(p.client.by_stream[0].s.len, strlen("<200{}\"\".;") + 300000);
    pair_fini(&p);
}

/* Who does not read gives no window back: the sender stops at it and hears of his mark. */
static void test_back_pressure(void **state)
{
    (void)state;
    struct weir_h2_options options = weir_h2_options_default;
    struct pair p;
    options.initial_stream_window = 65535;
    options.send_buffer_bytes = 50000;
    pair_init(&p, &options, TRACE_REPLY_NEVER, 16384);
    trace_request(&p.client, "POST", false);
    exchange(&p);
    p.server.codec->ops->read_disable(p.server.cs, true);
    send_bytes(&p.client, p.client.cs, 200000, false);
    exchange(&p);
    assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http}");
    assert_string_equal(trace_text(&p.client), "^");
    p.server.codec->ops->read_disable(p.server.cs, false);
    exchange(&p);
    assert_int_equal(p.server.by_stream[0].s.len, strlen(">POST /p up{:scheme: http}\"") + 200000);
    assert_string_equal(trace_text(&p.client), "^v");
    pair_fini(&p);
}

static void test_end_held_by_back_pressure(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, TRACE_REPLY_AT_HEAD, 16384);
    trace_request(&p.client, "GET", true);
    p.client.codec->ops->read_disable(p.client.cs, true);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), "<200{content-length: 5}");
    assert_int_equal(p.client.codec->ops->active(p.client.codec), 1);
    p.client.codec->ops->read_disable(p.client.cs, false);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), "<200{content-length: 5}\"early\".;");
    pair_fini(&p);
}

static void test_early_response(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, TRACE_REPLY_AT_HEAD, 16384);
    trace_request(&p.client, "POST", false);
    exchange(&p);
    assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http};");
    assert_string_equal(trace_text(&p.client), "<200{content-length: 5}\"early\".;");
    pair_fini(&p);
}

static void test_resets(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384); /* the client */
    trace_request(&p.client, "POST", false);
    exchange(&p);
    p.client.codec->ops->reset(p.client.cs, WEIR_RESET_LOCAL_RESET);
    exchange(&p);
    assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http}x remote reset (http2.remote_reset)");
    assert_string_equal(trace_text(&p.client), ";");
    trace_request(&p.client, "GET", true); /* the server, and not this connection's other streams */
    exchange(&p);
    p.server.codec->ops->reset(p.server.cs, WEIR_RESET_LOCAL_REFUSED);
    p.server.reply = TRACE_REPLY_AT_END;
    trace_request(&p.client, "GET", true);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), ";x remote refused stream reset (http2.remote_reset)<200{}.;");
    pair_fini(&p);
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384); /* from inside an event, with the answer begun */
    p.server.reset_at_data = true;
    p.server.reply = TRACE_REPLY_ECHO;
    trace_request(&p.client, "POST", false);
    trace_send(&p.client, "abc", true);
    exchange(&p);
    assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http}\"abc\";");
    assert_non_null(strstr(trace_text(&p.client), "x remote reset"));
    pair_fini(&p);
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384); /* before anything was sent */
    trace_open(&p.client);
    p.client.codec->ops->reset(p.client.cs, WEIR_RESET_LOCAL_RESET);
    exchange(&p);
    assert_int_equal(p.client.codec->ops->active(p.client.codec), 0);
    pair_fini(&p);
}

static void test_drain(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384);
    trace_request(&p.client, "GET", true);
    exchange(&p);
    p.server.codec->ops->drain(p.server.codec);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), "G");
    assert_string_equal(trace_text(&p.server), ">GET /p up{:scheme: http}.G");
    assert_int_equal(p.client.codec->ops->capacity(p.client.codec), 0);
    struct weir_headers h; /* what runs is answered */
    weir_headers_init(&h, &p.server.arena);
    weir_headers_set_status(&h, 200);
    p.server.codec->ops->send_headers(p.server.cs, &h, true);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), "<200{}.;G");
    assert_int_equal(p.server.codec->ops->active(p.server.codec), 0);
    pair_fini(&p);
}

static void test_informational(void **state)
{
    (void)state;
    struct pair p;
    struct weir_headers h;
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384);
    trace_request(&p.client, "GET", true);
    exchange(&p);
    weir_headers_init(&h, &p.server.arena);
    weir_headers_set_status(&h, 103);
    weir_headers_add_name(&h, WEIR_S("link"), WEIR_S("x"));
    p.server.codec->ops->send_informational(p.server.cs, &h);
    weir_headers_set_status(&h, 204);
    p.server.codec->ops->send_headers(p.server.cs, &h, true);
    exchange(&p);
    assert_string_equal(trace_text(&p.client), "i103{link: x}<204{link: x}.;");
    pair_fini(&p);
}

/* Whatever is in a map, nothing leaves that RFC 9113 forbids. */
static void test_output_is_clean(void **state)
{
    (void)state;
    struct pair p;
    struct weir_headers h;
    pair_init(&p, NULL, TRACE_REPLY_AT_END, 16384);
    weir_headers_init(&h, &p.client.arena);
    static const char *const fields[][2] = {
        {":method", "GET"}, {"host", "h"}, {"connection", "x"}, {"keep-alive", "1"}, {"proxy-connection", "x"},
        {"transfer-encoding", "chunked"}, {"upgrade", "x"}, {"te", "gzip"}, {":status", "200"}, {"a", "b\r\nc: d"},
        {"bad name", "x"}, {"good", "yes"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(fields); i++) {
        weir_headers_add_name(&h, weir_slice_str(fields[i][0]), weir_slice_str(fields[i][1]));
    }
    trace_open(&p.client);
    p.client.codec->ops->send_headers(p.client.cs, &h, true);
    exchange(&p);
    assert_string_equal(trace_text(&p.server), ">GET / h{:scheme: http; good: yes}.;");
    assert_string_equal(trace_text(&p.client), "<200{}.;");
    pair_fini(&p);
}

static void test_concurrency_limit(void **state)
{
    (void)state;
    struct weir_h2_options options = weir_h2_options_default;
    struct pair p;
    options.max_concurrent_streams = 2;
    pair_init(&p, &options, TRACE_REPLY_NEVER, 16384);
    assert_int_equal(p.client.codec->ops->capacity(p.client.codec), 2);
    trace_request(&p.client, "GET", true);
    trace_request(&p.client, "GET", true);
    assert_int_equal(p.client.codec->ops->capacity(p.client.codec), 0);
    trace_open(&p.client);
    assert_null(p.client.cs);
    pair_fini(&p);
}

static void test_connection_gone(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, TRACE_REPLY_NEVER, 16384);
    trace_request(&p.client, "POST", false);
    exchange(&p);
    p.client.codec->ops->conn_gone(p.client.codec, WEIR_RESET_REMOTE_CONN_FAILURE);
    trace_turn(&p.client);
    assert_string_equal(trace_text(&p.client), "x remote connection failure (connection_gone)");
    trace_feed(&p.server, WEIR_S(""), true);
    assert_string_equal(trace_text(&p.server), ">POST /p up{:scheme: http}x connection termination (http2.eof)G");
    pair_fini(&p);
}

/* The owner may close the connection from inside any event, in the middle of a packet with more streams. */
static void test_connection_closed_inside_events(void **state)
{
    (void)state;
    for (int where = 0; where < 3; where++) {
        struct weir_str input;
        struct trace t;
        weir_str_init(&input, 1u << 20);
        put_start(&input);
        put_headers(&input, 1, EH, POST);
        put_headers(&input, 3, EH, POST);
        put_frame(&input, DATA, 0, 1, WEIR_S("ab"));
        put_frame(&input, GOAWAY, 0, 0, WEIR_S("\0\0\0\0\0\0\0\0"));
        put_frame(&input, DATA, END_STREAM, 1, WEIR_S("cd"));
        put_headers(&input, 5, EHS, GET);
        trace_init_h2(&t, WEIR_CODEC_SERVER, NULL);
        t.gone_at_head = where == 0;
        t.gone_at_data = where == 1;
        t.gone_at_goaway = where == 2;
        trace_feed(&t, weir_str_slice(&input), false);
        static const char *const want[] = {
            ">POST / a{:scheme: http}x connection termination (connection_gone)",
            ">POST / a{:scheme: http}\"ab\"x connection termination (connection_gone)"
            ">POST / a{:scheme: http}x connection termination (connection_gone)",
            ">POST / a{:scheme: http}\"ab\"x connection termination (connection_gone)"
            ">POST / a{:scheme: http}x connection termination (connection_gone)G",
        };
        assert_string_equal(trace_text(&t), want[where]);
        assert_int_equal(t.codec->ops->active(t.codec), 0);
        trace_fini(&t);
        weir_str_fini(&input);
    }
}

static void test_preface(void **state)
{
    (void)state;
    static const struct {
        struct weir_slice bytes;
        enum weir_preface want;
    } rows[] = {
        {WEIR_S_INIT(""), WEIR_PREFACE_MORE},
        {WEIR_S_INIT("P"), WEIR_PREFACE_MORE},
        {WEIR_S_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), WEIR_PREFACE_MORE},
        {WEIR_S_INIT(PREFACE), WEIR_PREFACE_H2},
        {WEIR_S_INIT(PREFACE "x"), WEIR_PREFACE_H2},
        {WEIR_S_INIT("POST"), WEIR_PREFACE_OTHER},
        {WEIR_S_INIT("PRI * HTTP/1.1\r\n"), WEIR_PREFACE_OTHER},
        {WEIR_S_INIT("\x16\x03"), WEIR_PREFACE_OTHER},
    };
    struct weir_buf_pool pool;
    weir_buf_pool_init(&pool, 4);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_buf in;
        weir_buf_init(&in, &pool);
        weir_buf_add(&in, rows[i].bytes);
        assert_int_equal(weir_h2_preface_check(&in), rows[i].want);
        weir_buf_clear(&in);
    }
    weir_buf_pool_fini(&pool);
    struct trace t;
    trace_init_h2(&t, WEIR_CODEC_SERVER, NULL);
    trace_feed(&t, WEIR_S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), false);
    assert_string_equal(trace_text(&t), "F http2.bad_preface");
    trace_fini(&t);
}

/* More from a peer that had finished, or on a stream he never opened: what the answer to the first was depends on packets, the
 * connection's end does not. */
static void test_frames_on_closed_streams(void **state)
{
    (void)state;
    static const struct {
        struct raw_frame frames[3];
        const char *goaway;
    } rows[] = {
        {{H(1, EHS, GET), D(1, 0, "x")}, "GOAWAY(1,5) "},
        {{H(1, EHS, GET), H(1, EHS, GET)}, "GOAWAY(1,5) "},
        {{H(1, EH, POST), F(RST_STREAM, 0, 1, "\0\0\0\x08"), D(1, 0, "x")}, "GOAWAY(1,5) "},
        {{H(1, EH, POST), F(RST_STREAM, 0, 1, "\0\0\0\x08"), H(1, EHS, "x: y\n")}, "GOAWAY(1,5) "},
        {{H(5, EHS, GET), H(3, EHS, GET)}, "GOAWAY(5,1) "},
        {{H(5, EHS, GET), D(3, 0, "x")}, NULL}, /* may have been refused: not for us to say */
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        for (size_t step = 1; step <= 1000; step *= 10) {
            struct weir_str input, frames;
            struct trace t;
            weir_str_init(&input, 1u << 20);
            weir_str_init(&frames, 1u << 20);
            put_start(&input);
            for (size_t k = 0; k < 3 && (rows[i].frames[k].fields || rows[i].frames[k].payload.ptr); k++) {
                const struct raw_frame *f = &rows[i].frames[k];
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
            assert_int_equal(t.n_fatal, rows[i].goaway != NULL);
            if (rows[i].goaway) {
                assert_non_null(strstr(frames.ptr, rows[i].goaway));
            }
            trace_fini(&t);
            weir_str_fini(&input);
            weir_str_fini(&frames);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_cases),
        cmocka_unit_test(test_frames_on_closed_streams),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_unread_answers_are_bounded),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_echo_with_trailers),
        cmocka_unit_test(test_flow_control),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_end_held_by_back_pressure),
        cmocka_unit_test(test_early_response),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_informational),
        cmocka_unit_test(test_output_is_clean),
        cmocka_unit_test(test_concurrency_limit),
        cmocka_unit_test(test_connection_gone),
        cmocka_unit_test(test_connection_closed_inside_events),
        cmocka_unit_test(test_preface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
