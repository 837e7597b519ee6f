/* The router at work: route -> cluster -> host -> one upstream attempt, its response into the chain, its failures into replies.
 * Not here: what an attempt does (proxy/up_request.c), which connection it gets (upstream/pool.c).
 *
 * A retry needs the whole request: its body is kept (by reference, not copied) up to the buffer limit until the answer is taken.
 *
 * A connection that had been idle in the pool may turn out to be dead when the request is sent on it; if not a byte of an answer
 * has come and the request may be repeated, it is sent once more on a fresh connection, whatever the retry policy says (Envoy
 * answers 503 instead; docs/ENVOY_DIFFERENCES.md).
 * Rules: Envoy's Router::Filter; texts, flags and details are its own words. */
#include "filters/router/router.h"

#include "base/log.h"
#include "http/headers_hop.h"
#include "proxy/retry.h"
#include "proxy/stream.h"
#include "proxy/up_request.h"
#include "proxy/worker.h"

#define TRIED_MAX 8

/* What only requests with retries have. */
struct retrying {
    struct weir_retry retry;
    struct weir_timer back_off;
    struct weir_buf body; /* of the request, for another attempt */
    const struct weir_headers *trailers;
    const struct weir_host *tried[TRIED_MAX];
    uint32_t n_tried;
    struct router *r;
};

struct router {
    struct weir_filter *f;
    const struct weir_router_conf *conf;
    const struct weir_route *route; /* that the request took, whatever filters clear later */
    const struct weir_route_target *target;
    struct weir_cluster_worker *cw; /* held */
    struct weir_up_request up;
    struct weir_timer timeout;      /* of the route: from the end of the request */
    struct weir_timer max_duration; /* of the upstream stream */
    struct weir_timer per_try;
    uint64_t timeout_ms, per_try_ms;
    struct retrying *again; /* NULL = no retries (any more) */
    uint64_t complete_ns;   /* when the request was complete, 0 = it is not */
    bool active;            /* an attempt runs or is about to */
    bool response_started;
    bool above;         /* the request's sender was asked for less */
    bool stale_retried; /* a stale connection has had its second attempt */
};

static struct weir_loop *loop_of(const struct router *r)
{
    return r->f->stream->loop;
}

static void count(const struct router *r, enum weir_router_stat row)
{
    if (r->conf->stats)
        weir_stat_inc(r->f->stream->worker->stats, r->conf->stats + (weir_stat)row);
}

static void count_cluster(const struct router *r, enum weir_cluster_stat row)
{
    weir_cluster_count(weir_cluster_worker_stats(r->cw), weir_cluster_worker_conf(r->cw), row);
}

static void count_host(const struct router *r, enum weir_host_stat row)
{
    const struct weir_host *host = r->up.pool_request.host;
    if (host && host->stats)
        weir_host_count(weir_cluster_worker_stats(r->cw), host, row);
}

static void count_code(const struct router *r, uint32_t code)
{
    if (r->conf->dynamic_stats)
        weir_cluster_worker_count_code(r->cw, code, r->f->stream->info.internal);
}

/* ---- ends ---- */

static void ask_less(struct router *r, bool above)
{
    if (r->above == above)
        return;
    r->above = above;
    weir_filter_request_backpressure(r->f, above);
}

/* There will be no other attempt: lets go of what it would have needed. */
static void forget_retries(struct router *r)
{
    struct retrying *again = WEIR_TAKE(r->again);
    if (!again)
        return;
    weir_retry_release(&again->retry, weir_cluster_worker_stats(r->cw));
    weir_timer_stop(loop_of(r), &again->back_off);
    weir_buf_clear(&again->body);
}

static void stop_timers(struct router *r)
{
    weir_timer_stop(loop_of(r), &r->timeout);
    weir_timer_stop(loop_of(r), &r->max_duration);
    weir_timer_stop(loop_of(r), &r->per_try);
}

