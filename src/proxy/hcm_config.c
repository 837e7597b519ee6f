/* Reading HttpConnectionManager: limits, timeouts and rules for headers as plain C values, the chain of HTTP filters, the route
 * table, access logs. What a file sets beyond that is refused by name (the table below). */
#include <ifaddrs.h>

#include "base/mem.h"
#include "config/config.h"
#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "http/codec_stats.h"
#include "proxy/conf_ctx.h"
#include "proxy/filter_registry.h"
#include "proxy/hcm.h"
#include "proxy/listener.h"
#include "proxy/local_reply.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager Hcm;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter HttpFilter;
#define HCM(name) ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__##name
#define HCM_DESCRIPTOR(name) envoy__extensions__filters__network__http_connection_manager__v3__##name##__descriptor

/* Envoy's defaults, in milliseconds. */
#define IDLE_MS          3600000
#define STREAM_IDLE_MS   300000
#define DRAIN_MS         5000
#define DELAYED_CLOSE_MS 1000
#define FILTERS_MAX      250 /* a place in the chain is a byte */

/* ---- which fields are there ---- */

#define FIELDS(name, descriptor) static const struct weir_supported_fields name = WEIR_SUPPORTED(descriptor, name##_table)

static const struct weir_supported_field filter_fields_table[] = {
    {.name = "name"},
    {.name = "typed_config"},
    {.name = "is_optional"},
    {.name = "disabled"},
};
FIELDS(filter_fields, HCM_DESCRIPTOR(http_filter));

static const struct weir_supported_field common_fields_table[] = {
    {.name = "idle_timeout"},
    {.name = "max_connection_duration"},
    {.name = "max_headers_count"},
    {.name = "max_response_headers_kb", .state = WEIR_FIELD_HARMLESS, .note = "for clusters"},
    {.name = "max_stream_duration"},
    {.name = "headers_with_underscores_action"},
    {.name = "max_requests_per_connection"},
};
FIELDS(common_fields, envoy__config__core__v3__http_protocol_options__descriptor);

static const struct weir_supported_field key_format_fields_table[] = {
    {.name = "proper_case_words"},
};
FIELDS(key_format_fields, envoy__config__core__v3__http1_protocol_options__header_key_format__descriptor);

static const struct weir_supported_field http1_fields_table[] = {
    {.name = "allow_absolute_url"},
    {.name = "accept_http_10"},
    {.name = "default_host_for_http_10"},
    {.name = "header_key_format", .nested = &key_format_fields},
    {.name = "enable_trailers"},
    {.name = "allow_chunked_length"},
    {.name = "override_stream_error_on_invalid_http_message", .values = "false"},
    {.name = "send_fully_qualified_url", .state = WEIR_FIELD_HARMLESS, .note = "for clusters"},
    {.name = "use_balsa_parser", .state = WEIR_FIELD_HARMLESS},
    {.name = "allow_custom_methods"},
};
FIELDS(http1_fields, envoy__config__core__v3__http1_protocol_options__descriptor);

static const struct weir_supported_field internal_fields_table[] = {
    {.name = "unix_sockets"},
    {.name = "cidr_ranges"},
};
FIELDS(internal_fields, HCM_DESCRIPTOR(http_connection_manager__internal_address_config));

static const struct weir_supported_field hcm_fields_table[] = {
    {.name = "codec_type", .values = "AUTO HTTP1"},
    {.name = "stat_prefix"},
    {.name = "route_config"},
    {.name = "http_filters", .nested = &filter_fields},
    {.name = "add_user_agent"},
    {.name = "common_http_protocol_options", .nested = &common_fields},
    {.name = "http_protocol_options", .nested = &http1_fields},
    {.name = "http2_protocol_options", .state = WEIR_FIELD_IGNORED, .note = "connections are HTTP/1.1"},
    {.name = "server_name"},
    {.name = "server_header_transformation"},
    {.name = "max_request_headers_kb"},
    {.name = "stream_idle_timeout"},
    {.name = "request_timeout"},
    {.name = "request_headers_timeout"},
    {.name = "drain_timeout"},
    {.name = "delayed_close_timeout"},
    {.name = "access_log"},
    {.name = "use_remote_address"},
    {.name = "xff_num_trusted_hops"},
    {.name = "internal_address_config", .nested = &internal_fields},
    {.name = "skip_xff_append"},
    {.name = "via"},
    {.name = "generate_request_id"},
    {.name = "preserve_external_request_id"},
    {.name = "always_set_request_id_in_response"},
    {.name = "forward_client_cert_details", .values = "SANITIZE"},
    {.name = "proxy_100_continue"},
    {.name = "normalize_path"},
    {.name = "merge_slashes"},
    {.name = "path_with_escaped_slashes_action"},
    {.name = "local_reply_config"},
    {.name = "strip_matching_host_port"},
    {.name = "strip_any_host_port"},
    {.name = "strip_trailing_host_dot"},
    {.name = "stream_error_on_invalid_http_message", .values = "false"},
};
const struct weir_supported_fields weir_hcm_fields =
    WEIR_SUPPORTED(HCM_DESCRIPTOR(http_connection_manager), hcm_fields_table);

