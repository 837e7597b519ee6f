/* The engine's view of the proxy: header maps, bodies, replies and the rest as struct weir_wasm_host_ops. Maps stay readable for the
 * whole life of a stream, later than in Envoy; what is written after a message has gone on is dropped (Envoy: BadArgument,
 * on which Rust guests panic). What a guest writes passes the same checks as what comes off the wire. */
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "filters/wasm/plugin.h"

#define REPLY_DETAILS_MAX 256u

static struct wasm_context *context_of(struct weir_wasm_context *ctx)
{
    return WEIR_CONTAINER_OF(ctx, struct wasm_context, base);
}

static struct wasm_stream *stream_of(struct weir_wasm_context *ctx)
{
    if (!ctx) return NULL;
    struct wasm_context *context = context_of(ctx);
    return context->kind == WASM_HTTP ? WEIR_CONTAINER_OF(context, struct wasm_stream, ctx) : NULL;
}

static struct wasm_conn *conn_of(struct weir_wasm_context *ctx)
{
    if (!ctx) return NULL;
    struct wasm_context *context = context_of(ctx);
    return context->kind == WASM_NET ? WEIR_CONTAINER_OF(context, struct wasm_conn, ctx) : NULL;
}

static struct weir_wasm_worker *worker_of(struct weir_vm *vm)
{
    struct wasm_instance *in = vm->user;
    return in->ww;
}

/* ---- log, clocks, random numbers ---- */

static const enum weir_log_level levels[WEIR_WASM_LOG_COUNT] = {WEIR_LOG_TRACE, WEIR_LOG_DEBUG, WEIR_LOG_INFO,
                                                                WEIR_LOG_WARN,  WEIR_LOG_ERROR, WEIR_LOG_CRITICAL};

static void host_log(struct weir_vm *vm, struct weir_wasm_context *ctx, enum weir_wasm_log_level level, struct weir_slice message)
{
    if (!weir_log_on(WEIR_LOGC_WASM, levels[level])) return;
    struct weir_slice prefix = WEIR_S("wasm log");
    if (ctx) {
        struct wasm_root *root = context_of(ctx)->root;
        if (!weir_log_limit_ok(&root->log_limit, WEIR_WASM_LOG_LINES_MAX)) {
            wasm_count(worker_of(vm), root->plugin, WASM_STAT_log_suppressed);
            return;
        }
        prefix = root->plugin->log_prefix;
    }
    weir_log_write(WEIR_LOGC_WASM, levels[level], __FILE__, __LINE__, "%.*s: %.*s", WEIR_SARG(prefix), WEIR_SARG(message));
}

