/* The HTTP/2 codec: the first byte chooses the role and how the owner behaves, the second how the rest is cut; the rest are frames
 * behind the preface and settings. Oracle: as many streams begin and none is left, however the input is cut; no fault. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec_trace.h"

enum { BIT_CLIENT = 1, BIT_EOF = 2, BIT_RESET_AT_HEAD = 4, BIT_RESET_AT_DATA = 8, BIT_PAUSE = 16, BIT_REPLY = 96, BIT_GONE = 128 };

static void start(struct trace *t, uint8_t bits, const struct weir_h2_options *options)
{
    static const enum trace_reply replies[] = {TRACE_REPLY_AT_END, TRACE_REPLY_AT_HEAD, TRACE_REPLY_NEVER,
                                               TRACE_REPLY_ECHO};
    bool client = bits & BIT_CLIENT;
    trace_init_h2(t, client ? WEIR_CODEC_CLIENT : WEIR_CODEC_SERVER, options);
    t->reply = client ? TRACE_REPLY_NEVER : replies[(bits & BIT_REPLY) >> 5];
    bool gone = (bits & BIT_GONE) && (bits & BIT_EOF); /* from inside the event */
    t->reset_at_head = !gone && (bits & BIT_RESET_AT_HEAD);
    t->reset_at_data = !gone && (bits & BIT_RESET_AT_DATA);
    t->gone_at_head = gone && (bits & BIT_RESET_AT_HEAD);
    t->gone_at_data = gone && (bits & BIT_RESET_AT_DATA);
    t->gone_at_goaway = gone;
    if (client) {
        trace_request(t, "GET", true);
        trace_request(t, "POST", false);
        if (bits & BIT_PAUSE)
            t->codec->ops->read_disable(t->cs, true);
    } else {
        trace_feed(t, WEIR_S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), false);
    }
    trace_feed(t, WEIR_S("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"), false);
}

static void finish(struct trace *t, uint8_t bits)
{
    if (bits & BIT_EOF)
        trace_feed(t, WEIR_S(""), true);
    if (bits & BIT_GONE) {
        t->codec->ops->conn_gone(t->codec, WEIR_RESET_CONN_TERMINATION);
        if (t->codec->ops->active(t->codec) != 0) {
            fprintf(stderr, "streams are left\n");
            abort();
        }
    }
}

static void feed_cut(struct trace *t, struct weir_slice input, uint8_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    while (input.len > 0) {
        state = state * 1664525u + 1013904223u;
        size_t len = seed == 0 ? 1 : 1 + (state >> 16) % (1u + seed);
        trace_feed(t, weir_slice_first(input, len), false);
        input = weir_slice_from(input, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    struct weir_slice input = {(const char *)data + 2, len - 2};
    struct weir_h2_options options = weir_h2_options_default;
    options.max_headers_bytes = 2000;
    options.max_headers_count = 20;
    options.initial_stream_window = 1000;
    options.initial_connection_window = 65535;
    options.send_buffer_bytes = 100;
    struct trace whole, cut;
    start(&whole, data[0], &options);
    start(&cut, data[0], &options);
    trace_feed(&whole, input, false);
    feed_cut(&cut, input, data[1]);
    bool ends = whole.gone_at_goaway || whole.n_fatal + cut.n_fatal + whole.n_goaway + cut.n_goaway > 0; /* then it matters what was sent when */
    if (!ends && whole.n_streams != cut.n_streams) {
        fprintf(stderr, "whole: %s\ncut:   %s\n", trace_text(&whole), trace_text(&cut));
        abort();
    }
    finish(&whole, data[0]);
    finish(&cut, data[0]);
    trace_fini(&whole);
    trace_fini(&cut);
    return 0;
}
