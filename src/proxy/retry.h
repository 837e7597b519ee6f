/* Retries: which failures and answers are worth another attempt, how many, and when. The policy is a route's; callers that may
 * (the connection manager strips strangers' x-envoy-* headers) add to it by headers. */
#ifndef WEIR_PROXY_RETRY_H
#define WEIR_PROXY_RETRY_H

#include "config/supported.h"
#include "proxy/string_match.h"
#include "upstream/cluster.h"

struct weir_conf_ctx;

/* bit, name in retry_on and x-envoy-retry-on */
#define WEIR_RETRY_ON(X)                                    \
    X(5XX, "5xx") X(GATEWAY_ERROR, "gateway-error") X(RESET, "reset")                                  \
    X(RESET_BEFORE_REQUEST, "reset-before-request") X(CONNECT_FAILURE, "connect-failure")              \
    X(RATELIMITED, "envoy-ratelimited") X(RETRIABLE_4XX, "retriable-4xx")                              \
    X(REFUSED_STREAM, "refused-stream") X(STATUS_CODES, "retriable-status-codes")                      \
    X(HEADERS, "retriable-headers") X(HTTP3, "http3-post-connect-failure")                             \
    X(GRPC_CANCELLED, "cancelled") X(GRPC_DEADLINE_EXCEEDED, "deadline-exceeded")                      \
    X(GRPC_INTERNAL, "internal") X(GRPC_RESOURCE_EXHAUSTED, "resource-exhausted")                      \
    X(GRPC_UNAVAILABLE, "unavailable")
enum weir_retry_bit {
#define X(id, name) WEIR_RETRY_BIT_##id,
    WEIR_RETRY_ON(X)
#undef X
    WEIR_RETRY_BIT_COUNT
};

extern const struct weir_supported_fields weir_retry_policy_fields;

struct weir_retry_policy {
    uint32_t on; /* 1 << enum weir_retry_bit */
    uint32_t num_retries;
    uint64_t per_try_timeout_ms; /* 0 = none */
    uint64_t base_ms, max_ms;    /* of the back-off */
    const uint32_t *status_codes;
    uint32_t n_status_codes;
    struct weir_header_match *headers, *request_headers; /* retriable_headers, retriable_request_headers */
    uint32_t n_headers, n_request_headers;
    bool skip_previous_hosts;
    uint32_t host_attempts; /* how often another host is drawn for that */
};
/** Reads an Envoy__Config__Route__V3__RetryPolicy. NULL: reported, all of it. */
const struct weir_retry_policy *weir_retry_policy_new(struct weir_conf_ctx *ctx, const void *retry_policy);

/** One stream's retries. */
struct weir_retry {
    uint32_t on;
    uint32_t left;         /* retries that may still be made */
    uint32_t n_made;
    uint64_t per_try_timeout_ms;
    const struct weir_retry_policy *policy; /* never NULL: back-off, codes */
    uint32_t code;         /* from x-envoy-retriable-status-codes (the first that is given) */
    struct weir_resource *taken; /* the breaker's unit that a running retry holds */
};
/** What a request may have, from its route's policy (NULL = none) and its headers, which are taken out. False: no retries. */
bool weir_retry_init(struct weir_retry *retry, const struct weir_retry_policy *policy, struct weir_headers *request);

enum weir_retry_verdict { WEIR_RETRY_NO, WEIR_RETRY_YES, WEIR_RETRY_LIMIT, WEIR_RETRY_OVERFLOW };
/** Another attempt because of this answer? YES takes one retry and its unit of the circuit breaker. */
enum weir_retry_verdict weir_retry_on_headers(struct weir_retry *retry, const struct weir_headers *response,
                                              struct weir_cluster_worker *cw, enum weir_priority priority);
/** Because of this failure? `sent`: the request's head was given to a connection. */
enum weir_retry_verdict weir_retry_on_reset(struct weir_retry *retry, enum weir_reset reason, bool sent,
                                            struct weir_cluster_worker *cw, enum weir_priority priority);
/** How long to wait before the retry that was just taken. Rule: full jitter in [0, min(base * 2^(n-1), max)). */
uint64_t weir_retry_backoff_ms(const struct weir_retry *retry, uint64_t random);
/** The retry has come to its end: gives the breaker's unit back. Idempotent. */
void weir_retry_release(struct weir_retry *retry, struct weir_stats_worker *sw);

#endif