/* ---- plain values ---- */

static __typeof__(((struct weir_h1_options *)NULL)->underscores) underscores_of(int action)
{
    if (action == ENVOY__CONFIG__CORE__V3__HTTP_PROTOCOL_OPTIONS__HEADERS_WITH_UNDERSCORES_ACTION__REJECT_REQUEST)
        return WEIR_UNDERSCORES_REJECT;
    if (action == ENVOY__CONFIG__CORE__V3__HTTP_PROTOCOL_OPTIONS__HEADERS_WITH_UNDERSCORES_ACTION__DROP_HEADER)
        return WEIR_UNDERSCORES_DROP;
    return WEIR_UNDERSCORES_ALLOW;
}

static enum weir_escaped_slashes slashes_of(int action)
{
    if (action == HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__REJECT_REQUEST)) return WEIR_SLASHES_REJECT;
    if (action == HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__UNESCAPE_AND_REDIRECT)) return WEIR_SLASHES_REDIRECT;
    if (action == HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__UNESCAPE_AND_FORWARD)) return WEIR_SLASHES_FORWARD;
    return WEIR_SLASHES_KEEP;
}

/* The machine's first address that is not loopback: what x-forwarded-for says for clients on the machine itself (Envoy: local_info). */
static void find_local_address(struct weir_addr *ret)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) return;
    for (const struct ifaddrs *it = all; it && !ret->len; it = it->ifa_next) {
        struct weir_addr addr;
        if (!it->ifa_addr || it->ifa_addr->sa_family != AF_INET) continue;
        struct sockaddr_storage ss = {0};
        memcpy(&ss, it->ifa_addr, sizeof(struct sockaddr_in));
        weir_addr_from_sockaddr(&ss, sizeof(struct sockaddr_in), &addr);
        if (!weir_addr_is_loopback(&addr)) *ret = addr;
    }
    freeifaddrs(all);
}

static void read_http1(const Hcm *msg, struct weir_conf_ctx *ctx, struct weir_hcm *hcm)
{
    const Envoy__Config__Core__V3__HttpProtocolOptions *common = msg->common_http_protocol_options;
    const Envoy__Config__Core__V3__Http1ProtocolOptions *http1 = msg->http_protocol_options;
    struct weir_h1_options *h1 = &hcm->h1;
    *h1 = weir_h1_options_default[WEIR_CODEC_SERVER];
    h1->max_headers_bytes = weir_u32_value(msg->max_request_headers_kb, 60) * 1024;
    struct weir_stats_scope scope = {.prefix = WEIR_S("http1."), .prom_prefix = WEIR_S("http1.")};
    h1->stats = weir_stats_register_group(ctx->stats, &scope, weir_h1_stat_defs, WEIR_H1_STAT_COUNT);
    if (common) {
        h1->max_headers_count = weir_u32_value(common->max_headers_count, h1->max_headers_count);
        h1->underscores = underscores_of((int)common->headers_with_underscores_action);
    }
    if (!http1) return;
    h1->allow_absolute_url = weir_bool_value(http1->allow_absolute_url, true);
    h1->accept_http_10 = http1->accept_http_10;
    h1->default_host_for_http_10 = weir_proto_str(http1->default_host_for_http_10);
    h1->enable_trailers = http1->enable_trailers;
    h1->allow_chunked_length = http1->allow_chunked_length;
    h1->allow_custom_methods = http1->allow_custom_methods;
    h1->proper_case = http1->header_key_format &&
                      http1->header_key_format->header_format_case ==
                          ENVOY__CONFIG__CORE__V3__HTTP1_PROTOCOL_OPTIONS__HEADER_KEY_FORMAT__HEADER_FORMAT_PROPER_CASE_WORDS;
}

