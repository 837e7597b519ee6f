/* Lets through as many requests as there are tokens; the rest is answered 429. The bucket is the process's, or each downstream
 * connection's. Rule: Envoy's local_ratelimit filter (its percentages default to 0: a filter that is not enabled does nothing). */
#include "filters/local_ratelimit/local_ratelimit.h"

#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.pb-c.h"
#include "filters/local_ratelimit/bucket.h"
#include "proxy/conf_ctx.h"
#include "proxy/header_mutation.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

typedef Envoy__Extensions__Filters__Http__LocalRatelimit__V3__LocalRateLimit LocalRateLimit;

/* Rows of `<stat_prefix>.http_local_rate_limit.`. */
#define LIMIT_STATS(X) X(enabled) X(enforced) X(rate_limited) X(ok)
enum limit_stat {
#define X(name) STAT_##name,
    LIMIT_STATS(X)
#undef X
        STAT_COUNT
};

struct conf {
    struct weir_bucket *bucket; /* NULL: no token_bucket */
    uint32_t enabled_ppm, enforced_ppm;
    uint32_t status;
    bool x_headers, retry_after, resource_exhausted;
    const struct weir_header_mutation *response, *request_unenforced;
    weir_stat stats;
};

struct limit {
    const struct conf *conf; /* set: x-ratelimit headers are wanted */
    uint32_t left;
    uint64_t reset_s;
};

static const struct weir_supported_field fraction_table[] = {
    {.name = "default_value"},
    {.name = "runtime_key",
     .state = WEIR_FIELD_IGNORED,
     .note = "the default value counts: there is no runtime yet"},
};
static const struct weir_supported_fields fraction_fields =
    WEIR_SUPPORTED(envoy__config__core__v3__runtime_fractional_percent__descriptor, fraction_table);
static const struct weir_supported_field limit_table[] = {
    {.name = "stat_prefix"},
    {.name = "status"},
    {.name = "token_bucket"},
    {.name = "filter_enabled", .nested = &fraction_fields},
    {.name = "filter_enforced", .nested = &fraction_fields},
    {.name = "request_headers_to_add_when_not_enforced"},
    {.name = "response_headers_to_add"},
    {.name = "stage", .state = WEIR_FIELD_HARMLESS, .note = "for descriptors"},
    {.name = "local_rate_limit_per_downstream_connection", .values = "false"},
    {.name = "enable_x_ratelimit_headers"},
    {.name = "enable_retry_after_header"},
    {.name = "vh_rate_limits", .state = WEIR_FIELD_HARMLESS, .note = "for descriptors"},
    {.name = "always_consume_default_token_bucket", .state = WEIR_FIELD_HARMLESS, .note = "for descriptors"},
    {.name = "rate_limited_as_resource_exhausted"},
};
static const struct weir_supported_fields limit_fields = WEIR_SUPPORTED(
    envoy__extensions__filters__http__local_ratelimit__v3__local_rate_limit__descriptor, limit_table);

static bool read_bucket(struct weir_conf_ctx *ctx, const Envoy__Type__V3__TokenBucket *from,
                        struct conf *conf)
{
    if (!from)
        return true;
    const Google__Protobuf__Duration *interval = from->fill_interval;
    uint64_t ns = interval && interval->seconds >= 0
                      ? (uint64_t)interval->seconds * 1000000000u + (uint64_t)interval->nanos
                      : 0;
    if (ns < 50000000) {
        weir_config_error(ctx->config, from, "fill_interval", -1, "must be at least 0.050s");
        return false;
    }
    conf->bucket = WEIR_ARENA_NEW(ctx->arena, struct weir_bucket);
    weir_bucket_init(conf->bucket, from->max_tokens, weir_u32_value(from->tokens_per_fill, 1), ns);
    return true;
}

static bool read_headers(struct weir_conf_ctx *ctx, const LocalRateLimit *from, struct conf *conf)
{
    const struct weir_header_mutation_source response = {.owner = from,
                                                         .add_field = "response_headers_to_add",
                                                         .add = (void *const *)from->response_headers_to_add,
                                                         .n_add = from->n_response_headers_to_add};
    const struct weir_header_mutation_source request = {
        .owner = from,
        .add_field = "request_headers_to_add_when_not_enforced",
        .add = (void *const *)from->request_headers_to_add_when_not_enforced,
        .n_add = from->n_request_headers_to_add_when_not_enforced};
    bool ok = weir_header_mutation_new(ctx, &response, &conf->response) == WEIR_OK;
    return (weir_header_mutation_new(ctx, &request, &conf->request_unenforced) == WEIR_OK) && ok;
}

