/* From Envoy's RouteConfiguration to a route table. All faults are reported in one go; what is built with faults is thrown away. */
#include "proxy/route_priv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "config/config.h"
#include "config/values.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/data_source.h"
#include "proxy/filter.h"
#include "proxy/header_mutation.h"
#include "proxy/per_filter.h"
#include "proxy/retry.h"
#include "proxy/route_fields.h"

typedef Envoy__Config__Route__V3__RouteConfiguration RouteConfiguration;
typedef Envoy__Config__Route__V3__VirtualHost VirtualHost;
typedef Envoy__Config__Route__V3__Route Route;
typedef Envoy__Config__Route__V3__RouteMatch RouteMatch;
typedef Envoy__Config__Route__V3__RouteAction RouteAction;
typedef Envoy__Config__Route__V3__RedirectAction RedirectAction;
typedef Envoy__Config__Route__V3__WeightedCluster__ClusterWeight ClusterWeight;
typedef Envoy__Config__Route__V3__QueryParameterMatcher QueryParameterMatcher;

/* Envoy's defaults. */
#define ROUTE_TIMEOUT_MS 15000
#define DIRECT_BODY_MAX  4096
/* Names shown of the clusters that there are. */
#define CLUSTERS_SHOWN 8

struct build {
    struct weir_conf_ctx *ctx;
    const RouteConfiguration *proto;
    struct weir_route_table *table;
    bool failed;
    bool check_clusters;
};

#define fail(b, ...) ((b)->failed = true, weir_config_error((b)->ctx->config, __VA_ARGS__))
#define hint(b, ...) weir_config_hint((b)->ctx->config, __VA_ARGS__)

static struct weir_slice copy(struct build *b, const char *text)
{
    return weir_arena_dup(&b->table->arena, weir_proto_str(text));
}

/* ---- what all levels have ---- */