/* The attempt is over; nothing of it comes any more. */
static void finish(struct router *r)
{
    r->active = false;
    stop_timers(r);
    forget_retries(r);
    if (weir_up_request_waits(&r->up))
        count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_cancelled);
    if (r->up.cs)
        count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_tx_reset);
    weir_up_request_stop(&r->up);
}

static void reply(struct router *r, uint32_t status, struct weir_slice body, enum weir_response_flag flag,
                  struct weir_slice details, const struct weir_headers *headers)
{
    struct weir_local_reply answer = {
        .status = status,
        .body = body,
        .details = details,
        .headers = headers,
        .grpc_status = -1,
        .flags = UINT64_C(1) << flag,
    };
    weir_filter_local_reply(r->f, &answer);
}

/* ---- an attempt that failed ---- */

static enum weir_response_flag flag_of(enum weir_reset reason)
{
    static const enum weir_response_flag flags[] = {
        [WEIR_RESET_LOCAL_RESET] = WEIR_FLAG_LOCAL_RESET,
        [WEIR_RESET_LOCAL_REFUSED] = WEIR_FLAG_LOCAL_RESET,
        [WEIR_RESET_REMOTE_RESET] = WEIR_FLAG_UPSTREAM_REMOTE_RESET,
        [WEIR_RESET_REMOTE_REFUSED] = WEIR_FLAG_UPSTREAM_REMOTE_RESET,
        [WEIR_RESET_LOCAL_CONN_FAILURE] = WEIR_FLAG_UPSTREAM_CONNECTION_FAILURE,
        [WEIR_RESET_REMOTE_CONN_FAILURE] = WEIR_FLAG_UPSTREAM_CONNECTION_FAILURE,
        [WEIR_RESET_CONN_TIMEOUT] = WEIR_FLAG_UPSTREAM_CONNECTION_FAILURE,
        [WEIR_RESET_CONN_TERMINATION] = WEIR_FLAG_UPSTREAM_CONNECTION_TERMINATION,
        [WEIR_RESET_OVERFLOW] = WEIR_FLAG_UPSTREAM_OVERFLOW,
        [WEIR_RESET_CONNECT_ERROR] = WEIR_FLAG_UPSTREAM_REMOTE_RESET,
        [WEIR_RESET_PROTOCOL_ERROR] = WEIR_FLAG_UPSTREAM_PROTOCOL_ERROR,
        [WEIR_RESET_OVERLOAD] = WEIR_FLAG_OVERLOAD_MANAGER,
    };
    return flags[reason];
}

/* "upstream_reset_before_response_started{remote_connection_failure|…}": a detail is one word. */
static struct weir_slice reset_details(struct router *r, const char *what, enum weir_reset reason,
                                       const char *transport)
{
    struct weir_slice text = weir_arena_printf(&r->f->stream->arena, "%s{%s%s%s}", what,
                                               weir_reset_text(reason), transport[0] ? "|" : "", transport);
    char *ptr = (char *)(uintptr_t)text.ptr; /* ours: just printed */
    for (size_t i = 0; i < text.len; i++)
        if (ptr[i] == ' ')
            ptr[i] = '_';
    return text;
}

static void fail_started(struct router *r, enum weir_reset reason, const char *transport)
{
    count(r, WEIR_ROUTER_STAT_rq_reset_after_downstream_response_started);
    weir_info_flag(&r->f->stream->info, flag_of(reason));
    struct weir_slice details = reset_details(r, "upstream_reset_after_response_started", reason, transport);
    finish(r);
    weir_filter_reset(r->f, details);
}

