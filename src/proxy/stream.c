/* The meeting point of a source, the filter chain, the route and the facts: life of one request from weir_stream_new to its
 * free at the end of the turn in which it ended. What filters see is chain.c's; answers of our own are local_reply.c's.
 *
 *   new --request_headers--> running --response complete | reset--> ended --end of turn--> log, done, freed
 *
 * Timers belong to the source: a stream only knows its deadlines (idle, whole request, head, duration). */
#include "proxy/stream.h"

#include "base/slab.h"
#include "proxy/chain.h"
#include "proxy/hcm.h"
#include "proxy/worker.h"

#define STREAMS_KEPT 256u // free streams that a worker keeps

static void finish(struct weir_task *task);

void weir_worker_init_streams(struct weir_worker *worker)
{
    weir_slab_init(&worker->streams, sizeof(struct weir_stream), STREAMS_KEPT);
}

void weir_worker_fini_streams(struct weir_worker *worker)
{
    weir_slab_fini(&worker->streams);
}

struct weir_stream *weir_stream_new(struct weir_worker *worker, const struct weir_hcm *hcm,
                                    const struct weir_stream_source_ops *source, void *source_arg)
{
    struct weir_stream *s = weir_slab_get(&worker->streams);
    s->loop = worker->loop;
    s->worker = worker;
    s->hcm = hcm;
    s->source = source;
    s->source_arg = source_arg;
    weir_arena_init(&s->arena, &s->loop->arenas);
    weir_headers_init(&s->request_headers, &s->arena);
    s->request.buffer_limit = s->response.buffer_limit = hcm->buffer_limit;
    s->routes = hcm->routes;
    s->last_active_ms = weir_loop_now_ms(s->loop);
    s->idle_timeout_ms = hcm->stream_idle_ms;
    s->info.start_ns = weir_loop_now_ns(s->loop);
    s->info.start_wall_ns = s->loop->wall_ns;
    s->info.protocol = WEIR_HTTP_11;
    weir_task_init(&s->end_task, finish);
    return s;
}

/* ---- the route ---- */

static void apply_per_route(struct weir_stream *s)
{
    const struct weir_route *route = s->route;
    if (!route || !s->routes) return;
    for (uint32_t i = 0; i < s->n_filters; i++) {
        struct weir_filter *f = &s->filters[i];
        if (f->side[WEIR_REQUEST].headers_in || f->ops->terminal) continue;
        bool disabled = false;
        const void *conf = weir_route_filter_conf(route, s->target, f->name, &disabled);
        f->disabled = disabled || (s->hcm->filters[i].disabled && !conf);
    }
}

static void route_facts(struct weir_stream *s)
{
    const struct weir_route *route = s->route;
    if (!route) return;
    s->info.route_name = route->name;
    s->info.route_metadata = route->metadata;
    if (route->vhost) {
        s->info.vhost_name = route->vhost->name;
        s->info.vhost_metadata = route->vhost->metadata;
    }
    if (route->idle_timeout_ms != UINT64_MAX && route->kind == WEIR_ROUTE_CLUSTER) {
        s->idle_timeout_ms = route->idle_timeout_ms;
        if (s->source->deadline) s->source->deadline(s);
    }
    if (route->request_buffer_limit != UINT32_MAX) s->request.buffer_limit = route->request_buffer_limit;
}

const struct weir_route *weir_stream_route(struct weir_stream *s)
{
    if (s->route_chosen) return s->route;
    s->route_chosen = true;
    if (s->routes)
        s->route = weir_route_match(s->routes, &s->request_headers, &s->info, weir_loop_random(s->loop), &s->target);
    route_facts(s);
    return s->route;
}

const void *weir_filter_route_conf(const struct weir_filter *f)
{
    struct weir_stream *s = f->stream;
    bool disabled;
    const struct weir_route *route = weir_stream_route(s);
    return route ? weir_route_filter_conf(route, s->target, f->name, &disabled) : NULL;
}

void weir_filter_clear_route_cache(struct weir_filter *f)
{
    struct weir_stream *s = f->stream;
    if (!s->routes) return; // a call: its route is given
    s->route_chosen = false;
    s->route = NULL;
    s->target = NULL;
}

/* ---- from the source ---- */

static void active(struct weir_stream *s)
{
    s->last_active_ms = weir_loop_now_ms(s->loop);
    s->info.last_rx_ns = weir_loop_now_ns(s->loop);
}

