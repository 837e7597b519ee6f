/* What is known of one request: the facts that access logs, header formats and guests' properties read. */
#ifndef WEIR_PROXY_STREAM_INFO_H
#define WEIR_PROXY_STREAM_INFO_H

#include "http/codec.h"
#include "upstream/host.h"

/* flag, short, long (Envoy 1.5): order is the order in which several are printed. */
#define WEIR_RESPONSE_FLAGS(X)                                     \
    X(FAILED_LOCAL_HEALTH_CHECK, "LH", "FailedLocalHealthCheck")   \
    X(NO_HEALTHY_UPSTREAM, "UH", "NoHealthyUpstream")              \
    X(UPSTREAM_REQUEST_TIMEOUT, "UT", "UpstreamRequestTimeout")    \
    X(LOCAL_RESET, "LR", "LocalReset")                             \
    X(UPSTREAM_REMOTE_RESET, "UR", "UpstreamRemoteReset")          \
    X(UPSTREAM_CONNECTION_FAILURE, "UF", "UpstreamConnectionFailure") \
    X(UPSTREAM_CONNECTION_TERMINATION, "UC", "UpstreamConnectionTermination") \
    X(UPSTREAM_OVERFLOW, "UO", "UpstreamOverflow")                 \
    X(NO_ROUTE_FOUND, "NR", "NoRouteFound")                        \
    X(DELAY_INJECTED, "DI", "DelayInjected")                       \
    X(FAULT_INJECTED, "FI", "FaultInjected")                       \
    X(RATE_LIMITED, "RL", "RateLimited")                           \
    X(UNAUTHORIZED_EXTERNAL_SERVICE, "UAEX", "UnauthorizedExternalService") \
    X(RATE_LIMIT_SERVICE_ERROR, "RLSE", "RateLimitServiceError")   \
    X(DOWNSTREAM_CONNECTION_TERMINATION, "DC", "DownstreamConnectionTermination") \
    X(UPSTREAM_RETRY_LIMIT_EXCEEDED, "URX", "UpstreamRetryLimitExceeded") \
    X(STREAM_IDLE_TIMEOUT, "SI", "StreamIdleTimeout")              \
    X(INVALID_ENVOY_REQUEST_HEADERS, "IH", "InvalidEnvoyRequestHeaders") \
    X(DOWNSTREAM_PROTOCOL_ERROR, "DPE", "DownstreamProtocolError") \
    X(UPSTREAM_MAX_STREAM_DURATION_REACHED, "UMSDR", "UpstreamMaxStreamDurationReached") \
    X(RESPONSE_FROM_CACHE_FILTER, "RFCF", "ResponseFromCacheFilter") \
    X(NO_FILTER_CONFIG_FOUND, "NFCF", "NoFilterConfigFound")       \
    X(DURATION_TIMEOUT, "DT", "DurationTimeout")                   \
    X(UPSTREAM_PROTOCOL_ERROR, "UPE", "UpstreamProtocolError")     \
    X(NO_CLUSTER_FOUND, "NC", "NoClusterFound")                    \
    X(OVERLOAD_MANAGER, "OM", "OverloadManagerTerminated")         \
    X(DNS_FAIL, "DF", "DnsResolutionFailed")                       \
    X(DROP_OVERLOAD, "DO", "DropOverload")                         \
    X(DOWNSTREAM_REMOTE_RESET, "DR", "DownstreamRemoteReset")      \
    X(UNCONDITIONAL_DROP_OVERLOAD, "UDO", "UnconditionalDropOverload")
enum weir_response_flag {
#define X(id, brief, full) WEIR_FLAG_##id,
    WEIR_RESPONSE_FLAGS(X)
#undef X
    WEIR_FLAG_COUNT
};

