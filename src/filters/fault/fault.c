/* A request that matches is held back for a while, then refused, each by chance. Both can be asked for by headers where the
 * configuration says so. Rule: Envoy's fault filter; its percentages, texts, flags and header names. */
#include "filters/fault/fault.h"

#include <stdatomic.h>

#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/http/fault/v3/fault.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/stream.h"
#include "proxy/string_match.h"
#include "proxy/worker.h"

typedef Envoy__Extensions__Filters__Http__Fault__V3__HTTPFault HTTPFault;
typedef Envoy__Extensions__Filters__Http__Fault__V3__FaultAbort Abort;
typedef Envoy__Extensions__Filters__Common__Fault__V3__FaultDelay Delay;

/* Rows of `http.<stat_prefix>.fault.`. */
#define FAULT_STATS(X)          \
    X(aborts_injected, COUNTER) \
    X(delays_injected, COUNTER) X(faults_overflow, COUNTER) X(active_faults, GAUGE)
enum fault_stat {
#define X(name, kind) STAT_##name,
    FAULT_STATS(X)
#undef X
        STAT_COUNT
};

struct conf {
    bool has_delay, delay_by_header, has_abort, abort_by_header;
    uint32_t delay_ppm, abort_ppm;
    uint64_t delay_ms;
    uint32_t status;
    int grpc_status; /* -1 = none */
    struct weir_slice body;
    struct weir_slice upstream_cluster;
    struct weir_header_match *headers;
    uint32_t n_headers;
    struct weir_slice *nodes;
    uint32_t n_nodes;
    uint32_t max_active;
    _Atomic int64_t *active; /* over all workers */
    weir_stat stats;
};

struct fault {
    struct weir_timer timer;
    struct weir_filter *f;
    const struct conf *conf;
    bool active;
};

/* ---- reading ---- */

#define HARMLESS_KEY(key)                                              \
    {                                                                  \
        .name = key, .state = WEIR_FIELD_IGNORED,                      \
        .note = "the values as written count: there is no runtime yet" \
    }
static const struct weir_supported_field delay_table[] = {
    {.name = "fixed_delay"}, {.name = "header_delay"}, {.name = "percentage"}};
static const struct weir_supported_fields delay_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__common__fault__v3__fault_delay__descriptor, delay_table);
static const struct weir_supported_field abort_table[] = {{.name = "http_status"},
                                                          {.name = "grpc_status"},
                                                          {.name = "header_abort"},
                                                          {.name = "percentage"},
                                                          {.name = "response_body"}};
static const struct weir_supported_fields abort_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__http__fault__v3__fault_abort__descriptor, abort_table);
static const struct weir_supported_field fault_table[] = {
    {.name = "delay", .nested = &delay_fields},
    {.name = "abort", .nested = &abort_fields},
    {.name = "upstream_cluster"},
    {.name = "headers"},
    {.name = "downstream_nodes"},
    {.name = "max_active_faults"},
    HARMLESS_KEY("delay_percent_runtime"),
    HARMLESS_KEY("abort_percent_runtime"),
    HARMLESS_KEY("delay_duration_runtime"),
    HARMLESS_KEY("abort_http_status_runtime"),
    HARMLESS_KEY("max_active_faults_runtime"),
    HARMLESS_KEY("response_rate_limit_percent_runtime"),
    HARMLESS_KEY("abort_grpc_status_runtime"),
    {.name = "disable_downstream_cluster_stats", .state = WEIR_FIELD_HARMLESS, .note = "there are none"},
};
static const struct weir_supported_fields fault_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__http__fault__v3__httpfault__descriptor, fault_table);

static void read_delay(const Delay *from, struct conf *conf)
{
    if (!from)
        return;
    conf->has_delay = true;
    conf->delay_ppm = weir_fraction_ppm(from->percentage, 0);
    conf->delay_by_header =
        from->fault_delay_secifier_case ==
        ENVOY__EXTENSIONS__FILTERS__COMMON__FAULT__V3__FAULT_DELAY__FAULT_DELAY_SECIFIER_HEADER_DELAY;
    if (!conf->delay_by_header)
        conf->delay_ms = weir_duration_ms(from->fixed_delay, 0);
}

