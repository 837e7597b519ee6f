/* Holds a request back until it is complete, so that slow senders do not occupy the upstream; what is over the limit is answered
 * 413 by the chain. The upstream then gets a content-length; a message with trailers stays chunked. Rule: Envoy's buffer filter. */
#include "filters/buffer/buffer.h"

#include "config/values.h"
#include "envoy/extensions/filters/http/buffer/v3/buffer.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/stream.h"

typedef Envoy__Extensions__Filters__Http__Buffer__V3__Buffer Buffer;
typedef Envoy__Extensions__Filters__Http__Buffer__V3__BufferPerRoute PerRoute;

struct conf {
    uint32_t max;
    bool disabled;
};
struct buffer {
    struct weir_headers *headers; /* held back; NULL = not at work */
};

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const Buffer *from = (const Buffer *)(const void *)msg;
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    conf->max = weir_u32_value(from->max_request_bytes, 0);
    *ret_conf = conf;
    return WEIR_OK;
}

static enum weir_err parse_route(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const PerRoute *from = (const PerRoute *)(const void *)msg;
    if (from->override_case ==
        ENVOY__EXTENSIONS__FILTERS__HTTP__BUFFER__V3__BUFFER_PER_ROUTE__OVERRIDE_BUFFER)
        return parse(ctx, &from->buffer->base, ret_conf);
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    conf->disabled = true;
    *ret_conf = conf;
    return WEIR_OK;
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    struct buffer *b = f->state;
    const struct conf *conf = weir_filter_route_conf(f);
    if (!conf)
        conf = f->conf;
    if (conf->disabled || end_stream)
        return WEIR_HEADERS_CONTINUE;
    b->headers = h;
    f->stream->request.buffer_limit = conf->max;
    return WEIR_HEADERS_STOP;
}

static void set_length(struct weir_filter *f, struct weir_headers *h, size_t more)
{
    const struct weir_buf *held = weir_filter_request_buffer(f);
    if (!weir_headers_has(h, WEIR_H_CONTENT_LENGTH))
        weir_headers_set_u64(h, WEIR_H_CONTENT_LENGTH, (held ? held->len : 0) + more);
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct buffer *b = f->state;
    if (!b->headers)
        return WEIR_DATA_CONTINUE;
    if (!end_stream)
        return WEIR_DATA_STOP_BUFFER;
    set_length(f, b->headers, data->len);
    return WEIR_DATA_CONTINUE;
}

const struct weir_filter_ops weir_filter_buffer = {
    .name = "envoy.filters.http.buffer",
    .type = "envoy.extensions.filters.http.buffer.v3.Buffer",
    .route_type = "envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
    .stream_size = sizeof(struct buffer),
    .parse = parse,
    .parse_route = parse_route,
    .request_headers = request_headers,
    .request_data = request_data,
};