void weir_stream_request_headers(struct weir_stream *s, bool end_stream)
{
    if (s->ended || s->request.begun) return;
    active(s);
    s->headers_deadline_ms = 0;
    s->request.headers = &s->request_headers;
    s->request.begun = true;
    s->request.peer_complete = end_stream;
    if (end_stream) s->request_deadline_ms = 0;
    if (s->request.dead || s->local_reply || (s->pending & WEIR_PENDING_REPLY)) return;
    weir_chain_enter(s);
    weir_chain_make(s);
    weir_stream_route(s);
    apply_per_route(s);
    weir_chain_headers(s, WEIR_REQUEST, 0, &s->request_headers, end_stream);
    weir_chain_leave(s);
}

void weir_stream_request_data(struct weir_stream *s, struct weir_buf *data, bool end_stream)
{
    if (s->ended) return;
    active(s);
    s->info.bytes_received += data->len;
    s->request.peer_complete |= end_stream;
    if (end_stream) s->request_deadline_ms = 0;
    if (s->request.dead) return;
    weir_chain_enter(s);
    weir_chain_data(s, WEIR_REQUEST, 0, data, end_stream);
    weir_chain_leave(s);
}

void weir_stream_request_trailers(struct weir_stream *s, struct weir_headers *trailers)
{
    if (s->ended) return;
    active(s);
    s->request.peer_complete = true;
    s->request_deadline_ms = 0;
    s->request.trailers = trailers;
    if (s->request.dead) return;
    weir_chain_enter(s);
    weir_chain_trailers(s, WEIR_REQUEST, 0);
    weir_chain_leave(s);
}

void weir_stream_codec_error(struct weir_stream *s, uint32_t status, const char *body, const char *detail)
{
    struct weir_local_reply reply = {
        .status = status,
        .body = weir_slice_str(body),
        .details = weir_slice_str(detail),
        .grpc_status = -1,
        .flags = UINT64_C(1) << WEIR_FLAG_DOWNSTREAM_PROTOCOL_ERROR,
        .close = true,
    };
    if (s->ended) return;
    if (s->request_headers.n) s->request.headers = &s->request_headers; // as far as they came, for the log
    s->request.dead = true;
    weir_stream_local_reply(s, &reply);
}

void weir_stream_source_reset(struct weir_stream *s, enum weir_reset reason, const char *detail)
{
    if (s->ended) return;
    if (!s->info.details.ptr || reason == WEIR_RESET_CONN_TERMINATION) s->info.details = weir_slice_str(detail);
    if (reason == WEIR_RESET_CONN_TERMINATION || reason == WEIR_RESET_REMOTE_CONN_FAILURE)
        weir_info_flag(&s->info, WEIR_FLAG_DOWNSTREAM_CONNECTION_TERMINATION);
    else if (reason == WEIR_RESET_REMOTE_RESET || reason == WEIR_RESET_REMOTE_REFUSED)
        weir_info_flag(&s->info, WEIR_FLAG_DOWNSTREAM_REMOTE_RESET);
    weir_chain_enter(s);
    s->pending |= WEIR_PENDING_END;
    s->request.dead = s->response.dead = true;
    weir_chain_leave(s);
}

void weir_stream_down_watermark(struct weir_stream *s, bool above)
{
    if (s->ended) return;
    s->last_active_ms = weir_loop_now_ms(s->loop);
    weir_chain_enter(s);
    weir_chain_backpressure(s, WEIR_RESPONSE, above);
    weir_chain_leave(s);
}

/* ---- deadlines ---- */

uint64_t weir_stream_next_deadline(const struct weir_stream *s)
{
    uint64_t next = s->idle_timeout_ms ? s->last_active_ms + s->idle_timeout_ms : UINT64_MAX;
    const uint64_t others[] = {s->request_deadline_ms, s->headers_deadline_ms, s->max_deadline_ms};
    for (size_t i = 0; i < WEIR_COUNTOF(others); i++)
        if (others[i] && others[i] < next) next = others[i];
    return next;
}

static void timed_out(struct weir_stream *s, uint32_t status, struct weir_slice body, struct weir_slice details, uint64_t flags)
{
    struct weir_local_reply reply = {
        .status = status, .body = body, .details = details, .grpc_status = -1, .flags = flags};
    weir_stream_local_reply(s, &reply);
}

