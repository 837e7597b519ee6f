/* Routes: from a request to what to do with it. A table is immutable, built from a RouteConfiguration, shared by workers,
 * reference-counted; matching allocates nothing and is flat in the number of hosts and routes (hash of domains; an index over
 * exact paths and prefixes within a virtual host, order of configuration kept). */
#ifndef WEIR_PROXY_ROUTE_H
#define WEIR_PROXY_ROUTE_H

#include <protobuf-c/protobuf-c.h>

#include "base/map.h"
#include "http/headers.h"
#include "upstream/cluster.h"

struct weir_conf_ctx;
struct weir_stream;
struct weir_stream_info;
struct weir_header_mutation; /* proxy/header_mutation.h */
struct weir_route_table;
struct weir_per_filter;      /* per-filter configuration by filter, see weir_route_filter_conf */

enum weir_route_kind { WEIR_ROUTE_CLUSTER, WEIR_ROUTE_REDIRECT, WEIR_ROUTE_DIRECT, WEIR_ROUTE_NON_FORWARDING };

/** One place a forwarding route can lead to: the whole route, or one of its weighted clusters. */
struct weir_route_target {
    struct weir_slice cluster;        /* absent with cluster_header */
    struct weir_slice cluster_header;
    uint32_t weight;
    const struct weir_header_mutation *request_headers, *response_headers;
    struct weir_slice host_rewrite;
    const struct weir_per_filter *per_filter;
    const void *metadata_match;
};

struct weir_retry_policy; /* proxy/retry.h */

/** A route: what matched and what follows. Fields that configuration leaves out hold Envoy's defaults. */
struct weir_route {
    struct weir_slice name;
    enum weir_route_kind kind;
    const struct weir_vhost *vhost;
    const struct weir_route_match *match;
    /* WEIR_ROUTE_CLUSTER */
    const struct weir_route_target *targets;
    uint32_t n_targets;
    uint64_t total_weight;
    uint32_t cluster_not_found_status;   /* 503 */
    struct weir_slice prefix_rewrite;
    const struct weir_regex *regex_rewrite;
    struct weir_slice regex_substitution;
    struct weir_slice host_rewrite, host_rewrite_header;
    const struct weir_regex *host_rewrite_regex;
    struct weir_slice host_rewrite_substitution;
    bool auto_host_rewrite, append_x_forwarded_host;
    uint64_t timeout_ms;                 /* 15 000; 0 = none */
    uint64_t idle_timeout_ms;            /* UINT64_MAX = the connection manager's */
    uint64_t max_stream_duration_ms;
    enum weir_priority priority;
    const struct weir_retry_policy *retry;
    /* WEIR_ROUTE_REDIRECT, WEIR_ROUTE_DIRECT */
    const struct weir_redirect *redirect;
    uint32_t direct_status;
    struct weir_slice direct_body;
    /* all */
    const struct weir_header_mutation *request_headers, *response_headers;
    const struct weir_per_filter *per_filter;
    uint32_t request_buffer_limit;       /* per_request_buffer_limit_bytes, UINT32_MAX = unset */
    const void *metadata;
    const void *proto;
};

struct weir_vhost {
    struct weir_slice name;
    struct weir_route **routes;
    uint32_t n_routes;
    const struct weir_header_mutation *request_headers, *response_headers;
    const struct weir_per_filter *per_filter;
    enum { WEIR_TLS_NOT_REQUIRED, WEIR_TLS_REQUIRED_EXTERNAL, WEIR_TLS_REQUIRED_ALL } require_tls;
    bool include_attempt_count_request, include_attempt_count_response;
    const void *metadata;
    const struct weir_route_table *table;
    struct weir_vhost_index *index;      /* route.c's */
};

/** Builds a table from an Envoy__Config__Route__V3__RouteConfiguration. Faults go to ctx->diag, all of them; NULL then. */
struct weir_route_table *weir_route_table_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *route_configuration);
struct weir_route_table *weir_route_table_ref(struct weir_route_table *table);
void weir_route_table_unref(struct weir_route_table *table);
struct weir_slice weir_route_table_name(const struct weir_route_table *table);

/** The first route that matches; NULL. `random` decides runtime fractions and, with *ret_target, the weighted cluster. */
const struct weir_route *weir_route_match(const struct weir_route_table *table, const struct weir_headers *request,
                                          const struct weir_stream_info *info, uint64_t random,
                                          const struct weir_route_target **ret_target);
/** The virtual host for an authority; NULL. */
const struct weir_vhost *weir_route_vhost(const struct weir_route_table *table, struct weir_slice authority);

/** Adds and removes request headers as target, route, virtual host and table say, then rewrites path and host; with `originals`
 * what these were is told in x-envoy-original-path and -host (Envoy: finalizeRequestHeaders). */
void weir_route_finalize_request(const struct weir_route *route, const struct weir_route_target *target, struct weir_stream *s,
                                 bool originals);
/** Changes the host, telling the old one as asked (Envoy: Http::Utility::updateAuthority). Copies `host`. */
void weir_route_set_host(struct weir_headers *request, struct weir_slice host, bool append_forwarded_host, bool original);
/** Adds and removes response headers (finalizeResponseHeaders). */
void weir_route_finalize_response(const struct weir_route *route, const struct weir_route_target *target, struct weir_stream *s,
                                  struct weir_headers *response);
/** The `location` of a redirect, in the stream's arena, and its status. */
struct weir_slice weir_route_redirect_location(const struct weir_route *route, struct weir_stream *s, uint32_t *ret_status);

/** Per-filter configuration for the filter named `name`, most specific first; `*ret_disabled` = FilterConfig.disabled. NULL if none. */
const void *weir_route_filter_conf(const struct weir_route *route, const struct weir_route_target *target, struct weir_slice name,
                                   bool *ret_disabled);

#endif