#define READ_HEADERS(b, proto, side, ret)                                                                    \
    read_headers((b),                                                                                        \
                 &(struct weir_header_mutation_source){.owner = (proto),                                     \
                                                       .add_field = #side "_headers_to_add",                 \
                                                       .remove_field = #side "_headers_to_remove",           \
                                                       .add = (void *const *)(proto)->side##_headers_to_add, \
                                                       .n_add = (proto)->n_##side##_headers_to_add,          \
                                                       .remove = (proto)->side##_headers_to_remove,          \
                                                       .n_remove = (proto)->n_##side##_headers_to_remove},   \
                 (ret))

static void read_headers(struct build *b, const struct weir_header_mutation_source *source,
                         const struct weir_header_mutation **ret)
{
    if (weir_header_mutation_new(b->ctx, source, ret) != WEIR_OK)
        b->failed = true;
}

static void read_per_filter(struct build *b, void *const *entries, size_t n,
                            const struct weir_per_filter **ret)
{
    if (weir_per_filter_new(b->ctx, entries, n, ret) != WEIR_OK)
        b->failed = true;
}

/* ---- match ---- */

static void read_queries(struct build *b, const RouteMatch *from, struct weir_route_match *m)
{
    m->n_queries = (uint32_t)from->n_query_parameters;
    m->queries = WEIR_ARENA_ARRAY(&b->table->arena, struct weir_query_match, from->n_query_parameters + 1);
    for (size_t i = 0; i < from->n_query_parameters; i++) {
        const QueryParameterMatcher *q = from->query_parameters[i];
        struct weir_query_match *to = &m->queries[i];
        to->name = copy(b, q->name);
        if (q->query_parameter_match_specifier_case ==
            ENVOY__CONFIG__ROUTE__V3__QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH) {
            if (weir_string_match_new(b->ctx, q->string_match, &to->string) != WEIR_OK)
                b->failed = true;
            continue;
        }
        to->by_presence = true;
        to->present =
            q->query_parameter_match_specifier_case !=
                ENVOY__CONFIG__ROUTE__V3__QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_PRESENT_MATCH ||
            q->present_match;
    }
}

static void read_path(struct build *b, const RouteMatch *from, struct weir_route_match *m)
{
    switch (from->path_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX:
        m->path = WEIR_PATH_PREFIX;
        m->text = weir_arena_dup(&b->table->arena, weir_slice_str(from->prefix));
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH:
        m->path = WEIR_PATH_EXACT;
        m->text = weir_arena_dup(&b->table->arena, weir_slice_str(from->path));
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH_SEPARATED_PREFIX:
        m->path = WEIR_PATH_SEPARATED_PREFIX;
        m->text = weir_arena_dup(&b->table->arena, weir_slice_str(from->path_separated_prefix));
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_SAFE_REGEX:
        m->path = WEIR_PATH_REGEX;
        m->ignore_case = false;
        m->regex = weir_conf_regex(b->ctx, from->safe_regex);
        if (!m->regex)
            b->failed = true;
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_CONNECT_MATCHER:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH_MATCH_POLICY:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER__NOT_SET:
    default:
        b->failed = true; /* refused by name, or by the schema's rule */
    }
}

static const struct weir_route_match *read_match(struct build *b, const RouteMatch *from)
{
    struct weir_route_match *m = WEIR_ARENA_NEW(&b->table->arena, struct weir_route_match);
    m->ignore_case = !weir_bool_value(from->case_sensitive, true);
    m->grpc = from->grpc != NULL;
    m->fraction_ppm =
        from->runtime_fraction ? weir_fraction_ppm(from->runtime_fraction->default_value, 1000000) : 1000000;
    read_path(b, from, m);
    m->n_headers = (uint32_t)from->n_headers;
    if (weir_header_matches_new(b->ctx, (void *const *)from->headers, from->n_headers, &m->headers) !=
        WEIR_OK)
        b->failed = true;
    read_queries(b, from, m);
    return m;
}

/* ---- forwarding ---- */

static int by_text(const void *a, const void *b)
{
    return weir_slice_cmp(*(const struct weir_slice *)a, *(const struct weir_slice *)b);
}

/* "no such cluster (have: a, b)" */
static void no_such_cluster(struct build *b, const void *msg, const char *field, const char *name)
{
    const struct weir_map *names = b->ctx->cluster_names;
    struct weir_slice *all = WEIR_ARENA_ARRAY(b->ctx->arena, struct weir_slice, names->len + 1), key;
    size_t n = 0, iter = 0;
    void *value;
    while (weir_map_next(names, &iter, &key, &value))
        all[n++] = key;
    qsort(all, n, sizeof(*all), by_text);
    struct weir_str have;
    weir_str_init(&have, 2048);
    for (size_t i = 0; i < n && i < CLUSTERS_SHOWN; i++)
        weir_str_printf(&have, "%s%.*s", i ? ", " : "", WEIR_SARG(all[i]));
    if (n > CLUSTERS_SHOWN)
        weir_str_printf(&have, " and %zu more", n - CLUSTERS_SHOWN);
    if (n)
        fail(b, msg, field, -1, "route to \"%s\": no such cluster (have: %.*s)", name,
             WEIR_SARG(weir_str_slice(&have)));
    else
        fail(b, msg, field, -1, "route to \"%s\": no such cluster (there are none)", name);
    weir_str_fini(&have);
}

static void check_cluster(struct build *b, const void *msg, const char *field, const char *name)
{
    if (!b->check_clusters || !b->ctx->cluster_names)
        return;
    if (weir_map_get(b->ctx->cluster_names, weir_slice_str(name)))
        return;
    no_such_cluster(b, msg, field, name);
}

static void read_weight(struct build *b, const ClusterWeight *from, struct weir_route_target *target)
{
    bool has_name = from->name && *from->name, has_header = from->cluster_header && *from->cluster_header;
    if (has_name == has_header)
        fail(b, from, NULL, -1, "needs either \"name\" or \"cluster_header\"");
    else if (has_name)
        check_cluster(b, from, "name", from->name);
    target->cluster = copy(b, from->name);
    target->cluster_header = weir_arena_dup_lower(&b->table->arena, weir_proto_str(from->cluster_header));
    target->weight = weir_u32_value(from->weight, 0);
    target->host_rewrite = copy(
        b,
        from->host_rewrite_specifier_case ==
                ENVOY__CONFIG__ROUTE__V3__WEIGHTED_CLUSTER__CLUSTER_WEIGHT__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL
            ? from->host_rewrite_literal
            : NULL);
    READ_HEADERS(b, from, request, &target->request_headers);
    READ_HEADERS(b, from, response, &target->response_headers);
    read_per_filter(b, (void *const *)from->typed_per_filter_config, from->n_typed_per_filter_config,
                    &target->per_filter);
}

static void read_weights(struct build *b, const Envoy__Config__Route__V3__WeightedCluster *from,
                         struct weir_route *route)
{
    struct weir_route_target *targets =
        WEIR_ARENA_ARRAY(&b->table->arena, struct weir_route_target, from->n_clusters + 1);
    route->targets = targets;
    route->n_targets = (uint32_t)from->n_clusters;
    for (size_t i = 0; i < from->n_clusters; i++) {
        read_weight(b, from->clusters[i], &targets[i]);
        route->total_weight += targets[i].weight;
    }
    if (from->n_clusters && route->total_weight == 0)
        fail(b, from, "clusters", -1, "the sum of the weights must be above 0");
    if (route->total_weight > UINT32_MAX)
        fail(b, from, "clusters", -1, "the sum of the weights is above 4294967295");
}

static void read_clusters(struct build *b, const RouteAction *from, struct weir_route *route)
{
    struct weir_route_target *target = WEIR_ARENA_NEW(&b->table->arena, struct weir_route_target);
    route->targets = target;
    route->n_targets = 1;
    switch (from->cluster_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER:
        target->cluster = copy(b, from->cluster);
        check_cluster(b, from, "cluster", from->cluster);
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER_HEADER:
        target->cluster_header = weir_arena_dup_lower(&b->table->arena, weir_slice_str(from->cluster_header));
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS:
        read_weights(b, from->weighted_clusters, route);
        return;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER_SPECIFIER_PLUGIN:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_INLINE_CLUSTER_SPECIFIER_PLUGIN:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER__NOT_SET:
    default:
        b->failed = true; /* refused by name, or by the schema's rule */
    }
}

static void read_rewrites(struct build *b, const RouteAction *from, struct weir_route *route)
{
    route->prefix_rewrite = copy(b, from->prefix_rewrite);
    if (from->regex_rewrite) {
        if (route->prefix_rewrite.len)
            fail(b, from, "regex_rewrite", -1, "\"prefix_rewrite\" and \"regex_rewrite\" exclude each other");
        route->regex_rewrite =
            weir_conf_regex_rewrite(b->ctx, from->regex_rewrite, &route->regex_substitution);
        if (!route->regex_rewrite)
            b->failed = true;
    }
    route->append_x_forwarded_host = from->append_x_forwarded_host;
    switch (from->host_rewrite_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL:
        route->host_rewrite = copy(b, from->host_rewrite_literal);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_AUTO_HOST_REWRITE:
        route->auto_host_rewrite = weir_bool_value(from->auto_host_rewrite, false);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_HEADER:
        route->host_rewrite_header =
            weir_arena_dup_lower(&b->table->arena, weir_slice_str(from->host_rewrite_header));
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_PATH_REGEX:
        route->host_rewrite_regex =
            weir_conf_regex_rewrite(b->ctx, from->host_rewrite_path_regex, &route->host_rewrite_substitution);
        if (!route->host_rewrite_regex)
            b->failed = true;
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER__NOT_SET:
    default:
        break;
    }
}

static void read_forwarding(struct build *b, const RouteAction *from, const VirtualHost *in,
                            struct weir_route *route)
{
    static const uint32_t not_found[] = {
        [ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__SERVICE_UNAVAILABLE] = 503,
        [ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__NOT_FOUND] = 404,
        [ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__INTERNAL_SERVER_ERROR] =
            500,
    };
    route->kind = WEIR_ROUTE_CLUSTER;
    read_clusters(b, from, route);
    read_rewrites(b, from, route);
    route->cluster_not_found_status = (size_t)from->cluster_not_found_response_code < WEIR_COUNTOF(not_found)
                                          ? not_found[from->cluster_not_found_response_code]
                                          : 503;
    route->timeout_ms = weir_duration_ms(from->timeout, ROUTE_TIMEOUT_MS);
    route->idle_timeout_ms = weir_duration_ms(from->idle_timeout, UINT64_MAX);
    if (from->max_stream_duration)
        route->max_stream_duration_ms = weir_duration_ms(from->max_stream_duration->max_stream_duration, 0);
    const Envoy__Config__Route__V3__RetryPolicy *retry =
        from->retry_policy ? from->retry_policy : in->retry_policy;
    if (retry) {
        route->retry = weir_retry_policy_new(b->ctx, retry);
        if (!route->retry)
            b->failed = true;
    }
    route->priority = from->priority == ENVOY__CONFIG__CORE__V3__ROUTING_PRIORITY__HIGH
                          ? WEIR_PRIORITY_HIGH
                          : WEIR_PRIORITY_DEFAULT;
}

/* ---- redirects and direct responses ---- */

static void read_redirect(struct build *b, const RedirectAction *from, struct weir_route *route)
{
    static const uint32_t codes[] = {
        [ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__MOVED_PERMANENTLY] = 301,
        [ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__FOUND] = 302,
        [ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__SEE_OTHER] = 303,
        [ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__TEMPORARY_REDIRECT] = 307,
        [ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__PERMANENT_REDIRECT] = 308,
    };
    struct weir_redirect *r = WEIR_ARENA_NEW(&b->table->arena, struct weir_redirect);
    route->kind = WEIR_ROUTE_REDIRECT;
    route->redirect = r;
    r->status = (size_t)from->response_code < WEIR_COUNTOF(codes) ? codes[from->response_code] : 301;
    r->host = copy(b, from->host_redirect);
    r->port = from->port_redirect;
    r->strip_query = from->strip_query;
    if (from->scheme_rewrite_specifier_case ==
        ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__SCHEME_REWRITE_SPECIFIER_SCHEME_REDIRECT)
        r->scheme = copy(b, from->scheme_redirect);
    else if (from->scheme_rewrite_specifier_case ==
                 ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__SCHEME_REWRITE_SPECIFIER_HTTPS_REDIRECT &&
             from->https_redirect)
        r->scheme = WEIR_S("https");
    if (from->path_rewrite_specifier_case ==
        ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PATH_REDIRECT) {
        r->path = copy(b, from->path_redirect);
    } else if (from->path_rewrite_specifier_case ==
               ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PREFIX_REWRITE) {
        r->prefix_rewrite = copy(b, from->prefix_rewrite);
    } else if (from->path_rewrite_specifier_case ==
               ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_REGEX_REWRITE) {
        r->regex = weir_conf_regex_rewrite(b->ctx, from->regex_rewrite, &r->substitution);
        if (!r->regex)
            b->failed = true;
    }
}

static void read_direct(struct build *b, const Envoy__Config__Route__V3__DirectResponseAction *from,
                        struct weir_route *route)
{
    uint32_t max = weir_u32_value(b->proto->max_direct_response_body_size_bytes, DIRECT_BODY_MAX);
    route->kind = WEIR_ROUTE_DIRECT;
    route->direct_status = from->status;
    if (!from->body || weir_data_source_read(b->ctx, from->body, max, &route->direct_body) == WEIR_OK)
        return;
    b->failed = true;
    hint(b, "max_direct_response_body_size_bytes of the route configuration is the limit");
}

/* ---- routes, virtual hosts ---- */

static uint32_t buffer_limit(const Google__Protobuf__UInt32Value *old,
                             const Google__Protobuf__UInt64Value *now, uint32_t if_unset)
{
    uint64_t limit = weir_u64_value(now, weir_u32_value(old, if_unset));
    return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static struct weir_route *read_route(struct build *b, const Route *from, const VirtualHost *in,
                                     struct weir_vhost *vhost)
{
    struct weir_route *route = WEIR_ARENA_NEW(&b->table->arena, struct weir_route);
    route->name = copy(b, from->name);
    route->vhost = vhost;
    route->proto = from;
    route->metadata = from->metadata;
    if (from->match)
        route->match = read_match(b, from->match);
    else
        b->failed = true; /* the schema's rule has said so */
    switch (from->action_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE:
        read_forwarding(b, from->route, in, route);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_REDIRECT:
        read_redirect(b, from->redirect, route);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_DIRECT_RESPONSE:
        read_direct(b, from->direct_response, route);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_NON_FORWARDING_ACTION:
        route->kind = WEIR_ROUTE_NON_FORWARDING;
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_FILTER_ACTION:
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION__NOT_SET:
    default:
        b->failed = true; /* refused by name, or by the schema's rule */
    }
    READ_HEADERS(b, from, request, &route->request_headers);
    READ_HEADERS(b, from, response, &route->response_headers);
    read_per_filter(b, (void *const *)from->typed_per_filter_config, from->n_typed_per_filter_config,
                    &route->per_filter);
    route->request_buffer_limit = buffer_limit(
        from->per_request_buffer_limit_bytes, from->request_body_buffer_limit,
        buffer_limit(in->per_request_buffer_limit_bytes, in->request_body_buffer_limit, UINT32_MAX));
    return route;
}

static void duplicate_domain(struct build *b, const VirtualHost *from, size_t i,
                             const struct weir_vhost *other)
{
    if (strcmp(from->domains[i], "*") == 0)
        fail(b, from, "domains", (int)i,
             "only a single \"*\" is permitted: virtual host \"%.*s\" has it already",
             WEIR_SARG(other->name));
    else
        fail(b, from, "domains", (int)i, "domain \"%s\" belongs to virtual host \"%.*s\" already",
             from->domains[i], WEIR_SARG(other->name));
}

static void read_domain(struct build *b, const VirtualHost *from, size_t i, struct weir_vhost *vhost)
{
    struct weir_route_table *table = b->table;
    struct weir_slice domain = weir_arena_dup_lower(&table->arena, weir_slice_str(from->domains[i]));
    if (domain.len == 0)
        return; /* the schema's rule has said so */
    if (weir_slice_eq(domain, WEIR_S("*"))) {
        if (table->fallback)
            duplicate_domain(b, from, i, table->fallback);
        else
            table->fallback = vhost;
        return;
    }
    struct weir_map *map = &table->exact;
    if (domain.ptr[0] == '*') {
        map = &table->suffix;
        domain = weir_slice_from(domain, 1);
    } else if (domain.ptr[domain.len - 1] == '*') {
        map = &table->prefix;
        domain = weir_slice_first(domain, domain.len - 1);
    }
    if (weir_slice_find(domain, '*') < domain.len) {
        fail(b, from, "domains", (int)i, "a star may stand at the beginning or at the end alone");
        return;
    }
    const struct weir_vhost *other = weir_map_get(map, domain);
    if (other)
        duplicate_domain(b, from, i, other);
    else
        weir_map_set(map, domain, vhost);
}

static void read_vhost(struct build *b, const VirtualHost *from)
{
    struct weir_vhost *vhost = WEIR_ARENA_NEW(&b->table->arena, struct weir_vhost);
    vhost->name = weir_arena_dup(&b->table->arena, weir_slice_str(from->name));
    vhost->table = b->table;
    vhost->metadata = from->metadata;
    vhost->include_attempt_count_request = from->include_request_attempt_count;
    vhost->include_attempt_count_response = from->include_attempt_count_in_response;
    if (from->require_tls == ENVOY__CONFIG__ROUTE__V3__VIRTUAL_HOST__TLS_REQUIREMENT_TYPE__ALL)
        vhost->require_tls = WEIR_TLS_REQUIRED_ALL;
    if (from->require_tls == ENVOY__CONFIG__ROUTE__V3__VIRTUAL_HOST__TLS_REQUIREMENT_TYPE__EXTERNAL_ONLY)
        vhost->require_tls = WEIR_TLS_REQUIRED_EXTERNAL;
    READ_HEADERS(b, from, request, &vhost->request_headers);
    READ_HEADERS(b, from, response, &vhost->response_headers);
    read_per_filter(b, (void *const *)from->typed_per_filter_config, from->n_typed_per_filter_config,
                    &vhost->per_filter);
    for (size_t i = 0; i < from->n_domains; i++)
        read_domain(b, from, i, vhost);
    vhost->n_routes = (uint32_t)from->n_routes;
    vhost->routes = WEIR_ARENA_ARRAY(&b->table->arena, struct weir_route *, from->n_routes + 1);
    for (size_t i = 0; i < from->n_routes; i++)
        vhost->routes[i] = read_route(b, from->routes[i], from, vhost);
    if (!b->failed)
        vhost->index = weir_vhost_index_new(&b->table->arena, vhost->routes, vhost->n_routes);
}

static int longest_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* The different lengths of a map's keys, longest first. */
static uint32_t *lengths_of(struct weir_arena *arena, const struct weir_map *map, uint32_t *ret_n)
{
    uint32_t *lens = WEIR_ARENA_ARRAY(arena, uint32_t, map->len + 1), n = 0;
    size_t iter = 0;
    struct weir_slice key;
    void *value;
    while (weir_map_next(map, &iter, &key, &value))
        lens[n++] = (uint32_t)key.len;
    qsort(lens, n, sizeof(*lens), longest_first);
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++)
        if (out == 0 || lens[out - 1] != lens[i])
            lens[out++] = lens[i];
    *ret_n = out;
    return lens;
}

/* Where "require_tls" sends those that came without. */
static struct weir_route *to_https(struct weir_arena *arena)
{
    struct weir_redirect *redirect = WEIR_ARENA_NEW(arena, struct weir_redirect);
    redirect->scheme = WEIR_S("https");
    redirect->status = 301;
    struct weir_vhost *vhost = WEIR_ARENA_NEW(arena, struct weir_vhost);
    struct weir_route *route = WEIR_ARENA_NEW(arena, struct weir_route);
    route->kind = WEIR_ROUTE_REDIRECT;
    route->redirect = redirect;
    route->vhost = vhost;
    route->request_buffer_limit = UINT32_MAX;
    route->match = WEIR_ARENA_NEW(arena, struct weir_route_match);
    return route;
}

static void read_table(struct build *b)
{
    const RouteConfiguration *from = b->proto;
    struct weir_route_table *table = b->table;
    table->name = weir_arena_dup(&table->arena, weir_slice_str(from->name));
    table->ignore_port = from->ignore_port_in_host_matching;
    table->most_specific_wins = from->most_specific_header_mutations_wins;
    table->metadata = from->metadata;
    READ_HEADERS(b, from, request, &table->request_headers);
    READ_HEADERS(b, from, response, &table->response_headers);
    read_per_filter(b, (void *const *)from->typed_per_filter_config, from->n_typed_per_filter_config,
                    &table->per_filter);
    for (size_t i = 0; i < from->n_virtual_hosts; i++)
        read_vhost(b, from->virtual_hosts[i]);
    table->suffix_lens = lengths_of(&table->arena, &table->suffix, &table->n_suffix_lens);
    table->prefix_lens = lengths_of(&table->arena, &table->prefix, &table->n_prefix_lens);
    table->to_https = to_https(&table->arena);
}

struct weir_route_table *weir_route_table_new(struct weir_conf_ctx *ctx,
                                              const ProtobufCMessage *route_configuration)
{
    const RouteConfiguration *proto = (const RouteConfiguration *)(const void *)route_configuration;
    struct weir_route_table *table = WEIR_NEW(struct weir_route_table);
    struct build b = {.ctx = ctx,
                      .proto = proto,
                      .table = table,
                      .check_clusters = weir_bool_value(proto->validate_clusters, true)};
    atomic_init(&table->refs, 1);
    weir_arena_init(&table->arena, NULL);
    weir_map_init(&table->exact);
    weir_map_init(&table->suffix);
    weir_map_init(&table->prefix);
    /* Filters' per-route configuration lives as long as the table. */
    struct weir_arena *outer = ctx->arena;
    ctx->arena = &table->arena;
    if (!weir_config_check_supported(ctx->config, proto, &weir_route_configuration_fields))
        b.failed = true;
    read_table(&b);
    ctx->arena = outer;
    if (!b.failed)
        return table;
    weir_route_table_unref(table);
    return NULL;
}
