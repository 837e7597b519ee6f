/* The HTTP connection manager's configuration: what HttpConnectionManager says, ready for use. Immutable, built by hcm_config.c,
 * lives in its listener's arena; every connection holds its listener. */
#ifndef WEIR_PROXY_HCM_H
#define WEIR_PROXY_HCM_H

#include "config/diag.h"
#include "http/url.h"
#include "proxy/access_log.h"
#include "proxy/filter.h"
#include "proxy/network_filter.h"
#include "proxy/route.h"
#include "proxy/stream_info.h"

/* Rows of `http.<stat_prefix>.`; Envoy's names. */
#define WEIR_HCM_STATS(X)                                                                                        \
    X(downstream_cx_total, COUNTER) X(downstream_cx_active, GAUGE) X(downstream_cx_http1_total, COUNTER)         \
    X(downstream_cx_http1_active, GAUGE) X(downstream_cx_http1_soft_drain, COUNTER)                              \
    X(downstream_cx_http2_total, COUNTER) X(downstream_cx_http2_active, GAUGE)                                   \
    X(downstream_cx_http3_total, COUNTER) X(downstream_cx_http3_active, GAUGE)                                   \
    X(downstream_cx_ssl_total, COUNTER) X(downstream_cx_ssl_active, GAUGE)                                       \
    X(downstream_cx_upgrades_total, COUNTER) X(downstream_cx_upgrades_active, GAUGE)                             \
    X(downstream_cx_destroy, COUNTER) X(downstream_cx_destroy_local, COUNTER)                                    \
    X(downstream_cx_destroy_remote, COUNTER) X(downstream_cx_destroy_active_rq, COUNTER)                         \
    X(downstream_cx_destroy_local_active_rq, COUNTER) X(downstream_cx_destroy_remote_active_rq, COUNTER)         \
    X(downstream_cx_drain_close, COUNTER) X(downstream_cx_delayed_close_timeout, COUNTER)                        \
    X(downstream_cx_idle_timeout, COUNTER) X(downstream_cx_max_duration_reached, COUNTER)                        \
    X(downstream_cx_max_requests_reached, COUNTER) X(downstream_cx_overload_disable_keepalive, COUNTER)          \
    X(downstream_cx_protocol_error, COUNTER) X(downstream_cx_length_ms, HISTOGRAM)                               \
    X(downstream_cx_rx_bytes_total, COUNTER) X(downstream_cx_rx_bytes_buffered, GAUGE)                           \
    X(downstream_cx_tx_bytes_total, COUNTER) X(downstream_cx_tx_bytes_buffered, GAUGE)                           \
    X(downstream_flow_control_paused_reading_total, COUNTER)                                                     \
    X(downstream_flow_control_resumed_reading_total, COUNTER)                                                    \
    X(downstream_rq_total, COUNTER) X(downstream_rq_active, GAUGE) X(downstream_rq_http1_total, COUNTER)         \
    X(downstream_rq_http2_total, COUNTER) X(downstream_rq_http3_total, COUNTER)                                  \
    X(downstream_rq_completed, COUNTER) X(downstream_rq_1xx, COUNTER) X(downstream_rq_2xx, COUNTER)              \
    X(downstream_rq_3xx, COUNTER) X(downstream_rq_4xx, COUNTER) X(downstream_rq_5xx, COUNTER)                    \
    X(downstream_rq_time, HISTOGRAM) X(downstream_rq_too_large, COUNTER) X(downstream_rq_non_relative_path, COUNTER) \
    X(downstream_rq_idle_timeout, COUNTER) X(downstream_rq_timeout, COUNTER)                                     \
    X(downstream_rq_header_timeout, COUNTER) X(downstream_rq_max_duration_reached, COUNTER)                      \
    X(downstream_rq_overload_close, COUNTER) X(downstream_rq_redirected_with_normalized_path, COUNTER)           \
    X(downstream_rq_rejected_via_ip_detection, COUNTER) X(downstream_rq_response_before_rq_complete, COUNTER)    \
    X(downstream_rq_rx_reset, COUNTER) X(downstream_rq_tx_reset, COUNTER)                                        \
    X(downstream_rq_too_many_premature_resets, COUNTER) X(downstream_rq_ws_on_non_ws_route, COUNTER)             \
    X(rs_too_large, COUNTER)
