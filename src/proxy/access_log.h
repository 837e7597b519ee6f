/* Access loggers: what is told of each finished stream, and where to. Kinds are in src/accesslog; proxy/ names none. */
#ifndef WEIR_PROXY_ACCESS_LOG_H
#define WEIR_PROXY_ACCESS_LOG_H

#include <protobuf-c/protobuf-c.h>

#include "proxy/stream_info.h"

struct weir_conf_ctx;
struct weir_worker;

/* Why a record is written (Envoy's data.accesslog.v3.AccessLogType, same order). */
#define WEIR_ACCESS_LOG_TYPES(X)                                                                     \
    X(NOT_SET, "NotSet")                                                                             \
    X(TCP_UPSTREAM_CONNECTED, "TcpUpstreamConnected") X(TCP_PERIODIC, "TcpPeriodic")                 \
        X(TCP_CONNECTION_END, "TcpConnectionEnd") X(DOWNSTREAM_START, "DownstreamStart")             \
            X(DOWNSTREAM_PERIODIC, "DownstreamPeriodic") X(DOWNSTREAM_END, "DownstreamEnd")          \
                X(UPSTREAM_POOL_READY, "UpstreamPoolReady") X(UPSTREAM_PERIODIC, "UpstreamPeriodic") \
                    X(UPSTREAM_END, "UpstreamEnd") X(DOWNSTREAM_TUNNEL_SUCCESSFULLY_ESTABLISHED,     \
                                                     "DownstreamTunnelSuccessfullyEstablished")      \
                        X(UDP_TUNNEL_UPSTREAM_CONNECTED, "UdpTunnelUpstreamConnected")               \
                            X(UDP_PERIODIC, "UdpPeriodic") X(UDP_SESSION_END, "UdpSessionEnd")
enum weir_access_log_type {
#define X(id, name) WEIR_ACCESS_LOG_##id,
    WEIR_ACCESS_LOG_TYPES(X)
#undef X
        WEIR_ACCESS_LOG_TYPE_COUNT
};

/** What a logger is given. Maps may be NULL (the message never came). */
struct weir_log_context {
    struct weir_worker *worker;
    const struct weir_stream_info *info;
    const struct weir_headers *request_headers, *response_headers, *response_trailers;
    struct weir_arena *arena; /* scratch of the stream */
    enum weir_access_log_type type;
};

struct weir_access_logger_ops {
    const char *name;
    const char *const *aliases;
    const char *type;
    enum weir_err (*parse)(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf);
    void (*log)(const void *conf, const struct weir_log_context *context);
};
struct weir_access_logger_registry {
    const struct weir_access_logger_ops *const *v;
    uint32_t n;
};

/** The access logs of one place in the configuration, with their filters. In ctx->arena. */
struct weir_access_logs;
/** Reads a list of Envoy__Config__Accesslog__V3__AccessLog. Faults to ctx->config; `*ret` is NULL for an empty list. */
WEIR_MUST_CHECK enum weir_err weir_access_logs_new(struct weir_conf_ctx *ctx, void *const *access_logs,
                                                   size_t n, struct weir_access_logs **ret);
/** Logs a finished stream to all whose filter says so. NULL logs nothing. */
void weir_access_logs_write(const struct weir_access_logs *logs, const struct weir_log_context *context);

#endif