static void read_abort(struct weir_conf_ctx *ctx, const Abort *from, struct conf *conf)
{
    conf->grpc_status = -1;
    if (!from)
        return;
    conf->has_abort = true;
    conf->abort_ppm = weir_fraction_ppm(from->percentage, 0);
    conf->body = weir_arena_dup(ctx->arena, weir_proto_str(from->response_body));
    conf->status = 200;
    switch (from->error_type_case) {
    case ENVOY__EXTENSIONS__FILTERS__HTTP__FAULT__V3__FAULT_ABORT__ERROR_TYPE_HTTP_STATUS:
        conf->status = from->http_status;
        break;
    case ENVOY__EXTENSIONS__FILTERS__HTTP__FAULT__V3__FAULT_ABORT__ERROR_TYPE_GRPC_STATUS:
        conf->grpc_status = (int)from->grpc_status;
        break;
    case ENVOY__EXTENSIONS__FILTERS__HTTP__FAULT__V3__FAULT_ABORT__ERROR_TYPE_HEADER_ABORT:
        conf->abort_by_header = true;
        break;
    case ENVOY__EXTENSIONS__FILTERS__HTTP__FAULT__V3__FAULT_ABORT__ERROR_TYPE__NOT_SET:
    default:
        break; /* the schema's rule has said so */
    }
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    static const struct weir_stat_def rows[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        FAULT_STATS(X)
#undef X
    };
    const HTTPFault *from = (const HTTPFault *)(const void *)msg;
    bool ok = weir_config_check_supported(ctx->config, from, &fault_fields);
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    *ret_conf = conf;
    read_delay(from->delay, conf);
    read_abort(ctx, from->abort, conf);
    conf->upstream_cluster = weir_arena_dup(ctx->arena, weir_proto_str(from->upstream_cluster));
    conf->n_headers = (uint32_t)from->n_headers;
    ok &= weir_header_matches_new(ctx, (void *const *)from->headers, from->n_headers, &conf->headers) ==
          WEIR_OK;
    conf->n_nodes = (uint32_t)from->n_downstream_nodes;
    conf->nodes = WEIR_ARENA_ARRAY(ctx->arena, struct weir_slice, from->n_downstream_nodes + 1);
    for (size_t i = 0; i < from->n_downstream_nodes; i++)
        conf->nodes[i] = weir_arena_dup(ctx->arena, weir_slice_str(from->downstream_nodes[i]));
    conf->max_active = weir_u32_value(from->max_active_faults, UINT32_MAX);
    conf->active = WEIR_ARENA_NEW(ctx->arena, _Atomic int64_t);
    struct weir_stats_scope scope = ctx->scope;
    scope.prefix = weir_arena_cat(ctx->arena, scope.prefix, WEIR_S("fault."));
    scope.prom_prefix = weir_arena_cat(ctx->arena, scope.prom_prefix, WEIR_S("fault."));
    conf->stats = weir_stats_register_group(ctx->stats, &scope, rows, WEIR_COUNTOF(rows));
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

/* ---- at work ---- */

static void count(const struct fault *x, enum fault_stat row, uint64_t n)
{
    if (x->conf->stats)
        weir_stat_add(x->f->stream->worker->stats, x->conf->stats + (weir_stat)row, n);
}

static bool names_node(const struct conf *conf, struct weir_slice node)
{
    for (uint32_t i = 0; i < conf->n_nodes; i++)
        if (weir_slice_eq(conf->nodes[i], node))
            return true;
    return conf->n_nodes == 0;
}

static bool concerns(const struct fault *x, const struct weir_headers *h)
{
    const struct conf *conf = x->conf;
    if (conf->upstream_cluster.len) {
        const struct weir_stream *s = x->f->stream;
        if (!s->target || !weir_slice_eq(s->target->cluster, conf->upstream_cluster))
            return false;
    }
    if (!names_node(conf, weir_headers_get(h, WEIR_H_X_ENVOY_DOWNSTREAM_SERVICE_NODE)))
        return false;
    return weir_header_matches(conf->headers, conf->n_headers, h);
}

/* A number that a header gives. */
static bool header_number(const struct weir_headers *h, struct weir_slice name, uint64_t max, uint64_t *ret)
{
    const struct weir_header *field = weir_headers_find_name(h, name);
    return field && weir_parse_u64(field->value, max, ret) == WEIR_OK;
}

/* By chance; a header may ask for less than the configuration allows. */
static bool strikes(const struct fault *x, uint32_t ppm, bool by_header, const struct weir_headers *h,
                    struct weir_slice percentage)
{
    uint64_t asked;
    if (by_header && header_number(h, percentage, 100, &asked))
        ppm = (uint32_t)WEIR_MIN(asked * 10000, ppm);
    return ppm >= 1000000 || (ppm && weir_loop_random_below(x->f->stream->loop, 1000000) < ppm);
}

/* One more fault at a time? */
static bool enter(struct fault *x)
{
    if (x->active)
        return true;
    if (atomic_fetch_add_explicit(x->conf->active, 1, memory_order_relaxed) >= (int64_t)x->conf->max_active) {
        atomic_fetch_sub_explicit(x->conf->active, 1, memory_order_relaxed);
        count(x, STAT_faults_overflow, 1);
        return false;
    }
    x->active = true;
    count(x, STAT_active_faults, 1);
    return true;
}

static bool abort_request(struct fault *x, const struct weir_headers *h)
{
    const struct conf *conf = x->conf;
    struct weir_local_reply reply = {
        .status = conf->status,
        .grpc_status = conf->grpc_status,
        .body = conf->body.len ? conf->body : WEIR_S("fault filter abort"),
        .details = WEIR_S("fault_filter_abort"),
        .flags = UINT64_C(1) << WEIR_FLAG_FAULT_INJECTED,
    };
    if (!conf->has_abort)
        return false;
    if (conf->abort_by_header) {
        uint64_t number;
        if (header_number(h, WEIR_S("x-envoy-fault-abort-request"), 599, &number) && number >= 200)
            reply.status = (uint32_t)number;
        else if (header_number(h, WEIR_S("x-envoy-fault-abort-grpc-request"), 16, &number))
            reply.grpc_status = (int)number;
        else
            return false;
    }
    if (!strikes(x, conf->abort_ppm, conf->abort_by_header, h,
                 WEIR_S("x-envoy-fault-abort-request-percentage")) ||
        !enter(x))
        return false;
    count(x, STAT_aborts_injected, 1);
    weir_filter_local_reply(x->f, &reply);
    return true;
}

static void on_delayed(struct weir_timer *timer)
{
    struct fault *x = WEIR_CONTAINER_OF(timer, struct fault, timer);
    if (!abort_request(x, &x->f->stream->request_headers))
        weir_filter_continue_request(x->f);
}

static bool delay_request(struct fault *x, const struct weir_headers *h)
{
    const struct conf *conf = x->conf;
    uint64_t ms = conf->delay_ms;
    if (!conf->has_delay)
        return false;
    if (conf->delay_by_header && !header_number(h, WEIR_S("x-envoy-fault-delay-request"), UINT32_MAX, &ms))
        return false;
    if (ms == 0 ||
        !strikes(x, conf->delay_ppm, conf->delay_by_header, h,
                 WEIR_S("x-envoy-fault-delay-request-percentage")) ||
        !enter(x))
        return false;
    count(x, STAT_delays_injected, 1);
    weir_info_flag(&x->f->stream->info, WEIR_FLAG_DELAY_INJECTED);
    weir_timer_set(x->f->stream->loop, &x->timer, ms);
    return true;
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    (void)end_stream;
    struct fault *x = f->state;
    const struct conf *conf = weir_filter_route_conf(f);
    x->f = f;
    x->conf = conf ? conf : f->conf;
    weir_timer_init(&x->timer, on_delayed);
    if (!concerns(x, h))
        return WEIR_HEADERS_CONTINUE;
    if (delay_request(x, h))
        return WEIR_HEADERS_STOP_ALL_WATERMARK;
    (void)abort_request(x, h);
    return WEIR_HEADERS_CONTINUE;
}

static void done(struct weir_filter *f)
{
    struct fault *x = f->state;
    if (!x->conf)
        return;
    weir_timer_stop(f->stream->loop, &x->timer);
    if (!x->active)
        return;
    atomic_fetch_sub_explicit(x->conf->active, 1, memory_order_relaxed);
    count(x, STAT_active_faults, (uint64_t)-1);
}

/* Somebody else answers meanwhile: nothing to go on with. */
static void local_reply(struct weir_filter *f, uint32_t status, struct weir_slice details)
{
    (void)status, (void)details;
    struct fault *x = f->state;
    if (x->conf)
        weir_timer_stop(f->stream->loop, &x->timer);
}

static const char *const aliases[] = {"envoy.fault", NULL};
const struct weir_filter_ops weir_filter_fault = {
    .name = "envoy.filters.http.fault",
    .aliases = aliases,
    .type = "envoy.extensions.filters.http.fault.v3.HTTPFault",
    .route_type = "envoy.extensions.filters.http.fault.v3.HTTPFault",
    .fields = &fault_fields,
    .stream_size = sizeof(struct fault),
    .parse = parse,
    .parse_route = parse,
    .request_headers = request_headers,
    .local_reply = local_reply,
    .done = done,
};