static void read_timeouts(const Hcm *msg, struct weir_hcm *hcm)
{
    const Envoy__Config__Core__V3__HttpProtocolOptions *common = msg->common_http_protocol_options;
    hcm->idle_timeout_ms = weir_duration_ms(common ? common->idle_timeout : NULL, IDLE_MS);
    hcm->max_connection_ms = weir_duration_ms(common ? common->max_connection_duration : NULL, 0);
    hcm->max_stream_ms = weir_duration_ms(common ? common->max_stream_duration : NULL, 0);
    hcm->max_requests_per_connection = weir_u32_value(common ? common->max_requests_per_connection : NULL, 0);
    hcm->stream_idle_ms = weir_duration_ms(msg->stream_idle_timeout, STREAM_IDLE_MS);
    hcm->request_timeout_ms = weir_duration_ms(msg->request_timeout, 0);
    hcm->request_headers_timeout_ms = weir_duration_ms(msg->request_headers_timeout, 0);
    hcm->drain_ms = weir_duration_ms(msg->drain_timeout, DRAIN_MS);
    hcm->delayed_close_ms = weir_duration_ms(msg->delayed_close_timeout, DELAYED_CLOSE_MS);
}

static void read_headers(const Hcm *msg, struct weir_conf_ctx *ctx, struct weir_hcm *hcm)
{
    hcm->server_name = msg->server_name && *msg->server_name ? weir_slice_str(msg->server_name) : WEIR_S("envoy");
    hcm->server_header = (enum weir_server_header)msg->server_header_transformation;
    hcm->via = weir_proto_str(msg->via);
    hcm->add_user_agent = weir_bool_value(msg->add_user_agent, false);
    hcm->user_agent = ctx->service_cluster;
    hcm->service_node = ctx->service_node;
    hcm->generate_request_id = weir_bool_value(msg->generate_request_id, true);
    hcm->preserve_request_id = msg->preserve_external_request_id;
    hcm->request_id_in_response = msg->always_set_request_id_in_response;
    hcm->use_remote_address = weir_bool_value(msg->use_remote_address, false);
    hcm->skip_xff_append = msg->skip_xff_append;
    if (hcm->use_remote_address) find_local_address(&hcm->local_address);
    hcm->xff_hops = msg->xff_num_trusted_hops;
    hcm->proxy_100_continue = msg->proxy_100_continue;
    hcm->path.normalize = weir_bool_value(msg->normalize_path, false);
    hcm->path.merge_slashes = msg->merge_slashes;
    hcm->path.escaped_slashes = slashes_of((int)msg->path_with_escaped_slashes_action);
    hcm->strip_matching_port = msg->strip_matching_host_port;
    hcm->strip_any_port = msg->strip_port_mode_case == HCM(STRIP_PORT_MODE_STRIP_ANY_HOST_PORT) && msg->strip_any_host_port;
    hcm->strip_trailing_dot = msg->strip_trailing_host_dot;
}

static void read_internal(const Hcm *msg, struct weir_conf_ctx *ctx, struct weir_hcm *hcm)
{
    if (!msg->internal_address_config) return;
    size_t n = msg->internal_address_config->n_cidr_ranges;
    hcm->internal_unix = msg->internal_address_config->unix_sockets;
    hcm->internal = WEIR_ARENA_ARRAY(ctx->arena, struct weir_cidr, n + 1);
    for (size_t i = 0; i < n; i++) {
        const Envoy__Config__Core__V3__CidrRange *range = msg->internal_address_config->cidr_ranges[i];
        if (weir_cidr_make(weir_proto_str(range->address_prefix), weir_u32_value(range->prefix_len, 0),
                           &hcm->internal[hcm->n_internal]) == WEIR_OK)
            hcm->n_internal++;
        else
            weir_config_error(ctx->config, range, NULL, -1, "\"%s\" with a prefix of %u bits is no address range",
                              range->address_prefix, weir_u32_value(range->prefix_len, 0));
    }
}

/* ---- statistics ---- */