static void fail(struct router *r, enum weir_reset reason, const char *transport)
{
    struct weir_stream *s = r->f->stream;
    if (r->response_started) {
        fail_started(r, reason, transport);
        return;
    }
    uint32_t status = reason == WEIR_RESET_PROTOCOL_ERROR ? 502 : 503;
    count_host(r, WEIR_HOST_STAT_rq_error);
    count_code(r, status);
    s->info.up_failure = transport[0] ? weir_arena_dup(&s->arena, weir_slice_str(transport)) : WEIR_S_NONE;
    struct weir_slice details = reset_details(r, "upstream_reset_before_response_started", reason, transport);
    struct weir_slice body = weir_arena_printf(
        &s->arena, "upstream connect error or disconnect/reset before headers. %sreset reason: %s",
        s->info.attempts > 1 ? "retried and the latest " : "", weir_reset_text(reason));
    struct weir_headers extra;
    weir_headers_init(&extra, &s->arena);
    bool overloaded = reason == WEIR_RESET_OVERFLOW && !r->conf->suppress_envoy_headers;
    if (overloaded)
        weir_headers_add_borrow(&extra, WEIR_H_X_ENVOY_OVERLOADED, WEIR_S("true"));
    finish(r);
    reply(r, status, body, flag_of(reason), details, overloaded ? &extra : NULL);
}

/* ---- attempts ---- */

static const struct weir_up_request_ops up_ops;

static void no_host(struct router *r)
{
    count_cluster(r, WEIR_CLUSTER_STAT_upstream_cx_none_healthy);
    count_code(r, 503);
    finish(r);
    reply(r, 503, WEIR_S("no healthy upstream"), WEIR_FLAG_NO_HEALTHY_UPSTREAM, WEIR_S("no_healthy_upstream"),
          NULL);
}

static bool was_tried(void *arg, const struct weir_host *host)
{
    const struct retrying *again = arg;
    for (uint32_t i = 0; i < again->n_tried; i++)
        if (again->tried[i] == host)
            return true;
    return false;
}

static struct weir_host *pick(struct router *r)
{
    struct retrying *again = r->again;
    if (!again || !again->retry.policy->skip_previous_hosts)
        return weir_cluster_pick(r->cw, NULL);
    struct weir_lb_context ctx = {
        .skip_host = was_tried, .skip_arg = again, .max_skips = again->retry.policy->host_attempts};
    struct weir_host *host = weir_cluster_pick(r->cw, &ctx);
    if (host && again->n_tried < TRIED_MAX)
        again->tried[again->n_tried++] = host;
    return host;
}

static void attempt(struct router *r, bool end_stream, bool fresh)
{
    struct weir_stream *s = r->f->stream;
    struct weir_host *host = pick(r);
    if (!host) {
        no_host(r);
        return;
    }
    r->up = (struct weir_up_request){.ops = &up_ops, .pool_request.fresh = fresh};
    r->active = true;
    s->info.host = host;
    enum weir_pool_verdict verdict = weir_up_request_start(&r->up, r->cw, host, r->route->priority, s->loop,
                                                           &s->arena, &s->request_headers, end_stream);
    if (verdict == WEIR_POOL_OVERFLOW)
        fail(r, WEIR_RESET_OVERFLOW, "");
}

/* The same bytes once more, without a copy. */
static void share(struct weir_buf *to, const struct weir_buf *from)
{
    for (const struct weir_seg *seg = from->head; seg; seg = seg->next) {
        if (seg->block)
            weir_buf_add_block(to, seg->block, weir_slice(seg->ptr, seg->len));
        else
            weir_buf_add_static(to, weir_slice(seg->ptr, seg->len));
    }
}

static void start_per_try(struct router *r)
{
    if (r->per_try_ms && r->active)
        weir_timer_set(loop_of(r), &r->per_try, r->per_try_ms);
}

static void on_back_off(struct weir_timer *timer)
{
    struct retrying *again = WEIR_CONTAINER_OF(timer, struct retrying, back_off);
    struct router *r = again->r;
    struct weir_stream *s = r->f->stream;
    weir_up_request_end(&r->up);
    bool has_body = again->body.len > 0;
    attempt(r, !has_body && !again->trailers, false);
    if (!r->active)
        return;
    if (has_body) {
        struct weir_buf body;
        weir_buf_init(&body, &s->loop->bufs);
        share(&body, &again->body);
        weir_up_request_data(&r->up, &body, !again->trailers);
    }
    if (again->trailers)
        weir_up_request_trailers(&r->up, again->trailers);
    start_per_try(r);
}