/** A small typed value: dynamic metadata, filter state. Lives in the stream's arena. */
enum weir_value_kind { WEIR_VALUE_NULL, WEIR_VALUE_BOOL, WEIR_VALUE_NUMBER, WEIR_VALUE_STRING, WEIR_VALUE_LIST, WEIR_VALUE_STRUCT };
struct weir_value {
    enum weir_value_kind kind;
    union {
        bool boolean;
        double number;
        struct weir_slice string;
        struct {
            struct weir_value *v;
            struct weir_slice *keys; /* STRUCT only */
            uint32_t n;
        } items;
    };
};
struct weir_metadata { /* one namespace */
    struct weir_slice name;
    struct weir_value value; /* STRUCT */
    struct weir_metadata *next;
};
struct weir_filter_state {
    struct weir_slice name;
    struct weir_slice bytes;
    bool read_only;
    struct weir_filter_state *next;
};

/** Facts of a downstream connection shared by its streams. */
struct weir_conn_info {
    struct weir_addr remote;        /* of the peer, after original-source or PROXY protocol */
    struct weir_addr direct_remote; /* of the socket */
    struct weir_addr local;
    struct weir_addr direct_local;
    uint64_t id;
    struct weir_slice requested_server_name;
    const struct weir_tls_info *tls; /* NULL = plain text */
    struct weir_slice filter_chain_name;
    struct weir_slice listener_name;
    uint32_t listener_direction; /* enum TrafficDirection */
    const void *listener_metadata;
    struct weir_filter_state *filter_state; /* connection span */
    const char *termination_details;
};

struct weir_stream_info {
    const struct weir_conn_info *conn; /* NULL for call-outs */
    struct weir_addr remote;           /* downstream address, XFF applied */
    enum weir_http_protocol protocol;
    int64_t start_wall_ns;
    /* Monotonic ns; 0 = did not happen. */
    uint64_t start_ns, last_rx_ns, first_up_tx_ns, last_up_tx_ns, first_up_rx_ns, last_up_rx_ns, first_tx_ns, last_tx_ns, end_ns;
    uint64_t bytes_received, bytes_sent;             /* bodies */
    uint64_t header_bytes_received, header_bytes_sent;
    uint64_t wire_bytes_received, wire_bytes_sent;
    uint64_t up_wire_bytes_sent, up_wire_bytes_received;
    uint32_t status;      /* of the response, 0 = none */
    uint64_t flags;       /* 1 << enum weir_response_flag */
    struct weir_slice details; /* response_code_details */
    struct weir_slice termination_details;
    uint32_t attempts;    /* upstream requests */
    struct weir_slice route_name, vhost_name, cluster_name;
    const struct weir_cluster *cluster;
    const struct weir_host *host;      /* last one tried; valid while the stream holds its host set */
    struct weir_addr up_local;
    uint64_t up_conn_id;
    uint64_t up_pool_ready_ns;         /* time spent waiting for the connection */
    enum weir_http_protocol up_protocol;
    const struct weir_tls_info *up_tls;
    struct weir_slice up_failure;      /* transport failure reason */
    bool health_check, traced, internal;
    uint64_t stream_id;
    struct weir_metadata *metadata;
    struct weir_filter_state *filter_state;
    struct weir_slice original_path;   /* :path as received */
    struct weir_slice local_reply_body;
    const void *route_metadata, *vhost_metadata; /* Envoy__Config__Core__V3__Metadata or NULL */
};

/** The short names ("UF,URX" or "-") appended to `out`; `full` chooses the long names. */
void weir_response_flags_print(uint64_t flags, bool full, struct weir_str *out);
/** Sets details to a static text. */
static inline void weir_info_flag(struct weir_stream_info *info, enum weir_response_flag flag)
{
    info->flags |= UINT64_C(1) << flag;
}
/** Namespace of dynamic metadata, or NULL. */
const struct weir_value *weir_info_metadata(const struct weir_stream_info *info, struct weir_slice ns);
/** Sets (replaces) a filter state entry; slices are copied into `arena`. WEIR_ERR_DENIED if read-only. */
enum weir_err weir_info_set_filter_state(struct weir_stream_info *info, struct weir_arena *arena, struct weir_slice name,
                                         struct weir_slice bytes, bool read_only);
const struct weir_filter_state *weir_info_filter_state(const struct weir_stream_info *info, struct weir_slice name);

#endif