static enum weir_wasm_log_level host_log_level(struct weir_vm *vm)
{
    (void)vm;
    for (unsigned level = 0; level < WEIR_WASM_LOG_COUNT; level++)
        if (weir_log_on(WEIR_LOGC_WASM, levels[level])) return (enum weir_wasm_log_level)level;
    return WEIR_WASM_LOG_CRITICAL;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t host_wall_ns(struct weir_vm *vm)
{
    struct weir_worker *worker = worker_of(vm)->worker;
    return worker ? worker->loop->ops->wall_ns(worker->loop) : clock_ns(CLOCK_REALTIME);
}

static uint64_t host_mono_ns(struct weir_vm *vm)
{
    struct weir_worker *worker = worker_of(vm)->worker;
    return worker ? worker->loop->ops->now_ns(worker->loop) : (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static void host_random(struct weir_vm *vm, void *out, size_t len)
{
    struct weir_worker *worker = worker_of(vm)->worker;
    if (worker) {
        worker->loop->ops->random(worker->loop, out, len);
        return;
    }
    /* A canary: any numbers do. */
    uint64_t state = vm->serial * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        ((uint8_t *)out)[i] = (uint8_t)(state >> 56);
    }
}

/* ---- header maps ---- */

/* Of a finished request, for access loggers. */
static struct weir_headers *entry_map(const struct wasm_entry *entry, enum weir_wasm_map map)
{
    const struct weir_headers *found = NULL;
    if (map == WEIR_WASM_MAP_REQUEST_HEADERS) found = entry->log->request_headers;
    if (map == WEIR_WASM_MAP_RESPONSE_HEADERS) found = entry->log->response_headers;
    if (map == WEIR_WASM_MAP_RESPONSE_TRAILERS) found = entry->log->response_trailers;
    union {
        const struct weir_headers *in;
        struct weir_headers *out;
    } read_only = {.in = found}; /* map_of's results are written through writable_map alone */
    return read_only.out;
}

static struct weir_headers *map_of(struct weir_wasm_context *ctx, enum weir_wasm_map map)
{
    if (!ctx) return NULL;
    /* Answers of calls are read through the root, also with a stream as effective context. */
    if (map == WEIR_WASM_MAP_CALL_HEADERS || map == WEIR_WASM_MAP_CALL_TRAILERS)
        return wasm_call_map(context_of(ctx)->root, map == WEIR_WASM_MAP_CALL_TRAILERS);
    if (context_of(ctx)->kind == WASM_LOG) return entry_map(WEIR_CONTAINER_OF(context_of(ctx), struct wasm_entry, ctx), map);
    struct wasm_stream *s = stream_of(ctx);
    if (!s) return NULL;
    struct weir_stream *stream = s->f->stream;
    switch (map) {
    case WEIR_WASM_MAP_REQUEST_HEADERS: return &stream->request_headers;
    case WEIR_WASM_MAP_REQUEST_TRAILERS: return stream->request.trailers;
    case WEIR_WASM_MAP_RESPONSE_HEADERS: return stream->response.headers;
    case WEIR_WASM_MAP_RESPONSE_TRAILERS: return stream->response.trailers;
    case WEIR_WASM_MAP_GRPC_INITIAL:
    case WEIR_WASM_MAP_GRPC_TRAILING:
    case WEIR_WASM_MAP_CALL_HEADERS:
    case WEIR_WASM_MAP_CALL_TRAILERS:
    case WEIR_WASM_MAP_COUNT: return NULL;
    }
    return NULL;
}

/* The map, if a change of it still reaches anyone. */
static struct weir_headers *writable_map(struct weir_wasm_context *ctx, enum weir_wasm_map map)
{
    struct wasm_stream *s = stream_of(ctx);
    if (!s || s->logging || s->f->stream->ended) return NULL;
    struct weir_stream *stream = s->f->stream;
    switch (map) {
    case WEIR_WASM_MAP_REQUEST_HEADERS: return s->f->side[WEIR_REQUEST].headers_out ? NULL : &stream->request_headers;
    case WEIR_WASM_MAP_RESPONSE_HEADERS: return s->f->side[WEIR_RESPONSE].headers_out ? NULL : stream->response.headers;
    case WEIR_WASM_MAP_REQUEST_TRAILERS:
        if (stream->request.trailers) return s->f->side[WEIR_REQUEST].trailers_out ? NULL : stream->request.trailers;
        return s->data_end[WEIR_REQUEST] ? weir_filter_add_request_trailers(s->f) : NULL;
    case WEIR_WASM_MAP_RESPONSE_TRAILERS:
        if (stream->response.trailers) return s->f->side[WEIR_RESPONSE].trailers_out ? NULL : stream->response.trailers;
        return s->data_end[WEIR_RESPONSE] ? weir_filter_add_response_trailers(s->f) : NULL;
    case WEIR_WASM_MAP_GRPC_INITIAL:
    case WEIR_WASM_MAP_GRPC_TRAILING:
    case WEIR_WASM_MAP_CALL_HEADERS:
    case WEIR_WASM_MAP_CALL_TRAILERS:
    case WEIR_WASM_MAP_COUNT: return NULL;
    }
    return NULL;
}

static_assert(offsetof(struct weir_header, name) == offsetof(struct weir_wasm_pair, name) &&
                  offsetof(struct weir_header, value) == offsetof(struct weir_wasm_pair, value),
              "a header begins as a pair does");

static enum weir_wasm_status host_map_pairs(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_wasm_pairs *ret)
{
    const struct weir_headers *h = map_of(ctx, map);
    if (!h) return WEIR_WASM_NOT_FOUND;
    *ret = (struct weir_wasm_pairs){h->v, sizeof *h->v, h->n};
    return WEIR_WASM_OK;
}

/* `name` in lower case: itself when it is, else in `out`; absent when it is too long to be a name. */
static struct weir_slice lower_name(struct weir_slice name, char out[256])
{
    size_t i = 0;
    while (i < name.len && weir_lower(name.ptr[i]) == name.ptr[i]) i++;
    if (i == name.len) return name;
    if (name.len > 256) return WEIR_S_NONE;
    for (i = 0; i < name.len; i++) out[i] = weir_lower(name.ptr[i]);
    return weir_slice(out, name.len);
}

static enum weir_wasm_status host_map_get(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_slice name,
                                          struct weir_slice *ret)
{
    char lower[256];
    const struct weir_headers *h = map_of(ctx, map);
    const struct weir_header *field = h ? weir_headers_find_name(h, lower_name(name, lower)) : NULL;
    if (!field) return WEIR_WASM_NOT_FOUND;
    *ret = field->value;
    return WEIR_WASM_OK;
}

static bool no_spaces(struct weir_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == ' ' || value.ptr[i] == '\t') return false;
    return value.len > 0;
}

static bool valid_status(struct weir_slice value)
{
    uint64_t status;
    return value.len == 3 && weir_parse_u64(value, 999, &status) == WEIR_OK && status >= 200;
}

/* May a guest put this field into a message? Names and values as on the wire; framing belongs to the codec. */
static bool acceptable(struct weir_slice name, struct weir_slice value)
{
    uint64_t length;
    if (!weir_header_name_valid(name) || !weir_header_value_valid(value)) return false;
    enum weir_header_id id = weir_header_id_of(name);
    if (id == WEIR_H_METHOD || id == WEIR_H_PATH || id == WEIR_H_SCHEME || id == WEIR_H_AUTHORITY) return no_spaces(value);
    if (id == WEIR_H_STATUS) return valid_status(value);
    if (id == WEIR_H_CONTENT_LENGTH) return weir_parse_u64(value, INT64_MAX, &length) == WEIR_OK;
    return id != WEIR_H_TRANSFER_ENCODING;
}

static bool required(enum weir_header_id id)
{
    return id == WEIR_H_METHOD || id == WEIR_H_PATH || id == WEIR_H_AUTHORITY || id == WEIR_H_SCHEME || id == WEIR_H_STATUS;
}

static void refuse_field(struct wasm_stream *s, struct weir_slice name)
{
    WEIR_LOG_LIMITED(WARN, WASM, "%.*s: header field \"%.*s\" not set: it would not be valid HTTP",
                     WEIR_SARG(s->ctx.root->plugin->log_prefix), WEIR_SARG(weir_slice_first(name, 64)));
}

static void changed(struct wasm_stream *s, enum weir_wasm_map map)
{
    /* As Envoy for all versions of the ABI: the route is chosen by the headers as they are then. */
    if (map == WEIR_WASM_MAP_REQUEST_HEADERS && s->f->stream->route_chosen) weir_filter_clear_route_cache(s->f);
}

static enum weir_wasm_status host_map_edit(struct weir_wasm_context *ctx, enum weir_wasm_map map, enum weir_wasm_edit edit,
                                           struct weir_slice name, struct weir_slice value)
{
    char lower[256];
    struct weir_headers *h = writable_map(ctx, map);
    if (!h) return WEIR_WASM_OK;
    struct wasm_stream *s = stream_of(ctx);
    name = lower_name(name, lower);
    enum weir_header_id id = weir_header_id_of(name);
    if (edit == WEIR_WASM_EDIT_REMOVE) {
        if (!required(id)) (void)weir_headers_remove_name(h, name);
    } else if (!acceptable(name, value)) {
        refuse_field(s, name);
        return WEIR_WASM_OK;
    } else if (edit == WEIR_WASM_EDIT_REPLACE || required(id)) {
        weir_headers_set_name(h, name, value);
    } else {
        weir_headers_add_name(h, name, value);
    }
    changed(s, map);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_map_set(struct weir_wasm_context *ctx, enum weir_wasm_map map, const struct weir_wasm_pairs *pairs)
{
    char lower[256];
    struct weir_headers *h = writable_map(ctx, map);
    if (!h) return WEIR_WASM_OK;
    struct wasm_stream *s = stream_of(ctx);
    /* What a message cannot be without stays unless it is replaced. */
    for (uint32_t i = h->n; i-- > 0;)
        if (!required((enum weir_header_id)h->v[i].id)) weir_headers_remove_at(h, i);
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(pairs, i);
        struct weir_slice name = lower_name(pair->name, lower);
        if (!acceptable(name, pair->value))
            refuse_field(s, pair->name);
        else if (required(weir_header_id_of(name)))
            weir_headers_set_name(h, name, pair->value);
        else
            weir_headers_add_name(h, name, pair->value);
    }
    changed(s, map);
    return WEIR_WASM_OK;
}

/* ---- buffers ---- */

static enum weir_wasm_status body(struct wasm_stream *s, enum weir_direction d, struct weir_wasm_bytes *ret)
{
    ret->head = d == WEIR_REQUEST ? weir_filter_request_buffer(s->f) : weir_filter_response_buffer(s->f);
    ret->tail = s->data[d];
    return ret->head || ret->tail ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status host_buffer(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type, struct weir_wasm_bytes *ret)
{
    if (!ctx) return WEIR_WASM_NOT_FOUND;
    struct wasm_root *root = context_of(ctx)->root;
    struct wasm_stream *s = stream_of(ctx);
    switch (type) {
    case WEIR_WASM_BUFFER_REQUEST_BODY: return s ? body(s, WEIR_REQUEST, ret) : WEIR_WASM_NOT_FOUND;
    case WEIR_WASM_BUFFER_RESPONSE_BODY: return s ? body(s, WEIR_RESPONSE, ret) : WEIR_WASM_NOT_FOUND;
    case WEIR_WASM_BUFFER_CALL_BODY: ret->head = wasm_call_body(root); return ret->head ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
    case WEIR_WASM_BUFFER_VM_CONF: ret->bytes = root->plugin->spec->conf; return WEIR_WASM_OK;
    case WEIR_WASM_BUFFER_PLUGIN_CONF: ret->bytes = root->plugin->conf; return WEIR_WASM_OK;
    case WEIR_WASM_BUFFER_FOREIGN: ret->bytes = root->foreign_args; return WEIR_WASM_OK;
    case WEIR_WASM_BUFFER_DOWNSTREAM:
    case WEIR_WASM_BUFFER_UPSTREAM:
        ret->head = conn_of(ctx) ? conn_of(ctx)->data[type == WEIR_WASM_BUFFER_UPSTREAM] : NULL;
        return ret->head ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
    case WEIR_WASM_BUFFER_GRPC:
    case WEIR_WASM_BUFFER_COUNT: return WEIR_WASM_NOT_FOUND;
    }
    return WEIR_WASM_NOT_FOUND;
}

static struct weir_buf *host_buffer_writable(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type)
{
    struct wasm_stream *s = stream_of(ctx);
    struct wasm_conn *c = conn_of(ctx);
    if (c && (type == WEIR_WASM_BUFFER_DOWNSTREAM || type == WEIR_WASM_BUFFER_UPSTREAM))
        return c->data[type == WEIR_WASM_BUFFER_UPSTREAM];
    if (!s || type > WEIR_WASM_BUFFER_RESPONSE_BODY) return NULL;
    enum weir_direction d = type == WEIR_WASM_BUFFER_REQUEST_BODY ? WEIR_REQUEST : WEIR_RESPONSE;
    struct weir_buf *held = d == WEIR_REQUEST ? weir_filter_request_buffer(s->f) : weir_filter_response_buffer(s->f);
    struct weir_buf *data = s->data[d];
    if (!data) return held;
    if (held && held->len > 0) { /* one buffer: what was held, then what came */
        weir_buf_move(held, data);
        weir_buf_move(data, held);
    }
    return data;
}

/* ---- the stream ---- */

static struct weir_slice reply_details(struct weir_arena *arena, struct weir_slice details)
{
    if (details.len == 0) return WEIR_S("wasm_local_response");
    char text[REPLY_DETAILS_MAX];
    size_t n = WEIR_MIN(details.len, sizeof text);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)details.ptr[i];
        text[i] = c <= ' ' || c == 0x7f ? '_' : (char)c; /* they stand in access logs */
    }
    return weir_arena_dup(arena, weir_slice(text, n));
}

