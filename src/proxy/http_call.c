/* Calls that filters make: a stream whose source is this file, through a chain of only the router. Request and response are held
 * whole; the caller hears of the outcome at the end of the turn in which the stream ended, from nothing else on the stack. */
#include "proxy/http_call.h"

#include "proxy/hcm.h"
#include "proxy/stream.h"

struct weir_http_call {
    const struct weir_http_call_ops *ops;
    void *arg;
    struct weir_stream *stream;
    struct weir_route route;
    struct weir_route_target target;
    struct weir_headers *headers, *trailers; /* of the response */
    struct weir_buf body;
    enum weir_reset failure;
    bool complete, too_large;
    struct weir_task task;
};

static struct weir_http_call *call_of(struct weir_stream *s)
{
    return s->source_arg;
}

/* ---- the stream's source ---- */

static void send_informational(struct weir_stream *s, struct weir_headers *h)
{
    (void)s;
    (void)h;
}

static void send_headers(struct weir_stream *s, struct weir_headers *h, bool end_stream)
{
    call_of(s)->headers = h;
    call_of(s)->complete = end_stream;
}

static void send_data(struct weir_stream *s, struct weir_buf *data, bool end_stream)
{
    struct weir_http_call *call = call_of(s);
    if (call->body.len + data->len > WEIR_HTTP_CALL_BODY_MAX) {
        call->too_large = true;
        weir_buf_clear(data);
        weir_stream_reset(s, WEIR_RESET_LOCAL_RESET, WEIR_S("response_payload_too_large"));
        return;
    }
    weir_buf_move(&call->body, data);
    call->complete = end_stream && !call->too_large;
}

static void send_trailers(struct weir_stream *s, struct weir_headers *trailers)
{
    call_of(s)->trailers = trailers;
    call_of(s)->complete = !call_of(s)->too_large;
}

static void reset(struct weir_stream *s, enum weir_reset reason)
{
    call_of(s)->failure = reason;
}

static void read_disable(struct weir_stream *s, bool disable)
{
    (void)s; // the request is here as a whole
    (void)disable;
}

static void ended(struct weir_stream *s)
{
    weir_loop_at_end(s->loop, &call_of(s)->task);
}

static const struct weir_stream_source_ops source_ops = {
    .send_informational = send_informational,
    .send_headers = send_headers,
    .send_data = send_data,
    .send_trailers = send_trailers,
    .reset = reset,
    .read_disable = read_disable,
    .ended = ended,
};

/* ---- the caller's side ---- */

static void tell(struct weir_task *task)
{
    struct weir_http_call *call = WEIR_CONTAINER_OF(task, struct weir_http_call, task);
    if (!call->ops) return; // freed meanwhile
    if (call->complete) call->ops->on_done(call, call->headers, &call->body, call->trailers);
    else call->ops->on_failed(call, call->failure);
}

static bool has_pseudo(const struct weir_headers *h)
{
    return weir_headers_method(h).len && weir_headers_path(h).len && weir_headers_authority(h).len;
}

static struct weir_http_call *make_call(struct weir_worker *worker, struct weir_slice cluster, uint64_t timeout_ms)
{
    struct weir_stream *s = weir_stream_new(worker, worker->calls, &source_ops, NULL);
    struct weir_http_call *call = WEIR_ARENA_NEW(&s->arena, struct weir_http_call);
    s->source_arg = call;
    s->held_by_source = true;
    call->stream = s;
    call->failure = WEIR_RESET_LOCAL_RESET;
    weir_buf_init(&call->body, &worker->loop->bufs);
    weir_task_init(&call->task, tell);
    call->target.cluster = weir_arena_dup(&s->arena, cluster);
    call->target.weight = 1;
    call->route = (struct weir_route){
        .kind = WEIR_ROUTE_CLUSTER,
        .targets = &call->target,
        .n_targets = 1,
        .total_weight = 1,
        .cluster_not_found_status = 503,
        .timeout_ms = timeout_ms,
        .idle_timeout_ms = UINT64_MAX,
        .request_buffer_limit = UINT32_MAX,
    };
    s->route = &call->route;
    s->target = &call->target;
    s->route_chosen = true;
    return call;
}

static void fill_request(struct weir_stream *s, const struct weir_headers *headers, size_t body_len)
{
    struct weir_headers *h = &s->request_headers;
    weir_headers_copy(h, headers);
    if (!weir_headers_has(h, WEIR_H_SCHEME)) weir_headers_add_borrow(h, WEIR_H_SCHEME, WEIR_S("http"));
    weir_headers_remove(h, WEIR_H_TRANSFER_ENCODING);
    weir_headers_remove(h, WEIR_H_CONNECTION);
    if (body_len) weir_headers_set_u64(h, WEIR_H_CONTENT_LENGTH, body_len);
    s->is_head = weir_slice_eq(weir_headers_method(h), WEIR_S("HEAD"));
    s->is_grpc = weir_headers_is_grpc(h);
    s->info.original_path = weir_headers_path(h);
}

enum weir_err weir_http_call_start(struct weir_worker *worker, struct weir_slice cluster, const struct weir_headers *headers,
                                   struct weir_slice body, const struct weir_headers *trailers, uint64_t timeout_ms,
                                   const struct weir_http_call_ops *ops, void *arg, struct weir_http_call **ret)
{
    (void)trailers; // accepted and not sent, as Envoy's async client
    if (!worker->calls) return WEIR_ERR_UNSUPPORTED;
    if (!weir_clusters_worker_find(worker->clusters, cluster)) return WEIR_ERR_NOT_FOUND;
    if (!has_pseudo(headers)) return WEIR_ERR_INVALID;
    struct weir_http_call *call = make_call(worker, cluster, timeout_ms);
    call->ops = ops;
    call->arg = arg;
    fill_request(call->stream, headers, body.len);
    *ret = call;
    weir_stream_request_headers(call->stream, body.len == 0);
    if (body.len) {
        struct weir_buf data;
        weir_buf_init(&data, &worker->loop->bufs);
        weir_buf_add(&data, body);
        weir_stream_request_data(call->stream, &data, true);
        weir_buf_clear(&data);
    }
    return WEIR_OK;
}

void *weir_http_call_arg(const struct weir_http_call *call)
{
    return call->arg;
}

void weir_http_call_free(struct weir_http_call *call)
{
    if (!call) return;
    struct weir_stream *s = call->stream;
    call->ops = NULL;
    weir_stream_source_reset(s, WEIR_RESET_LOCAL_RESET, "call_cancelled");
    weir_task_cancel(&call->task);
    weir_buf_clear(&call->body);
    weir_stream_release(s); // may be the end of `call`
}