/* The attempt is given up for another one. */
static void try_again(struct router *r)
{
    struct weir_stream *s = r->f->stream;
    struct weir_headers *h = &s->request_headers;
    if (r->up.cs)
        count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_tx_reset);
    weir_timer_stop(s->loop, &r->per_try);
    weir_timer_stop(s->loop, &r->max_duration);
    weir_up_request_stop(&r->up); /* its host stays known until the next one is */
    s->info.attempts++;
    if (weir_headers_has(h, WEIR_H_X_ENVOY_ATTEMPT_COUNT))
        weir_headers_set_u64(h, WEIR_H_X_ENVOY_ATTEMPT_COUNT, s->info.attempts);
    weir_timer_set(s->loop, &r->again->back_off,
                   weir_retry_backoff_ms(&r->again->retry, weir_loop_random(s->loop)));
}

/* Acts on a verdict; true if there will be another attempt. */
static bool follow(struct router *r, enum weir_retry_verdict verdict)
{
    if (verdict == WEIR_RETRY_YES) {
        try_again(r);
        return true;
    }
    if (verdict == WEIR_RETRY_LIMIT)
        weir_info_flag(&r->f->stream->info, WEIR_FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED);
    if (verdict == WEIR_RETRY_OVERFLOW)
        weir_info_flag(&r->f->stream->info, WEIR_FLAG_UPSTREAM_OVERFLOW);
    return false;
}

static bool may_retry(const struct router *r)
{
    if (!r->again || r->response_started)
        return false;
    if (!r->complete_ns)
        count(r, WEIR_ROUTER_STAT_rq_retry_skipped_request_not_complete);
    return r->complete_ns != 0;
}

static bool retry_after_reset(struct router *r, enum weir_reset reason)
{
    if (!may_retry(r))
        return false;
    enum weir_priority priority = r->route->priority;
    if (!follow(r, weir_retry_on_reset(&r->again->retry, reason, r->up.headers_sent, r->cw, priority)))
        return false;
    count_host(r, WEIR_HOST_STAT_rq_error);
    return true;
}

static bool is_idempotent(const struct weir_headers *h)
{
    static const struct weir_slice methods[] = {WEIR_S_INIT("GET"),     WEIR_S_INIT("HEAD"),
                                                WEIR_S_INIT("OPTIONS"), WEIR_S_INIT("PUT"),
                                                WEIR_S_INIT("DELETE"),  WEIR_S_INIT("TRACE")};
    struct weir_slice method = weir_headers_method(h);
    for (size_t i = 0; i < WEIR_COUNTOF(methods); i++)
        if (weir_slice_eq(method, methods[i]))
            return true;
    return false;
}

/* Was it the pooled connection that failed, and not the request? RFC 9112 9.3.1: only what may be repeated is. */
static bool is_stale(const struct router *r, enum weir_reset reason)
{
    const struct weir_up_request *up = &r->up;
    if (r->stale_retried || reason != WEIR_RESET_CONN_TERMINATION || !up->reused || up->response_begun ||
        up->body_given)
        return false;
    return up->unsent || is_idempotent(&r->f->stream->request_headers);
}

static void on_failed(struct weir_up_request *up, enum weir_reset reason, const char *detail)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (!r->active || r->f->stream->ended)
        return;
    if (reason == WEIR_RESET_REMOTE_RESET || reason == WEIR_RESET_REMOTE_REFUSED)
        count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_rx_reset);
    if (is_stale(r, reason)) {
        bool end_stream = up->end_seen;
        r->stale_retried = true;
        count(r, WEIR_ROUTER_STAT_rq_stale_connection_retry);
        weir_up_request_end(up);
        attempt(r, end_stream, true);
        return;
    }
    if (!retry_after_reset(r, reason))
        fail(r, reason, detail);
}

/* ---- timeouts ---- */