void weir_stream_check_deadlines(struct weir_stream *s)
{
    uint64_t now = weir_loop_now_ms(s->loop);
    if (s->ended) return;
    if (s->max_deadline_ms && now >= s->max_deadline_ms) {
        s->max_deadline_ms = 0;
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_max_duration_reached);
        timed_out(s, s->request.peer_complete ? 504 : 408, WEIR_S("downstream duration timeout"), WEIR_S("max_duration_timeout"), 0);
    } else if (s->headers_deadline_ms && now >= s->headers_deadline_ms) {
        s->headers_deadline_ms = 0;
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_header_timeout);
        timed_out(s, 408, WEIR_S("request header timeout"), WEIR_S("request_header_timeout"), 0);
    } else if (s->request_deadline_ms && now >= s->request_deadline_ms) {
        s->request_deadline_ms = 0;
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_timeout);
        timed_out(s, 408, WEIR_S("request timeout"), WEIR_S("request_overall_timeout"), 0);
    } else if (s->idle_timeout_ms && now >= s->last_active_ms + s->idle_timeout_ms) {
        s->last_active_ms = now;
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_idle_timeout);
        // A response under way, or one that cannot be sent any more, is cut; a request without an answer gets one.
        timed_out(s, s->request.peer_complete ? 504 : 408, WEIR_S("stream timeout"), WEIR_S("stream_idle_timeout"),
                  UINT64_C(1) << WEIR_FLAG_STREAM_IDLE_TIMEOUT);
    }
}

/* ---- answers of our own, the end ---- */

static struct weir_local_reply *keep_reply(struct weir_stream *s, const struct weir_local_reply *reply)
{
    struct weir_local_reply *kept = WEIR_ARENA_NEW(&s->arena, struct weir_local_reply);
    *kept = *reply;
    kept->body = weir_arena_dup(&s->arena, reply->body);
    kept->details = weir_arena_dup(&s->arena, reply->details);
    if (reply->headers) {
        struct weir_headers *headers = WEIR_ARENA_NEW(&s->arena, struct weir_headers);
        weir_headers_init(headers, &s->arena);
        weir_headers_copy(headers, reply->headers);
        kept->headers = headers;
    }
    return kept;
}

void weir_stream_local_reply(struct weir_stream *s, const struct weir_local_reply *reply)
{
    if (s->ended || (s->pending & (WEIR_PENDING_REPLY | WEIR_PENDING_RESET))) return;
    weir_chain_enter(s);
    s->reply = keep_reply(s, reply);
    s->pending |= WEIR_PENDING_REPLY;
    weir_chain_leave(s);
}

void weir_stream_reset(struct weir_stream *s, enum weir_reset reason, struct weir_slice details)
{
    if (s->ended || (s->pending & WEIR_PENDING_RESET)) return;
    weir_chain_enter(s);
    s->reset_reason = reason;
    if (details.len) s->info.details = weir_arena_dup(&s->arena, details);
    s->pending |= WEIR_PENDING_RESET;
    weir_chain_leave(s);
}

void weir_stream_reset_now(struct weir_stream *s)
{
    s->close_after = true;
    s->source->reset(s, s->reset_reason);
    weir_stream_end_now(s);
}

void weir_stream_end_now(struct weir_stream *s)
{
    if (s->ended) return;
    s->ended = true;
    s->request.dead = s->response.dead = true;
    s->info.end_ns = weir_loop_now_ns(s->loop);
    if (s->response.complete) s->info.last_tx_ns = s->info.end_ns;
    s->source->ended(s);
    weir_loop_at_end(s->loop, &s->end_task);
}

static void free_stream(void *arg, void *ptr)
{
    struct weir_worker *worker = arg;
    struct weir_stream *s = ptr;
    weir_arena_fini(&s->arena);
    weir_slab_put(&worker->streams, s);
}

/* At the end of the turn: nothing of this stream is on the stack. */
static void finish(struct weir_task *task)
{
    struct weir_stream *s = WEIR_CONTAINER_OF(task, struct weir_stream, end_task);
    for (uint32_t i = 0; i < s->n_filters; i++)
        if (s->filters[i].ops->log) s->filters[i].ops->log(&s->filters[i], &s->info);
    if (s->hcm->access_logs) {
        struct weir_log_context context = {
            .worker = s->worker,
            .info = &s->info,
            .request_headers = s->request.headers,
            .response_headers = s->response.headers,
            .response_trailers = s->response.trailers,
            .arena = &s->arena,
            .type = WEIR_ACCESS_LOG_DOWNSTREAM_END,
        };
        weir_access_logs_write(s->hcm->access_logs, &context);
    }
    weir_chain_drop(s);
    for (uint32_t i = 0; i < s->n_filters; i++)
        if (s->filters[i].ops->done) s->filters[i].ops->done(&s->filters[i]);
    s->finished = true;
    if (!s->held_by_source) weir_loop_defer_free(s->loop, free_stream, s->worker, s);
}

void weir_stream_release(struct weir_stream *s)
{
    s->held_by_source = false;
    if (s->finished) weir_loop_defer_free(s->loop, free_stream, s->worker, s);
}