static void register_stats(struct weir_conf_ctx *ctx, struct weir_hcm *hcm)
{
    static const struct weir_stat_def rows[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WEIR_HCM_STATS(X)
#undef X
    };
    static const struct weir_stat_def listener_rows[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WEIR_HCM_LISTENER_STATS(X)
#undef X
    };
    struct weir_tag *tags = WEIR_ARENA_ARRAY(ctx->arena, struct weir_tag, 2);
    tags[0] = (struct weir_tag){WEIR_S("envoy_http_conn_manager_prefix"), hcm->stat_prefix};
    ctx->scope = (struct weir_stats_scope){
        .prefix = weir_arena_printf(ctx->arena, "http.%.*s.", WEIR_SARG(hcm->stat_prefix)),
        .prom_prefix = WEIR_S("http."),
        .tags = tags,
        .n_tags = 1,
    };
    hcm->stats = weir_stats_register_group(ctx->stats, &ctx->scope, rows, WEIR_COUNTOF(rows));
    if (!ctx->listener) return;
    if (ctx->listener_scope.n_tags) tags[1] = ctx->listener_scope.tags[0];
    struct weir_stats_scope scope = {
        .prefix = weir_arena_cat(ctx->arena, ctx->listener_scope.prefix, ctx->scope.prefix),
        .prom_prefix = WEIR_S("listener.http."),
        .tags = tags,
        .n_tags = 1 + ctx->listener_scope.n_tags,
    };
    hcm->listener_stats = weir_stats_register_group(ctx->stats, &scope, listener_rows, WEIR_COUNTOF(listener_rows));
}

/* ---- HTTP filters ---- */

static bool read_filter(struct weir_conf_ctx *ctx, const HttpFilter *msg, struct weir_hcm_filter *ret)
{
    bool typed = msg->config_type_case ==
                 ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG;
    struct weir_any any = weir_config_any(ctx->config, typed ? msg->typed_config : NULL);
    const struct weir_filter_ops *ops = weir_filter_registry_find(ctx->http_filters, any.type, weir_proto_str(msg->name));
    if (!ops) {
        if (msg->is_optional) return false;
        weir_config_refuse_extension(ctx->config, &msg->base, "HTTP filter", any, msg->name);
        return false;
    }
    ret->ops = ops;
    ret->name = weir_proto_str(msg->name);
    ret->disabled = msg->disabled;
    if (any.type.len && !any.msg) return true; // reported when read
    const ProtobufCMessage *conf = any.msg ? any.msg : weir_conf_empty_message(ctx, &msg->base, ops->type);
    void *parsed = NULL;
    if (ops->parse && ops->parse(ctx, conf, &parsed) == WEIR_OK) ret->conf = parsed;
    return true;
}

static void check_terminal(struct weir_conf_ctx *ctx, const Hcm *msg, const struct weir_hcm *hcm, const uint32_t *source)
{
    for (uint32_t i = 0; i < hcm->n_filters; i++) {
        const struct weir_hcm_filter *f = &hcm->filters[i];
        const HttpFilter *at = msg->http_filters[source[i]];
        bool last = i + 1 == hcm->n_filters;
        if (f->ops->terminal == last) continue;
        if (last) {
            weir_config_error(ctx->config, at, "name", -1, "non-terminal filter named %s of type %s is the last filter in a http filter chain",
                              at->name, f->ops->name);
            weir_config_hint(ctx->config, "the last one must answer requests: add envoy.filters.http.router after it");
        } else {
            weir_config_error(ctx->config, at, "name", -1,
                              "terminal filter named %s of type %s must be the last filter in a http filter chain", at->name,
                              f->ops->name);
            weir_config_hint(ctx->config, "filters after it would never be reached: move it to the end");
        }
    }
}

static void place_states(struct weir_hcm *hcm)
{
    for (uint32_t i = 0; i < hcm->n_filters; i++) {
        hcm->filters[i].state_offset = hcm->state_bytes;
        hcm->state_bytes += (hcm->filters[i].ops->stream_size + 15u) & ~15u;
    }
}

static void read_filters(struct weir_conf_ctx *ctx, const Hcm *msg, struct weir_hcm *hcm)
{
    uint32_t source[FILTERS_MAX];
    if (msg->n_http_filters > FILTERS_MAX) {
        weir_config_error(ctx->config, msg, "http_filters", -1, "%zu filters; weir takes at most %d", msg->n_http_filters, FILTERS_MAX);
        return;
    }
    hcm->filters = WEIR_ARENA_ARRAY(ctx->arena, struct weir_hcm_filter, msg->n_http_filters + 1);
    for (size_t i = 0; i < msg->n_http_filters; i++) {
        if (!read_filter(ctx, msg->http_filters[i], &hcm->filters[hcm->n_filters])) continue;
        source[hcm->n_filters++] = (uint32_t)i;
    }
    check_terminal(ctx, msg, hcm, source);
    place_states(hcm);
}