static void register_stats(struct weir_conf_ctx *ctx, const LocalRateLimit *from, struct conf *conf)
{
    static const struct weir_stat_def rows[] = {
#define X(name) {#name, WEIR_STAT_COUNTER},
        LIMIT_STATS(X)
#undef X
    };
    struct weir_tag *tag = WEIR_ARENA_NEW(ctx->arena, struct weir_tag);
    *tag = (struct weir_tag){WEIR_S("envoy_local_http_ratelimit_prefix"),
                             weir_arena_dup(ctx->arena, weir_slice_str(from->stat_prefix))};
    struct weir_stats_scope scope = {
        .prefix = weir_arena_printf(ctx->arena, "%s.http_local_rate_limit.", from->stat_prefix),
        .prom_prefix = WEIR_S("http_local_rate_limit."),
        .tags = tag,
        .n_tags = 1,
    };
    conf->stats = weir_stats_register_group(ctx->stats, &scope, rows, WEIR_COUNTOF(rows));
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const LocalRateLimit *from = (const LocalRateLimit *)(const void *)msg;
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    *ret_conf = conf;
    bool ok = weir_config_check_supported(ctx->config, from, &limit_fields);
    conf->status = from->status && from->status->code >= 400 ? (uint32_t)from->status->code : 429;
    conf->enabled_ppm = from->filter_enabled ? weir_fraction_ppm(from->filter_enabled->default_value, 0) : 0;
    conf->enforced_ppm =
        from->filter_enforced ? weir_fraction_ppm(from->filter_enforced->default_value, 0) : 0;
    conf->x_headers =
        from->enable_x_ratelimit_headers ==
        ENVOY__EXTENSIONS__COMMON__RATELIMIT__V3__XRATE_LIMIT_HEADERS_RFCVERSION__DRAFT_VERSION_03;
    conf->retry_after = from->enable_retry_after_header;
    conf->resource_exhausted = from->rate_limited_as_resource_exhausted;
    ok = read_bucket(ctx, from->token_bucket, conf) && ok;
    ok = read_headers(ctx, from, conf) && ok;
    register_stats(ctx, from, conf);
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

/* ---- at work ---- */

static void count(const struct weir_filter *f, const struct conf *conf, enum limit_stat row)
{
    if (conf->stats)
        weir_stat_inc(f->stream->worker->stats, conf->stats + (weir_stat)row);
}

static bool chance(const struct weir_filter *f, uint32_t ppm)
{
    return ppm >= 1000000 || (ppm && weir_loop_random_below(f->stream->loop, 1000000) < ppm);
}

static void mutate(struct weir_filter *f, const struct weir_header_mutation *mutation, struct weir_headers *h)
{
    struct weir_stream *s = f->stream;
    struct weir_log_context context = {
        .worker = s->worker, .info = &s->info, .request_headers = &s->request_headers, .arena = &s->arena};
    weir_header_mutation_apply(mutation, h, &context);
}

static void refuse(struct weir_filter *f, const struct conf *conf, uint64_t reset_s)
{
    struct weir_headers *h = weir_arena_alloc(&f->stream->arena, sizeof(*h));
    weir_headers_init(h, &f->stream->arena);
    if (conf->retry_after)
        weir_headers_set_u64(h, WEIR_H_RETRY_AFTER, reset_s);
    mutate(f, conf->response, h);
    weir_filter_local_reply(f, &(struct weir_local_reply){
                                   .status = conf->status,
                                   .body = WEIR_S("local_rate_limited"),
                                   .details = WEIR_S("local_rate_limited"),
                                   .headers = h,
                                   .grpc_status = conf->resource_exhausted ? 8 : -1,
                                   .flags = UINT64_C(1) << WEIR_FLAG_RATE_LIMITED,
                               });
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    (void)end_stream;
    struct limit *limit = f->state;
    const struct conf *conf = weir_filter_route_conf(f);
    if (!conf)
        conf = f->conf;
    if (!conf->bucket || !chance(f, conf->enabled_ppm))
        return WEIR_HEADERS_CONTINUE;
    count(f, conf, STAT_enabled);
    uint64_t now = weir_loop_now_ns(f->stream->loop);
    bool drawn = weir_bucket_draw(conf->bucket, now, &limit->left);
    limit->reset_s = weir_bucket_next_fill_ns(conf->bucket, now) / 1000000000u;
    if (conf->x_headers)
        limit->conf = conf;
    if (drawn) {
        count(f, conf, STAT_ok);
        return WEIR_HEADERS_CONTINUE;
    }
    count(f, conf, STAT_rate_limited);
    if (!chance(f, conf->enforced_ppm)) {
        mutate(f, conf->request_unenforced, h);
        return WEIR_HEADERS_CONTINUE;
    }
    count(f, conf, STAT_enforced);
    refuse(f, conf, limit->reset_s);
    return WEIR_HEADERS_CONTINUE;
}

static void set_number(struct weir_headers *h, struct weir_slice name, uint64_t value)
{
    weir_headers_set_name(h, name, weir_arena_printf(h->arena, "%llu", (unsigned long long)value));
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h,
                                                  bool end_stream)
{
    (void)end_stream;
    const struct limit *limit = f->state;
    if (!limit->conf)
        return WEIR_HEADERS_CONTINUE;
    set_number(h, WEIR_S("x-ratelimit-limit"), limit->conf->bucket->max);
    set_number(h, WEIR_S("x-ratelimit-remaining"), limit->left);
    set_number(h, WEIR_S("x-ratelimit-reset"), limit->reset_s);
    return WEIR_HEADERS_CONTINUE;
}

const struct weir_filter_ops weir_filter_local_ratelimit = {
    .name = "envoy.filters.http.local_ratelimit",
    .type = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    .route_type = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    .fields = &limit_fields,
    .stream_size = sizeof(struct limit),
    .parse = parse,
    .parse_route = parse,
    .request_headers = request_headers,
    .response_headers = response_headers,
};
