/* Answers preflights of allowed origins and marks other responses to them. Without a policy on the route it does nothing.
 * Rule: Envoy's cors filter (the Fetch standard's CORS protocol, seen from a server). */
#include "filters/cors/cors.h"

#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/stream.h"
#include "proxy/string_match.h"
#include "proxy/worker.h"

typedef Envoy__Extensions__Filters__Http__Cors__V3__CorsPolicy CorsPolicy;

struct policy {
    struct weir_string_match *origins;
    uint32_t n_origins;
    struct weir_slice methods, headers, expose, max_age;
    bool credentials, private_network, forward_others;
    uint32_t enabled_ppm, shadow_ppm;
};
struct conf {
    weir_stat valid, invalid;
};
struct cors {
    const struct policy *policy; /* set: the response is for an allowed origin */
    struct weir_slice origin;
};

static const struct weir_supported_field fraction_table[] = {
    {.name = "default_value"},
    {.name = "runtime_key",
     .state = WEIR_FIELD_IGNORED,
     .note = "the default value counts: there is no runtime yet"},
};
static const struct weir_supported_fields fraction_fields =
    WEIR_SUPPORTED(envoy__config__core__v3__runtime_fractional_percent__descriptor, fraction_table);
static const struct weir_supported_field policy_table[] = {
    {.name = "allow_origin_string_match"},
    {.name = "allow_methods"},
    {.name = "allow_headers"},
    {.name = "expose_headers"},
    {.name = "max_age"},
    {.name = "allow_credentials"},
    {.name = "filter_enabled", .nested = &fraction_fields},
    {.name = "shadow_enabled", .nested = &fraction_fields},
    {.name = "allow_private_network_access"},
    {.name = "forward_not_matching_preflights"},
};
static const struct weir_supported_fields policy_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__http__cors__v3__cors_policy__descriptor, policy_table);

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    (void)msg; /* has no fields */
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    conf->valid =
        weir_stats_register(ctx->stats, &ctx->scope, WEIR_S("cors.origin_valid"), WEIR_STAT_COUNTER);
    conf->invalid =
        weir_stats_register(ctx->stats, &ctx->scope, WEIR_S("cors.origin_invalid"), WEIR_STAT_COUNTER);
    *ret_conf = conf;
    return WEIR_OK;
}