static enum weir_wasm_status host_local_reply(struct weir_wasm_context *ctx, const struct weir_wasm_reply *from)
{
    struct wasm_stream *s = stream_of(ctx);
    if (!s || s->logging || s->reply || s->f->stream->ended) return WEIR_WASM_OK; /* one answer; from a root none, as Envoy */
    struct weir_arena *arena = &s->f->stream->arena;
    struct wasm_reply *reply = WEIR_ARENA_NEW(arena, struct wasm_reply);
    weir_headers_init(&reply->headers, arena);
    for (uint32_t i = 0; i < from->headers.n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(&from->headers, i);
        char lower[256];
        struct weir_slice name = lower_name(pair->name, lower);
        if (name.len == 0 || name.ptr[0] == ':') continue;
        if (acceptable(name, pair->value))
            weir_headers_add_name(&reply->headers, name, pair->value);
        else
            refuse_field(s, pair->name);
    }
    reply->reply = (struct weir_local_reply){
        .status = from->status >= 200 && from->status <= 599 ? from->status : 500,
        .body = weir_arena_dup(arena, from->body),
        .details = reply_details(arena, from->details),
        .headers = &reply->headers,
        .grpc_status = from->grpc_status,
    };
    s->reply = reply;
    wasm_context_want(&s->ctx, WASM_REPLY);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_continue(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type)
{
    static const enum wasm_effect effects[WEIR_WASM_STREAM_COUNT] = {
        [WEIR_WASM_STREAM_REQUEST] = WASM_CONTINUE_REQUEST,
        [WEIR_WASM_STREAM_RESPONSE] = WASM_CONTINUE_RESPONSE,
        [WEIR_WASM_STREAM_DOWNSTREAM] = WASM_CONTINUE_DOWNSTREAM,
    };
    struct wasm_stream *s = stream_of(ctx);
    struct wasm_conn *c = conn_of(ctx);
    if (s && !s->logging && effects[type]) wasm_context_want(&s->ctx, effects[type]);
    if (c && effects[type]) wasm_context_want(&c->ctx, effects[type]);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_close(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type)
{
    (void)type;
    struct wasm_stream *s = stream_of(ctx);
    struct wasm_conn *c = conn_of(ctx);
    if (s && !s->logging) wasm_context_want(&s->ctx, WASM_CLOSE);
    if (c) wasm_context_want(&c->ctx, WASM_CLOSE);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_clear_route_cache(struct weir_wasm_context *ctx)
{
    struct wasm_stream *s = stream_of(ctx);
    if (s && !s->logging && !s->f->stream->ended) weir_filter_clear_route_cache(s->f);
    return WEIR_WASM_OK;
}

/* ---- the root ---- */

static enum weir_wasm_status host_http_call(struct weir_wasm_context *ctx, const struct weir_wasm_http_request *request,
                                            uint32_t *ret_token)
{
    return ctx ? wasm_http_call(context_of(ctx), request, ret_token) : WEIR_WASM_INTERNAL_FAILURE;
}

/* gRPC needs HTTP/2 towards upstreams. */
static enum weir_wasm_status host_grpc_call(struct weir_wasm_context *ctx, const struct weir_wasm_grpc_request *request,
                                            uint32_t *ret_token)
{
    (void)ctx;
    (void)ret_token;
    WEIR_LOG_LIMITED(WARN, WASM, "gRPC call to \"%.*s\" refused: weir has no gRPC calls for filters yet",
                     WEIR_SARG(weir_slice_first(request->service, 64)));
    return WEIR_WASM_INTERNAL_FAILURE;
}

static enum weir_wasm_status host_grpc_send(struct weir_wasm_context *ctx, uint32_t token, struct weir_slice message, bool end)
{
    (void)ctx;
    (void)token;
    (void)message;
    (void)end;
    return WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status host_grpc_close(struct weir_wasm_context *ctx, uint32_t token, bool cancel)
{
    (void)ctx;
    (void)token;
    (void)cancel;
    return WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status host_status(struct weir_wasm_context *ctx, uint32_t *ret_code, struct weir_slice *ret_message)
{
    if (!ctx) return WEIR_WASM_OK;
    const struct wasm_root *root = context_of(ctx)->root;
    *ret_code = root->status;
    *ret_message = weir_slice_str(root->status_text);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_set_tick(struct weir_wasm_context *ctx, uint32_t period_ms)
{
    if (ctx) wasm_set_tick(context_of(ctx)->root, period_ms);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status host_done(struct weir_wasm_context *ctx)
{
    if (ctx) wasm_root_done(context_of(ctx)->root);
    return WEIR_WASM_OK;
}

/* ---- queues ---- */

struct wasm_mail {
    struct weir_wasm_worker *ww;
    uint64_t vm_serial;
    uint32_t root_id, queue;
};

static void on_mail(void *arg)
{
    struct wasm_mail *mail = arg;
    WEIR_LIST_EACH(&mail->ww->slots, it)
    {
        struct wasm_instance *in = WEIR_CONTAINER_OF(it, struct wasm_slot, link)->now;
        if (!in || in->failed || in->vm->serial != mail->vm_serial) continue;
        struct weir_wasm_context *ctx = weir_vm_context(in->vm, mail->root_id);
        if (ctx) (void)wasm_call(context_of(ctx), WEIR_WASM_CB_QUEUE_READY, (uint32_t[]){mail->root_id, mail->queue}, NULL);
        break;
    }
    weir_free(mail);
}

static void notify_queue(void *arg, uint64_t vm_serial, uint32_t root_id, uint32_t queue)
{
    struct weir_wasm_worker *ww = arg;
    struct wasm_mail *mail = WEIR_NEW(struct wasm_mail);
    *mail = (struct wasm_mail){ww, vm_serial, root_id, queue};
    weir_loop_post(ww->worker->loop, on_mail, mail);
}

static bool host_queue_owner(struct weir_wasm_context *ctx, struct weir_wasm_queue_owner *ret)
{
    if (!ctx) return false;
    const struct wasm_root *root = context_of(ctx)->root;
    if (wasm_is_canary(root->instance->ww)) return false;
    *ret = (struct weir_wasm_queue_owner){notify_queue, root->instance->ww, ctx->vm->serial, root->ctx.base.id};
    return true;
}

const struct weir_wasm_host_ops wasm_host_ops = {
    .log = host_log,
    .log_level = host_log_level,
    .wall_ns = host_wall_ns,
    .mono_ns = host_mono_ns,
    .random = host_random,
    .map_pairs = host_map_pairs,
    .map_get = host_map_get,
    .map_edit = host_map_edit,
    .map_set = host_map_set,
    .buffer = host_buffer,
    .buffer_writable = host_buffer_writable,
    .property_get = wasm_property_get,
    .property_set = wasm_property_set,
    .local_reply = host_local_reply,
    .continue_stream = host_continue,
    .close_stream = host_close,
    .clear_route_cache = host_clear_route_cache,
    .http_call = host_http_call,
    .grpc_call = host_grpc_call,
    .grpc_send = host_grpc_send,
    .grpc_close = host_grpc_close,
    .status = host_status,
    .set_tick = host_set_tick,
    .done = host_done,
    .foreign = wasm_foreign,
    .queue_owner = host_queue_owner,
};