static void time_out(struct router *r, enum weir_response_flag flag, struct weir_slice body,
                     struct weir_slice details)
{
    if (r->response_started) {
        count(r, WEIR_ROUTER_STAT_rq_reset_after_downstream_response_started);
        weir_info_flag(&r->f->stream->info, flag);
        finish(r);
        weir_filter_reset(r->f, details);
        return;
    }
    count_host(r, WEIR_HOST_STAT_rq_error);
    count_code(r, 504);
    finish(r);
    reply(r, 504, body, flag, details, NULL);
}

static void on_timeout(struct weir_timer *timer)
{
    struct router *r = WEIR_CONTAINER_OF(timer, struct router, timeout);
    count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_timeout);
    count_host(r, WEIR_HOST_STAT_rq_timeout);
    time_out(r, WEIR_FLAG_UPSTREAM_REQUEST_TIMEOUT, WEIR_S("upstream request timeout"),
             WEIR_S("response_timeout"));
}

static void on_max_duration(struct weir_timer *timer)
{
    struct router *r = WEIR_CONTAINER_OF(timer, struct router, max_duration);
    count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_max_duration_reached);
    time_out(r, WEIR_FLAG_UPSTREAM_MAX_STREAM_DURATION_REACHED,
             WEIR_S("upstream max stream duration reached"), WEIR_S("upstream_max_stream_duration_reached"));
}

/* One attempt takes too long; once an answer has begun it may go on up to the route's timeout. */
static void on_per_try(struct weir_timer *timer)
{
    struct router *r = WEIR_CONTAINER_OF(timer, struct router, per_try);
    if (r->response_started)
        return;
    count_cluster(r, WEIR_CLUSTER_STAT_upstream_rq_per_try_timeout);
    count_host(r, WEIR_HOST_STAT_rq_timeout);
    if (retry_after_reset(r, WEIR_RESET_LOCAL_RESET))
        return;
    time_out(r, WEIR_FLAG_UPSTREAM_REQUEST_TIMEOUT, WEIR_S("upstream request timeout"),
             WEIR_S("upstream_per_try_timeout"));
}

/* The timeout of the route, or what the caller asked for (the connection manager has removed that from strangers' requests). */
static uint64_t final_timeout(const struct router *r, struct weir_headers *h)
{
    uint64_t ms = r->route->timeout_ms, asked;
    struct weir_slice value = weir_headers_get(h, WEIR_H_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS);
    if (r->conf->respect_expected_timeout && weir_headers_has(h, WEIR_H_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS))
        value = weir_headers_get(h, WEIR_H_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS);
    if (value.ptr && weir_parse_u64(value, UINT32_MAX, &asked) == WEIR_OK)
        ms = asked;
    if (weir_headers_has(h, WEIR_H_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS))
        (void)weir_headers_remove(h, WEIR_H_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS);
    return ms;
}

static void on_request_complete(struct router *r)
{
    r->complete_ns = weir_loop_now_ns(loop_of(r));
    if (r->timeout_ms && r->active)
        weir_timer_set(loop_of(r), &r->timeout, r->timeout_ms);
    start_per_try(r);
}

/* ---- the request ---- */

static void init(struct weir_filter *f)
{
    struct router *r = f->state;
    r->f = f;
    r->conf = f->conf;
    weir_timer_init(&r->timeout, on_timeout);
    weir_timer_init(&r->max_duration, on_max_duration);
    weir_timer_init(&r->per_try, on_per_try);
}

/* The reply of a redirect or direct response: its headers are those of the route alone. */
static void answer_directly(struct router *r, const struct weir_route *route)
{
    struct weir_stream *s = r->f->stream;
    struct weir_headers *h = weir_arena_alloc(&s->arena, sizeof(*h));
    struct weir_local_reply answer = {.status = route->direct_status,
                                      .body = route->direct_body,
                                      .details = WEIR_S("direct_response"),
                                      .headers = h,
                                      .grpc_status = -1};
    count(r, WEIR_ROUTER_STAT_rq_direct_response);
    weir_headers_init(h, &s->arena);
    if (route->kind == WEIR_ROUTE_REDIRECT) {
        count(r, WEIR_ROUTER_STAT_rq_redirect);
        struct weir_slice location = weir_route_redirect_location(route, s, &answer.status);
        weir_headers_add_borrow(h, WEIR_H_LOCATION, location);
    }
    weir_filter_local_reply(r->f, &answer);
}

