/* The router: the last filter of every chain. It answers redirects and direct responses itself and sends the rest upstream. */
#ifndef WEIR_FILTERS_ROUTER_ROUTER_H
#define WEIR_FILTERS_ROUTER_ROUTER_H

#include "proxy/filter.h"
#include "stats/stats.h"

/* Rows of `http.<stat_prefix>.`; Envoy's names. */
#define WEIR_ROUTER_STATS(X)                                                                   \
    X(no_route) X(no_cluster) X(rq_total) X(rq_redirect) X(rq_direct_response)                 \
    X(rq_reset_after_downstream_response_started) X(rq_overload_local_reply)                   \
    X(rq_retry_skipped_request_not_complete) X(rq_stale_connection_retry)
enum weir_router_stat {
#define X(name) WEIR_ROUTER_STAT_##name,
    WEIR_ROUTER_STATS(X)
#undef X
    WEIR_ROUTER_STAT_COUNT
};

struct weir_router_conf {
    weir_stat stats; /* base of WEIR_ROUTER_STATS */
    bool dynamic_stats;
    bool suppress_envoy_headers;
    bool respect_expected_timeout;
};
extern const struct weir_supported_fields weir_router_fields;
enum weir_err weir_router_parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf);

extern const struct weir_filter_ops weir_filter_router;

#endif
