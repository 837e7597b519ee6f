/* The HTTP filter envoy.filters.http.wasm: maps the chain's events one to one to proxy_on_*.
 *
 *   request_headers  context_create, on_request_headers      (not called: answered before; then only log, done, delete)
 *   …data, trailers  on_request_body, on_request_trailers, and the same three for the response
 *   log              on_log
 *   done             on_done, on_delete
 *
 * A call that fails is the end of the guest for this stream: FAIL_OPEN lets it pass (bypass), else it is answered with 503. */
#include "filters/wasm/wasm.h"

#include "base/log.h"
#include "envoy/extensions/filters/http/wasm/v3/wasm.pb-c.h"
#include "filters/wasm/plugin.h"
#include "proxy/worker.h"

#define FAIL_DETAILS WEIR_S("wasm_fail_stream")
/* Gauge and other statuses of gRPC: UNAVAILABLE, as Envoy answers. */
#define GRPC_UNAVAILABLE 14

typedef Envoy__Extensions__Filters__Http__Wasm__V3__Wasm Wasm;

static struct weir_wasm_worker *ww_of(const struct wasm_stream *s)
{
    return s->f->stream->worker->wasm;
}

/* ---- failure policy ---- */

static void answer_503(struct wasm_stream *s)
{
    struct weir_local_reply reply = {.status = 503, .details = FAIL_DETAILS, .grpc_status = GRPC_UNAVAILABLE};
    s->answered = true;
    weir_filter_local_reply(s->f, &reply);
}

/* The guest is lost for this stream. From inside one of its callbacks, or with what was stopped waiting. */
static void apply_policy(struct wasm_stream *s, const struct weir_wasm_plugin *plugin)
{
    if (s->bypass) return;
    s->bypass = true;
    s->ctx.effects = 0;
    weir_list_unlink(&s->ctx.pending);
    if (s->f->stream->ended) return;
    if (plugin->fail_open) {
        wasm_count(ww_of(s), plugin, WASM_STAT_failures_passed);
        weir_filter_continue_request(s->f);
        weir_filter_continue_response(s->f);
        return;
    }
    wasm_count(ww_of(s), plugin, WASM_STAT_failures_answered);
    answer_503(s);
}

/* Would the guest have had anything more to say to what is still to come? */
static bool needs_guest(const struct wasm_stream *s)
{
    const struct weir_wasm_module *module = s->ctx.root->plugin->spec->module;
    const struct weir_filter_side *request = &s->f->side[WEIR_REQUEST], *response = &s->f->side[WEIR_RESPONSE];
    bool request_over = request->end_out || request->trailers_out || s->f->stream->response_started;
    bool response_over = response->end_out || response->trailers_out;
    if (!request->headers_out && !s->f->stream->response_started) return true;
    if (!request_over && (module->has[WEIR_WASM_CB_REQUEST_BODY] || module->has[WEIR_WASM_CB_REQUEST_TRAILERS])) return true;
    if (!response->headers_out && (response->headers_in || module->has[WEIR_WASM_CB_RESPONSE_HEADERS])) return true;
    return !response_over && (module->has[WEIR_WASM_CB_RESPONSE_BODY] || module->has[WEIR_WASM_CB_RESPONSE_TRAILERS]);
}

void wasm_stream_vm_failed(struct wasm_stream *s)
{
    if (s->bypass) return;
    if (needs_guest(s)) {
        apply_policy(s, s->ctx.root->plugin);
        return;
    }
    s->bypass = true;
    weir_list_unlink(&s->ctx.pending);
}

/* ---- what the guest asked for ---- */

void wasm_stream_flush(struct wasm_stream *s)
{
    uint8_t effects = s->ctx.effects;
    s->ctx.effects = 0;
    weir_list_unlink(&s->ctx.pending);
    if (s->f->stream->ended || effects == 0) return;
    if (effects & WASM_CLOSE) {
        weir_filter_reset(s->f, WEIR_S("wasm_close_stream"));
        return;
    }
    if (effects & WASM_REPLY) {
        weir_filter_local_reply(s->f, &s->reply->reply);
        return;
    }
    if (effects & WASM_CONTINUE_REQUEST) weir_filter_continue_request(s->f);
    if (effects & WASM_CONTINUE_RESPONSE) weir_filter_continue_response(s->f);
}

/* One callback of this stream. False: the guest is out of it and the policy has been applied. */
static bool call(struct wasm_stream *s, enum weir_wasm_cb cb, const uint32_t *args, uint32_t *ret)
{
    if (WEIR_UNLIKELY(!wasm_call(&s->ctx, cb, args, ret))) {
        apply_policy(s, s->ctx.root->plugin);
        return false;
    }
    if (s->ctx.effects) wasm_stream_flush(s);
    return true;
}

