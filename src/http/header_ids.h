/* Interned header names: comparing a known name is comparing an integer. Order is free; ids are not stable across builds. */
#ifndef WEIR_HTTP_HEADER_IDS_H
#define WEIR_HTTP_HEADER_IDS_H

/* id, lower-case name. Pseudo-headers first. */
#define WEIR_HEADER_IDS(X)                                              \
    X(METHOD, ":method")                                                \
    X(SCHEME, ":scheme")                                                \
    X(AUTHORITY, ":authority")                                          \
    X(PATH, ":path")                                                    \
    X(STATUS, ":status")                                                \
    X(PROTOCOL, ":protocol")                                            \
    X(HOST, "host")                                                     \
    X(CONTENT_LENGTH, "content-length")                                 \
    X(CONTENT_TYPE, "content-type")                                     \
    X(TRANSFER_ENCODING, "transfer-encoding")                           \
    X(CONNECTION, "connection")                                         \
    X(KEEP_ALIVE, "keep-alive")                                         \
    X(PROXY_CONNECTION, "proxy-connection")                             \
    X(UPGRADE, "upgrade")                                               \
    X(TE, "te")                                                         \
    X(TRAILER, "trailer")                                               \
    X(EXPECT, "expect")                                                 \
    X(DATE, "date")                                                     \
    X(SERVER, "server")                                                 \
    X(VIA, "via")                                                       \
    X(HTTP2_SETTINGS, "http2-settings")                                 \
    X(ACCEPT, "accept")                                                 \
    X(ACCEPT_ENCODING, "accept-encoding")                               \
    X(ACCEPT_LANGUAGE, "accept-language")                               \
    X(AUTHORIZATION, "authorization")                                   \
    X(CACHE_CONTROL, "cache-control")                                   \
    X(CONTENT_ENCODING, "content-encoding")                             \
    X(COOKIE, "cookie")                                                 \
    X(ETAG, "etag")                                                     \
    X(LAST_MODIFIED, "last-modified")                                   \
    X(LOCATION, "location")                                             \
    X(ORIGIN, "origin")                                                 \
    X(REFERER, "referer")                                               \
    X(RETRY_AFTER, "retry-after")                                       \
    X(SET_COOKIE, "set-cookie")                                         \
    X(USER_AGENT, "user-agent")                                         \
    X(VARY, "vary")                                                     \
    X(WWW_AUTHENTICATE, "www-authenticate")                             \
    X(X_FORWARDED_FOR, "x-forwarded-for")                               \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                           \
    X(X_FORWARDED_HOST, "x-forwarded-host")                             \
    X(X_FORWARDED_PORT, "x-forwarded-port")                             \
    X(X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert")               \
    X(X_REQUEST_ID, "x-request-id")                                     \
    X(X_CLIENT_TRACE_ID, "x-client-trace-id")                           \
    X(X_ENVOY_INTERNAL, "x-envoy-internal")                             \
    X(X_ENVOY_EXTERNAL_ADDRESS, "x-envoy-external-address")             \
    X(X_ENVOY_DOWNSTREAM_SERVICE_CLUSTER, "x-envoy-downstream-service-cluster") \
    X(X_ENVOY_DOWNSTREAM_SERVICE_NODE, "x-envoy-downstream-service-node") \
    X(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, "x-envoy-expected-rq-timeout-ms") \
    X(X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time")   \
    X(X_ENVOY_ATTEMPT_COUNT, "x-envoy-attempt-count")                   \
    X(X_ENVOY_ORIGINAL_PATH, "x-envoy-original-path")                   \
    X(X_ENVOY_ORIGINAL_HOST, "x-envoy-original-host")                   \
    X(X_ENVOY_OVERLOADED, "x-envoy-overloaded")                         \
    X(X_ENVOY_RATELIMITED, "x-envoy-ratelimited")                       \
    X(X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL, "x-envoy-immediate-health-check-fail") \
    X(X_ENVOY_DEGRADED, "x-envoy-degraded")                             \
    X(X_ENVOY_CANARY, "x-envoy-upstream-canary")                        \
    X(X_ENVOY_RETRY_ON, "x-envoy-retry-on")                             \
    X(X_ENVOY_RETRY_GRPC_ON, "x-envoy-retry-grpc-on")                   \
    X(X_ENVOY_MAX_RETRIES, "x-envoy-max-retries")                       \
    X(X_ENVOY_RETRIABLE_STATUS_CODES, "x-envoy-retriable-status-codes") \
    X(X_ENVOY_RETRIABLE_HEADER_NAMES, "x-envoy-retriable-header-names") \
    X(X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS, "x-envoy-upstream-rq-timeout-ms") \
    X(X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS, "x-envoy-upstream-rq-per-try-timeout-ms") \
    X(X_ENVOY_UPSTREAM_ALT_STAT_NAME, "x-envoy-upstream-alt-stat-name") \
    X(X_ENVOY_HEDGE_ON_PER_TRY_TIMEOUT, "x-envoy-hedge-on-per-try-timeout") \
    X(X_ENVOY_DECORATOR_OPERATION, "x-envoy-decorator-operation")       \
    X(GRPC_STATUS, "grpc-status")                                       \
    X(GRPC_MESSAGE, "grpc-message")                                     \
    X(GRPC_TIMEOUT, "grpc-timeout")                                     \
    X(GRPC_ACCEPT_ENCODING, "grpc-accept-encoding")                     \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security")           \
    X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method")   \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers") \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "access-control-allow-origin")       \
    X(ACCEPT_RANGES, "accept-ranges")                                   \
    X(AGE, "age")                                                       \
    X(EXPIRES, "expires")                                               \
    X(RANGE, "range")                                                   \
    X(IF_NONE_MATCH, "if-none-match")                                   \
    X(IF_MODIFIED_SINCE, "if-modified-since")                           \
    X(TRACEPARENT, "traceparent")                                       \
    X(X_B3_TRACEID, "x-b3-traceid")                                     \
    X(UPGRADE_INSECURE_REQUESTS, "upgrade-insecure-requests")

enum weir_header_id {
    WEIR_H_OTHER, // a name that is not interned
#define X(id, name) WEIR_H_##id,
    WEIR_HEADER_IDS(X)
#undef X
    WEIR_H_COUNT
};

#endif