static void no_route(struct router *r)
{
    count(r, WEIR_ROUTER_STAT_no_route);
    reply(r, 404, WEIR_S_NONE, WEIR_FLAG_NO_ROUTE_FOUND, WEIR_S("route_not_found"), NULL);
}

static bool find_cluster(struct router *r, const struct weir_route *route, struct weir_headers *h)
{
    struct weir_stream *s = r->f->stream;
    struct weir_slice name = r->target ? r->target->cluster : WEIR_S_NONE;
    if (r->target && r->target->cluster_header.len) {
        const struct weir_header *field = weir_headers_find_name(h, r->target->cluster_header);
        name = field ? field->value : WEIR_S_NONE;
    }
    r->cw = name.len ? weir_clusters_worker_find(s->worker->clusters, name) : NULL;
    if (!r->cw) {
        count(r, WEIR_ROUTER_STAT_no_cluster);
        reply(r, route->cluster_not_found_status ? route->cluster_not_found_status : 503, WEIR_S_NONE,
              WEIR_FLAG_NO_CLUSTER_FOUND, WEIR_S("cluster_not_found"), NULL);
        return false;
    }
    weir_cluster_worker_hold(r->cw);
    s->info.cluster = weir_cluster_worker_conf(r->cw);
    s->info.cluster_name = s->info.cluster->name;
    return true;
}

static bool asks_for_retries(const struct weir_headers *h)
{
    return weir_headers_has(h, WEIR_H_X_ENVOY_RETRY_ON) ||
           weir_headers_has(h, WEIR_H_X_ENVOY_RETRY_GRPC_ON) ||
           weir_headers_has(h, WEIR_H_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS);
}

static void prepare_retries(struct router *r, const struct weir_route *route, struct weir_headers *h)
{
    struct weir_stream *s = r->f->stream;
    if (!route->retry && !asks_for_retries(h))
        return;
    struct retrying *again = WEIR_ARENA_NEW(&s->arena, struct retrying);
    again->r = r;
    weir_buf_init(&again->body, &s->loop->bufs);
    weir_timer_init(&again->back_off, on_back_off);
    if (weir_retry_init(&again->retry, route->retry, h))
        r->again = again;
    r->per_try_ms = again->retry.per_try_timeout_ms;
    if (r->timeout_ms && r->per_try_ms >= r->timeout_ms)
        r->per_try_ms = 0;
}

static void prepare_request(struct router *r, const struct weir_route *route, struct weir_headers *h)
{
    struct weir_stream *s = r->f->stream;
    bool envoy_headers = !r->conf->suppress_envoy_headers;
    r->timeout_ms = final_timeout(r, h);
    s->info.attempts = 1;
    prepare_retries(r, route, h);
    uint64_t expected = r->per_try_ms ? r->per_try_ms : r->timeout_ms;
    if (envoy_headers && expected)
        weir_headers_set_u64(h, WEIR_H_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, expected);
    if (route->vhost && route->vhost->include_attempt_count_request)
        weir_headers_set_u64(h, WEIR_H_X_ENVOY_ATTEMPT_COUNT, 1);
    weir_route_finalize_request(route, r->target, s, envoy_headers);
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    struct router *r = f->state;
    const struct weir_route *route = r->route = weir_stream_route(f->stream);
    r->target = f->stream->target;
    count(r, WEIR_ROUTER_STAT_rq_total);
    if (!route || route->kind == WEIR_ROUTE_NON_FORWARDING) {
        no_route(r);
    } else if (route->kind != WEIR_ROUTE_CLUSTER) {
        answer_directly(r, route);
    } else if (find_cluster(r, route, h)) {
        prepare_request(r, route, h);
        attempt(r, end_stream, false);
        if (end_stream)
            on_request_complete(r);
    }
    return WEIR_HEADERS_CONTINUE;
}

