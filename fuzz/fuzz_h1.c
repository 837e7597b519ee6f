/* The HTTP/1 codec: the first byte chooses role and options, the second how the rest is cut. Oracles: the same events however the input
 * is cut; a request that was taken leaves as exactly one strict message. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec_trace.h"
#include "strict_http1.h"

enum { BIT_CLIENT = 1, BIT_EOF = 2, BIT_HTTP_10 = 4, BIT_TRAILERS = 8, BIT_METHODS = 16, BIT_LENGTH = 32, BIT_UPGRADE = 64, BIT_EARLY = 128 };

static void start(struct trace *t, uint8_t bits, const struct weir_h1_options *options)
{
    bool client = bits & BIT_CLIENT;
    trace_init_h1(t, client ? WEIR_CODEC_CLIENT : WEIR_CODEC_SERVER, options);
    t->quiet_end = client; /* when excess bytes are seen depends on the cuts, and may */
    if (client)
        trace_request(t, bits & BIT_METHODS ? "HEAD" : bits & BIT_UPGRADE ? "CONNECT" : "GET", true);
    else if (bits & BIT_UPGRADE)
        t->reply = TRACE_REPLY_SWITCH;
    else if (bits & BIT_EARLY)
        t->reply = TRACE_REPLY_AT_HEAD;
}

static void feed_cut(struct trace *t, struct weir_slice input, uint8_t seed, bool eof)
{
    uint32_t state = seed * 2654435761u + 1;
    while (input.len > 0 && !(t->quiet_end && t->ended)) {
        state = state * 1664525u + 1013904223u;
        size_t len = seed == 0 ? 1 : 1 + (state >> 16) % (1u + seed);
        bool last = len >= input.len;
        trace_feed(t, weir_slice_first(input, len), eof && last);
        input = weir_slice_from(input, len);
    }
}

static void check_relay(const struct trace *from)
{
    struct trace to;
    trace_init_h1(&to, WEIR_CODEC_CLIENT, NULL);
    trace_open(&to);
    to.codec->ops->send_headers(to.cs, from->head, true);
    trace_turn(&to);
    if (strict_parse(trace_wrote(&to), to.wrote.len, true) != to.wrote.len) {
        fprintf(stderr, "relayed: %s\n", trace_wrote(&to));
        abort();
    }
    trace_fini(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    struct weir_slice input = {(const char *)data + 2, len - 2};
    uint8_t bits = data[0];
    struct weir_h1_options options = weir_h1_options_default[bits & BIT_CLIENT];
    options.accept_http_10 = bits & BIT_HTTP_10;
    options.enable_trailers = bits & BIT_TRAILERS;
    options.allow_custom_methods = bits & BIT_METHODS;
    options.allow_chunked_length = bits & BIT_LENGTH;
    options.allow_upgrade = bits & BIT_UPGRADE;
    options.max_headers_bytes = 2000;
    options.max_headers_count = 20;
    struct trace whole, cut;
    start(&whole, bits, &options);
    start(&cut, bits, &options);
    trace_feed(&whole, input, bits & BIT_EOF);
    feed_cut(&cut, input, data[1], bits & BIT_EOF);
    bool same_time = !(bits & BIT_EOF) || (bits & BIT_CLIENT); /* a FIN in the same packet changes the last response */
    if (same_time && input.len > 0 && strcmp(trace_text(&whole), trace_text(&cut)) != 0) {
        fprintf(stderr, "whole: %s\ncut:   %s\n", trace_text(&whole), trace_text(&cut));
        abort();
    }
    if (!(bits & BIT_CLIENT) && whole.n_streams > 0 && whole.n_complete == whole.n_streams)
        check_relay(&whole);
    trace_fini(&whole);
    trace_fini(&cut);
    return 0;
}