/* ---- contexts ---- */

static struct weir_wasm_plugin *plugin_of(struct weir_filter *f)
{
    union {
        const void *in;
        struct weir_wasm_plugin *out;
    } plugin = {.in = f->conf}; /* counted, so never const inside */
    if (WEIR_UNLIKELY(atomic_load_explicit(&plugin.out->runtime->route_confs, memory_order_relaxed))) {
        const void *route_conf = weir_filter_route_conf(f);
        if (route_conf) plugin.in = route_conf;
    }
    return plugin.out;
}

/* Makes the guest's context. False: it has none (VM down or failed) and the policy has been applied. */
static bool make(struct wasm_stream *s, struct weir_filter *f)
{
    s->f = f;
    struct weir_wasm_plugin *plugin = plugin_of(f);
    struct wasm_root *root = wasm_root_get(f->stream->worker->wasm, plugin);
    if (WEIR_UNLIKELY(!root)) {
        apply_policy(s, plugin);
        return false;
    }
    if (WEIR_UNLIKELY(!wasm_context_make(&s->ctx, WASM_HTTP, root))) {
        apply_policy(s, plugin);
        return false;
    }
    if (s->ctx.effects) wasm_stream_flush(s);
    return true;
}

static inline bool out_of_it(const struct wasm_stream *s)
{
    return s->bypass || !s->ctx.made;
}

static enum weir_headers_verdict refused_headers(const struct wasm_stream *s)
{
    return s->answered ? WEIR_HEADERS_STOP : WEIR_HEADERS_CONTINUE;
}

static enum weir_data_verdict refused_data(const struct wasm_stream *s)
{
    return s->answered ? WEIR_DATA_STOP_NO_BUFFER : WEIR_DATA_CONTINUE;
}

/* ---- verdicts ---- */

static enum weir_headers_verdict headers_verdict(struct wasm_stream *s, uint32_t action)
{
    switch (action) {
    case WEIR_WASM_HEADERS_CONTINUE:
    case WEIR_WASM_HEADERS_CONTINUE_END: return WEIR_HEADERS_CONTINUE; /* as Envoy, which has no such verdict any more */
    case WEIR_WASM_HEADERS_STOP:
        /* As Envoy: body and trailers wait too, unless the plugin asks for them. */
        return s->ctx.root->plugin->stop_iteration ? WEIR_HEADERS_STOP : WEIR_HEADERS_STOP_ALL_WATERMARK;
    case WEIR_WASM_HEADERS_STOP_ALL_BUFFER: return WEIR_HEADERS_STOP_ALL_BUFFER;
    default: return WEIR_HEADERS_STOP_ALL_WATERMARK;
    }
}

static enum weir_data_verdict data_verdict(uint32_t action)
{
    switch (action) {
    case WEIR_WASM_DATA_CONTINUE: return WEIR_DATA_CONTINUE;
    case WEIR_WASM_DATA_STOP_BUFFER: return WEIR_DATA_STOP_BUFFER;
    case WEIR_WASM_DATA_STOP_WATERMARK: return WEIR_DATA_STOP_WATERMARK;
    default: return WEIR_DATA_STOP_NO_BUFFER;
    }
}

/* ---- the chain's events ---- */

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream)
{
    struct wasm_stream *s = f->state;
    uint32_t action = WEIR_WASM_HEADERS_CONTINUE;
    if (!make(s, f) || !call(s, WEIR_WASM_CB_REQUEST_HEADERS, (uint32_t[]){s->ctx.base.id, h->n, end_stream}, &action))
        return refused_headers(s);
    return headers_verdict(s, action);
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream)
{
    struct wasm_stream *s = f->state;
    uint32_t action = WEIR_WASM_HEADERS_CONTINUE;
    if (out_of_it(s)) return WEIR_HEADERS_CONTINUE;
    if (!call(s, WEIR_WASM_CB_RESPONSE_HEADERS, (uint32_t[]){s->ctx.base.id, h->n, end_stream}, &action))
        return refused_headers(s);
    return headers_verdict(s, action);
}

static enum weir_data_verdict data_event(struct weir_filter *f, enum weir_direction d, enum weir_wasm_cb cb, struct weir_buf *data,
                                         bool end_stream)
{
    struct wasm_stream *s = f->state;
    uint32_t action = WEIR_WASM_DATA_CONTINUE;
    if (out_of_it(s)) return WEIR_DATA_CONTINUE;
    const struct weir_buf *held = d == WEIR_REQUEST ? weir_filter_request_buffer(f) : weir_filter_response_buffer(f);
    size_t len = data->len + (held ? held->len : 0); /* as Envoy: all that is there, not what came */
    s->data[d] = data;
    s->data_end[d] = end_stream;
    bool good = call(s, cb, (uint32_t[]){s->ctx.base.id, (uint32_t)WEIR_MIN(len, (size_t)UINT32_MAX), end_stream}, &action);
    s->data[d] = NULL;
    s->data_end[d] = false;
    return good ? data_verdict(action) : refused_data(s);
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    return data_event(f, WEIR_REQUEST, WEIR_WASM_CB_REQUEST_BODY, data, end_stream);
}