/* ---- the whole ---- */

static void release_routes(void *arg)
{
    weir_route_table_unref(arg);
}

static void read_routes(struct weir_conf_ctx *ctx, const Hcm *msg, struct weir_hcm *hcm)
{
    if (msg->route_specifier_case != HCM(ROUTE_SPECIFIER_ROUTE_CONFIG) || !msg->route_config) return;
    struct weir_route_table *table = weir_route_table_new(ctx, &msg->route_config->base);
    if (!table) return;
    hcm->routes = table;
    weir_arena_on_end(ctx->arena, release_routes, table);
}

enum weir_err weir_hcm_parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *message, void **ret)
{
    const Hcm *msg = (const Hcm *)(const void *)message;
    size_t errors = ctx->config->diag->n_errors;
    struct weir_hcm *hcm = WEIR_ARENA_NEW(ctx->arena, struct weir_hcm);
    weir_config_check_supported(ctx->config, msg, &weir_hcm_fields);
    hcm->stat_prefix = weir_proto_str(msg->stat_prefix);
    hcm->codec_type = msg->codec_type == HCM(CODEC_TYPE__HTTP1) ? WEIR_CODEC_HTTP1 : WEIR_CODEC_AUTO;
    hcm->buffer_limit = ctx->listener ? ctx->listener->buffer_limit : 0;
    register_stats(ctx, hcm);
    read_http1(msg, ctx, hcm);
    read_timeouts(msg, hcm);
    read_headers(msg, ctx, hcm);
    read_internal(msg, ctx, hcm);
    read_routes(ctx, msg, hcm);
    read_filters(ctx, msg, hcm);
    struct weir_access_logs *logs = NULL;
    if (weir_access_logs_new(ctx, (void *const *)(void *)msg->access_log, msg->n_access_log, &logs) == WEIR_OK) hcm->access_logs = logs;
    struct weir_local_reply_conf *reply = NULL;
    if (msg->local_reply_config && weir_local_reply_conf_new(ctx, &msg->local_reply_config->base, &reply) == WEIR_OK)
        hcm->local_reply = reply;
    *ret = hcm;
    return ctx->config->diag->n_errors == errors ? WEIR_OK : WEIR_ERR_INVALID;
}

/* ---- the one without a listener ---- */

static const struct weir_hcm *read_for_calls(struct weir_conf_ctx *ctx)
{
    const struct weir_filter_ops *router =
        weir_filter_registry_find(ctx->http_filters, WEIR_S_NONE, WEIR_S("envoy.filters.http.router"));
    if (!router) return NULL;
    struct weir_hcm *hcm = WEIR_ARENA_NEW(ctx->arena, struct weir_hcm);
    hcm->stat_prefix = WEIR_S("async-client");
    register_stats(ctx, hcm);
    hcm->filters = WEIR_ARENA_NEW(ctx->arena, struct weir_hcm_filter);
    hcm->n_filters = 1;
    hcm->filters->ops = router;
    hcm->filters->name = WEIR_S("envoy.filters.http.router");
    void *conf = NULL;
    const ProtobufCMessage *msg = weir_conf_empty_message(ctx, NULL, router->type);
    if (router->parse && router->parse(ctx, msg, &conf)) return NULL;
    hcm->filters->conf = conf;
    place_states(hcm);
    return hcm;
}

struct weir_calls *weir_calls_new(struct weir_stats *stats, const struct weir_filter_registry *http_filters)
{
    struct weir_calls *calls = WEIR_NEW(struct weir_calls);
    weir_arena_init(&calls->arena, NULL);
    weir_diag_init(&calls->diag);
    calls->config = weir_config_new(&calls->diag);
    struct weir_conf_ctx ctx = {.arena = &calls->arena,
                                .config = calls->config,
                                .diag = &calls->diag,
                                .stats = stats,
                                .http_filters = http_filters};
    calls->hcm = read_for_calls(&ctx);
    return calls;
}

void weir_calls_free(struct weir_calls *calls)
{
    if (!calls) return;
    weir_arena_fini(&calls->arena);
    weir_config_free(calls->config);
    weir_diag_fini(&calls->diag);
    weir_free(calls);
}