static enum weir_err parse_route(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const CorsPolicy *from = (const CorsPolicy *)(const void *)msg;
    struct policy *policy = WEIR_ARENA_NEW(ctx->arena, struct policy);
    bool ok = weir_config_check_supported(ctx->config, from, &policy_fields);
    *ret_conf = policy;
    policy->n_origins = (uint32_t)from->n_allow_origin_string_match;
    policy->origins = WEIR_ARENA_ARRAY(ctx->arena, struct weir_string_match, policy->n_origins + 1);
    for (uint32_t i = 0; i < policy->n_origins; i++)
        ok &= weir_string_match_new(ctx, from->allow_origin_string_match[i], &policy->origins[i]) == WEIR_OK;
    policy->methods = weir_arena_dup(ctx->arena, weir_proto_str(from->allow_methods));
    policy->headers = weir_arena_dup(ctx->arena, weir_proto_str(from->allow_headers));
    policy->expose = weir_arena_dup(ctx->arena, weir_proto_str(from->expose_headers));
    policy->max_age = weir_arena_dup(ctx->arena, weir_proto_str(from->max_age));
    policy->credentials = weir_bool_value(from->allow_credentials, false);
    policy->private_network = weir_bool_value(from->allow_private_network_access, false);
    policy->forward_others = weir_bool_value(from->forward_not_matching_preflights, true);
    policy->enabled_ppm =
        from->filter_enabled ? weir_fraction_ppm(from->filter_enabled->default_value, 1000000) : 1000000;
    policy->shadow_ppm = from->shadow_enabled ? weir_fraction_ppm(from->shadow_enabled->default_value, 0) : 0;
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

static bool chance(const struct weir_filter *f, uint32_t ppm)
{
    return ppm >= 1000000 || (ppm && weir_loop_random_below(f->stream->loop, 1000000) < ppm);
}

static bool is_allowed(const struct policy *policy, struct weir_slice origin)
{
    for (uint32_t i = 0; i < policy->n_origins; i++) {
        const struct weir_string_match *m = &policy->origins[i];
        if ((m->kind == WEIR_MATCH_EXACT && weir_slice_eq(m->text, WEIR_S("*"))) ||
            weir_string_match(m, origin))
            return true;
    }
    return false;
}

static void add(struct weir_headers *h, struct weir_slice name, struct weir_slice value)
{
    if (value.len)
        weir_headers_add_name_borrow(h, name, weir_header_id_of(name), value);
}

static void answer_preflight(struct weir_filter *f, const struct policy *policy,
                             const struct weir_headers *request, struct weir_slice origin)
{
    struct weir_headers *h = weir_arena_alloc(&f->stream->arena, sizeof(*h));
    weir_headers_init(h, &f->stream->arena);
    weir_headers_add_borrow(h, WEIR_H_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if (policy->credentials)
        add(h, WEIR_S("access-control-allow-credentials"), WEIR_S("true"));
    add(h, WEIR_S("access-control-allow-methods"), policy->methods);
    add(h, WEIR_S("access-control-allow-headers"), policy->headers);
    add(h, WEIR_S("access-control-max-age"), policy->max_age);
    const struct weir_header *private =
        weir_headers_find_name(request, WEIR_S("access-control-request-private-network"));
    if (policy->private_network && private && weir_slice_eq(private->value, WEIR_S("true")))
        add(h, WEIR_S("access-control-allow-private-network"), WEIR_S("true"));
    weir_filter_local_reply(
        f, &(struct weir_local_reply){
               .status = 200, .details = WEIR_S("cors_response"), .headers = h, .grpc_status = -1});
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    (void)end_stream;
    struct cors *c = f->state;
    const struct conf *conf = f->conf;
    const struct policy *policy = weir_filter_route_conf(f);
    struct weir_slice origin = weir_headers_get(h, WEIR_H_ORIGIN);
    if (!policy || !origin.len)
        return WEIR_HEADERS_CONTINUE;
    bool enabled = chance(f, policy->enabled_ppm);
    if (!enabled && !chance(f, policy->shadow_ppm))
        return WEIR_HEADERS_CONTINUE;
    bool allowed = is_allowed(policy, origin);
    weir_stat_inc(f->stream->worker->stats, allowed ? conf->valid : conf->invalid);
    bool preflight = weir_slice_eq(weir_headers_method(h), WEIR_S("OPTIONS")) &&
                     weir_headers_get(h, WEIR_H_ACCESS_CONTROL_REQUEST_METHOD).len > 0;
    if (!enabled)
        return WEIR_HEADERS_CONTINUE;
    if (!allowed) {
        if (preflight && !policy->forward_others)
            weir_filter_local_reply(f, &(struct weir_local_reply){.status = 200,
                                                                  .details = WEIR_S("cors_response"),
                                                                  .grpc_status = -1});
        return WEIR_HEADERS_CONTINUE;
    }
    if (preflight) {
        answer_preflight(f, policy, h, origin);
        return WEIR_HEADERS_CONTINUE;
    }
    c->policy = policy;
    c->origin = origin;
    return WEIR_HEADERS_CONTINUE;
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h,
                                                  bool end_stream)
{
    (void)end_stream;
    const struct cors *c = f->state;
    if (!c->policy)
        return WEIR_HEADERS_CONTINUE;
    weir_headers_set_borrow(h, WEIR_H_ACCESS_CONTROL_ALLOW_ORIGIN, c->origin);
    if (c->policy->credentials)
        weir_headers_set_name(h, WEIR_S("access-control-allow-credentials"), WEIR_S("true"));
    if (c->policy->expose.len)
        weir_headers_set_name(h, WEIR_S("access-control-expose-headers"), c->policy->expose);
    return WEIR_HEADERS_CONTINUE;
}

static const char *const aliases[] = {"envoy.cors", NULL};
const struct weir_filter_ops weir_filter_cors = {
    .name = "envoy.filters.http.cors",
    .aliases = aliases,
    .type = "envoy.extensions.filters.http.cors.v3.Cors",
    .route_type = "envoy.extensions.filters.http.cors.v3.CorsPolicy",
    .stream_size = sizeof(struct cors),
    .parse = parse,
    .parse_route = parse_route,
    .request_headers = request_headers,
    .response_headers = response_headers,
};