/* Keeps a body for another attempt, as far as the buffer limit lets. */
static void keep_body(struct router *r, const struct weir_buf *data)
{
    uint32_t limit = r->f->stream->request.buffer_limit;
    if (limit && r->again->body.len + data->len > limit)
        forget_retries(r);
    else
        share(&r->again->body, data);
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct router *r = f->state;
    if (!r->active)
        return WEIR_DATA_CONTINUE;
    f->stream->info.last_up_tx_ns = weir_loop_now_ns(loop_of(r));
    if (r->again)
        keep_body(r, data);
    weir_up_request_data(&r->up, data, end_stream);
    uint32_t limit = f->stream->request.buffer_limit;
    if (limit && r->up.held.len > limit)
        ask_less(r, true);
    if (end_stream)
        on_request_complete(r);
    return WEIR_DATA_CONTINUE;
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    struct router *r = f->state;
    if (!r->active)
        return WEIR_TRAILERS_CONTINUE;
    if (r->again)
        r->again->trailers = trailers;
    weir_up_request_trailers(&r->up, trailers);
    on_request_complete(r);
    return WEIR_TRAILERS_CONTINUE;
}

/* ---- the response ---- */

static void on_connection(struct weir_up_request *up)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    struct weir_stream *s = r->f->stream;
    const struct weir_conn *conn = &up->conn->conn;
    const struct weir_route *route = r->route;
    uint64_t now = weir_loop_now_ns(s->loop);
    s->info.host = up->pool_request.host;
    s->info.up_local = conn->local;
    s->info.up_conn_id = conn->id;
    s->info.up_protocol = up->conn->codec->ops->protocol;
    s->info.up_pool_ready_ns = up->pool_request.since_ns ? now - up->pool_request.since_ns : 0;
    if (!s->info.first_up_tx_ns)
        s->info.first_up_tx_ns = now;
    s->info.last_up_tx_ns = now;
    if (up->held.len)
        ask_less(r, false);
    if (route->auto_host_rewrite && s->info.host->hostname.len)
        weir_route_set_host(up->headers, s->info.host->hostname, route->append_x_forwarded_host,
                            !r->conf->suppress_envoy_headers);
    uint64_t max_ms = weir_cluster_worker_conf(r->cw)->max_stream_duration_ms;
    if (WEIR_UNLIKELY(max_ms))
        weir_timer_set(s->loop, &r->max_duration, max_ms);
}

/* The response is complete: what remains of the request is not wanted any more. */
static void complete(struct router *r)
{
    struct weir_stream *s = r->f->stream;
    uint64_t now = weir_loop_now_ns(s->loop), from = r->complete_ns ? r->complete_ns : s->info.first_up_tx_ns;
    s->info.last_up_rx_ns = now;
    if (r->conf->dynamic_stats)
        weir_cluster_worker_count_time(r->cw, (now - from) / 1000000, s->info.internal);
    r->active = false;
    stop_timers(r);
    weir_up_request_stop(&r->up);
}

static void prepare_response(struct router *r, struct weir_headers *h, uint32_t status)
{
    struct weir_stream *s = r->f->stream;
    uint64_t now = weir_loop_now_ns(s->loop);
    s->info.first_up_rx_ns = now;
    s->info.last_up_rx_ns = now;
    s->info.status = status;
    s->info.details = WEIR_S("via_upstream");
    count_code(r, status);
    count_host(r, status >= 500 ? WEIR_HOST_STAT_rq_error : WEIR_HOST_STAT_rq_success);
    (void)weir_headers_strip_hop_by_hop(h, false);
    if (!r->conf->suppress_envoy_headers) {
        uint64_t from = r->complete_ns ? r->complete_ns : s->info.first_up_tx_ns;
        weir_headers_set_u64(h, WEIR_H_X_ENVOY_UPSTREAM_SERVICE_TIME, (now - from) / 1000000);
    }
    if (r->route->vhost && r->route->vhost->include_attempt_count_response)
        weir_headers_set_u64(h, WEIR_H_X_ENVOY_ATTEMPT_COUNT, s->info.attempts);
    weir_route_finalize_response(r->route, r->target, s, h);
}

