/* Requests that match are health checks: answered here, by this process's own state and that of clusters, or passed through and
 * their answer remembered for a while. Rule: Envoy's health_check filter. */
#include "filters/health_check/health_check.h"

#include <stdatomic.h>

#include "config/config.h"
#include "config/values.h"
#include "envoy/extensions/filters/http/health_check/v3/health_check.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/stream.h"
#include "proxy/string_match.h"
#include "proxy/worker.h"

typedef Envoy__Extensions__Filters__Http__HealthCheck__V3__HealthCheck HealthCheck;

struct minimum {
    struct weir_slice cluster;
    double per_cent;
};
/* The answer that is remembered, for all workers. */
struct cache {
    _Atomic uint32_t status;
    _Atomic uint64_t until_ms;
};
struct conf {
    bool pass_through;
    uint64_t cache_ms; /* 0 = nothing is remembered */
    struct cache *cache;
    struct minimum *minima;
    uint32_t n_minima;
    struct weir_header_match *headers;
    uint32_t n_headers;
    struct weir_slice service_cluster;
};
struct check {
    bool is_check;
    bool handled; /* answered here */
};

static bool read_minima(struct weir_conf_ctx *ctx, const HealthCheck *from, struct conf *conf)
{
    bool ok = true;
    conf->n_minima = (uint32_t)from->n_cluster_min_healthy_percentages;
    conf->minima = WEIR_ARENA_ARRAY(ctx->arena, struct minimum, conf->n_minima + 1);
    for (uint32_t i = 0; i < conf->n_minima; i++) {
        const Envoy__Extensions__Filters__Http__HealthCheck__V3__HealthCheck__ClusterMinHealthyPercentagesEntry
            *entry = from->cluster_min_healthy_percentages[i];
        conf->minima[i].cluster = weir_arena_dup(ctx->arena, weir_slice_str(entry->key));
        conf->minima[i].per_cent = entry->value ? entry->value->value : 0;
        if (!ctx->cluster_names || weir_map_get(ctx->cluster_names, conf->minima[i].cluster))
            continue;
        weir_config_error(ctx->config, from, "cluster_min_healthy_percentages", -1, "no such cluster: \"%s\"",
                          entry->key);
        ok = false;
    }
    return ok;
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const HealthCheck *from = (const HealthCheck *)(const void *)msg;
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    *ret_conf = conf;
    conf->pass_through = weir_bool_value(from->pass_through_mode, false);
    conf->cache_ms = weir_duration_ms(from->cache_time, 0);
    conf->cache = WEIR_ARENA_NEW(ctx->arena, struct cache);
    conf->service_cluster = weir_arena_dup(ctx->arena, ctx->service_cluster);
    conf->n_headers = (uint32_t)from->n_headers;
    bool ok = weir_header_matches_new(ctx, (void *const *)from->headers, from->n_headers, &conf->headers) ==
              WEIR_OK;
    ok &= read_minima(ctx, from, conf);
    if (conf->cache_ms && !conf->pass_through) {
        weir_config_error(ctx->config, from, "cache_time", -1, "needs \"pass_through_mode: true\"");
        ok = false;
    }
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

/* ---- at work ---- */

static bool failing(const struct weir_filter *f)
{
    const _Atomic bool *unhealthy = f->stream->worker->unhealthy;
    return unhealthy && atomic_load_explicit(unhealthy, memory_order_relaxed);
}

static bool is_remembered(const struct conf *conf, const struct weir_stream *s)
{
    return conf->cache_ms &&
           weir_loop_now_ms(s->loop) < atomic_load_explicit(&conf->cache->until_ms, memory_order_relaxed);
}

/* NULL: all clusters have their minimum. */
static const char *lacking(const struct weir_filter *f, const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->n_minima; i++) {
        const struct minimum *m = &conf->minima[i];
        struct weir_cluster_worker *cw = weir_clusters_worker_find(f->stream->worker->clusters, m->cluster);
        if (!cw)
            return "health_check_failed_no_cluster_found";
        uint32_t total, healthy;
        weir_cluster_worker_members(cw, &total, &healthy);
        if (total == 0 ? m->per_cent > 0 : healthy * 100.0 < total * m->per_cent)
            return "health_check_failed_cluster_unhealthy";
    }
    return NULL;
}

static void answer(struct weir_filter *f)
{
    const struct conf *conf = f->conf;
    struct weir_local_reply reply = {.status = 200, .details = WEIR_S("health_check_ok"), .grpc_status = -1};
    if (failing(f)) {
        reply.status = 503;
        reply.details = WEIR_S("health_check_failed");
    } else if (conf->pass_through) {
        reply.status = atomic_load_explicit(&conf->cache->status, memory_order_relaxed);
        reply.details = WEIR_S("health_check_cached");
    } else {
        const char *why = lacking(f, conf);
        if (why) {
            reply.status = 503;
            reply.details = weir_slice_str(why);
        }
    }
    if (reply.status >= 300)
        reply.flags = UINT64_C(1) << WEIR_FLAG_FAILED_LOCAL_HEALTH_CHECK;
    weir_filter_local_reply(f, &reply);
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    struct check *check = f->state;
    const struct conf *conf = f->conf;
    if (!weir_header_matches(conf->headers, conf->n_headers, h))
        return WEIR_HEADERS_CONTINUE;
    check->is_check = true;
    f->stream->info.health_check = true;
    check->handled = !conf->pass_through || failing(f) || is_remembered(conf, f->stream);
    if (!check->handled)
        return WEIR_HEADERS_CONTINUE;
    if (end_stream)
        answer(f);
    return WEIR_HEADERS_STOP;
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    (void)data;
    const struct check *check = f->state;
    if (!check->handled)
        return WEIR_DATA_CONTINUE;
    if (end_stream)
        answer(f);
    return WEIR_DATA_STOP_NO_BUFFER;
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    (void)trailers;
    const struct check *check = f->state;
    if (!check->handled)
        return WEIR_TRAILERS_CONTINUE;
    answer(f);
    return WEIR_TRAILERS_STOP;
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h,
                                                  bool end_stream)
{
    (void)end_stream;
    const struct check *check = f->state;
    const struct conf *conf = f->conf;
    if (check->is_check && !check->handled && conf->cache_ms) {
        atomic_store_explicit(&conf->cache->status, weir_headers_status(h), memory_order_relaxed);
        atomic_store_explicit(&conf->cache->until_ms, weir_loop_now_ms(f->stream->loop) + conf->cache_ms,
                              memory_order_relaxed);
    }
    if (check->is_check)
        weir_headers_set_name(h, WEIR_S("x-envoy-upstream-healthchecked-cluster"), conf->service_cluster);
    if (failing(f))
        weir_headers_set_borrow(h, WEIR_H_X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL, WEIR_S("true"));
    return WEIR_HEADERS_CONTINUE;
}

static const char *const aliases[] = {"envoy.health_check", NULL};
const struct weir_filter_ops weir_filter_health_check = {
    .name = "envoy.filters.http.health_check",
    .aliases = aliases,
    .type = "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    .stream_size = sizeof(struct check),
    .parse = parse,
    .request_headers = request_headers,
    .request_data = request_data,
    .request_trailers = request_trailers,
    .response_headers = response_headers,
};
