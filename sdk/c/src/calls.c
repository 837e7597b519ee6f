/* Calls out: which context waits for which token. A file of its own, so that filters without calls do not carry it.
 * The host answers to the root; the context that asked is made current (and the host told so) before its function runs. A call whose
 * context was deleted meanwhile is forgotten when its answer comes. */
#include "pw_priv.h"

struct call {
    uint32_t token;
    uint32_t ctx_id;
    pw_call_fn http;
    pw_grpc_fn grpc;
    void *arg;
    bool stream; /* gRPC: messages come until the close */
    struct call *next;
};

/* In the root's memory: a stream may end before its answer comes. Ended ones are used again. */
static struct call *active, *ended;

static pw_status call_started(pw_ctx *ctx, pw_status status, struct call call)
{
    if (status != PW_OK) return status;
    struct call *c = ended;
    if (c) ended = c->next;
    else c = pw_alloc(ctx->root, sizeof *c);
    if (!c) return PW_INTERNAL_FAILURE;
    call.ctx_id = ctx->id;
    call.next = active;
    *c = call;
    active = c;
    return PW_OK;
}

static struct call *call_find(uint32_t token)
{
    struct call *call = active;
    while (call && call->token != token) call = call->next;
    return call;
}

static struct call call_end(struct call *call)
{
    struct call copy = *call;
    for (struct call **at = &active; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    call->next = ended;
    ended = call;
    return copy;
}

/* The context that asked, as the current and effective one; NULL when it is gone. */
static pw_ctx *enter_asker(const struct call *call)
{
    pw_ctx *ctx = pw_enter(call->ctx_id);
    if (ctx) proxy_set_effective_context(call->ctx_id);
    return ctx;
}

pw_status pw_http_call(pw_ctx *ctx, pw_str cluster, pw_headers headers, pw_str body, uint32_t timeout_ms, pw_call_fn fn, void *arg)
{
    uint32_t token = 0;
    pw_str bytes = pw_serialize(headers);
    pw_status status = proxy_http_call(cluster.ptr, cluster.len, bytes.ptr, bytes.len, body.ptr, body.len, NULL, 0, timeout_ms, &token);
    return call_started(ctx, status, (struct call){.token = token, .http = fn, .arg = arg});
}

PW_EXPORT(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t root, uint32_t token, uint32_t n_headers, uint32_t body_size, uint32_t n_trailers)
{
    (void)root;
    struct call *found = call_find(token);
    if (!found || !found->http) return;
    struct call call = call_end(found);
    pw_ctx *ctx = enter_asker(&call);
    pw_call_result result = {.ok = n_headers > 0, .n_headers = n_headers, .n_trailers = n_trailers, .body_size = body_size};
    if (ctx) call.http(ctx, call.arg, result);
    pw_leave(ctx);
}

pw_status pw_grpc_call(pw_ctx *ctx, pw_str cluster, pw_str service, pw_str method, pw_headers metadata, pw_str message,
                       uint32_t timeout_ms, pw_grpc_fn fn, void *arg)
{
    uint32_t token = 0;
    pw_str bytes = pw_serialize(metadata);
    pw_status status = proxy_grpc_call(cluster.ptr, cluster.len, service.ptr, service.len, method.ptr, method.len, bytes.ptr, bytes.len,
                                       message.ptr, message.len, timeout_ms, &token);
    return call_started(ctx, status, (struct call){.token = token, .grpc = fn, .arg = arg});
}

pw_status pw_grpc_stream(pw_ctx *ctx, pw_str cluster, pw_str service, pw_str method, pw_headers metadata, pw_grpc_fn fn, void *arg,
                         uint32_t *ret_token)
{
    pw_str bytes = pw_serialize(metadata);
    pw_status status = proxy_grpc_stream(cluster.ptr, cluster.len, service.ptr, service.len, method.ptr, method.len, bytes.ptr, bytes.len,
                                         ret_token);
    return call_started(ctx, status, (struct call){.token = *ret_token, .grpc = fn, .arg = arg, .stream = true});
}

pw_status pw_grpc_send(uint32_t token, pw_str message, bool end_stream)
{
    return proxy_grpc_send(token, message.ptr, message.len, end_stream);
}

static void grpc_event(uint32_t token, pw_grpc_event event, uint32_t detail)
{
    struct call *found = call_find(token);
    if (!found || !found->grpc) return;
    struct call call = event == PW_GRPC_CLOSE_EVENT || !found->stream ? call_end(found) : *found;
    pw_ctx *ctx = enter_asker(&call);
    if (ctx) call.grpc(ctx, call.arg, event, detail);
    pw_leave(ctx);
}

PW_EXPORT(proxy_on_grpc_receive) void proxy_on_grpc_receive(uint32_t root, uint32_t token, uint32_t size)
{
    (void)root;
    grpc_event(token, PW_GRPC_MESSAGE_EVENT, size);
}

PW_EXPORT(proxy_on_grpc_close) void proxy_on_grpc_close(uint32_t root, uint32_t token, uint32_t status)
{
    (void)root;
    grpc_event(token, PW_GRPC_CLOSE_EVENT, status);
}