static bool retry_after_headers(struct router *r, const struct weir_headers *h)
{
    if (!may_retry(r))
        return false;
    enum weir_priority priority = r->route->priority;
    if (!follow(r, weir_retry_on_headers(&r->again->retry, h, r->cw, priority)))
        return false;
    if (r->conf->dynamic_stats)
        weir_cluster_worker_count_retry(r->cw, weir_headers_status(h));
    return true;
}

static void on_headers(struct weir_up_request *up, struct weir_headers *h, bool end_stream)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (!r->active)
        return;
    if (r->again) {
        if (retry_after_headers(r, h))
            return;
        forget_retries(r);
    }
    r->response_started = true;
    prepare_response(r, h, weir_headers_status(h));
    if (end_stream)
        complete(r);
    weir_filter_respond_headers(r->f, h, end_stream);
}

/* RFC 9110 15.2: passed on, but for 100: the connection manager has answered that itself. */
static void on_informational(struct weir_up_request *up, struct weir_headers *h)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (!r->active || weir_headers_status(h) == 100 || r->f->stream->info.protocol == WEIR_HTTP_10)
        return;
    weir_filter_respond_informational(r->f, h);
}

static void on_data(struct weir_up_request *up, struct weir_buf *data, bool end_stream)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (!r->active) {
        weir_buf_clear(data);
        return;
    }
    if (end_stream)
        complete(r);
    else
        r->f->stream->info.last_up_rx_ns = weir_loop_now_ns(loop_of(r));
    weir_filter_respond_data(r->f, data, end_stream);
}

static void on_trailers(struct weir_up_request *up, struct weir_headers *trailers)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (!r->active)
        return;
    complete(r);
    weir_trailers_strip(trailers);
    weir_filter_respond_trailers(r->f, trailers);
}

static void on_watermark(struct weir_up_request *up, bool above)
{
    struct router *r = WEIR_CONTAINER_OF(up, struct router, up);
    if (r->active)
        ask_less(r, above);
}

static const struct weir_up_request_ops up_ops = {
    .on_connection = on_connection,
    .on_informational = on_informational,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_failed = on_failed,
    .on_watermark = on_watermark,
};

static void down_watermark(struct weir_filter *f, bool above)
{
    struct router *r = f->state;
    if (r->active)
        weir_up_request_pause(&r->up, above);
}

/* Somebody else answers: what runs upstream is for nothing. */
static void local_reply(struct weir_filter *f, uint32_t status, struct weir_slice details)
{
    (void)status, (void)details;
    struct router *r = f->state;
    if (r->active)
        finish(r);
}

static void done(struct weir_filter *f)
{
    struct router *r = f->state;
    if (!r->cw)
        return;
    finish(r);
    weir_up_request_end(&r->up);
    weir_cluster_worker_release(r->cw);
    r->cw = NULL;
}

static const char *const aliases[] = {"envoy.router", NULL};
const struct weir_filter_ops weir_filter_router = {
    .name = "envoy.filters.http.router",
    .aliases = aliases,
    .type = "envoy.extensions.filters.http.router.v3.Router",
    .fields = &weir_router_fields,
    .terminal = true,
    .stream_size = sizeof(struct router),
    .parse = weir_router_parse,
    .init = init,
    .request_headers = request_headers,
    .request_data = request_data,
    .request_trailers = request_trailers,
    .down_watermark = down_watermark,
    .local_reply = local_reply,
    .done = done,
};
