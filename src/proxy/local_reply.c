/* Answers of our own: their headers and body, for gRPC clients as a gRPC status, and their way into the response chain.
 * Rule: Envoy's Utility::sendLocalReply and FilterManager::sendLocalReply; texts in its own words. */
#include "base/str.h"
#include "proxy/chain.h"
#include "proxy/hcm.h"
#include "proxy/local_reply.h"
#include "proxy/route.h"

/* grpc/grpc doc/http-grpc-status-mapping.md */
static uint32_t grpc_status_of(uint32_t http_status)
{
    static const struct {
        uint16_t http, grpc;
    } table[] = {{400, 13}, {401, 16}, {403, 7}, {404, 12}, {429, 14}, {502, 14}, {503, 14}, {504, 14}};
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++)
        if (table[i].http == http_status) return table[i].grpc;
    return 2;
}

/* Percent-encoding of grpc-message: bytes outside 0x20..0x7e and '%' (gRPC over HTTP/2, Status-Message). */
static struct weir_slice grpc_message(struct weir_arena *arena, struct weir_slice body)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = weir_arena_alloc(arena, body.len * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < body.len; i++) {
        unsigned char c = (unsigned char)body.ptr[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return weir_slice(out, n);
}

/* What a reply may not decide: the framing is ours. */
static bool is_framing(enum weir_header_id id)
{
    return id == WEIR_H_STATUS || id == WEIR_H_CONTENT_LENGTH || id == WEIR_H_TRANSFER_ENCODING;
}

static void add_extra(struct weir_headers *h, const struct weir_headers *extra)
{
    for (uint32_t i = 0; extra && i < extra->n; i++) {
        const struct weir_header *f = &extra->v[i];
        if (is_framing(f->id)) continue;
        if (f->id == WEIR_H_CONTENT_TYPE) weir_headers_set_borrow(h, f->id, f->value);
        else weir_headers_add_name_borrow(h, f->name, f->id, f->value);
    }
}

static void grpc_head(struct weir_stream *s, const struct weir_local_reply *reply, const struct weir_local_reply_text *text)
{
    struct weir_headers *h = &s->response_headers;
    uint32_t status = reply->grpc_status >= 0 ? (uint32_t)reply->grpc_status : grpc_status_of(text->status);
    weir_headers_set_status(h, 200);
    weir_headers_set_borrow(h, WEIR_H_CONTENT_TYPE, WEIR_S("application/grpc"));
    weir_headers_set_u64(h, WEIR_H_GRPC_STATUS, status);
    if (text->body.len) weir_headers_set_borrow(h, WEIR_H_GRPC_MESSAGE, grpc_message(&s->arena, text->body));
}

/* The head of the reply in s->response_headers. Returns the body to send after it. */
static struct weir_slice compose(struct weir_stream *s, const struct weir_local_reply *reply)
{
    struct weir_headers *h = &s->response_headers;
    struct weir_slice type = reply->content_type ? weir_slice_str(reply->content_type) : WEIR_S("text/plain");
    struct weir_local_reply_text text = {.status = reply->status, .body = reply->body, .content_type = type};
    weir_headers_init(h, &s->arena);
    weir_headers_set_status(h, text.status);
    add_extra(h, reply->headers);
    if (s->route) weir_route_finalize_response(s->route, s->target, s, h);
    s->response.headers = h;
    s->info.status = text.status;
    s->info.local_reply_body = reply->body;
    if (s->hcm->local_reply) weir_local_reply_rewrite(s->hcm->local_reply, s, &text);
    s->info.status = text.status;
    if (s->is_grpc) {
        grpc_head(s, reply, &text);
        return WEIR_S_NONE;
    }
    weir_headers_set_status(h, text.status);
    if (text.body.len) {
        weir_headers_set_u64(h, WEIR_H_CONTENT_LENGTH, text.body.len);
        if (text.content_type.ptr != type.ptr || !weir_headers_has(h, WEIR_H_CONTENT_TYPE))
            weir_headers_set_borrow(h, WEIR_H_CONTENT_TYPE, text.content_type);
    }
    return s->is_head ? WEIR_S_NONE : text.body;
}

/* A response that filters have seen but nobody was sent: the reply takes its place and goes out as it is. */
static void send_direct(struct weir_stream *s, struct weir_slice body)
{
    s->response.dead = true;
    weir_chain_drop(s);
    s->response_started = true;
    s->info.first_tx_ns = weir_loop_now_ns(s->loop);
    s->source->send_headers(s, &s->response_headers, body.len == 0);
    if (body.len) {
        struct weir_buf data;
        weir_buf_init(&data, &s->loop->bufs);
        weir_buf_add(&data, body);
        s->info.bytes_sent += data.len;
        s->source->send_data(s, &data, true);
        weir_buf_clear(&data);
    }
    s->response.complete = true;
    s->pending |= WEIR_PENDING_END;
}

static void send_through_chain(struct weir_stream *s, struct weir_slice body)
{
    s->response.begun = true;
    s->response.peer_complete = true;
    weir_chain_headers(s, WEIR_RESPONSE, 0, &s->response_headers, body.len == 0);
    if (body.len == 0 || s->response.dead || (s->pending & (WEIR_PENDING_RESET | WEIR_PENDING_REPLY))) return;
    struct weir_buf data;
    weir_buf_init(&data, &s->loop->bufs);
    weir_buf_add(&data, body);
    weir_chain_data(s, WEIR_RESPONSE, 0, &data, true);
    weir_buf_clear(&data);
}

void weir_local_reply_send(struct weir_stream *s, const struct weir_local_reply *reply)
{
    s->info.flags |= reply->flags;
    s->info.details = reply->details;
    // A bad request of HTTP/1 may have been misread: nothing after it is believed (stream_error_on_invalid_http_message: false).
    s->close_after |= reply->close || (reply->status == 400 && s->info.protocol != WEIR_HTTP_2);
    s->request.dead = true;
    if (s->response_started) {
        s->reset_reason = WEIR_RESET_LOCAL_RESET;
        weir_stream_reset_now(s);
        return;
    }
    weir_chain_make(s);
    for (uint32_t i = 0; i < s->n_filters; i++)
        if (s->filters[i].ops->local_reply) s->filters[i].ops->local_reply(&s->filters[i], reply->status, reply->details);
    bool direct = s->response.begun;
    s->local_reply = true;
    s->response.trailers = NULL;
    struct weir_slice body = compose(s, reply);
    if (direct) send_direct(s, body);
    else send_through_chain(s, body);
}
