/* HTTP calls of guests (proxy_http_call) over proxy/http_call.h. A call belongs to the root, so it outlives the stream that made
 * it; its answer comes to the root, and the SDK finds the stream by itself. A reset is told as (token, 0, 0, 0); everything else,
 * time-outs and refused connections included, is a response. */
#include "base/log.h"
#include "base/mem.h"
#include "filters/wasm/plugin.h"

struct wasm_call {
    struct weir_list link; /* in root->calls */
    struct wasm_root *root;
    struct weir_http_call *call;
    uint32_t token;
    struct weir_headers *headers, *trailers;
    struct weir_buf *body;
};

static void call_free(struct wasm_call *call)
{
    struct wasm_root *root = call->root;
    weir_list_unlink(&call->link);
    root->instance->n_calls--;
    wasm_uncount(root->instance->ww, root->plugin, WASM_STAT_http_calls_active);
    weir_http_call_free(call->call);
    weir_free(call);
    wasm_root_release(root);
}

void wasm_calls_cancel(struct wasm_root *root)
{
    WEIR_LIST_EACH(&root->calls, it)
    {
        struct wasm_call *call = WEIR_CONTAINER_OF(it, struct wasm_call, link);
        if (call != root->call) call_free(call); /* the one whose answer is being delivered ends there */
    }
}

static void deliver(struct wasm_call *call)
{
    struct wasm_root *root = call->root;
    uint32_t args[5] = {root->ctx.base.id, call->token, call->headers ? call->headers->n : 0,
                        call->body ? (uint32_t)call->body->len : 0, call->trailers ? call->trailers->n : 0};
    wasm_root_hold(root);
    root->call = call;
    if (!root->ended) (void)wasm_call(&root->ctx, WEIR_WASM_CB_HTTP_CALL_RESPONSE, args, NULL);
    root->call = NULL;
    call_free(call);
    wasm_root_release(root);
}

static void on_done(struct weir_http_call *http_call, struct weir_headers *headers, struct weir_buf *body,
                    struct weir_headers *trailers)
{
    struct wasm_call *call = weir_http_call_arg(http_call);
    call->headers = headers;
    call->body = body;
    call->trailers = trailers;
    deliver(call);
}

static void on_failed(struct weir_http_call *http_call, enum weir_reset reason)
{
    (void)reason;
    struct wasm_call *call = weir_http_call_arg(http_call);
    call->root->status = WEIR_WASM_BROKEN_CONNECTION;
    call->root->status_text = "reset";
    deliver(call);
}

static const struct weir_http_call_ops call_ops = {.on_done = on_done, .on_failed = on_failed};

static void fill(struct weir_headers *to, const struct weir_wasm_pairs *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(from, i);
        struct weir_slice name = weir_arena_dup_lower(to->arena, pair->name);
        if (weir_header_name_valid(name) && weir_header_value_valid(pair->value)) weir_headers_add_name(to, name, pair->value);
    }
}

static enum weir_wasm_status refuse(const struct wasm_root *root, const struct weir_wasm_http_request *request, enum weir_err err)
{
    const char *why = err == WEIR_ERR_NOT_FOUND ? "there is no such cluster"
                      : err == WEIR_ERR_INVALID ? ":method, :path or :authority is missing"
                                                : weir_err_text(err);
    WEIR_LOG_LIMITED(WARN, WASM, "%.*s: call to \"%.*s\" not made: %s", WEIR_SARG(root->plugin->log_prefix),
                     WEIR_SARG(request->upstream), why);
    return err == WEIR_ERR_NOT_FOUND || err == WEIR_ERR_INVALID ? WEIR_WASM_BAD_ARGUMENT : WEIR_WASM_INTERNAL_FAILURE;
}

static bool has_pseudo_headers(const struct weir_headers *headers)
{
    return weir_headers_has(headers, WEIR_H_METHOD) && weir_headers_has(headers, WEIR_H_PATH) &&
           weir_headers_has(headers, WEIR_H_AUTHORITY);
}

static enum weir_err start(struct wasm_root *root, const struct weir_wasm_http_request *request, struct weir_arena *arena,
                           struct wasm_call *call)
{
    struct weir_headers headers, trailers;
    weir_headers_init(&headers, arena);
    weir_headers_init(&trailers, arena);
    fill(&headers, &request->headers);
    fill(&trailers, &request->trailers);
    if (!has_pseudo_headers(&headers)) return WEIR_ERR_INVALID;
    if (wasm_is_canary(root->instance->ww)) return WEIR_OK;
    if (request->body.len > 0) weir_headers_set_u64(&headers, WEIR_H_CONTENT_LENGTH, request->body.len);
    return weir_http_call_start(root->instance->ww->worker, request->upstream, &headers, request->body,
                                trailers.n ? &trailers : NULL, request->timeout_ms, &call_ops, call, &call->call);
}

enum weir_wasm_status wasm_http_call(struct wasm_context *ctx, const struct weir_wasm_http_request *request, uint32_t *ret_token)
{
    struct wasm_root *root = ctx->root;
    struct wasm_instance *in = root->instance;
    if (root->ended || in->n_calls >= WEIR_WASM_CALLS_MAX) return WEIR_WASM_INTERNAL_FAILURE;
    struct wasm_call *call = WEIR_NEW(struct wasm_call);
    struct weir_arena arena;
    weir_arena_init(&arena, in->ww->worker ? &in->ww->worker->loop->arenas : NULL);
    enum weir_err err = start(root, request, &arena, call);
    weir_arena_fini(&arena);
    if (err != WEIR_OK || wasm_is_canary(in->ww)) {
        weir_free(call);
        if (err != WEIR_OK) return refuse(root, request, err);
        *ret_token = weir_vm_new_token(in->vm);
        return WEIR_WASM_OK;
    }
    call->root = root;
    call->token = weir_vm_new_token(in->vm);
    wasm_root_hold(root);
    weir_list_push_back(&root->calls, &call->link);
    in->n_calls++;
    wasm_count(in->ww, root->plugin, WASM_STAT_http_calls);
    wasm_count(in->ww, root->plugin, WASM_STAT_http_calls_active);
    *ret_token = call->token;
    return WEIR_WASM_OK;
}

struct weir_headers *wasm_call_map(struct wasm_root *root, bool trailers)
{
    if (!root->call) return NULL;
    return trailers ? root->call->trailers : root->call->headers;
}

struct weir_buf *wasm_call_body(struct wasm_root *root)
{
    return root->call ? root->call->body : NULL;
}