static enum weir_data_verdict response_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    return data_event(f, WEIR_RESPONSE, WEIR_WASM_CB_RESPONSE_BODY, data, end_stream);
}

static enum weir_trailers_verdict trailers_event(struct weir_filter *f, enum weir_wasm_cb cb, const struct weir_headers *trailers)
{
    struct wasm_stream *s = f->state;
    uint32_t action = 0;
    if (out_of_it(s)) return WEIR_TRAILERS_CONTINUE;
    if (!call(s, cb, (uint32_t[]){s->ctx.base.id, trailers->n}, &action))
        return s->answered ? WEIR_TRAILERS_STOP : WEIR_TRAILERS_CONTINUE;
    return action == 0 ? WEIR_TRAILERS_CONTINUE : WEIR_TRAILERS_STOP;
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    return trailers_event(f, WEIR_WASM_CB_REQUEST_TRAILERS, trailers);
}

static enum weir_trailers_verdict response_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    return trailers_event(f, WEIR_WASM_CB_RESPONSE_TRAILERS, trailers);
}

static void log_event(struct weir_filter *f, const struct weir_stream_info *info)
{
    (void)info;
    struct wasm_stream *s = f->state;
    if (!s->ctx.made && !s->bypass) (void)make(s, f); /* answered before it came here: the guest hears of it once, as in Envoy */
    s->logging = true;
    if (!out_of_it(s)) (void)wasm_call(&s->ctx, WEIR_WASM_CB_LOG, (uint32_t[]){s->ctx.base.id}, NULL);
}

static void done(struct weir_filter *f)
{
    struct wasm_stream *s = f->state;
    if (!s->ctx.made) return;
    s->logging = true;
    s->bypass = true;
    wasm_context_end(&s->ctx);
}

/* ---- configuration ---- */

static void release_plugin(void *arg)
{
    wasm_plugin_unref(arg);
}

static void release_route_plugin(void *arg)
{
    struct weir_wasm_plugin *plugin = arg;
    atomic_fetch_sub_explicit(&plugin->runtime->route_confs, 1, memory_order_relaxed);
    wasm_plugin_unref(plugin);
}

static enum weir_err parse_wasm(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, struct weir_wasm_plugin **ret)
{
    const Wasm *wasm = (const Wasm *)msg;
    if (!wasm->config) {
        weir_config_error(ctx->config, msg, "config", -1, "a Wasm filter needs its \"config\": name, vm_config with the code");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = wasm_plugin_read(ctx, wasm->config, ret);
    if (err == WEIR_OK) weir_conf_add_hook(ctx, wasm_plugin_start, wasm_plugin_stop, *ret);
    return err;
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    struct weir_wasm_plugin *plugin;
    enum weir_err err = parse_wasm(ctx, msg, &plugin);
    if (err != WEIR_OK) return err;
    weir_arena_on_end(ctx->arena, release_plugin, plugin);
    *ret_conf = plugin;
    return WEIR_OK;
}

/* More than Envoy has: the same message in typed_per_filter_config is another plugin for that route. */
static enum weir_err parse_route(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    struct weir_wasm_plugin *plugin;
    enum weir_err err = parse_wasm(ctx, msg, &plugin);
    if (err != WEIR_OK) return err;
    atomic_fetch_add_explicit(&plugin->runtime->route_confs, 1, memory_order_relaxed);
    weir_arena_on_end(ctx->arena, release_route_plugin, plugin);
    *ret_conf = plugin;
    return WEIR_OK;
}

static const char *const aliases[] = {"envoy.wasm", NULL};

const struct weir_filter_ops weir_filter_wasm = {
    .name = "envoy.filters.http.wasm",
    .aliases = aliases,
    .type = "envoy.extensions.filters.http.wasm.v3.Wasm",
    .fields = &weir_wasm_filter_fields,
    .route_type = "envoy.extensions.filters.http.wasm.v3.Wasm",
    .stream_size = sizeof(struct wasm_stream),
    .parse = parse,
    .parse_route = parse_route,
    .request_headers = request_headers,
    .request_data = request_data,
    .request_trailers = request_trailers,
    .response_headers = response_headers,
    .response_data = response_data,
    .response_trailers = response_trailers,
    .log = log_event,
    .done = done,
};