enum weir_hcm_stat {
#define X(name, kind) WEIR_HCM_STAT_##name,
    WEIR_HCM_STATS(X)
#undef X
    WEIR_HCM_STAT_COUNT
};
/* Rows of `listener.<address>.http.<stat_prefix>.`. */
#define WEIR_HCM_LISTENER_STATS(X)                                                                            \
    X(downstream_rq_1xx, COUNTER) X(downstream_rq_2xx, COUNTER) X(downstream_rq_3xx, COUNTER)                 \
    X(downstream_rq_4xx, COUNTER) X(downstream_rq_5xx, COUNTER) X(downstream_rq_completed, COUNTER)
enum weir_hcm_listener_stat {
#define X(name, kind) WEIR_HCM_LISTENER_STAT_##name,
    WEIR_HCM_LISTENER_STATS(X)
#undef X
    WEIR_HCM_LISTENER_STAT_COUNT
};

/** A filter of the chain as configured. */
struct weir_hcm_filter {
    const struct weir_filter_ops *ops;
    const void *conf;
    struct weir_slice name;
    bool disabled;          /* unless a route enables it */
    uint32_t state_offset;  /* of its state within the stream's block of filter states */
};

enum weir_codec_type { WEIR_CODEC_AUTO, WEIR_CODEC_HTTP1, WEIR_CODEC_HTTP2 };
enum weir_server_header { WEIR_SERVER_OVERWRITE, WEIR_SERVER_APPEND_IF_ABSENT, WEIR_SERVER_PASS_THROUGH };

struct weir_local_reply_conf; /* local_reply_config.c */

struct weir_hcm {
    struct weir_slice stat_prefix;
    weir_stat stats;          /* base of WEIR_HCM_STATS */
    weir_stat listener_stats; /* base of WEIR_HCM_LISTENER_STATS */
    struct weir_hcm_filter *filters;
    uint32_t n_filters;
    uint32_t state_bytes;     /* of all filters' states */
    const struct weir_route_table *routes; /* NULL: route_configuration_not_found */
    const struct weir_access_logs *access_logs;
    const struct weir_local_reply_conf *local_reply;
    enum weir_codec_type codec_type;
    struct weir_h1_options h1;
    uint32_t buffer_limit;    /* of the listener: what a filter may hold back */

    struct weir_slice server_name, via;
    enum weir_server_header server_header;
    bool add_user_agent;
    struct weir_slice user_agent;  /* --service-cluster */
    struct weir_slice service_node;
    struct weir_addr local_address; /* of this machine, not loopback: what x-forwarded-for says of local clients; none = their own */
    bool generate_request_id, preserve_request_id, request_id_in_response;
    bool use_remote_address, skip_xff_append;
    uint32_t xff_hops;
    struct weir_cidr *internal;    /* internal_address_config */
    uint32_t n_internal;
    bool internal_unix;
    bool proxy_100_continue;
    struct weir_path_options path;
    bool strip_matching_port, strip_any_port, strip_trailing_dot;

    /* Milliseconds; 0 = none. */
    uint64_t idle_timeout_ms, stream_idle_ms, request_timeout_ms, request_headers_timeout_ms;
    uint64_t max_connection_ms, max_stream_ms, drain_ms, delayed_close_ms;
    uint32_t max_requests_per_connection; /* 0 = no limit */
};

/** The network filter. */
extern const struct weir_net_filter_ops weir_hcm_ops;
extern const struct weir_supported_fields weir_hcm_fields;

/* A row; the cell that nobody reads when there was no room for statistics. */
static inline weir_stat weir_hcm_row(const struct weir_hcm *hcm, enum weir_hcm_stat stat)
{
    return hcm->stats ? hcm->stats + (weir_stat)stat : 0;
}
static inline void weir_hcm_count(const struct weir_hcm *hcm, struct weir_worker *worker, enum weir_hcm_stat stat)
{
    weir_stat_inc(worker->stats, weir_hcm_row(hcm, stat));
}

/** How calls of filters are made: a chain of the router alone, no access log, statistics under http.async-client. */
struct weir_calls {
    const struct weir_hcm *hcm; /* for weir_worker.calls; NULL if the filters lack a router */
    struct weir_arena arena;
    struct weir_diag diag;
    struct weir_config *config;
};
struct weir_calls *weir_calls_new(struct weir_stats *stats, const struct weir_filter_registry *http_filters);
/** When no worker is left. */
void weir_calls_free(struct weir_calls *calls);

/** Reads an HttpConnectionManager. Faults to ctx->config, all of them. */
WEIR_MUST_CHECK enum weir_err weir_hcm_parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret);

#endif
