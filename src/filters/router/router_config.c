/* Reading envoy.extensions.filters.http.router.v3.Router. */
#include "filters/router/router.h"

#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/http/router/v3/router.pb-c.h"
#include "proxy/conf_ctx.h"

typedef Envoy__Extensions__Filters__Http__Router__V3__Router Router;

static const struct weir_supported_field fields[] = {
    {.name = "dynamic_stats"},
    {.name = "suppress_envoy_headers"},
    {.name = "respect_expected_rq_timeout"},
    {.name = "start_child_span", .state = WEIR_FIELD_HARMLESS, .note = "for tracing"},
    {.name = "suppress_grpc_request_failure_code_stats", .values = "false"},
    {.name = "reject_connect_request_early_data", .state = WEIR_FIELD_HARMLESS, .note = "for CONNECT"},
};
const struct weir_supported_fields weir_router_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__http__router__v3__router__descriptor, fields);

enum weir_err weir_router_parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    static const struct weir_stat_def rows[] = {
#define X(name) {#name, WEIR_STAT_COUNTER},
        WEIR_ROUTER_STATS(X)
#undef X
    };
    const Router *proto = (const Router *)(const void *)msg;
    if (!weir_config_check_supported(ctx->config, proto, &weir_router_fields))
        return WEIR_ERR_INVALID;
    struct weir_router_conf *conf = WEIR_ARENA_NEW(ctx->arena, struct weir_router_conf);
    conf->dynamic_stats = weir_bool_value(proto->dynamic_stats, true);
    conf->suppress_envoy_headers = proto->suppress_envoy_headers;
    conf->respect_expected_timeout = proto->respect_expected_rq_timeout;
    conf->stats = weir_stats_register_group(ctx->stats, &ctx->scope, rows, WEIR_COUNTOF(rows));
    *ret_conf = conf;
    return WEIR_OK;
}
